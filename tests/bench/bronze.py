"""B1: a backlog on Kafka into bronze, ours beside Spark's own connectors and a Python consumer.

The answer compared is read from the tables: records, bytes, and a checksum over places, keys, values and headers.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from jobs.lake.ingest.landing import land
from jobs.lake.ingest.loop import INGEST_CONF
from jobs.lake.ingest.planning import Plan, capped
from jobs.lake.services.kafka import Kafka
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from jobs.lake.topics import Offsets, end_offsets, topic_ids
from tests.bench.harness import Contender
from tests.bench.places import Shelf, apart, jvm_of, own_services, own_settings, own_spark
from tests.bench.views import make_views

EVENTS = 2_000_000
TOPIC = "views"
ROWS_A_COMMIT = 100_000  # of the Python loop
NOOP, PLAIN, PYTHON, OURS = "Spark Kafka → noop", "Spark Kafka → Delta", "Python consumer → deltalake", "ours: land"
AIM = "at least 70 % of the rate of Kafka → noop, at least the rate of plain Spark Kafka → Delta"


def verdict(medians: Mapping[str, float]) -> str:
    """How ours stands to its two aims."""
    of_noop, of_plain = medians[NOOP] / medians[OURS], medians[PLAIN] / medians[OURS]
    met = "Met" if of_noop >= 0.7 and of_plain >= 1 else "Missed"
    return f"{met}: {of_noop:.0%} of noop's rate, {of_plain:.0%} of plain Spark's."


@contextmanager
def arena(folder: Path, scale: float) -> Iterator[tuple[str, list[Contender]]]:
    """A broker with the backlog, and the ways to take it in."""
    settings = own_settings(folder)
    with own_services(Kafka(settings)), own_spark(settings) as spark:
        made = make_views(folder / "views.parquet", int(EVENTS * scale))
        fill(spark, settings, folder / "views.parquet")
        title = f"bronze: a backlog of {made.rows:,} events of about 450 B on {settings.fact_partitions} partitions"
        yield title, contenders(spark, settings, folder / "tables")


def fill(spark: SparkSession, settings: Settings, path: Path) -> None:
    """Put the file on Kafka by Spark's own sink, compressed as our producer does it."""
    writer = spark.read.parquet(str(path)).select("topic", "partition", "key", "value", "headers").write.format("kafka")
    writer = writer.option("kafka.bootstrap.servers", settings.bootstrap).option("includeHeaders", "true")
    writer.option("kafka.compression.type", "lz4").option("kafka.linger.ms", "20").save()


def contenders(spark: SparkSession, settings: Settings, folder: Path) -> list[Contender]:
    """Ours, the limit and the peers."""
    ends = end_offsets(settings, [TOPIC])
    ids = topic_ids(settings, [TOPIC])
    most = settings.max_records_per_batch
    reading, landing = apart(spark, {}), apart(spark, INGEST_CONF)
    return [
        Contender(NOOP, lambda: to_noop(on_kafka(reading, settings)), "limit", "headers read; Spark's defaults"),
        written(
            PLAIN, folder / "plain", lambda path: to_delta(on_kafka(reading, settings), path), note="Spark's defaults"
        ),
        written(
            PYTHON,
            folder / "python",
            lambda path: consume(settings, ends, path),
            note=f"kafka-python, polls of 20,000, a commit each {ROWS_A_COMMIT:,} rows",
            aside=lambda: jvm_of(spark),
        ),
        written(
            OURS,
            folder / "ours",
            lambda path: land_all(landing, settings, ends, ids, path),
            role="ours",
            note=f"a batch each {most:,} records, each an exactly-once commit",
            table="bronze/events",
        ),
    ]


def written(
    name: str,
    folder: Path,
    work: Callable[[Path], None],
    *,
    role: str = "peer",
    note: str,
    table: str = "",
    **more: Any,
) -> Contender:
    """A contender that writes a table to a place that is new each time, where the answer is read."""
    shelf = Shelf(folder)
    return Contender(
        name,
        lambda: work(shelf.path),
        role,
        note,
        before=shelf.renew,
        answer=lambda: content(shelf.path / table),
        **more,
    )


def on_kafka(spark: SparkSession, settings: Settings) -> DataFrame:
    """The whole topic, as Spark reads it."""
    reader = spark.read.format("kafka").option("kafka.bootstrap.servers", settings.bootstrap)
    return reader.option("subscribe", TOPIC).option("includeHeaders", "true").load()


def to_noop(records: DataFrame) -> None:
    """Read everything, keep nothing."""
    records.write.format("noop").mode("overwrite").save()


def to_delta(records: DataFrame, path: Path) -> None:
    """As it comes."""
    records.write.format("delta").mode("append").save(str(path))


def land_all(spark: SparkSession, settings: Settings, ends: Offsets, ids: dict[str, str], path: Path) -> None:
    """As ingest does: batch after batch, none larger than the settings allow."""
    lake = Lake(settings.model_copy(update={"lake_uri": str(path)}), spark)
    for planned in plans(ends, ids, settings.max_records_per_batch):
        land(lake, planned)


def plans(ends: Offsets, ids: dict[str, str], most: int) -> Iterator[Plan]:
    """The batches in which a backlog is read."""
    reached, number = {topic: dict.fromkeys(parts, 0) for topic, parts in ends.items()}, 0
    while reached != ends:
        left = {t: {n: (reached[t][n], end) for n, end in parts.items()} for t, parts in ends.items()}
        ranges = capped(left, most)
        yield Plan(number, ranges, ids)
        reached = {topic: {n: end for n, (_, end) in parts.items()} for topic, parts in ranges.items()}
        number += 1


def consume(settings: Settings, ends: Offsets, path: Path) -> None:
    """The loop one would write without Spark: poll, gather, append."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        enable_auto_commit=False,
        fetch_max_bytes=64 * 2**20,
        max_partition_fetch_bytes=16 * 2**20,
        max_poll_records=20_000,
    )
    places = {TopicPartition(TOPIC, number): end for number, end in ends[TOPIC].items()}
    consumer.assign(list(places))
    consumer.seek_to_beginning(*places)
    rows: list[Any] = []
    while any(consumer.position(place) < end for place, end in places.items()):
        for records in consumer.poll(timeout_ms=1000).values():
            rows += records
        if len(rows) >= ROWS_A_COMMIT:
            append(rows, path)
            rows = []
    consumer.close()
    append(rows, path)


def append(records: list[Any], path: Path) -> None:
    """Consumed records as rows of a Delta table."""
    import pyarrow as pa
    from deltalake import write_deltalake

    if not records:
        return
    headers = [[{"key": name, "value": content} for name, content in each.headers] for each in records]
    pairs = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
    table = pa.table(
        {
            "topic": [each.topic for each in records],
            "partition": pa.array([each.partition for each in records], pa.int32()),
            "offset": [each.offset for each in records],
            "timestamp": pa.array([each.timestamp * 1000 for each in records], pa.timestamp("us", "UTC")),
            "key": pa.array([each.key for each in records], pa.binary()),
            "value": pa.array([each.value for each in records], pa.binary()),
            "headers": pa.array(headers, pairs),
        }
    )
    write_deltalake(str(path), table, mode="append")


def content(path: Path) -> tuple[Any, ...]:
    """What a bronze table holds: records, bytes, a checksum of where each lies, and one of its headers."""
    import duckdb
    from deltalake import DeltaTable

    files = json.dumps(DeltaTable(str(path)).file_uris()).replace('"', "'")
    query = (
        'SELECT count(*), sum(octet_length(value)), bit_xor(hash(partition, "offset", key, value)), '
        f'bit_xor(hash("offset", headers)) FROM read_parquet({files}, hive_partitioning = false)'
    )
    with duckdb.connect() as connection:
        found = connection.execute(query).fetchone()
    assert found is not None
    return tuple(found)
