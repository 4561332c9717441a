"""Up to when a topic is read, told by its canaries: what the broker took before one of them lies before it.

That speaks of arrival, and needs no word of any source; up to which event time a topic is complete the sources say.
"""

from typing import Any

from jobs.lake.ingest.progress import CANARIES, progress
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings

HEARTBEAT = ("topic", "read_until", "partitions", "with_canary")
Line = dict[str, Any]


def heartbeats(settings: Settings, topic: str = "") -> list[Line]:
    """A line for each topic that canaries were read of (HEARTBEAT).

    `read_until`, UTC, is the least over its partitions of when the newest canary that is read was sent; null while one
    of them has none.
    """
    ledger = Ledger(settings)
    reached, newest = progress(ledger), dict[tuple[str, int], Any]()
    for row in ledger.read(CANARIES).to_pylist():
        place, next_offset = (row["topic"], row["partition"]), reached.next_offsets.get(row["topic"], {})
        is_of_this = row["topic_id"] == reached.topic_ids.get(row["topic"])
        if is_of_this and row["kafka_offset"] < next_offset.get(row["partition"], 0):
            newest[place] = max(row["canary_sent_at"], newest.get(place, row["canary_sent_at"]))
    lines = (
        _line(name, parts, {part: at for (of, part), at in newest.items() if of == name})
        for name, parts in sorted(reached.next_offsets.items())
        if topic in ("", name)
    )
    return [line for line in lines if line["with_canary"]]


def _line(topic: str, parts: dict[int, int], newest: dict[int, Any]) -> Line:
    is_told = parts.keys() <= newest.keys()
    until = min(newest.values()) if newest and is_told else None
    return {"topic": topic, "read_until": until, "partitions": len(parts), "with_canary": len(newest)}
