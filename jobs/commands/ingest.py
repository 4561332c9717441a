"""`reelhouse ingest`: what lies on the topics into bronze and silver, once or for ever."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.lake.settings import Settings

if TYPE_CHECKING:
    from jobs.lake.ingest.steps import Done

PANEL = "Events in"


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.command(rich_help_panel=PANEL)(ingest)


def ingest(
    continuous: Annotated[bool, typer.Option("--continuous", help="Go on for ever, looking once a second.")] = False,
    result: Annotated[Path | None, typer.Option("--result", metavar="FILE", help="Write how it ended as JSON.")] = None,
    run_id: Annotated[str, typer.Option("--run-id", help="Name of the run in the ledger.")] = "",
    max_batches: Annotated[int | None, typer.Option("--max-batches", min=1, help="Stop after so many batches.")] = None,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Book once what retention took before it was read, and go on.")
    ] = False,
    accept_new_topic: Annotated[
        list[str] | None,
        typer.Option(metavar="TOPIC", help="Read on a topic that was made anew, or that ends before what was read."),
    ] = None,
    at: Annotated[str, typer.Option("--at", metavar="ISO", help="The run's time; only recorded.")] = "",
) -> None:
    """Read what is new on the topics into bronze and silver, until nothing is left.

    A topic that was deleted and made anew, or ends before what was read of it, stops the run until somebody accepts
    it by --accept-new-topic (once for each such topic): what is known not to have been read of it is booked as lost.

    Example: reelhouse ingest --result /tmp/ingest.json
    """
    if continuous:
        # Arrow's own pool splinters among many threads, by a gigabyte in some days; it is chosen when Arrow is loaded.
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from jobs.lake.clock import now
    from jobs.lake.ingest.loop import Ingest, ended_by_sigterm
    from jobs.lake.ingest.outcome import outcome
    from jobs.lake.ledger import Ledger
    from jobs.lake.noting import note_files
    from jobs.lake.runs import report
    from jobs.lake.session import open_session
    from jobs.upkeep.between import Between
    from jobs.upkeep.rounds import SILVER, groups

    settings = Settings.from_env()
    name = run_id or f"by-hand-{now():%Y%m%dT%H%M%S}"
    between = Between(settings, name, now, lambda words: typer.echo(words, err=True))
    opener, new = (lambda known: open_session(known, "reelhouse ingest")), topics_named(accept_new_topic or [])
    run = Ingest(settings, name, now, opener, accept_loss, new, between)
    ledger = Ledger(settings)

    def work() -> dict[str, Any]:
        if continuous:
            run.forever(tell)
            return {"outcome": "done", "message": "; ".join(["ended as asked", *run.notes])}
        done = run.until_caught_up(max_batches)
        if done:
            note_files(ledger, groups(settings)[SILVER], now())
        return outcome(done, ledger, settings, run.notes)

    with ended_by_sigterm(run, gently=continuous):
        ended = report(ledger, "ingest", "silver", name, result, work)
    typer.echo(f"ingest: {ended['message']}", err=True)


def topics_named(names: list[str]) -> frozenset[str]:
    """The topics that an option names; UsageError, with what there is, for one that is none."""
    from jobs.lake.errors import UsageError
    from jobs.lake.topics import TOPICS

    if strangers := sorted(set(names) - set(TOPICS)):
        raise UsageError(f"--accept-new-topic {', '.join(strangers)}: no such topic; there are {', '.join(TOPICS)}")
    return frozenset(names)


def tell(batch: "Done") -> None:
    """One line for each batch, on stderr."""
    received = sum(line["received"] for line in batch.books)
    typer.echo(f"batch {batch.ingest_seq}: {received} records", err=True)
