"""How far ingest has come, told by the tables alone: complete batches by the books, an unfinished one by bronze.

The books of a batch hold one line for every partition, read or not, so the newest batch says where each one stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.lake.errors import DamageError
from jobs.lake.ledger import Ledger
from jobs.lake.scanning import AnyOf

APP = "ingest"
BOOKS = "ops.books"
HOURS = "ops.book_hours"
BRONZE = "bronze.events"
QUARANTINE = "silver.quarantine"
TOUCHED = "ops.touched"
SEQUENCES = "ops.sequences"
LAG = "ops.lag"
CANARIES = "ops.canaries"
NOTHING = -1


@dataclass(frozen=True)
class Progress:
    """The newest complete batch and where it left each partition; `landed` is the newest batch in bronze."""

    complete: int
    landed: int
    next_offsets: dict[str, dict[int, int]] = field(default_factory=dict)
    topic_ids: dict[str, str] = field(default_factory=dict)

    @property
    def is_unfinished(self) -> bool:
        """Whether a batch lies in bronze that the books do not know yet."""
        return self.landed > self.complete


def progress(ledger: Ledger) -> Progress:
    """Read the state of ingest; no Spark, no Kafka."""
    complete, landed = committed(ledger, BOOKS), committed(ledger, BRONZE)
    offsets: dict[str, dict[int, int]] = {}
    ids: dict[str, str] = {}
    for line in lines_of(ledger, complete):
        offsets.setdefault(line["topic"], {})[line["partition"]] = line["offset_to"]
        ids[line["topic"]] = line["topic_id"]
    return Progress(complete, landed, offsets, ids)


def sound_progress(ledger: Ledger) -> Progress:
    """The state of ingest; DamageError where bronze lacks the newest batches of the books, or they would be buried."""
    reached = progress(ledger)
    if reached.landed < reached.complete:
        raise DamageError(
            f"{BRONZE} ends with batch {reached.landed}, and the books know of {reached.complete}: its newest commit "
            f"is gone, or a repair of it was killed; run `reelhouse repair {BRONZE}` (docs/runbooks/lake.md)"
        )
    return reached


def committed(ledger: Ledger, table: str) -> int:
    """The newest batch that ingest has committed to a table."""
    version = ledger.txn_version(table, APP)
    return NOTHING if version is None else version


def seen_ends(ledger: Ledger, topic_ids: Mapping[str, str]) -> dict[str, dict[int, int]]:
    """The greatest end of each partition of these topics that was ever measured."""
    ends: dict[str, dict[int, int]] = {}
    for line in ledger.read(LAG, ["topic", "topic_id", "partition", "end_offset"]).to_pylist():
        if line["topic_id"] == topic_ids.get(line["topic"], ""):
            parts = ends.setdefault(line["topic"], {})
            parts[line["partition"]] = max(line["end_offset"], parts.get(line["partition"], 0))
    return ends


def uncounted(ledger: Ledger) -> list[int]:
    """The booked batches that received more than canaries and of whose producers' numbers none is counted, in order."""
    import pyarrow.compute as pc

    counted = ledger.read(SEQUENCES, ["ingest_seq"])["ingest_seq"].unique()
    lines = ledger.read(BOOKS, ["ingest_seq", "received", "canary"])  # not by a filter: old books have no canaries
    numbered = pc.greater(lines["received"], pc.fill_null(lines["canary"], 0))
    due = lines.filter(pc.and_(numbered, pc.invert(pc.is_in(lines["ingest_seq"], counted))))
    return sorted(due["ingest_seq"].unique().to_pylist())


def of_batch(number: int) -> AnyOf:
    """The condition that a row is of a batch."""
    return [[("ingest_seq", "=", number)]]


def lines_of(ledger: Ledger, batch: int) -> list[dict[str, Any]]:
    """The books of one batch."""
    if batch == NOTHING:
        return []
    columns = ["topic", "topic_id", "partition", "offset_to"]
    return list(ledger.read(BOOKS, columns, of_batch(batch)).to_pylist())
