"""ops.rates: how many records a second came in and were accepted, from one measuring to the next, by the books.

Grain: measured_at x topic.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

COUNTED = ("received", "accepted", "quarantined")


@dataclass(frozen=True)
class Window:
    """From the measuring before to now; `counted_seq` is the newest batch that is counted."""

    since: datetime
    until: datetime
    counted_seq: int


def build(
    lines: Iterable[Mapping[str, Any]], topics: Iterable[str], window: Window, *, run_id: str
) -> list[dict[str, Any]]:
    """One row a topic, of the books' lines that came since; a topic without any has zeros. Nothing for no time."""
    seconds = (window.until - window.since).total_seconds()
    if seconds <= 0:
        return []
    sums = {topic: dict.fromkeys(COUNTED, 0) for topic in topics}
    for line in lines:
        mine = sums.setdefault(line["topic"], dict.fromkeys(COUNTED, 0))
        for name in COUNTED:
            mine[name] += line[name]
    return [
        {
            "measured_at": window.until,
            "topic": topic,
            "measured_from": window.since,
            "counted_seq": window.counted_seq,
            **{f"{name}_count": count for name, count in mine.items()},
            "received_per_second": mine["received"] / seconds,
            "accepted_per_second": mine["accepted"] / seconds,
            "run_id": run_id,
        }
        for topic, mine in sorted(sums.items())
    ]
