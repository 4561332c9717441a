"""`reelhouse score`: the lake beside the simulator's truth."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.serve.printing import Format


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Reading")(score)


def score(
    truth: Annotated[Path | None, typer.Option(help="A folder of truth; default: the newest in <home>/truth.")] = None,
    format: Annotated[Format, typer.Option(help="How to print the checks.")] = Format.table,
) -> None:
    """Compare silver, funnel and profiles with what the simulator knows to be true; exit 1 if anything differs.

    Example: reelhouse score --format json
    """
    from rich.console import Console

    from jobs.serve.asked import lake_settings
    from jobs.serve.printing import print_rows
    from jobs.serve.score import COLUMNS, score, truth_folder

    settings = lake_settings()
    folder = truth_folder(settings, truth)
    results = score(settings, folder)
    rows = [result.row() for result in results]
    if format is Format.json:
        print_rows(rows, COLUMNS, format.value)
    else:
        print_rows([row for row in rows if row["figures"] is None], ("check", "compared", "differences"), format.value)
        print_rows(list(measured(rows)), ("measured", "value"), format.value)
        wrong = [{"check": row["check"], "for example": one} for row in rows for one in row["examples"]]
        if wrong:
            print_rows(wrong, ("check", "for example"), format.value)
    total = sum(result.differences for result in results)
    said = (
        f"{total:,} differences in {len(results)} checks against {folder}" if total else f"zero differences: {folder}"
    )
    Console(stderr=True, soft_wrap=True).print(said)
    if total:
        raise typer.Exit(1)


def measured(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """What was measured, each under the name of its check: two columns, so that 80 hold them."""
    for row in rows:
        if row["figures"]:
            yield {"measured": f"{row['check']}, {row['compared']:,} compared", "value": None}
            yield from ({"measured": f"  {name}", "value": value} for name, value in row["figures"].items())
