"""ops.freshness: how new each stream and each published table is, and how long something has waited to get in.

Grain: measured_at x table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Seen:
    """What was seen of one table; `waiting_since` is null when nothing waits to get in."""

    table: str
    family: str | None = None
    newest_event_at: datetime | None = None
    complete_until: datetime | None = None
    changed_at: datetime | None = None
    release_id: str | None = None
    waiting_since: datetime | None = None


def build(tables: Iterable[Seen], *, at: datetime, run_id: str) -> list[dict[str, Any]]:
    """One row a table, with the whole seconds that something has waited."""
    return [{**vars(seen), "measured_at": at, "waiting_seconds": waited(seen, at), "run_id": run_id} for seen in tables]


def waited(seen: Seen, at: datetime) -> int:
    """Whole seconds since the oldest thing began to wait; 0 when nothing does, never below."""
    if seen.waiting_since is None:
        return 0
    return max(0, int((at - seen.waiting_since).total_seconds()))
