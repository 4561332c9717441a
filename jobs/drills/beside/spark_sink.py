"""The plain Spark sink: structured streaming, `from_json`, append to Delta, its progress in a checkpoint.

Written as the manuals show it. Spark notes a batch's offsets before it and its end after it; Delta notes the query's
id and the batch's number with each commit, and so knows a batch that is done again.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from jobs.drills.beside.contender import TOPIC, TOPICS, Found, dying, rows_of, tear_and_remove
from jobs.drills.beside.topic_source import NAME, FileTopicSource

BODY = "event_id string, event_time bigint, user_id string, video_id string, scene string, watch_ms bigint"


@dataclass
class SparkSink:
    """One query, its table and its checkpoint under `folder`."""

    folder: Path
    spark: SparkSession
    name: str = "plain Spark sink"

    def query(self, *, breaks: bool = False) -> StreamingQuery:
        """Start the query; with `breaks` its tasks die while they read."""
        self.spark.dataSource.register(FileTopicSource)
        stream = (
            self.spark.readStream.format(NAME)
            .option("folder", str(self.folder / TOPICS))
            .option("topic", TOPIC)
            .option("breaks", str(breaks).lower())
            .load()
        )
        body = F.from_json(F.col("value").cast("string"), BODY).alias("body")
        rows = stream.select(body, "kafka_time").select("body.*", "kafka_time").where("event_id IS NOT NULL")
        return (
            rows.writeStream.format("delta")
            .option("checkpointLocation", str(self.folder / "checkpoint"))
            .start(str(self.folder / "table"))
        )

    def run(self) -> None:
        """Run until all is taken in."""
        with self._quiet():
            query = self.query()
            try:
                query.processAllAvailable()
            finally:
                query.stop()

    def killed(self, *, written: bool) -> None:
        """Be killed; after the write the checkpoint lacks the end of the batch, before it the table lacks the batch."""
        if written:
            self.run()
            self._newest_end().unlink()
            return
        with self._quiet(), dying(StreamingQueryException):
            self.query(breaks=True).processAllAvailable()

    def stands_still(self) -> None:
        """The first run's end of the batch is noted only after a second run, from the same checkpoint, is through."""
        self.run()
        end = self._newest_end()
        noted = end.read_bytes()
        end.unlink()
        self.run()
        end.write_bytes(noted)

    def forget(self) -> None:
        """Lose the checkpoint."""
        shutil.rmtree(self.folder / "checkpoint")

    def torn(self) -> None:
        """Take the torn commit away, with its checksum, before a new process reads the table."""
        tear_and_remove(self.folder / "table")
        jvm: Any = self.spark._jvm  # noqa: SLF001  what Spark remembers of a log has no other door
        jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()

    def found(self) -> Found:
        """The rows of the table; there is nothing else."""
        from deltalake import DeltaTable

        return Found(rows_of(DeltaTable(self.folder / "table").to_pyarrow_table().to_pylist()))

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Keep Spark from telling of each killed task at length."""
        self.spark.sparkContext.setLogLevel("OFF")
        try:
            yield
        finally:
            self.spark.sparkContext.setLogLevel("WARN")  # as jobs/lake/session.py begins with

    def _newest_end(self) -> Path:
        """The file in which Spark noted the end of the newest batch; its checksum is taken away."""
        ends = [file for file in (self.folder / "checkpoint" / "commits").iterdir() if file.name.isdigit()]
        newest = max(ends, key=lambda file: int(file.name))
        newest.with_name(f".{newest.name}.crc").unlink(missing_ok=True)
        return newest
