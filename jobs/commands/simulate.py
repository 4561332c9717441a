"""`reelhouse simulate`: a seeded world that misbehaves on purpose, and the truth about it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.serve.printing import Format

if TYPE_CHECKING:
    from jobs.lake.settings import Settings
    from jobs.simulate.deliver import Destination
    from jobs.simulate.run import Outcome, Plan
    from jobs.simulate.truth import TruthFolder


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Events in")(simulate)


def simulate(
    users: Annotated[int, typer.Option(min=1, max=5_000_000, help="People in the world.")] = 2_000,
    days: Annotated[int, typer.Option(min=1, max=90, help="Local days, up to and with --until.")] = 7,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same bytes.")] = 7,
    misbehave: Annotated[str, typer.Option(help="How badly senders behave: none, mild or wild.")] = "mild",
    until: Annotated[str, typer.Option(help="The last local day.")] = "2026-06-07",
    events: Annotated[int | None, typer.Option(min=1, help="Aim for about so many events.")] = None,
    to: Annotated[Path | None, typer.Option(help="Write Parquet files into this new folder instead of Kafka.")] = None,
    no_send: Annotated[bool, typer.Option("--no-send", help="Send nothing: measure how fast events are made.")] = False,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Where to keep the truth; default <home>/truth/<seed>, of what is not sent <home>/unsent/<seed>."
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="How to print the counts.")] = Format.table,
) -> None:
    """Make a world of people, videos and shops; send its events into Kafka and keep the truth beside them.

    Example: reelhouse simulate --users 2000 --days 7 --seed 7 --misbehave wild
    """
    from jobs.lake.clock import made_day
    from jobs.lake.errors import UsageError
    from jobs.lake.settings import Settings
    from jobs.simulate.misbehaviour import misbehaviour
    from jobs.simulate.run import Plan
    from jobs.simulate.truth import TruthFolder

    misbehaviour(misbehave)
    if to is not None and no_send:
        raise UsageError("--to and --no-send exclude each other; leave one out")
    settings = Settings.from_env()
    plan = Plan(users, days, seed, made_day(until, "--until", "2026-06-07"), settings.business_zone, misbehave, events)
    kept = "unsent" if no_send else "truth"  # the truth of a world that was sent stays what `score` compares with
    folder = TruthFolder(truth or settings.home / kept / str(seed))
    outcome = _run(plan, settings, folder, to, no_send=no_send)
    _print(outcome, folder.folder, format)


def _run(plan: "Plan", settings: "Settings", folder: "TruthFolder", to: Path | None, *, no_send: bool) -> "Outcome":
    """Choose the destination; only Kafka needs a producer, and that gets a progress line."""
    from jobs.simulate.deliver import Broker, Files, Nowhere
    from jobs.simulate.envelope import source_of
    from jobs.simulate.run import simulate as run

    source = source_of(plan.seed)
    if no_send or to is not None:
        destination: Destination = Nowhere() if to is None else Files(to, source, plan.seed)
        return run(plan, destination, folder)
    from jobs.produce.producer import Producer

    with Producer(settings, source=source, spool=settings.home / "spool" / f"simulator-{plan.seed}") as producer:
        return _with_progress(plan, Broker(producer, source), folder)


def _with_progress(plan: "Plan", destination: "Destination", folder: "TruthFolder") -> "Outcome":
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from jobs.simulate.run import simulate as run

    looks = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f} records"),
        TimeElapsedColumn(),
    )
    with Progress(*looks, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"simulating {plan.users:,} people", total=None)
        return run(plan, destination, folder, lambda count: progress.update(task, advance=count))


def _print(outcome: "Outcome", folder: Path, format: Format) -> None:
    from rich.console import Console
    from rich.table import Table

    rows = [
        {"topic": topic, "fate": fate, "records": count} for (topic, fate), count in sorted(outcome.records.items())
    ]
    if format is Format.json:
        typer.echo(json.dumps(rows))
    else:
        table = Table("topic", "fate", "records", title=f"{outcome.sent:,} records")
        for row in rows:
            table.add_row(str(row["topic"]), str(row["fate"]), f"{row['records']:,}")
        Console().print(table)
    said = f"made in {outcome.seconds:.1f} CPU seconds: {outcome.rate:,.0f} records a second; the truth is in {folder}"
    Console(stderr=True, soft_wrap=True).print(said)
