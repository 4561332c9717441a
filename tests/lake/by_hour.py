"""What the books by event hour must be, in every history of ingest."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from jobs.lake.hours import differences
from jobs.lake.ledger import Ledger
from tests.lake.logs import ALL

FATES = ("received", "accepted", "duplicate", "conflict", "quarantined", "erased", "canary")
Hours = dict[tuple[str, int, str, str], int]  # topic, partition, hour (empty for none), fate or reason


def by_hour(ledger: Ledger) -> Hours:
    """The hours summed over all batches; each batch's must add up to its books, all to the rows that there are."""
    lines, hours = (ledger.read(table).to_pylist(maps_as_pydicts="strict") for table in ("ops.books", "ops.book_hours"))
    assert list(differences(lines, hours, 0)) == []
    assert [hour for hour in hours if not any(hour[fate] for fate in FATES) and not hour["reason_counts"]] == []
    found: Counter[tuple[str, int, str, str]] = Counter()
    for line in hours:
        reasons = ((f"for {reason}", n) for reason, n in line["reason_counts"].items())
        for fate, n in [*((fate, line[fate]) for fate in FATES), *reasons]:
            found[line["topic"], line["partition"], told(line["event_hour"]), fate] += n
    sums = {place: n for place, n in found.items() if n}
    assert {place: n for place, n in sums.items() if place[3] == "accepted" and place[0] != "control"} == rows(ledger)
    assert {place: n for place, n in sums.items() if place[3] == "quarantined"} == refused(ledger)
    return sums


def rows(ledger: Ledger) -> Hours:
    """The rows of silver, each in the hour of its time."""
    return Counter(
        (topic, row["kafka_partition"], told(row["event_time" if "event_time" in row else "valid_from"]), "accepted")
        for topic in ALL
        for row in ledger.read(f"silver.{topic}").to_pylist()
    )


def refused(ledger: Ledger) -> Hours:
    """The rows of quarantine, each in the hour that it says."""
    lines: list[dict[str, Any]] = ledger.read("silver.quarantine").to_pylist()
    return Counter((line["topic"], line["kafka_partition"], told(line["event_hour"]), "quarantined") for line in lines)


def told(at: datetime | None) -> str:
    """The hour of an instant."""
    return f"{at:%Y-%m-%dT%H}" if at else ""
