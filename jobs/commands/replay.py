"""`reelhouse replay`: real public logs told as our events."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.serve.printing import Format

if TYPE_CHECKING:
    from jobs.lake.settings import Settings
    from jobs.replay.telling.log import Log
    from jobs.replay.telling.sending import Fates


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Events in")(replay)


def replay(
    log: Annotated[str, typer.Argument(metavar="FORMAT", help="kuairand, taobao, rees46 or olist.")],
    path: Annotated[Path, typer.Argument(help="The log's file, or the folder it lies in.")],
    speed: Annotated[float | None, typer.Option(min=0.001, help="So many times as fast as it happened.")] = None,
    fast: Annotated[bool, typer.Option("--as-fast-as-possible", help="Wait for nothing; default.")] = False,
    shift_to: Annotated[str, typer.Option(metavar="DATE", help="Move the log: its last local day becomes this.")] = "",
    to: Annotated[Path | None, typer.Option(help="Write the events into this file instead of sending them.")] = None,
    for_funnels: Annotated[bool, typer.Option("--for-funnels", help="With --to: write the facts as `funnel evaluate` "
                                              "reads them.")] = False,
    send_unreadable: Annotated[bool, typer.Option("--send-unreadable", help="Send unreadable rows as they are, into "
                                                  "quarantine, instead of keeping them with the refused.")] = False,
    spool: Annotated[Path | None, typer.Option(help="The spool; default replay-FORMAT in <home>/spool.")] = None,
    format: Annotated[Format, typer.Option(help="How to print the counts.")] = Format.table,
) -> None:  # fmt: skip
    """Tell a real log as our events and announce it complete; what was told before is told with the same ids.

    Example: reelhouse replay kuairand ../shared/data/kuairand --shift-to 2026-11-22
    """
    from jobs.lake.clock import made_day
    from jobs.lake.errors import UsageError
    from jobs.lake.settings import Settings
    from jobs.replay.telling.formats import reader

    if speed is not None and fast:
        raise UsageError("--speed and --as-fast-as-possible exclude each other; leave one out")
    if for_funnels and to is None:
        raise UsageError("--for-funnels says how to write into a file; add --to FILE")
    read, settings = reader(log), Settings.from_env()
    told = read(path, made_day(shift_to, "--shift-to", "2026-11-22") if shift_to else None)
    if to is not None:
        _print(_write(told, to, for_funnels=for_funnels), format)
        return
    folder = spool or settings.home / "spool" / f"replay-{log}"
    fates = _send(told, settings, folder, speed, sends_unreadable=send_unreadable)
    _print(fates, format)
    if fates.kept is not None:
        typer.echo(f"kept with their reasons: {fates.kept}", err=True)


def _write(told: "Log", path: Path, *, for_funnels: bool) -> "Fates":
    """The whole log in a file, in one form or the other."""
    from jobs.replay.telling.for_funnels import write_for_funnels
    from jobs.replay.telling.sending import write

    return write_for_funnels(told, path) if for_funnels else write(told, path)


def _send(told: "Log", settings: "Settings", spool: Path, speed: float | None, *, sends_unreadable: bool) -> "Fates":
    """Send with a progress bar on stderr: events the broker has acknowledged."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from jobs.replay.telling.sending import send

    look = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*look, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"replay {told.format}", total=told.size)
        return send(
            told, settings, spool=spool, speed=speed, sends_unreadable=sends_unreadable,
            progress=lambda count: bar.advance(task, count),
        )  # fmt: skip


def _print(fates: "Fates", format: Format) -> None:
    """Counts by topic and kind; unreadable rows have a line of their own."""
    from rich.console import Console
    from rich.table import Table

    rows = fates.table()
    if format is Format.json:
        typer.echo(json.dumps(rows))
        return
    table = Table("topic", "kind", "sent", "refused", title=f"{fates.rows} rows in")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
