"""What a source says on the topic `control`: up to when its topics are complete."""

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.produce.delivery import Offsets


def announcements(
    source: str, complete_until: Mapping[str, int], offsets: Offsets, *, is_final: bool
) -> Iterator[dict[str, Any]]:
    """One body per topic: complete strictly below the time (µs) once all below the offsets has been read.

    A final one ends the source: it no longer holds the watermark back.
    """
    for topic, until in complete_until.items():
        reached = sorted(offsets.get(topic, {}).items())
        yield {
            "kind": "complete",
            "source": source,
            "topic": topic,
            "complete_until": until,
            "is_final": is_final,
            "offsets": [{"partition": partition, "next_offset": offset} for partition, offset in reached],
        }
