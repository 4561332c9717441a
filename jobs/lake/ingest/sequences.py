"""Which producers' numbers a batch received (ops.sequences), read from the records as they lie in bronze.

Of a large batch silver tells those of its rows, which are the same; of all else the bodies are read alone. So a number
counts as received whatever became of its record; of a refused one it is told that it was.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.definitions.events.numbered import SENDER, numbered
from jobs.definitions.shown import safe_source
from jobs.lake.event_contracts import producer_field
from jobs.lake.ingest.progress import APP, QUARANTINE, SEQUENCES, of_batch
from jobs.lake.ingest.retracting import CONFLICT
from jobs.lake.ingest.rowless import NUMBERS, PLACE, PLACES, Rowless, records
from jobs.lake.ledger import Ledger
from jobs.ops.sequences import Unnumbered, build

if TYPE_CHECKING:
    from jobs.lake.event_contracts import EventField
    from jobs.lake.ingest.batch import Batch

SOURCE_HEADER = "ce_source"
NOT_FOR_ITSELF = {CONFLICT, "retracted"}  # reasons with which nothing is wrong with the record


def write_sequences(batch: "Batch", recorded_at: datetime, *, is_any_refused: bool) -> None:
    """Record once which numbers the batch's records bear; a batch that read none has no row."""
    topics = {topic for topic, _ in batch.received}
    if not topics:
        return
    known = batch.rowless
    rows = counted(batch.ledger, batch.seq, topics, recorded_at, is_any_refused=is_any_refused, known=known)
    if rows.num_rows:
        batch.ledger.append(SEQUENCES, rows, app=APP, version=batch.seq)


def counted(
    ledger: Ledger,
    ingest_seq: int,
    topics: Collection[str],
    at: datetime,
    *,
    is_any_refused: bool,
    known: Rowless | None = None,
) -> pa.Table:
    """The rows of ops.sequences for a batch's records of these topics; `known` saves reading most of them."""
    refused = refused_places(ledger, ingest_seq) if is_any_refused else PLACES.empty_table()
    if known is None:
        told, others = NUMBERS.empty_table(), bodies(ledger, ingest_seq, topics)
    else:
        told, others = known.told, iter(known.records.to_batches())
    received, unnumbered = numbers_of(others, producer_field(ledger.settings.schemas_dir))
    marked = [with_refusals(told, PLACES.empty_table()), with_refusals(received, refused)]
    return build(pa.concat_tables(marked), unnumbered, ingest_seq=ingest_seq, at=at)


def bodies(ledger: Ledger, ingest_seq: int, topics: Collection[str]) -> Iterator[pa.RecordBatch]:
    """What is to be read of all records of a batch."""
    return records(ledger, ingest_seq, pc.field("topic").isin(sorted(topics)), *PLACE, "value", "headers")


def numbers_of(some: Iterable[pa.RecordBatch], producer: "EventField") -> tuple[pa.Table, Unnumbered]:
    """NUMBERS of each record that bears one; how many bear none, by topic and by what may be shown of their source."""
    parts, bare = [NUMBERS.empty_table()], Counter[tuple[str, str | None]]()
    for batch in some:
        found = numbered(batch["value"], producer)
        numbers = pa.Table.from_batches([batch]).select(PLACE).take(found["row"])
        for name in SENDER:
            numbers = numbers.append_column(name, found[name])
        parts.append(numbers.cast(NUMBERS))
        without = np.setdiff1d(np.arange(batch.num_rows), np.asarray(found["row"]))
        told = batch.select(["topic", "headers"]).take(pa.array(without))
        bare.update(zip(told["topic"].to_pylist(), map(source_of, told["headers"].to_pylist()), strict=True))
    return pa.concat_tables(parts), bare


def source_of(headers: "list[dict[str, Any]] | None") -> str | None:
    """The first source among a record's headers, of one that we do not know the form; None for none, or no text.

    What bears no number is refused, or a tombstone: anybody's id may stand there, and nothing needs it as it came.
    """
    told = next((each["value"] for each in headers or () if each["key"] == SOURCE_HEADER), None)
    try:
        return safe_source(told.decode()) if told else None
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
    return pa.Table.from_pylist([dict(zip(PLACE, place, strict=True)) for place in places], PLACES)
