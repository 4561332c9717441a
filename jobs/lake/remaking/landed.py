"""Bronze without its newest commit: the batch is landed again from the topics, as the books say it was read.

One that was an erasure is carried out again by what `ops.erasures` says of it.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow.compute as pc

from jobs.lake.ailments import BY_BATCH, Ailment
from jobs.lake.aside import Mended
from jobs.lake.erasures import TABLE as ERASURES
from jobs.lake.erasures import Erasure, erasures
from jobs.lake.errors import DamageError, TopicError, WriteError
from jobs.lake.identity import read_keys
from jobs.lake.ingest.counting import version_before
from jobs.lake.ingest.erasing import empty
from jobs.lake.ingest.finding import NAMED, Found, by_part, counted, made_of, names_behind, places_of
from jobs.lake.ingest.given_up import given_up
from jobs.lake.ingest.landing import land
from jobs.lake.ingest.loop import LEASE
from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import APP, BOOKS, BRONZE, HOURS, SEQUENCES, committed, progress
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.mending import paths, proven, taken_out
from jobs.lake.remaking.from_topics import Run, again, held
from jobs.lake.remaking.plans import booked_plans
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake

UNKNOWN = "whatever was begun last is forgotten; if it was an erasure, run `reelhouse erase` again"


def land_again(settings: Settings, found: list[Ailment], run_id: str, open_spark: Callable[[Settings], Any]) -> Mended:
    """Set the commit aside; a batch that is booked is landed again, one that nothing was built on is planned anew.

    Every file is back in its place when neither can be: TopicError for records that are gone, else WriteError.
    """
    ledger = Ledger(settings)
    with Leases(ledger).held(LEASE, run_id) as lease, taken_out(settings, BRONZE, found) as moved:
        proven(ledger, BRONZE)
        refuse_begun(ledger)
        is_booked = committed(ledger, BRONZE) < committed(ledger, BOOKS)
        if is_booked:
            land_booked(Lake(settings, open_spark(settings)), lambda: Leases(ledger).check(lease))
    delta = ledger.open(BRONZE)
    next_step = "reelhouse ingest" if not is_booked or progress(ledger).is_unfinished else ""
    return Mended(BRONZE, paths(moved), delta.version(), delta.count(), next_step, "" if is_booked else UNKNOWN)


def refuse_begun(ledger: Ledger) -> None:
    """WriteError when rows of the lost batch stand in other tables, and no books say what it had read."""
    reached = max(committed(ledger, BOOKS), committed(ledger, BRONZE))
    begun = [table for table in (*BY_BATCH, HOURS, SEQUENCES, ERASURES) if committed(ledger, table) > reached]
    if begun:
        raise WriteError(
            f"{BRONZE}: the torn commit is of batch {reached + 1}, of which {', '.join(begun)} have rows; nothing was "
            "changed. Put the file back from a copy; see docs/runbooks/lake.md"
        )


def land_booked(lake: Lake, still_ours: Callable[[], None]) -> None:
    """Land the newest batch of the books again, if it is as many records of each partition as they say."""
    ledger = Ledger(lake.settings)
    number = committed(ledger, BOOKS)
    lines = ledger.read(BOOKS, filter=pc.field("ingest_seq") == number).to_pylist(maps_as_pydicts="strict")
    planned, erasure = booked_plans(lines)[number], erasures(ledger).get(number)
    if erasure is not None:
        empty_again(lake, replace(planned, erasure=erasure), erasure)
        return
    refuse_lost(lake, planned, {(line["topic"], line["partition"]): line["received"] for line in lines})
    still_ours()
    land(lake, planned)


def refuse_lost(lake: Lake, planned: Plan, received: dict[tuple[str, int], int]) -> None:
    """TopicError when the topics hold other records of a batch than were booked."""
    runs = [
        Run(planned.ingest_seq, topic, planned.topic_ids[topic], partition, start, end)
        for topic, parts in planned.ranges.items()
        for partition, (start, end) in parts.items()
        if end > start
    ]
    counts = again(lake, held(lake.settings, runs, planned.topic_ids)).groupBy("topic", "partition").count().collect()
    there = {(line[0], line[1]): line[2] for line in counts}
    gone = [run.words for run in runs if there.get((run.topic, run.partition), 0) != received[run.topic, run.partition]]
    if gone:
        raise TopicError(
            f"{BRONZE}: the topics hold no more {', '.join(gone)} as it was read; nothing was changed. Put the file "
            "back from a copy"
        )


def empty_again(lake: Lake, planned: Plan, erasure: Erasure) -> None:
    """Empty the records of who was erased; WriteError unless they are those that were found then."""
    places = places_of(lake, erasure.marks, None)
    found, told = counted(places), Counter(dict(erasure.records))
    lost = () if found == told else given_up_before(lake, planned, erasure)
    if found + by_part(lost) != told:
        raise WriteError(
            f"{BRONZE}: the torn commit is of an erasure (batch {planned.ingest_seq}), of records of which only the "
            "bytes say so; nothing was changed. Put the file back from a copy"
        )
    marked = places.drop("is_refused")
    empty(lake, planned, Found((), 0, erasure.marks, told, Counter(), marked, was_erased=True, given_up=lost))


def given_up_before(lake: Lake, planned: Plan, erasure: Erasure) -> tuple[dict[str, Any], ...]:
    """What bronze had given up of who was erased, told by silver as it was before; WriteError where upkeep took that.

    As `given_up()` has it.
    """
    ledger = Ledger(lake.settings)
    try:
        before = {table: version_before(ledger, table, APP, planned.ingest_seq) for table in NAMED}
    except DamageError as gone:
        raise WriteError(
            f"{BRONZE}: the torn commit is of an erasure (batch {planned.ingest_seq}), of records of which only silver "
            "as it was before it says so, and upkeep has taken that; nothing was changed. Put the file back from a copy"
        ) from gone
    names = set(names_behind(lake.settings, ledger, erasure.marks, before))
    return tuple(given_up(ledger, read_keys(lake.settings.keys_path), made_of(ledger, names, before)))
