"""Kafka → bronze: exactly the planned offsets, in one append."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobs.bronze.events import build
from jobs.lake.broker import source_options
from jobs.lake.file_topics import Row, file_topics
from jobs.lake.ingest.erased import emptied_at_landing
from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import APP, BRONZE
from jobs.lake.tables import Lake
from jobs.lake.topics import records_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

AS_READ = (
    "key binary, value binary, topic string, partition int, offset bigint, timestamp timestamp, "
    "headers array<struct<key:string,value:binary>>"
)
# What is planned is there. At a partition's end a consumer asks once more, and the broker lets it wait for what may
# come: half a second by default, for each partition of each batch.
MAX_WAIT_MS = "10"
NO_BACKLOG = 200_000  # records: what comes in while a batch is done; fewer tasks cost less, and files stay small
FEW = 10_000  # records as they came, of which each may be as large as the broker allows: a megabyte


def land(lake: Lake, plan: Plan) -> None:
    """Read what the plan names and append it as batch `plan.ingest_seq`; what is of erased people lands empty."""
    held = read_here(lake, plan)
    rows = build(frame_read(lake, plan, held), topic_ids=plan.topic_ids, ingest_seq=plan.ingest_seq)
    rows = emptied_at_landing(lake, rows, plan.ingest_seq)
    append = lake.append_few if plan.size <= FEW else lake.append
    if plan.size <= NO_BACKLOG:  # few tasks and few files; a large batch keeps one for each partition
        rows = rows.coalesce(lake.settings.spark_cores)
    note = json.dumps(plan.note(), separators=(",", ":"))
    append(BRONZE, rows, app=APP, version=plan.ingest_seq, metadata=note, exactly=None if held is None else len(held))


def records(lake: Lake, plan: Plan) -> "DataFrame":
    """The planned ranges as Spark's Kafka source gives them; a range the broker no longer has fails the read."""
    return frame_read(lake, plan, read_here(lake, plan))


def read_here(lake: Lake, plan: Plan) -> list[Row] | None:
    """The planned records where this process reads them one by one: so it knows how many; None where Spark reads.

    kafka-python gives them to an engine that has no source for topics.
    """
    if not plan.size:  # all it has to tell is what was lost
        return []
    if (files := file_topics(lake.settings)) is not None:
        return list(files.rows(plan.ranges))
    return None if lake.reads_kafka else list(records_of(lake.settings, plan.ranges))


def frame_read(lake: Lake, plan: Plan, held: list[Row] | None) -> "DataFrame":
    """The planned records: those that this process holds or, where it holds none of them, by Spark's Kafka source."""
    if held is not None:
        return frame_of(lake, held)
    read = {topic: plan.ranges[topic] for topic in plan.topics_to_read()}
    edges = [
        {topic: {str(n): bounds[side] for n, bounds in parts.items()} for topic, parts in read.items()}
        for side in (0, 1)
    ]
    return (
        lake.spark.read.format("kafka")
        .options(**source_options(lake.settings))
        .option("kafka.isolation.level", "read_committed")
        .option("kafka.fetch.max.wait.ms", MAX_WAIT_MS)
        .option("assign", json.dumps({topic: list(parts) for topic, parts in read.items()}))
        .option("startingOffsets", json.dumps(edges[0]))
        .option("endingOffsets", json.dumps(edges[1]))
        .option("includeHeaders", "true")
        .option("failOnDataLoss", "true")
        .load()
    )


def frame_of(lake: Lake, rows: Iterable[Row]) -> "DataFrame":
    """Records that this process holds, as Spark's Kafka source gives them; its headers are lists."""
    listed = [(*parts, None if headers is None else list(headers)) for *parts, headers in rows]
    return lake.spark.createDataFrame(listed, AS_READ)
