"""`reelhouse backfill`: make a table anew slice by slice, beside the live run, and publish it by one swap."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.lake.settings import Settings
from jobs.serve.printing import Format

if TYPE_CHECKING:
    from jobs.lake.backfills.journal import Standing
    from jobs.lake.backfills.running import Backfill
    from jobs.lake.releasing import Outcome

PLANNED = ("slice", "input_rows", "seconds")
SHOWN = ("backfill_id", "table", "state", "slices_built", "rows", "seconds", "since")

File = Annotated[Path, typer.Argument(metavar="FILE|NAME", help="A request, or the name of one in infra/backfills.")]
RunId = Annotated[str, typer.Option("--run-id", help="Name of the run in the ledger.")]
At = Annotated[str, typer.Option("--at", metavar="ISO", help="The run's time; default: now.")]
Result = Annotated[Path | None, typer.Option("--result", metavar="FILE", help="Write how it ended as JSON.")]
Rows = Annotated[Format, typer.Option("--format", help="A table for people, or an array of JSON objects.")]

group = typer.Typer(no_args_is_help=True, help="Make a table anew slice by slice, beside the live run.")


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.add_typer(group, name="backfill", rich_help_panel="Gold: build, check, release")


@group.command()
def plan(file: File, format: Rows = Format.table) -> None:
    """Say what a request would do: slices, facts, seconds by the record of earlier work, and who is affected.

    Example: reelhouse backfill plan first_week_of_march
    """
    from jobs.lake.backfills.planning import affected, planned
    from jobs.lake.backfills.request import file_of, read_request
    from jobs.lake.contracts import contract
    from jobs.lake.ledger import Ledger
    from jobs.serve.printing import print_rows, remark

    settings = Settings.from_env()
    request, ledger = read_request(file_of(file), settings.schemas_dir), Ledger(settings)
    rows = planned(ledger, request)
    print_rows(rows, (*PLANNED, "estimated_from", "affects") if format is Format.json else PLANNED, format)
    known = [row["seconds"] for row in rows if row["seconds"] is not None]
    cost = f"about {sum(known):.0f} s, then the swap: one build" if known else "nobody knows how long it takes"
    remark(f"{request.table}, for {request.owner}: {len(rows)} slices, {cost}")
    for basis in dict.fromkeys(row["estimated_from"] for row in rows):  # a run's id is long, and the same in most lines
        remark(f"seconds: {basis}")
    keepers = {table: contract(table, settings.schemas_dir).owner for table in affected(ledger, request)}
    words = ", ".join(f"{table} ({owner})" for table, owner in keepers.items())
    remark(f"numbers may change in {words}")


@group.command()
def run(file: File, run_id: RunId = "", at: At = "", result: Result = None) -> None:
    """Build the slices that are left, then publish all of them by one swap; again after a kill it goes on.

    Ingest and the DAGs go on meanwhile. Exit code 4 while another backfill of the family is at work.

    Example: reelhouse backfill run infra/backfills/first_week_of_march.yaml
    """
    _reported("backfill run", file, run_id, at, result, lambda backfill, moment: backfill.run(moment))


@group.command()
def resume(file: File, run_id: RunId = "", at: At = "", result: Result = None) -> None:
    """Go on with a backfill that was paused.

    Example: reelhouse backfill resume infra/backfills/first_week_of_march.yaml
    """
    _reported("backfill resume", file, run_id, at, result, lambda backfill, moment: backfill.resume(moment))


@group.command()
def pause(file: File, run_id: RunId = "") -> None:
    """Let a backfill end before its next slice; what is built stays.

    Example: reelhouse backfill pause infra/backfills/first_week_of_march.yaml
    """
    typer.echo(_backfill(file, run_id).pause(), err=True)


@group.command()
def cancel(file: File, run_id: RunId = "") -> None:
    """Give a backfill up; the public tables stay as they are.

    Example: reelhouse backfill cancel infra/backfills/first_week_of_march.yaml
    """
    typer.echo(_backfill(file, run_id).cancel(), err=True)


@group.command()
def status(format: Rows = Format.table) -> None:
    """Every backfill there was: how it stands, and what its slices took.

    Example: reelhouse backfill status --format json
    """
    from jobs.lake.backfills.journal import Journal
    from jobs.lake.ledger import Ledger
    from jobs.serve.asked import lake_settings
    from jobs.serve.printing import print_rows

    rows = [_as_row(one) for one in Journal(Ledger(lake_settings()), "").standings()]
    print_rows(rows, SHOWN, format)


def _as_row(one: "Standing") -> dict[str, Any]:
    """A backfill in one line."""
    sums = {name: sum(row[name] or 0 for row in one.built.values()) for name in ("rows", "seconds")}
    facts = {"backfill_id": one.backfill_id, "table": one.table, "state": one.state, "since": one.since}
    return facts | {"slices_built": len(one.built), "rows": sums["rows"], "seconds": round(sums["seconds"], 1)}


def _backfill(asked: Path, run_id: str) -> "Backfill":
    """The backfill of a file, or of that name, which says its progress on stderr."""
    from jobs.lake.backfills.request import file_of, read_request
    from jobs.lake.backfills.running import Backfill
    from jobs.lake.runner import runner_of

    settings, file = Settings.from_env(), file_of(asked)
    request = read_request(file, settings.schemas_dir)
    runner = runner_of(settings, request.table, run_id)
    return Backfill(request, str(file), runner, lambda words: typer.echo(words, err=True))


def _reported(name: str, file: Path, run_id: str, at: str, result: Path | None, work: "Any") -> None:
    """Run a backfill, report it, and say in one line how it ended."""
    from jobs.lake.clock import instant
    from jobs.lake.lineage.declared import of_backfill
    from jobs.lake.runs import report

    moment, backfill = instant(at), _backfill(file, run_id)

    def outcome() -> dict[str, Any]:
        ended: Outcome = work(backfill, moment)
        return {"outcome": ended.outcome, "message": ended.message, "tables": list(ended.tables)}

    runner = backfill.runner
    moves = of_backfill(backfill.request.name, runner.family, runner.settings.schemas_dir)
    ended = report(runner.ledger, name, backfill.request.name, runner.run_id, result, outcome, moves)
    typer.echo(f"{backfill.request.name}: {ended['message']}", err=True)
