"""`reelhouse upkeep`: the same rows in fewer files, and no file that nobody can still need."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.lake.settings import Settings
from jobs.serve.printing import Format

PANEL = "Upkeep"
SHOWN = ("table", "version", "files", "bytes", "rows", "compacted", "vacuumed")


def register(app: typer.Typer) -> None:
    """Add the command of this group."""
    app.command("upkeep", rich_help_panel=PANEL)(upkeep)


def upkeep(
    groups: Annotated[
        list[str] | None, typer.Argument(metavar="[all|silver|ledger|FAMILY]…", help="Default: all.")
    ] = None,
    table: Annotated[list[str] | None, typer.Option("--table", help="Only this table; repeat it.")] = None,
    keep_days: Annotated[float, typer.Option("--keep-days", min=0, help="Keep what was readable then.")] = 7,
    despite_readers: Annotated[
        bool, typer.Option("--despite-readers", help="Keep less than two hours: queries at work may fail.")
    ] = False,
    run_id: Annotated[str, typer.Option("--run-id", help="Name of the run in the ledger.")] = "",
    at: Annotated[str, typer.Option("--at", metavar="ISO", help="The run's time; default: now.")] = "",
    result: Annotated[Path | None, typer.Option("--result", metavar="FILE", help="Write how it ended as JSON.")] = None,
    format: Annotated[Format, typer.Option("--format", help="A table, or an array of JSON objects.")] = Format.table,
) -> None:
    """Compact small files, vacuum old ones, refresh logs, note what new files are; published rows stay as they are.

    Example: reelhouse upkeep funnels --keep-days 14
    """
    from datetime import timedelta

    from jobs.lake.clock import instant, now
    from jobs.lake.runs import report
    from jobs.serve.printing import print_rows
    from jobs.upkeep.files import refuse_readers
    from jobs.upkeep.rounds import Round, chosen_tables

    refuse_readers(timedelta(days=keep_days), is_despite=despite_readers)
    settings = Settings.from_env()
    chosen = chosen_tables(settings, groups or [], table or [])
    run = run_id or f"by-hand-{now():%Y%m%dT%H%M%S.%fZ}"
    turn = Round(settings, run, timedelta(days=keep_days), instant(at), lambda words: typer.echo(words, err=True))

    def work() -> dict[str, Any]:
        rows = [tidied.as_row() for tidied in turn.tidy(chosen)]
        outcome = "done" if rows else "nothing_to_do"
        return {"outcome": outcome, "message": f"{len(rows)} tables tidied", "tables": rows}

    ended = report(turn.ledger, "upkeep", " ".join(groups or ["all"]), run, result, work)
    print_rows(ended["tables"], SHOWN, format)
