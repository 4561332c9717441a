"""Up to when a topic is read, told by its canaries: what the broker took before one of them lies before it.

That speaks of arrival, and needs no word of any source; up to which event time a topic is complete the sources say.
"""

from datetime import datetime
from typing import Any

from jobs.lake.ingest.progress import CANARIES, Progress, progress
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
    reached = progress(ledger)
    newest = newest_read(ledger, reached)
    lines = (
        _line(name, parts, {part: at for (of, part), at in newest.items() if of == name})
        for name, parts in sorted(reached.next_offsets.items())
        if topic in ("", name)
    )
    return [line for line in lines if line["with_canary"]]


def newest_read(ledger: Ledger, reached: Progress) -> dict[tuple[str, int], datetime]:
    """By topic and partition when the newest canary was sent that ingest has passed, of the topics as they are now."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ends = [
        (topic, reached.topic_ids[topic], part, end)
        for topic, parts in reached.next_offsets.items()
        for part, end in parts.items()
    ]
    place, sent = ["topic", "topic_id", "partition"], ledger.read(CANARIES)
    known = pa.Table.from_pylist(
        [dict(zip((*place, "next_offset"), end, strict=True)) for end in ends],
        pa.schema([*(sent.schema.field(name) for name in place), ("next_offset", pa.int64())]),
    )
    read = sent.join(known, place, join_type="inner").filter(pc.field("kafka_offset") < pc.field("next_offset"))
    found = read.group_by(place).aggregate([("canary_sent_at", "max")]).to_pylist()
    return {(row["topic"], row["partition"]): row["canary_sent_at_max"] for row in found}


def _line(topic: str, parts: dict[int, int], newest: dict[int, datetime]) -> Line:
    is_told = parts.keys() <= newest.keys()
    until = min(newest.values()) if newest and is_told else None
    return {"topic": topic, "read_until": until, "partitions": len(parts), "with_canary": len(newest)}
