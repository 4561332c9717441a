"""`reelhouse drill`: pull a plug on purpose, on a lake made for it, and see what is left."""

from typing import Annotated, Any

import typer

from jobs.lake.errors import UsageError
from jobs.lake.settings import Settings
from jobs.serve.printing import Format

PANEL = "Upkeep"
LISTED = ("drill", "hazards", "story")
BOOKED = ("topic", "received", "accepted", "duplicate", "quarantined", "conflict", "lost", "balanced")
RESULT = ("drill", "is_passed", "seconds", "done", "findings", "books", "kept")
app = typer.Typer(no_args_is_help=True, help="Faults on purpose on a scratch lake: what was expected, what was found.")

Rows = Annotated[Format, typer.Option("--format", help="For people, or an array of JSON objects.")]


def register(parent: typer.Typer) -> None:
    """Add the commands of this group."""
    parent.add_typer(app, name="drill", rich_help_panel=PANEL)


@app.command("list")
def list_drills(format: Rows = Format.table) -> None:
    """Name the drills, the hazards each is about (docs/reliability.md), and what happens.

    Example: reelhouse drill list --format json
    """
    from jobs.drills.catalogue import DRILLS
    from jobs.serve.printing import print_rows

    rows = [{"drill": each.name, "hazards": each.hazards, "story": each.story} for each in DRILLS.values()]
    print_rows(rows, LISTED, format)


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Which; `drill list` names them.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, one after the other.")] = False,
    format: Rows = Format.table,
) -> None:
    """Play drills on a lake and a broker of their own under REELHOUSE_HOME/drills; exit code 1 when one fails.

    Yours are not touched. What a failed drill leaves stays there for a look. One takes a minute; those of gold
    and of Airflow some more.

    Example: reelhouse drill run kill-after-write
    """
    from jobs.drills.catalogue import chosen, play_all
    from jobs.serve.printing import print_rows

    if bool(names) == every:
        raise UsageError("name the drills to run, or write --all; `reelhouse drill list` has their names")
    told = (lambda words: typer.echo(words, err=True)) if format is Format.json else typer.echo
    results = []
    for result in play_all(chosen(names or []), Settings.from_env().home / "drills", told):
        results.append(result)
        if format is Format.table:
            _close(result)
    if format is Format.json:
        print_rows(results, RESULT, format)
    failed = [result["drill"] for result in results if not result["is_passed"]]
    if failed:
        typer.echo(f"failed: {', '.join(failed)}; see docs/reliability.md", err=True)
        raise typer.Exit(1)


def _close(result: dict[str, Any]) -> None:
    """The books and the verdict of one drill."""
    from jobs.serve.printing import print_rows

    if result["books"]:
        print_rows(result["books"], BOOKED, "table")
    verdict = "passed" if result["is_passed"] else f"FAILED; its lake stays at {result['kept']}"
    typer.echo(f"{result['drill']}: {verdict} ({result['seconds']:.0f} s)\n")
