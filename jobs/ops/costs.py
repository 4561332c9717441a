"""ops.costs: what each ingest batch and each build cost.

Grain: run_id x work x family x ingest_seq x recorded_at.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

BATCH, BUILD = "batch", "build"


@dataclass(frozen=True)
class Written:
    """What one commit of one table wrote: files, and their bytes."""

    files: int
    bytes: int


@dataclass(frozen=True)
class Work:
    """One ingest batch (no family), or one build of a family; `seconds` is the time of the work alone."""

    run_id: str
    work: str
    family: str | None
    ingest_seq: int
    seconds: float
    rows: int


def build(work: Work, commits: Iterable[Written], *, at: datetime) -> list[dict[str, Any]]:
    """One row for the work, with the sums of what its commits wrote."""
    wrote = list(commits)
    return [
        {
            "run_id": work.run_id,
            "work": work.work,
            "family": work.family,
            "ingest_seq": work.ingest_seq,
            "milliseconds": round(work.seconds * 1000),
            "rows": work.rows,
            "files": sum(each.files for each in wrote),
            "bytes": sum(each.bytes for each in wrote),
            "recorded_at": at,
        }
    ]
