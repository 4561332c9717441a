"""`reelhouse repair`: mend a table whose files are hurt, and prove it."""

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.lake.settings import Settings
from jobs.serve.printing import Format

if TYPE_CHECKING:
    from jobs.lake.aside import Mended

PANEL = "Upkeep"
SHOWN = ("table", "set_aside", "version", "rows", "next_step", "note")


def register(app: typer.Typer) -> None:
    """Add the command of this group."""
    app.command(rich_help_panel=PANEL)(repair)


def repair(
    tables: Annotated[list[str], typer.Argument(metavar="TABLE…", help="As `doctor --lake` names them.")],
    run_id: Annotated[str, typer.Option("--run-id", help="Name of the run in the lease.")] = "",
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Book what can be had from nowhere any more, and go on without it.")
    ] = False,
    format: Annotated[Format, typer.Option("--format", help="A table, or an array of JSON objects.")] = Format.table,
) -> None:
    """Set aside hurt files, put back what they held, and prove that the table is what it was.

    Rows of silver and the ledger, be it a whole table, are made again from bronze, those of bronze from the topics.
    Nothing is deleted: what was bad lies in REELHOUSE_HOME/aside. A table that lacks its newest batch then waits for
    `reelhouse ingest`. Exit code 2 for what it cannot mend, 3 for what is lost (docs/runbooks/lake.md).

    Example: reelhouse repair silver.views
    """
    from dataclasses import asdict

    from jobs.lake.clock import now
    from jobs.lake.contracts import contract
    from jobs.lake.repairing import tidy
    from jobs.serve.printing import print_rows

    settings, run = Settings.from_env(), run_id or f"by-hand-{now():%Y%m%dT%H%M%S}"
    for table in tables:  # before anything is moved
        contract(table, settings.schemas_dir)
    try:
        done = [(table, mended(settings, table, run, accept_loss=accept_loss)) for table in tables]
    finally:
        tidy(settings, run)
    rows = [asdict(each) for _, each in done if each]
    for table in (table for table, each in done if each is None):
        typer.echo(f"{table}: nothing ails it", err=True)
    if rows or format is Format.json:
        print_rows(rows, SHOWN, format)


def mended(settings: Settings, table: str, run_id: str, *, accept_loss: bool) -> "Mended | None":
    """Mend one table; what is to be known of it, such as a loss, is booked in `ops.runs`."""
    from dataclasses import asdict

    from jobs.lake.clock import now
    from jobs.lake.ledger import Ledger
    from jobs.lake.lineage.declared import of_repair
    from jobs.lake.lineage.telling import tell_of
    from jobs.lake.repairing import mend
    from jobs.lake.runs import book

    started_at, ledger, moves = now(), Ledger(settings), of_repair(table, settings.schemas_dir)
    done = tell_of(
        ledger, moves, "repair", run_id, lambda: mend(settings, table, run_id, accept_loss=accept_loss),
        lambda mended: [asdict(mended)] if mended else (),
    )  # fmt: skip
    if done and done.note:
        facts = {"run_id": run_id, "command": "repair", "target": table}
        book(ledger, facts, started_at, "done", done.note)
    return done
