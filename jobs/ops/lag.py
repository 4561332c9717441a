"""ops.lag: how far ingest is behind the broker, and since when.

Grain: measured_at x topic x partition.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

Offsets = Mapping[str, Mapping[int, int]]  # topic → partition → offset
Place = tuple[str, int]  # topic, partition


def build(
    ends: Offsets, reached: Offsets, oldest: Mapping[Place, datetime], ids: Mapping[str, str], *, at: datetime,
    run_id: str,
) -> list[dict[str, Any]]:  # fmt: skip
    """One row for each partition of the broker; `oldest` has the time of the first unread record where there is one.

    `ids` has the topics' ids, as the books know them.
    """
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
            "run_id": run_id,
        }
        for topic, parts in sorted(ends.items())
        for partition, end in sorted(parts.items())
    ]
