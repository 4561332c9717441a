"""ops.lag: how far ingest is behind the broker, since when, and what its canaries tell.

Grain: measured_at x topic x partition.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from jobs.ops.canaries import Heard, State

Offsets = Mapping[str, Mapping[int, int]]  # topic → partition → offset
Place = tuple[str, int]  # topic, partition


def build(
    ends: Offsets, reached: Offsets, oldest: Mapping[Place, datetime], ids: Mapping[str, str],
    heard: Mapping[tuple[str, str, int], Heard], *, at: datetime, run_id: str,
) -> list[dict[str, Any]]:  # fmt: skip
    """One row for each partition of the broker; `oldest` has the time of the first unread record where there is one.

    `ids` has the topics' ids, as the books know them; `heard` is by topic, its id and partition.
    """
    told = {
        (topic, part): heard.get((topic, ids.get(topic, ""), part), Heard()) for topic in ends for part in ends[topic]
    }
    return [
        {
            "measured_at": at,
            "topic": topic,
            "topic_id": ids.get(topic),
            "partition": partition,
            "end_offset": end,
            "next_offset": reached.get(topic, {}).get(partition, 0),
            "behind": end - reached.get(topic, {}).get(partition, 0),
            "waiting_since": oldest.get((topic, partition)),
            "state": str(told[topic, partition].state),
            "state_reason": told[topic, partition].why or None,
            "canary_sent_at": told[topic, partition].sent_at,
            "canary_read_at": told[topic, partition].read_at,
            "newest_record_at": told[topic, partition].record_at,
            "run_id": run_id,
        }
        for topic, parts in sorted(ends.items())
        for partition, end in sorted(parts.items())
    ]


def broken(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The partitions that canaries tell to be broken, each with why."""
    return [f"{row['topic']}/{row['partition']}: {row['state_reason']}" for row in rows if row["state"] == State.broken]
