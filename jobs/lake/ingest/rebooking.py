"""Records that are erased move to `erased` in the books, in the lines of the batches that had read them.

So what the books say is what a batch done again from bronze would find; and each line balances as before.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jobs.lake.ingest.accounts import Accounts, line_of
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.progress import APP, BOOKS
from jobs.lake.ingest.retracting import ACCEPTED, CONFLICT, DUPLICATE

LINE = ("ingest_seq", "topic", "partition")
QUARANTINED = "quarantined"
Row = dict[str, Any]
InBronze = tuple[str, int, int]  # topic id, partition, offset


def place_in_bronze(row: Row) -> InBronze:
    """Where a record lies, of a row of bronze."""
    return row["topic_id"], row["partition"], row["offset"]


def move_and_close(batch: Batch, every: Sequence[Row], mine: Sequence[Row], at: datetime) -> list[Row]:
    """Move the records to `erased` in the lines of their batches, and close this one, in one commit."""
    import pyarrow.compute as pc

    there = Counter(tuple(row[name] for name in LINE) for row in every)
    touched = sorted({row["ingest_seq"] for row in mine})
    lines = batch.ledger.read(BOOKS, filter=pc.field("ingest_seq").isin(touched)).to_pylist(maps_as_pydicts="strict")
    by_line: dict[tuple[Any, ...], list[Row]] = {}
    for row in mine:
        by_line.setdefault(tuple(row[name] for name in LINE), []).append(row)
    now = []
    for line in lines:
        key = tuple(line[name] for name in LINE)
        theirs = by_line.get(key, [])
        # A line that was lost and is written again from bronze counts them as erased already.
        is_due = (line["erased"] or 0) + len(theirs) <= there[key]
        now.append(_moved(line, theirs) if theirs and is_due else line)
    own = [
        line_of(batch, Accounts(), topic, number, at)
        for topic, parts in sorted(batch.plan.ranges.items())
        for number in sorted(parts)
    ]
    batch.ledger.replace_batches(BOOKS, [*now, *own], {*touched, batch.seq}, app=APP, version=batch.seq)
    return own


def _moved(line: Row, theirs: Sequence[Row]) -> Row:
    """A line of the books once these records are erased."""
    fates = Counter(row["fate"] for row in theirs)
    reasons = Counter(line["reason_counts"] or {})
    reasons.subtract(reason for row in theirs for reason in row["reasons"])
    conflicts = sum(CONFLICT in row["reasons"] for row in theirs)
    return line | {
        **{fate: line[fate] - fates[fate] for fate in (ACCEPTED, DUPLICATE, QUARANTINED)},
        "conflict": line["conflict"] - conflicts,
        "erased": (line["erased"] or 0) + len(theirs),
        "reason_counts": {reason: n for reason, n in reasons.items() if n},
    }
