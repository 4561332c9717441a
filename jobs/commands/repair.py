"""`reelhouse repair`: mend the log of a table, and prove it."""

from typing import Annotated

import typer

from jobs.lake.settings import Settings
from jobs.serve.printing import Format

PANEL = "Upkeep"
SHOWN = ("table", "set_aside", "version", "rows", "next_step")


def register(app: typer.Typer) -> None:
    """Add the command of this group."""
    app.command(rich_help_panel=PANEL)(repair)


def repair(
    tables: Annotated[list[str], typer.Argument(metavar="TABLE…", help="As `doctor --lake` names them.")],
    run_id: Annotated[str, typer.Option("--run-id", help="Name of the run in the lease.")] = "",
    format: Annotated[Format, typer.Option("--format", help="A table, or an array of JSON objects.")] = Format.table,
) -> None:
    """Set aside a garbled checkpoint or a torn newest commit, and prove that the rest is the table.

    Nothing is deleted: what was bad lies in REELHOUSE_HOME/aside. A table that lacks its newest batch then waits for
    `reelhouse ingest`, which does that batch again. Exit code 2 for what it cannot mend (docs/runbooks/lake.md).

    Example: reelhouse repair silver.views
    """
    from dataclasses import asdict

    from jobs.lake.clock import now
    from jobs.lake.contracts import contract
    from jobs.lake.mending import mend
    from jobs.serve.printing import print_rows

    settings, run = Settings.from_env(), run_id or f"by-hand-{now():%Y%m%dT%H%M%S}"
    for table in tables:  # before anything is moved
        contract(table, settings.schemas_dir)
    done = [(table, mend(settings, table, run)) for table in tables]
    rows = [asdict(mended) for _, mended in done if mended]
    for table in (table for table, mended in done if mended is None):
        typer.echo(f"{table}: nothing ails it", err=True)
    if rows or format is Format.json:
        print_rows(rows, SHOWN, format)
