"""Bronze without its newest commit: the batch is landed again from the topics, as the books say it was read."""

from collections.abc import Callable
from typing import Any

import pyarrow.compute as pc

from jobs.lake.ailments import BY_BATCH, Ailment
from jobs.lake.aside import Mended
from jobs.lake.errors import TopicError, WriteError
from jobs.lake.ingest.counting import received
from jobs.lake.ingest.landing import land
from jobs.lake.ingest.loop import LEASE
from jobs.lake.ingest.progress import BOOKS, BRONZE, committed, progress
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.mending import paths, proven, taken_out
from jobs.lake.remaking.from_topics import Run, held
from jobs.lake.remaking.plans import booked
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake


def land_again(settings: Settings, found: list[Ailment], run_id: str, open_spark: Callable[[Settings], Any]) -> Mended:
    """Set the commit aside; a batch that is booked is landed again, one that nothing was built on is planned anew.

    Every file is back in its place when neither can be: TopicError for records that are gone, else WriteError.
    """
    ledger = Ledger(settings)
    with Leases(ledger).held(LEASE, run_id), taken_out(settings, BRONZE, found) as moved:
        proven(ledger, BRONZE)
        refuse_begun(ledger)
        if committed(ledger, BRONZE) < committed(ledger, BOOKS):
            land_booked(settings, ledger, open_spark)
    delta = ledger.open(BRONZE)
    next_step = "reelhouse ingest" if progress(ledger).is_unfinished else ""
    return Mended(BRONZE, paths(moved), delta.version(), delta.count(), next_step)


def refuse_begun(ledger: Ledger) -> None:
    """WriteError when rows of the lost batch stand in other tables, and no books say what it had read."""
    reached = max(committed(ledger, BOOKS), committed(ledger, BRONZE))
    begun = [table for table in BY_BATCH if committed(ledger, table) > reached]
    if begun:
        raise WriteError(
            f"{BRONZE}: the torn commit is of batch {reached + 1}, of which {', '.join(begun)} have rows; nothing was "
            "changed. Put the file back from a copy; see docs/runbooks/lake.md"
        )


def land_booked(settings: Settings, ledger: Ledger, open_spark: Callable[[Settings], Any]) -> None:
    """Land the newest batch of the books again; it must be as many records of each partition as they say."""
    number = committed(ledger, BOOKS)
    lines = ledger.read(BOOKS, filter=pc.field("ingest_seq") == number).to_pylist(maps_as_pydicts="strict")
    planned = booked(lines)[number]
    runs = [
        Run(number, topic, planned.topic_ids[topic], n, start, end)
        for topic, parts in planned.ranges.items()
        for n, (start, end) in parts.items()
        if end > start
    ]
    _, gone = held(settings, runs)
    if gone:
        places = ", ".join(run.words for run in gone)
        raise TopicError(
            f"{BRONZE}: the topics hold no more {places}; nothing was changed. Put the file back from a copy"
        )
    land(Lake(settings, open_spark(settings)), planned)
    there = received(ledger, number)
    if {(line["topic"], line["partition"]): line["received"] for line in lines if line["received"]} != there:
        raise WriteError(
            f"{BRONZE}: the topics give other records of batch {number} than were booked; nothing was changed"
        )
