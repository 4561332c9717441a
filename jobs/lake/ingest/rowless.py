"""The records of a large batch that made no row of a fact table: few, so they are looked at apart, in memory.

Of all others silver says what their bodies do, and the bodies need not be read again.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.definitions.events.numbered import NUMBERED, SENDER
from jobs.lake.ingest.forms import silver_table
from jobs.lake.ingest.ids import LOOKED_THROUGH, MOST_BYTES
from jobs.lake.ingest.progress import BRONZE, of_batch
from jobs.lake.ledger import Ledger
from jobs.lake.scanning import dataset_of
from jobs.lake.topics import CANARY_KEY, FACTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.lake.ingest.batch import Batch

PLACE = ("topic", "partition", "offset")  # a topic has one id in a batch
PLACES = pa.schema([("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64())])
NUMBERS = pa.schema([*PLACES, *list(NUMBERED)[1:]])  # whose number a record bears


@dataclass(frozen=True)
class Rowless:
    """`told`: NUMBERS of the records that made a row; `records`: all others, as they lie in bronze."""

    told: pa.Table
    records: pa.Table


def rowless_of(batch: "Batch") -> Rowless | None:
    """What of the batch made no row of a fact table, once silver is written.

    None where it is not worth it: of few records, or more others than this process should hold; and where silver does
    not tell the batch's records from others, for something is taken back, or nobody's any more.
    """
    if not batch.is_large or batch.retracted or batch.erased:
        return None
    told = told_by_silver(batch)
    records = records_beside(batch, told)
    return None if records is None else Rowless(told, records)


def told_by_silver(batch: "Batch") -> pa.Table:
    """NUMBERS of the batch's facts, as they were parsed into silver."""
    parts = [NUMBERS.empty_table()]
    for topic in (each for each in batch.topics if each in FACTS):
        columns = ["kafka_partition", "kafka_offset", *SENDER]
        rows = batch.ledger.read(silver_table(topic), columns, [[("ingest_seq", "=", batch.seq)]])
        topics = pa.array([topic] * rows.num_rows, pa.string())
        parts.append(rows.add_column(0, "topic", topics).rename_columns(NUMBERS.names).cast(NUMBERS))
    return pa.concat_tables(parts)


def records_beside(batch: "Batch", told: pa.Table) -> pa.Table | None:
    """The batch's records at other places than these; None where they are more than this process should hold."""
    found, size = [batch.ledger.schema(BRONZE).empty_table()], 0
    is_any = told.num_rows < sum(batch.received.values()) - sum(batch.canaries.values())
    topics, places = sorted({topic for topic, _ in batch.received}), Places(told)
    for some in records(batch.ledger, batch.seq, pc.field("topic").isin(topics)) if is_any else ():
        others = some.filter(pa.array(~places.has(some)))
        found.append(pa.Table.from_batches([others]))
        size += others.nbytes
        if size > MOST_BYTES:
            return None
    return pa.concat_tables(found, promote_options="permissive")


def records(ledger: Ledger, ingest_seq: int, wanted: pc.Expression, *columns: str) -> "Iterator[pa.RecordBatch]":
    """The wanted of a batch's records in bronze, some at a time, by default whole; canaries are no producer's."""
    bronze = dataset_of(ledger.open(BRONZE), of_batch(ingest_seq))
    key = pc.field("key")
    is_canary = ~key.is_null() & (key == pa.scalar(CANARY_KEY, pa.binary()))
    mine = (pc.field("ingest_seq") == ingest_seq) & wanted & ~is_canary
    yield from bronze.to_batches(columns=list(columns) or None, filter=mine, **LOOKED_THROUGH)


class Places:
    """The places of some records, to ask which of others are among them."""

    def __init__(self, rows: pa.Table) -> None:
        """From columns PLACE."""
        by_part = rows.group_by(["topic", "partition"]).aggregate([("offset", "list")])
        self.offsets = {
            (topic.as_py(), partition.as_py()): np.sort(np.asarray(offsets.values))
            for topic, partition, offsets in zip(*by_part.columns, strict=True)
        }

    def has(self, rows: pa.RecordBatch) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """By row, whether its place is one of them."""
        is_there, offsets = np.zeros(rows.num_rows, bool), np.asarray(rows["offset"])
        for (topic, partition), known in self.offsets.items():
            mine = pc.and_(pc.equal(rows["topic"], topic), pc.equal(rows["partition"], partition))
            asked = np.flatnonzero(np.asarray(mine))
            nearest = np.minimum(np.searchsorted(known, offsets[asked]), len(known) - 1)
            is_there[asked] = known[nearest] == offsets[asked]
        return is_there
