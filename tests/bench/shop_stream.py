"""Facts of a made shop on Kafka, views, likes and orders as they mix: all at once, or at a steady rate.

Made by the simulator, well-behaved: B2 and B3 tell what bad, late and repeated records cost.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import DataStreamWriter

from jobs.lake.broker import client_options, source_options
from jobs.lake.ingest.forms import form
from jobs.lake.settings import Settings
from jobs.lake.topics import FACTS, PATIENCE_MS, end_offsets
from jobs.simulate.deliver import Files
from jobs.simulate.envelope import source_of
from jobs.simulate.run import Plan, simulate
from jobs.simulate.truth import TruthFolder

SEED, LAST_DAY, EVENTS_A_USER = 7, date(2026, 6, 7), 20
SPARE = 1.3  # the simulator's total is about what it was asked for, and some of it is users, videos and products
TICK_SECONDS = 0.05
MIXED = """
SELECT topic, key, value, headers FROM (
  SELECT *, row_number() OVER (PARTITION BY topic ORDER BY filename, file_row_number)
            / count(*) OVER (PARTITION BY topic) AS place
  FROM read_parquet('{made}/*.parquet', filename = true, file_row_number = true) WHERE topic IN {topics})
ORDER BY place, topic LIMIT {count}
"""


def make_facts(settings: Settings, path: Path, count: int) -> None:
    """Write so many records, in the order of their sending, the topics mixed as they are on the whole."""
    import duckdb

    made, events = path.with_suffix(".made"), int(count * SPARE) + 500
    users = max(50, count // EVENTS_A_USER)
    plan = Plan(users, 1, SEED, LAST_DAY, settings.business_zone, "none", events)
    simulate(plan, Files(made, source_of(SEED), SEED), TruthFolder(path.with_suffix(".truth")))
    with duckdb.connect() as connection:
        connection.execute(f"SET memory_limit = '3GB'; SET temp_directory = '{path.parent}/tmp'")
        mixed = MIXED.format(made=made, topics=FACTS, count=count)
        found = connection.execute(f"COPY ({mixed}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)").fetchone()
    assert found == (count,), f"{path}: {found} records, not {count}"


def put_all(spark: SparkSession, settings: Settings, path: Path) -> None:
    """Put the file on Kafka at once, by Spark's own sink."""
    writer = spark.read.parquet(str(path)).select("topic", "key", "value", "headers").write.format("kafka")
    writer = writer.option("kafka.bootstrap.servers", settings.bootstrap).option("includeHeaders", "true")
    writer.option("kafka.compression.type", "lz4").option("kafka.linger.ms", "20").save()


def forget_all(settings: Settings) -> None:
    """Have the broker delete every record of the facts, so that the next run reads only its own."""
    from kafka import TopicPartition
    from kafka.admin import KafkaAdminClient

    ends = end_offsets(settings, FACTS)
    admin = KafkaAdminClient(**client_options(settings), request_timeout_ms=PATIENCE_MS)
    try:
        admin.delete_records({TopicPartition(t, n): end for t, parts in ends.items() for n, end in parts.items()})
    finally:
        admin.close()


def send_steadily(settings: Settings, path: Path, rate: int, count: int) -> None:
    """Send so many records of the file, so many a second, from a process of its own; back when all are with Kafka."""
    process = get_context("spawn").Process(target=_send, args=(client_options(settings), path, rate, count))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the sender of {path} ended with {process.exitcode}")


def _send(options: dict[str, Any], path: Path, rate: int, count: int) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(**options, compression_type="lz4", linger_ms=5, acks="all")
    records, a_tick = islice(records_of(path), count), max(1, round(rate * TICK_SECONDS))
    began = time.monotonic()
    for tick in range(-(-count // a_tick)):
        time.sleep(max(0.0, began + tick * a_tick / rate - time.monotonic()))
        for topic, key, value, headers in islice(records, a_tick):
            producer.send(topic, key=key, value=value, headers=headers)
    producer.flush()
    producer.close()


def records_of(path: Path) -> Iterator[tuple[str, bytes, bytes, list[tuple[str, bytes]]]]:
    """Topic, key, value and headers, a few thousand in memory at a time."""
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(5_000):
        for row in batch.to_pylist():
            yield row["topic"], row["key"], row["value"], [(each["key"], each["value"]) for each in row["headers"]]


def plain_sinks(spark: SparkSession, settings: Settings, to: Path) -> list[DataStreamWriter]:
    """What one writes without us: for each topic a stream from Kafka that parses and appends, not started yet."""
    return [plain_sink(spark, settings, topic, to) for topic in FACTS]


def plain_sink(spark: SparkSession, settings: Settings, topic: str, to: Path) -> DataStreamWriter:
    """The stream of one topic; its table lies at `to`/<topic>, partitioned by day like silver."""
    records = (
        spark.readStream.format("kafka")
        .options(**source_options(settings))
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    rows = parsed(records, settings, topic)
    writer = rows.writeStream.format("delta").partitionBy("event_date").option("path", str(to / topic))
    return writer.option("checkpointLocation", str(to / "checkpoints" / topic))


def parsed(records: DataFrame, settings: Settings, topic: str) -> DataFrame:
    """Bodies by Spark's own reader, typed by the contract, and where each lay under the names of silver."""
    body = F.from_json(F.col("value").cast("string"), form(topic, settings).struct).alias("b")
    place = {"partition": "kafka_partition", "offset": "kafka_offset", "timestamp": "kafka_time"}
    bodies = records.select(body, *(F.col(name).alias(ours) for name, ours in place.items()))
    day = F.to_date(F.timestamp_micros("b.event_time")).alias("event_date")
    return bodies.select("b.*", day, *place.values())


@dataclass(frozen=True)
class Stay:
    """When each record came to Kafka and when it could be queried, seconds of the epoch, in no order."""

    came: "np.ndarray[Any, np.dtype[np.float64]]"
    committed: "np.ndarray[Any, np.dtype[np.float64]]"

    def latency(self, percent: int) -> float:
        """So many per cent of the records could be queried within so many seconds."""
        return float(np.percentile(self.committed - self.came, percent))

    @property
    def rate(self) -> float:
        """Records that came in a second."""
        return len(self.came) / max(1e-9, float(np.ptp(self.came)))

    @property
    def backlogs(self) -> tuple[int, int]:
        """The most records that waited at once, in the middle third of the sending and in the last."""
        begin, end = float(self.came.min()), float(self.came.max())
        third = (end - begin) / 3
        return self._most_between(begin + third, end - third), self._most_between(end - third, end)

    def _most_between(self, begin: float, end: float) -> int:
        moments = np.linspace(begin, end, 200)
        came = np.searchsorted(np.sort(self.came), moments, side="right")
        gone = np.searchsorted(np.sort(self.committed), moments, side="right")
        return int((came - gone).max())


def stay_in(tables: list[Path], seen: "Commits | None" = None) -> Stay:
    """Of all records of these tables; the first commit that holds a record counts, not a later rewriting.

    `seen`: the commits that were looked at in time, where upkeep cuts the tables' logs.
    """
    import duckdb
    import pyarrow as pa

    came, committed = [], []
    for table in tables:
        times = (seen or Commits()).of(table)
        files = pa.table({"filename": list(times), "moment": list(times.values())})
        with duckdb.connect() as connection:
            connection.register("files", files)
            found = connection.execute(
                "SELECT epoch(any_value(kafka_time)) AS came, min(moment) AS committed "
                "FROM read_parquet($1, filename = true, hive_partitioning = false, union_by_name = true) "
                "JOIN files USING (filename) GROUP BY kafka_partition, kafka_offset",
                [list(times)],
            ).fetchnumpy()
        came.append(found["came"])
        committed.append(found["committed"])
    return Stay(np.concatenate(came), np.concatenate(committed))


@dataclass
class Commits:
    """Table → file → when the commit that added it was there for all to see: the time of the log's entry."""

    times: dict[Path, dict[str, float]] = field(default_factory=dict)
    read: set[Path] = field(default_factory=set)

    def of(self, table: Path) -> dict[str, float]:
        """Of all files whose commits are in the log now, or were at an earlier look."""
        found = self.times.setdefault(table, {})
        for entry in sorted(set((table / "_delta_log").glob("*.json")) - self.read):
            at = entry.stat().st_mtime
            self.read.add(entry)
            for line in entry.read_text(encoding="utf-8").splitlines():
                added = json.loads(line).get("add")
                if added:
                    found[str(table / unquote(added["path"]))] = at
        return found
