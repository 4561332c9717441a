"""Which producers' numbers a batch received (ops.sequences), read from the records as they lie in bronze.

So a number counts as received whatever became of its record; of a refused one it is told that it was.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.definitions.events.numbered import NUMBERED, SENDER, numbered
from jobs.lake.event_contracts import producer_field
from jobs.lake.ingest.ids import ROWS_AT_ONCE
from jobs.lake.ingest.progress import APP, BRONZE, QUARANTINE, SEQUENCES, of_batch
from jobs.lake.ingest.retracting import CONFLICT
from jobs.lake.ledger import Ledger
from jobs.lake.scanning import dataset_of
from jobs.lake.topics import CANARY_KEY
from jobs.ops.sequences import Unnumbered, build

if TYPE_CHECKING:
    from jobs.lake.ingest.batch import Batch

SOURCE_HEADER = "ce_source"
PLACE = ("topic", "partition", "offset")  # a topic has one id in a batch
REFUSED = pa.schema([("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64())])
NOT_FOR_ITSELF = {CONFLICT, "retracted"}  # reasons with which nothing is wrong with the record


def write_sequences(batch: "Batch", recorded_at: datetime, *, is_any_refused: bool) -> None:
    """Record once which numbers the batch's records bear; a batch that read none has no row."""
    topics = {topic for topic, _ in batch.received}
    rows = counted(batch.ledger, batch.seq, topics, recorded_at, is_any_refused=is_any_refused) if topics else []
    if rows:
        batch.ledger.append(SEQUENCES, rows, app=APP, version=batch.seq)


def counted(
    ledger: Ledger, ingest_seq: int, topics: Collection[str], at: datetime, *, is_any_refused: bool
) -> list[dict[str, Any]]:
    """The rows of ops.sequences for a batch's records of these topics."""
    refused = refused_places(ledger, ingest_seq) if is_any_refused else REFUSED.empty_table()
    received, unnumbered = numbers_of(ledger, ingest_seq, topics)
    return build(with_refusals(received, refused), unnumbered, ingest_seq=ingest_seq, at=at)


def numbers_of(ledger: Ledger, ingest_seq: int, topics: Collection[str]) -> tuple[pa.Table, Unnumbered]:
    """PLACE and number of each record of a batch that bears one; how many bear none, by topic and source."""
    producer, wanted = producer_field(ledger.settings.schemas_dir), pc.field("topic").isin(sorted(topics))
    nothing = pa.schema([*REFUSED, *list(NUMBERED)[1:]]).empty_table()
    parts, bare = [nothing], [REFUSED.empty_table()]
    for some in records(ledger, ingest_seq, wanted, *PLACE, "value"):
        found = numbered(some["value"], producer)
        places, is_bare = pa.Table.from_batches([some]).select(PLACE), np.ones(some.num_rows, bool)
        is_bare[np.asarray(found["row"])] = False
        numbers = places.take(found["row"])
        for name in SENDER:
            numbers = numbers.append_column(name, found[name])
        parts.append(numbers.cast(nothing.schema))
        bare.append(places.filter(pa.array(is_bare)).cast(REFUSED))
    return pa.concat_tables(parts), sources_of(ledger, ingest_seq, pa.concat_tables(bare))


def sources_of(ledger: Ledger, ingest_seq: int, places: pa.Table) -> Unnumbered:
    """The records of a batch at these places, by topic and by what their header says of their source."""
    counts = Counter[tuple[str, str | None]]()
    by_part = places.group_by(["topic", "partition"]).aggregate([("offset", "list")])
    for part in by_part.to_pylist():
        is_there = (pc.field("topic") == part["topic"]) & (pc.field("partition") == part["partition"])
        there = is_there & pc.field("offset").isin(part["offset_list"])
        for some in records(ledger, ingest_seq, there, "headers"):
            counts.update((part["topic"], source_of(headers)) for headers in some["headers"].to_pylist())
    return counts


def source_of(headers: "list[dict[str, Any]] | None") -> str | None:
    """The first source among a record's headers; None for none, or one that is no text."""
    told = next((each["value"] for each in headers or () if each["key"] == SOURCE_HEADER), None)
    try:
        return told.decode() if told else None
    except UnicodeDecodeError:
        return None


def with_refusals(received: pa.Table, refused: pa.Table) -> pa.Table:
    """Say of each record whether it is among the refused."""
    if not refused.num_rows:
        return received.append_column("is_refused", pa.array(np.zeros(received.num_rows, bool)))
    marked = refused.append_column("is_refused", pa.array(np.ones(refused.num_rows, bool)))
    told = received.join(marked, keys=list(PLACE), join_type="left outer")
    return told.set_column(
        told.schema.get_field_index("is_refused"), "is_refused", pc.fill_null(told["is_refused"], False)
    )


def refused_places(ledger: Ledger, ingest_seq: int) -> pa.Table:
    """Where the records lie that a batch refused for what they are."""
    columns = ["topic", "kafka_partition", "kafka_offset", "reasons"]
    rows = ledger.read(QUARANTINE, columns, of_batch(ingest_seq)).to_pylist()
    places = [
        tuple(row[name] for name in columns[:3]) for row in rows if not NOT_FOR_ITSELF.intersection(row["reasons"])
    ]
    return pa.Table.from_pylist([dict(zip(PLACE, place, strict=True)) for place in places], REFUSED)


def records(ledger: Ledger, ingest_seq: int, wanted: pc.Expression, *columns: str) -> Iterator[pa.RecordBatch]:
    """The wanted of the batch's records in bronze, some at a time; canaries are no producer's."""
    bronze = dataset_of(ledger.open(BRONZE), of_batch(ingest_seq))
    key = pc.field("key")
    is_canary = ~key.is_null() & (key == pa.scalar(CANARY_KEY, pa.binary()))
    mine = (pc.field("ingest_seq") == ingest_seq) & wanted & ~is_canary
    yield from bronze.to_batches(columns=list(columns), filter=mine, batch_size=ROWS_AT_ONCE)
