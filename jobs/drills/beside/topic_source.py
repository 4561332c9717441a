"""Topics in files as a streaming source of Spark, so that the plain sink is Spark's own from checkpoint to commit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import ReadLimit
from pyspark.sql.types import StructType

from jobs.lake.file_topics import FileTopics

NAME = "reelhouse_file_topic"
AS_READ = "value binary, kafka_time timestamp"
At = dict[str, int]  # partition → offset; a checkpoint holds text keys


@dataclass
class Range(InputPartition):
    """Offsets of one partition, to be read by one task."""

    number: int
    start: int
    end: int


class FileTopicReader(DataSourceStreamReader):
    """Reads one topic from offsets to offsets, as the Kafka source does."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self.topics, self.topic = FileTopics(Path(options["folder"])), options["topic"]
        self.breaks = options.get("breaks") == "true"

    def initialOffset(self) -> At:  # noqa: N802  Spark's name
        """The beginning of every partition."""
        return {}

    def latestOffset(self, start: At, limit: ReadLimit) -> At:  # noqa: N802  Spark's name
        """The end of each partition there is."""
        return {str(number): end for number, end in self.topics.ends([self.topic]).get(self.topic, {}).items()}

    def partitions(self, start: At, end: At) -> list[Range]:
        """One task for each partition that has anything new; where records are gone the query ends.

        So does one on Kafka: that its source fails on a loss of data is the default.
        """
        begins = self.topics.begins([self.topic])[self.topic]
        ranges = [Range(int(number), start.get(number, begins[int(number)]), last) for number, last in end.items()]
        for each in ranges:
            if each.start < begins[each.number]:
                raise RuntimeError(f"{self.topic}/{each.number}: offset {each.start} is gone; some data may be lost")
        return ranges

    def read(self, partition: Range) -> Iterator[tuple[bytes | None, datetime]]:  # type: ignore[override]
        """The records of a range; with the option `breaks` the task dies, its offsets noted and nothing written."""
        if self.breaks:
            raise RuntimeError("killed while it reads")
        ranges = {self.topic: {partition.number: (partition.start, partition.end)}}
        for _, value, _, _, _, at, _ in self.topics.rows(ranges):
            yield value, at


class FileTopicSource(DataSource):
    """`spark.readStream.format("reelhouse_file_topic")` with the options `folder` and `topic`."""

    @classmethod
    def name(cls) -> str:
        """What `format` takes."""
        return NAME

    def schema(self) -> str:
        """The columns of the Kafka source that the sink reads."""
        return AS_READ

    def streamReader(self, schema: StructType) -> FileTopicReader:  # noqa: N802  Spark's name
        """A reader of the topic that the options name."""
        return FileTopicReader(self.options)
