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

from jobs.definitions.events.numbered import NUMBERED, numbered
from jobs.lake.event_contracts import producer_field
from jobs.lake.ingest.ids import ROWS_AT_ONCE
from jobs.lake.ingest.progress import APP, BRONZE, QUARANTINE, SEQUENCES, of_batch
from jobs.lake.ingest.retracting import CONFLICT
from jobs.lake.ledger import Ledger
from jobs.lake.scanning import dataset_of
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
    if topics:
        rows = counted(batch.ledger, batch.seq, topics, recorded_at, is_any_refused=is_any_refused)
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
    producer, parts, is_any_bare = producer_field(ledger.settings.schemas_dir), [], False
    for some in records(ledger, ingest_seq, topics, *PLACE, "value"):
        found = numbered(some["value"], producer)
        numbers = pa.Table.from_batches([some]).select(PLACE).take(found["row"])
        for name in NUMBERED.names[1:]:
            numbers = numbers.append_column(name, found[name])
        parts.append(numbers)
        is_any_bare |= found.num_rows < some.num_rows
    nothing = pa.schema([*REFUSED, *list(NUMBERED)[1:]]).empty_table()
    every = pa.concat_tables([nothing, *(part.cast(nothing.schema) for part in parts)])
    return every, sources_of_bare(ledger, ingest_seq, topics) if is_any_bare else {}


def sources_of_bare(ledger: Ledger, ingest_seq: int, topics: Collection[str]) -> Unnumbered:
    """Records of a batch that bear no number, by topic and by what their header says of their source."""
    producer, counts = producer_field(ledger.settings.schemas_dir), Counter[tuple[str, str | None]]()
    for some in records(ledger, ingest_seq, topics, "topic", "value", "headers"):
        is_bare = np.ones(some.num_rows, bool)
        is_bare[np.asarray(numbered(some["value"], producer)["row"])] = False
        bare = some.filter(pa.array(is_bare))
        counts.update(zip(bare["topic"].to_pylist(), map(source_of, bare["headers"].to_pylist()), strict=True))
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


def records(ledger: Ledger, ingest_seq: int, topics: Collection[str], *columns: str) -> Iterator[pa.RecordBatch]:
    """The batch's records of these topics in bronze, some at a time."""
    wanted = (pc.field("ingest_seq") == ingest_seq) & pc.field("topic").isin(sorted(topics))
    bronze = dataset_of(ledger.open(BRONZE), of_batch(ingest_seq))
    yield from bronze.to_batches(columns=list(columns), filter=wanted, batch_size=ROWS_AT_ONCE)
