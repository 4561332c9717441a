"""Records that are erased move to `erased` in the books, in the lines of the batches that had read them.

So what the books say is what a batch done again from bronze would find; and each line balances as before.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from jobs.lake.hours import COUNTS
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.booking import lines_of, telling
from jobs.lake.ingest.progress import APP, BOOKS, HOURS
from jobs.lake.ingest.retracting import ACCEPTED, CONFLICT, DUPLICATE
from jobs.lake.kill_points import reach
from jobs.lake.small_commits import InBronze

LINE = ("ingest_seq", "topic", "partition")
QUARANTINED = "quarantined"
Row = dict[str, Any]


def place_in_bronze(row: Row) -> InBronze:
    """Where a record lies, of a row of bronze."""
    return row["topic_id"], row["partition"], row["offset"]


def move_and_close(batch: Batch, every: Sequence[Row], mine: Sequence[Row], at: datetime) -> list[Row]:
    """Move the records to `erased` in their hours; then in the lines of their batches, and close this one, in one."""
    there, theirs = Counter(map(_line_of, every)), _by(_line_of, mine)
    touched = sorted({row["ingest_seq"] for row in mine})
    if touched:
        hours = _moved_hours(_standing(batch, HOURS, touched), theirs, there)
        batch.ledger.replace_batches(HOURS, hours, touched, app=APP, version=batch.seq)
    reach("erase.after_book_hours")
    now = [
        _moved(line, theirs[key]) if _is_due([line], theirs.get(key, ()), there[key]) else line
        for line, key in ((line, _line_of(line)) for line in _standing(batch, BOOKS, touched))
    ]
    own = lines_of(batch, (), at)
    batch.ledger.replace_batches(BOOKS, [*now, *own], {*touched, batch.seq}, app=APP, version=batch.seq)
    return own


def _standing(batch: Batch, table: str, batches: Sequence[int]) -> list[Row]:
    """The lines of these batches."""
    import pyarrow.compute as pc

    told = batch.ledger.read(table, filter=pc.field("ingest_seq").isin(batches))
    return list(told.to_pylist(maps_as_pydicts="strict"))


def _line_of(row: Row) -> tuple[Any, ...]:
    """Which line of the books a record, an hour or the line itself is of."""
    return tuple(row[name] for name in LINE)


def _by(key: Callable[[Row], Any], rows: Iterable[Row]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _is_due(lines: Iterable[Row], theirs: Sequence[Row], there: int) -> bool:
    """Whether these records are to be moved; one that was lost and is written again counts them as erased already."""
    return bool(theirs) and sum(line["erased"] or 0 for line in lines) + len(theirs) <= there


def _moved_hours(lines: Sequence[Row], theirs: Mapping[Any, Sequence[Row]], there: Mapping[Any, int]) -> list[Row]:
    """The hours once these records are erased: less of what they were in theirs, more erased under none.

    Batches that were booked before there were hours have none, and get none.
    """
    now: list[Row] = []
    for key, hours in _by(_line_of, lines).items():
        is_due = _is_due(hours, theirs.get(key, ()), there[key])
        now += _moved_in(hours, _by(itemgetter("event_hour"), theirs[key])) if is_due else hours
    return now


def _moved_in(hours: Sequence[Row], by_hour: Mapping[Any, Sequence[Row]]) -> Iterator[Row]:
    """The hours of one line of the books; one in which nothing is counted any more goes."""
    nothing: Row = {**dict.fromkeys(COUNTS, 0), "reason_counts": {}}
    there = {line["event_hour"]: line for line in hours}
    lines = {hour: there.get(hour, hours[0] | nothing | {"event_hour": hour}) for hour in [*there, *by_hour, None]}
    for hour, theirs in by_hour.items():
        moved = _moved(lines[hour], theirs)
        lines[hour] = moved | {"received": lines[hour]["received"] - len(theirs), "erased": lines[hour]["erased"]}
    gone = sum(map(len, by_hour.values()))
    lines[None] |= {name: lines[None][name] + gone for name in ("received", "erased")}
    return telling(lines.values())


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
