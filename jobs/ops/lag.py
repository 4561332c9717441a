"""ops.lag: how far ingest is behind the broker, and since when.

Grain: measured_at x topic x partition.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

Offsets = Mapping[str, Mapping[int, int]]  # topic → partition → offset
Place = tuple[str, int]  # topic, partition


def build(
    ends: Offsets, reached: Offsets, oldest: Mapping[Place, datetime], *, at: datetime, run_id: str
) -> list[dict[str, Any]]:
    """One row for each partition of the broker; `oldest` has the time of the first unread record where there is one."""
    return [
        {
            "measured_at": at,
            "topic": topic,
            "partition": partition,
            "end_offset": end,
            "next_offset": reached.get(topic, {}).get(partition, 0),
            "behind": end - reached.get(topic, {}).get(partition, 0),
            "waiting_since": oldest.get((topic, partition)),
            "run_id": run_id,
        }
        for topic, parts in sorted(ends.items())
        for partition, end in sorted(parts.items())
    ]
