"""`reelhouse build`, `check`, `release`, `rollback`, `pending`: gold tables, family by family."""

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.lake.clock import instant
from jobs.lake.settings import Settings
from jobs.serve.printing import Format

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobs.lake.releasing import Outcome
    from jobs.lake.runner import Runner
    from jobs.lake.work import Pending

PANEL = "Gold: build, check, release"
SHOWN = ("family", "is_waiting", "reasons", "days", "held", "watermark", "last_release")


Target = Annotated[str, typer.Argument(metavar="FAMILY_OR_TABLE", help="`funnels`, or any table of it.")]
Slices = Annotated[list[str] | None, typer.Option("--slice", metavar="DAY", help="This day, touched or not.")]
Full = Annotated[bool, typer.Option("--full", help="Everything anew, from silver.")]
Anew = Annotated[bool, typer.Option("--anew", help="The same, not looking at what is published: its files are hurt.")]
RunId = Annotated[str, typer.Option("--run-id", help="Name of the run in the ledger.")]
At = Annotated[str, typer.Option("--at", metavar="ISO", help="The run's time; default: now.")]
Result = Annotated[Path | None, typer.Option("--result", metavar="FILE", help="Write how it ended as JSON.")]
Rows = Annotated[Format, typer.Option("--format", help="A table for people, or an array of JSON objects.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    for command in (build, check, release, rollback, pending):
        app.command(rich_help_panel=PANEL)(command)


def build(
    target: Target, slice: Slices = None, full: Full = False, anew: Anew = False, run_id: RunId = "", at: At = "",
    result: Result = None,
) -> None:  # fmt: skip
    """Build every touched and unreleased day of a family into staging; readers see nothing of it.

    What only the published tables knew (`--anew`: rows of funnels that have no definition any more) is then lost.

    Example: reelhouse build funnels --slice 2026-11-22
    """
    days = tuple(_day(text) for text in slice or [])
    moment = instant(at)
    _step("build", target, run_id, result, lambda runner: runner.build(moment, full=full, days=days, is_anew=anew))


def check(target: Target, run_id: RunId = "", at: At = "", result: Result = None) -> None:
    """Judge what is staged by the contracts; exit code 3 when a critical expectation fails.

    Example: reelhouse check funnels
    """
    instant(at)
    _step("check", target, run_id, result, lambda runner: runner.check())


def release(
    target: Target,
    retry: Annotated[bool, typer.Option("--retry", help="Lift holds; then build, check, release.")] = False,
    run_id: RunId = "",
    at: At = "",
    result: Result = None,
) -> None:
    """Make the checked staging visible: all tables of the family at one moment.

    Example: reelhouse release funnels
    """
    moment = instant(at)
    if retry:
        _step("release --retry", target, run_id, result, lambda runner: _noted(runner, runner.retry(moment)))
    else:
        _step("release", target, run_id, result, lambda runner: _noted(runner, runner.release()))


def rollback(
    target: Annotated[
        str | None, typer.Argument(metavar="[FAMILY_OR_TABLE]", help="Default: all families, at one moment.")
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="RELEASE", help="Of all: an instant too. Default: before the newest release.")
    ] = "",
    run_id: RunId = "",
    result: Result = None,
) -> None:
    """Put an older release back; what came since waits until new data comes or `release --retry` is called.

    Killed, it is ended by the same command again, which does nothing once readers see it.
    Without a family all go back to what readers saw at an instant, or as the named release of any of them came out.

    Example: reelhouse rollback --to funnels-000007
    """
    if target is not None:
        _step("rollback", target, run_id, result, lambda runner: runner.rollback(to))
        return
    from jobs.lake.rolling_back import roll_back_all
    from jobs.lake.runner import runners_of

    runners = runners_of(Settings.from_env(), run_id)
    _report("rollback", "all", runners[0], result, lambda: roll_back_all(runners, to))


def pending(format: Rows = Format.table) -> None:
    """What is unreleased, family by family, read from the ledger alone.

    Example: reelhouse pending --format json
    """
    from jobs.lake.ledger import Ledger
    from jobs.lake.publications import families
    from jobs.lake.work import pending as left
    from jobs.serve.printing import print_rows

    settings = Settings.from_env()
    rows = [_left(left(Ledger(settings), settings, family)) for family in families(settings.schemas_dir)]
    names = list(rows[0]) if rows else []
    if format is Format.table:
        rows = [row | {"held": "all"} if row["is_held"] else row for row in rows]
    print_rows(rows, names if format is Format.json else [name for name in names if name in SHOWN], format)


def _left(found: "Pending") -> dict[str, Any]:
    """What is unreleased of one family, as a row."""
    from jobs.lake.publications import release_id

    facts = {name: value for name, value in asdict(found).items() if name != "last"}
    last = release_id(found.family, found.last.number) if found.last else None
    return {**facts, "is_waiting": found.is_waiting, "last_release": last}


def _step(name: str, target: str, run_id: str, result: Path | None, work: "Callable[[Runner], Outcome]") -> None:
    """Run one step of a family, report it, and say in one line how it ended."""
    from jobs.lake.failures import named_page
    from jobs.lake.runner import runner_of

    with named_page(name):
        runner = runner_of(Settings.from_env(), target, run_id)
    _report(name, runner.family, runner, result, lambda: work(runner))


def _noted(runner: "Runner", released: "Outcome") -> "Outcome":
    """Note what the family's new files are, so that it is seen when one is changed; readers have them by then."""
    from jobs.lake.clock import now
    from jobs.lake.noting import note_files
    from jobs.lake.publications import families

    if released.outcome != "nothing_to_do":
        note_files(runner.ledger, families(runner.settings.schemas_dir)[runner.family], now())
    return released


def _report(name: str, target: str, runner: "Runner", result: Path | None, work: "Callable[[], Outcome]") -> None:
    """Do `work` as the step of this target, and say in one line how it ended."""
    from jobs.lake.runs import report

    def outcome() -> dict[str, Any]:
        ended = work()
        facts = {"outcome": ended.outcome, "message": ended.message, "tables": list(ended.tables)}
        return {**facts, **(ended.facts or {})}

    ended = report(runner.ledger, name, target, runner.run_id, result, outcome)
    typer.echo(f"{target}: {ended['message']}", err=True)


def _day(text: str) -> date:
    from jobs.lake.errors import SliceError

    try:
        return date.fromisoformat(text)
    except ValueError as wrong:
        raise SliceError(f"--slice {text!r} is no day; write it as 2026-11-22") from wrong
