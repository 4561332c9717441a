"""What ids a batch has: each with how often it occurs, and the ranges they lie in.

The ids of one batch fit into memory, so they are found in Arrow; the batch's engine finds them where the batch is not
what lies in bronze (something of it is erased or taken back), or where one of them is no text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from jobs.definitions.event_ids import id_date
from jobs.definitions.events.in_arrow import header_texts, id_dates
from jobs.definitions.events.reading import header
from jobs.lake.ingest.progress import BRONZE, of_batch
from jobs.lake.scanning import AnyOf, dataset_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.lake.ingest.batch import Batch

ID_HEADER = "ce_id"
ROWS_AT_ONCE = 20_000  # headers may be large, and only the ids of them are kept
# Records are looked through faster than memory for what is read ahead of them is had.
LOOKED_THROUGH: dict[str, int] = {"batch_size": ROWS_AT_ONCE, "batch_readahead": 2, "fragment_readahead": 1}
MOST_BYTES = 64 * 2**20  # of records that are worth a second look
MANY = 60  # days of ids; beyond, one range stands for all


@dataclass(frozen=True)
class IdRange:
    """The ids of one topic with one date in them: least, greatest, how many records and how many different ids."""

    day: Any
    least: str
    greatest: str
    records: int
    ids: int


@dataclass(frozen=True)
class Ids:
    """The ids of a batch by topic: their ranges, and (event_id, n: how often) as a frame; `at_hand` in memory too.

    `repeats` gives the frame of those that occur more than once.
    """

    ranges: Mapping[str, list[IdRange]]
    frame: "Callable[[str], DataFrame]"
    repeats: "Callable[[str], DataFrame]"
    at_hand: Mapping[str, pa.Table] = field(default_factory=dict)

    def has_repeats(self, topic: str) -> bool:
        """Whether an id occurs more than once."""
        return any(each.records > each.ids for each in self.ranges[topic])


def ids_of(batch: "Batch", topics: list[str]) -> Ids:
    """What ids the batch's records of these topics have; records without one have none."""
    is_as_landed = not batch.erased and not batch.retracted
    told = _in_arrow(batch, topics) if is_as_landed else None
    if told is None:
        return _by_engine(batch, topics)
    ranges, frame_of = {topic: _ranges(table) for topic, table in told.items()}, batch.lake.spark.createDataFrame
    return Ids(
        ranges,
        frame=lambda topic: frame_of(told[topic]),
        repeats=lambda topic: frame_of(told[topic].filter(pc.field("n") > 1)),
        at_hand=told,
    )


def _in_arrow(batch: "Batch", topics: list[str]) -> dict[str, pa.Table] | None:
    """By topic (event_id, n); None where an id is no text."""
    wanted = (pc.field("ingest_seq") == batch.seq) & pc.field("topic").isin(topics)
    bronze = dataset_of(batch.ledger.open(BRONZE), of_batch(batch.seq))
    parts: list[pa.Table] = [pa.table({"topic": pa.array([], pa.string()), "event_id": pa.array([], pa.string())})]
    for some in bronze.to_batches(columns=["topic", "headers"], filter=wanted, **LOOKED_THROUGH):
        try:
            ids = header_texts(some["headers"], ID_HEADER)
        except pa.ArrowInvalid:
            return None
        parts.append(pa.table({"topic": some["topic"].cast(pa.string()), "event_id": ids}))
    rows = pa.concat_tables(parts).filter(pc.field("event_id").is_valid())
    return {topic: _counted(rows.filter(pc.field("topic") == topic)) for topic in topics}


def records_with(batch: "Batch", topic: str, ids: pa.Array) -> pa.Table | None:
    """The batch's records of a topic that bear one of these ids, as they lie in bronze.

    None where they are too much for this process; then the engine looks for them. For batches with ids at hand only.
    """
    wanted = (pc.field("ingest_seq") == batch.seq) & (pc.field("topic") == topic)
    bronze = dataset_of(batch.ledger.open(BRONZE), of_batch(batch.seq))
    found, size = [bronze.schema.empty_table()], 0
    for some in bronze.to_batches(filter=wanted, **LOOKED_THROUGH):
        with_one = some.filter(pc.is_in(header_texts(some["headers"], ID_HEADER), ids))
        found.append(pa.Table.from_batches([with_one]))
        size += found[-1].nbytes
        if size > MOST_BYTES:
            return None
    return pa.concat_tables(found)


def _counted(rows: pa.Table) -> pa.Table:
    """Each id once, and how often it occurs."""
    return rows.group_by("event_id").aggregate([([], "count_all")]).rename_columns(["event_id", "n"])


def _ranges(told: pa.Table) -> list[IdRange]:
    dated = told.append_column("day", id_dates(told["event_id"].combine_chunks()))
    sums = [("event_id", "min"), ("event_id", "max"), ("n", "sum"), ([], "count_all")]
    lines = dated.group_by("day").aggregate(sums)
    names = ["day", "event_id_min", "event_id_max", "n_sum", "count_all"]
    return [IdRange(*line.values()) for line in lines.select(names).to_pylist()]


def _by_engine(batch: "Batch", topics: list[str]) -> Ids:
    """The same by frames, worked out once for all that ask; an engine for few is told of how many."""
    batch.lake.expect(sum(batch.received.values()))
    ids = batch.records(*topics).select("topic", header(ID_HEADER).alias("event_id")).where("event_id IS NOT NULL")
    told = batch.keep(ids.groupBy("topic", "event_id").agg(F.count("*").alias("n")))
    lines = told.groupBy("topic", id_date(F.col("event_id")).alias("day")).agg(
        F.min("event_id").alias("least"),
        F.max("event_id").alias("greatest"),
        F.sum("n").alias("records"),
        F.count("*").alias("ids"),
    )
    found: dict[str, list[IdRange]] = {topic: [] for topic in topics}
    for line in lines.collect():
        found[line.topic].append(IdRange(line.day, line.least, line.greatest, line.records, line.ids))

    def frame(topic: str) -> "DataFrame":
        return told.where(F.col("topic") == topic).drop("topic")

    return Ids(found, frame, repeats=lambda topic: frame(topic).where("n > 1"))


def within(ranges: list[IdRange], *, dated: bool) -> AnyOf:
    """A condition that is true of every row of silver with an id of these ranges (one or more)."""
    least, greatest = min(each.least for each in ranges), max(each.greatest for each in ranges)
    whole = [("event_id", ">=", least)] * bool(least) + [("event_id", "<=", greatest or " ")]
    if not dated:
        return [whole]
    days = sorted({each.day for each in ranges})
    if len(days) > MANY:
        return [[("id_date", ">=", days[0]), ("id_date", "<=", days[-1]), *whole]]
    return [
        [("id_date", "=", each.day), ("event_id", ">=", each.least), ("event_id", "<=", each.greatest)]
        for each in ranges
    ]
