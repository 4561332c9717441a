"""`reelhouse history`: what a published number was at each release, and why it changed."""

from typing import Annotated

import typer

from jobs.commands.serve import PANEL
from jobs.serve.printing import Format


def register(app: typer.Typer) -> None:
    """Add the command of this group."""
    app.command("history", rich_help_panel=PANEL)(history)


def history(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A published table of counts.")],
    key: Annotated[list[str] | None, typer.Option("--key", metavar="COLUMN=VALUE", help="Once per key column.")] = None,
    measure: Annotated[str, typer.Option("--measure", metavar="M", help="Default: all that changed.")] = "",
    as_of: Annotated[
        str,
        typer.Option("--as-of", metavar="ISO", help="As far as it was told by then; the last value is what it was."),
    ] = "",
    format: Annotated[Format, typer.Option("--format", help="A table, or an array of JSON objects.")] = Format.table,
) -> None:
    """Show the value of a number at each release, by how much it changed, and how much of that is due to what.

    The parts of a change add up to it. docs/restatements.md says what the causes mean.

    Example: reelhouse history gold.segment_daily --key as_of_day=2026-06-07 --key dimension=lifecycle --key
    segment_before=new --key segment=new
    """
    from jobs.serve.asked import lake_settings
    from jobs.serve.history import COLUMNS, in_words
    from jobs.serve.history import history as told
    from jobs.serve.instants import as_of_instant
    from jobs.serve.printing import print_rows

    rows = told(lake_settings(), table, key or [], measure, as_of_instant(as_of))
    if format is Format.table:
        if not rows:
            typer.echo("no number of this row has changed since its first release")
            return
        rows = [row | {"causes": in_words(row["causes"])} for row in rows]
    print_rows(rows, COLUMNS, format)
