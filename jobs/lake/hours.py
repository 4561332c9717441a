"""The books by event hour: whether the hours of a batch add up to its lines of the books.

Batches that were booked before there were hours have none, and nothing is said of them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jobs.lake.ingest.progress import BOOKS, HOURS
from jobs.lake.ledger import Ledger

COUNTS = ("received", "accepted", "duplicate", "conflict", "quarantined", "erased", "canary")
BECAME = COUNTS[1:]  # of which a record has one, or two: conflicts are refused
FATES = tuple(name for name in BECAME if name != "conflict")
ADDED = ("erased", "canary")  # null, which is none, in lines that were booked before there were any
LOST, WITH_TOPIC = "lost_to_retention", "lost_with_topic"  # stand among the reasons, though nothing was refused
UNREAD = (LOST, WITH_TOPIC)
REMEDY = f"run `reelhouse repair {HOURS}`"
Line = Mapping[str, Any]
Part = tuple[int, str, int]  # batch, topic id, partition
Sums = tuple[Counter[str], Counter[str]]  # counts, reasons


def part_of(line: Line) -> Part:
    """Which line of the books an hour, or a line itself, is of."""
    return line["ingest_seq"], line["topic_id"], line["partition"]


def told_since(ledger: Ledger) -> int | None:
    """The first batch that has hours, as the table's log says; None where none has."""
    import pyarrow as pa

    if not ledger.exists(HOURS):
        return None
    files = pa.table(ledger.open(HOURS).get_add_actions(flatten=True)).to_pylist()
    return min((int(file["min.ingest_seq"]) for file in files if file["num_records"]), default=None)


def untold(ledger: Ledger) -> list[int]:
    """The booked batches, in order, of whose records not as many are told by hour as were received.

    All of them where no hour is told: in a lake from before there were hours, or where they are lost.
    """
    since = told_since(ledger) or 0
    booked, told = (_received(ledger, table) for table in (BOOKS, HOURS))
    return sorted(batch for batch, records in booked.items() if batch >= since and told.get(batch, 0) != records)


def _received(ledger: Ledger, table: str) -> dict[int, int]:
    """By batch, how many records a table says were received."""
    lines = ledger.read(table, ["ingest_seq", "received"])
    sums = lines.group_by("ingest_seq").aggregate([("received", "sum")]).to_pydict()
    return dict(zip(sums["ingest_seq"], sums["received_sum"], strict=True))


def summed(hours: Iterable[Line]) -> dict[Part, Sums]:
    """The sums of the hours of each line of the books."""
    found: dict[Part, Sums] = {}
    for hour in hours:
        counts, reasons = found.setdefault(part_of(hour), (Counter(), Counter()))
        counts.update({name: hour[name] or 0 for name in COUNTS})
        reasons.update(hour["reason_counts"] or {})
    return found


def differences(lines: Iterable[Line], hours: Iterable[Line], since: int | None) -> Iterator[tuple[Line, str]]:
    """Lines of the books, from batch `since` on, that their hours do not add up to, each with what is wrong.

    An hour of a booked batch and of no line of it is told as if it were one.
    """
    told, booked = summed(hours), list(lines)
    for line in booked:
        sums = told.pop(part_of(line), (Counter(), Counter()))
        wrong = problems(line, sums) if since is not None and line["ingest_seq"] >= since else []
        if wrong:
            yield line, "; ".join(wrong)
    batches = {line["ingest_seq"]: line for line in booked}
    for part in (part for part in told if part[0] in batches):
        yield batches[part[0]], f"there are hours of topic id {part[1]}, partition {part[2]}, which it has no line of"


def problems(line: Line, sums: Sums) -> list[str]:
    """Where a line of the books and the sums of its hours are not the same."""
    counts, reasons = sums
    booked = {name: line.get(name) or 0 for name in COUNTS}
    wrong = [f"{name} {booked[name]}, by hour {counts[name]}" for name in COUNTS if booked[name] != counts[name]]
    refused = {reason: n for reason, n in (line["reason_counts"] or {}).items() if n and reason not in UNREAD}
    return wrong if refused == {reason: n for reason, n in reasons.items() if n} else [*wrong, "other reasons by hour"]
