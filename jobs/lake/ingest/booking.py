"""The books of a batch: every record received has exactly one fate, told by hour and then by partition."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow.compute as pc

from jobs.lake.errors import BooksError, DamageError
from jobs.lake.hours import BECAME, FATES, LOST, WITH_TOPIC
from jobs.lake.ingest.accounts import Accounts, Slot
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.progress import APP, BOOKS, HOURS, TOUCHED
from jobs.lake.kill_points import reach
from jobs.lake.work import DISPLACED, ERASED, RETRACTED

Line = Mapping[str, Any]


def write_books(batch: Batch, accounts: Accounts, recorded_at: datetime) -> list[dict[str, Any]]:
    """Close the batch: one line for each partition of each topic; BooksError, and no line, if one does not balance.

    DamageError where that is no wonder: the books were lost, and a later batch has taken rows of this one away. The
    lines are the sums of the batch's hours, which are written before them.
    """
    hours = hours_of(batch, accounts)
    lines = lines_of(batch, hours, recorded_at)
    off = [line for line in lines if not line["balanced"]]
    if off:
        words = "; ".join(unbalanced(line) for line in off)
        if have_taken_rows(batch):
            raise DamageError(
                f"{BOOKS}: batch {batch.seq} is to be written down again, and later ones have changed what it had "
                f"made; run `reelhouse repair {BOOKS}` (docs/runbooks/lake.md)"
            )
        raise BooksError(f"batch {batch.seq}: {words}; see docs/runbooks/books.md")
    write_hours(batch, hours)
    reach("ingest.after_book_hours")
    batch.ledger.append(BOOKS, lines, app=APP, version=batch.seq)
    return lines


def have_taken_rows(batch: Batch) -> bool:
    """Whether later batches took rows away, which may have been of this one."""
    later = (pc.field("ingest_seq") > batch.seq) & pc.field("cause").isin([DISPLACED, RETRACTED, ERASED])
    return bool(batch.ledger.read(TOUCHED, ["ingest_seq"], later).num_rows)


def hours_of(batch: Batch, accounts: Accounts) -> list[Line]:
    """The counts by the hour in which events happened."""
    return [hour_line(batch, accounts, slot) for slot in sorted(accounts.slots, key=in_order)]


def in_order(slot: Slot) -> tuple[Any, ...]:
    """Slots in the order of their hours, that of no hour first."""
    topic, number, hour = slot
    return topic, number, hour is not None, hour


def hour_line(batch: Batch, accounts: Accounts, slot: Slot) -> Line:
    """The line of one hour; received is what its fates add up to."""
    topic, number, hour = slot
    counts = {name: getattr(accounts, name)[slot] for name in BECAME}
    reasons = accounts.reasons.get(slot) or Counter()
    return {
        "ingest_seq": batch.seq,
        "topic": topic,
        "topic_id": batch.plan.topic_ids[topic],
        "partition": number,
        "event_hour": hour,
        "received": sum(counts[fate] for fate in FATES),
        **counts,
        "reason_counts": dict(reasons),
    }


def write_hours(batch: Batch, hours: Iterable[Line]) -> None:
    """Write the hours that count anything; a batch may have none."""
    if told := list(telling(hours)):
        batch.ledger.append(HOURS, told, app=APP, version=batch.seq)


def telling(hours: Iterable[Line]) -> Iterator[dict[str, Any]]:
    """Those of the lines that count anything, without reasons that count nothing."""
    for line in hours:
        reasons = {reason: n for reason, n in (line["reason_counts"] or {}).items() if n}
        if reasons or any(line[name] for name in BECAME):
            yield {**line, "reason_counts": reasons}


def lines_of(batch: Batch, hours: Iterable[Line], recorded_at: datetime) -> list[dict[str, Any]]:
    """The books of a batch, of its hours."""
    by_place: dict[tuple[str, int], list[Line]] = defaultdict(list)
    for hour in hours:
        by_place[hour["topic"], hour["partition"]].append(hour)
    return [
        line_of(batch, by_place[topic, number], topic, number, recorded_at)
        for topic, parts in sorted(batch.plan.ranges.items())
        for number in sorted(parts)
    ]


def line_of(batch: Batch, hours: list[Line], topic: str, number: int, recorded_at: datetime) -> dict[str, Any]:
    """The books of one partition; what it received is counted in bronze."""
    place = (topic, number)
    start, end = batch.plan.ranges[topic][number]
    received = batch.received.get(place, 0)
    counts = {name: sum(line[name] or 0 for line in hours) for name in BECAME}
    reasons: Counter[str] = Counter()
    for line in hours:
        reasons.update(line["reason_counts"])
    lost = {WITH_TOPIC if batch.plan.over else LOST: batch.plan.lost[place]} if place in batch.plan.lost else {}
    return {
        "ingest_seq": batch.seq,
        "run_id": batch.run_id,
        "topic": topic,
        "topic_id": batch.plan.topic_ids[topic],
        "partition": number,
        "offset_from": start,
        "offset_to": end,
        "received": received,
        **counts,
        "reason_counts": dict(reasons) | lost,
        "balanced": received == sum(counts[fate] for fate in FATES),
        "recorded_at": recorded_at,
    }


def unbalanced(line: dict[str, Any]) -> str:
    """What is wrong with a line, in words."""
    fates = " + ".join(f"{fate} {line[fate]}" for fate in FATES)
    return f"{line['topic']}/{line['partition']} received {line['received']}, but {fates}"
