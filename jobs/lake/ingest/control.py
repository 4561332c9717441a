"""What sources say on the control topic: how far topics are complete, believed once the offsets named are read.

And which replay is taken back (docs/adr/0020): what is read of the topics then is all that the statement is about.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from jobs.definitions.events.reading import read
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.progress import APP, BRONZE
from jobs.lake.topics import CONTROL

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

WATERMARKS = "ops.watermarks"
COMPLETE, RETRACT = "complete", "retract"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Stream = tuple[str, str]  # source, topic
Level = tuple[datetime, bool]  # complete until, is final
NOTHING_SAID: Level = (datetime.min.replace(tzinfo=UTC), False)


@dataclass(frozen=True)
class Statement:
    """One record of the control topic: `topic` is complete strictly below the time, once `offsets` are read."""

    source: str
    topic: str
    complete_until: datetime
    is_final: bool
    offsets: tuple[tuple[int, int], ...]

    @property
    def stream(self) -> Stream:
        """Who speaks, and of what."""
        return self.source, self.topic

    @property
    def level(self) -> Level:
        """How much is said; a greater one says more."""
        return self.complete_until, self.is_final

    def is_reached(self, read_to: dict[str, dict[int, int]]) -> bool:
        """Whether ingest has read what the statement is about."""
        there = read_to.get(self.topic, {})
        return all(there.get(partition, 0) >= next_offset for partition, next_offset in self.offsets)


@dataclass(frozen=True)
class Retraction:
    """One record of the control topic: what a replay sent to `topic`, below `offsets`, is taken back."""

    topic: str
    replay_id: str
    since: datetime
    offsets: tuple[tuple[int, int], ...]


def words(batch: Batch, *, before: Iterable[int] = ()) -> list[Any]:
    """The bodies of what was said in this batch, or in these older ones, in order; refused records say nothing."""
    how = batch.form(CONTROL)
    numbers = list(before)
    readings = read(older(batch, numbers), how) if numbers else batch.readings(how)
    said = readings.where("taken").select("ingest_seq", "kafka_partition", "kafka_offset", "body.*")
    return sorted(said.collect(), key=lambda line: (line.ingest_seq, line.kafka_partition, line.kafka_offset))


def statements(lines: Iterable[Any]) -> list[Statement]:
    """Those of the bodies that say how far a topic is complete."""
    return [statement(line) for line in lines if line.kind == COMPLETE]


def retractions(lines: Iterable[Any]) -> list[Retraction]:
    """Those of the bodies that take a replay back."""
    return [
        Retraction(line.topic, line.replay_id, EPOCH + timedelta(microseconds=line.since), offsets_of(line))
        for line in lines
        if line.kind == RETRACT
    ]


def offsets_of(line: Any) -> tuple[tuple[int, int], ...]:
    """(partition, next offset) of what a body speaks of."""
    return tuple((each.partition, each.next_offset) for each in line.offsets)


def older(batch: Batch, numbers: list[int]) -> "DataFrame":
    """The control records of older batches."""
    wanted = (F.col("topic") == CONTROL) & F.col("ingest_seq").isin(*numbers)
    return batch.lake.read(BRONZE).where(wanted)


def statement(line: Any) -> Statement:
    """One parsed body as a statement."""
    return Statement(
        line.source,
        line.topic,
        EPOCH + timedelta(microseconds=line.complete_until),
        line.is_final,
        offsets_of(line),
    )


def write_watermarks(batch: Batch, said: list[Statement], recorded_at: datetime) -> None:
    """Record what the batch heard, and what was heard before and is reached now; a source's last word counts.

    A source may say in one batch what is reached and, later, what is not yet: both are recorded, the later one waits.
    """
    read_to = {topic: {n: end for n, (_, end) in parts.items()} for topic, parts in batch.plan.ranges.items()}
    known = that_count(batch.ledger.read(WATERMARKS, filter=earlier(batch)))
    levels, waiting = reached_levels(known), unreached(known)
    old = statements(words(batch, before=waiting)) if waiting else []
    heard = [each for each in old if each.level > levels.get(each.stream, NOTHING_SAID)] + said
    reached = {each.stream: each for each in heard if each.is_reached(read_to)}
    waits = {each.stream: each for each in said if not each.is_reached(read_to)}
    later = [each for stream, each in waits.items() if stream not in reached or each.level > reached[stream].level]
    rows = [
        {
            "ingest_seq": batch.seq,
            "source": each.source,
            "topic": each.topic,
            "complete_until": each.complete_until,
            "is_final": each.is_final,
            "offsets_reached": each.is_reached(read_to),
            "recorded_at": recorded_at,
        }
        for each in (*reached.values(), *later)
    ]
    if rows:
        batch.ledger.append(WATERMARKS, rows, app=APP, version=batch.seq)


def earlier(batch: Batch) -> Any:
    """The condition that a row of the ledger was written before this batch."""
    import pyarrow.compute as pc

    return pc.field("ingest_seq") < batch.seq


def that_count(told: "pa.Table") -> list[dict[str, Any]]:
    """Of all that was ever said what may still count: the greatest that is reached, and the rest that says no less."""
    import pyarrow.compute as pc

    stream, at = ["source", "topic"], "complete_until"
    reached = told.filter(pc.field("offsets_reached"))
    greatest = reached.group_by([*stream, "is_final", "offsets_reached"]).aggregate([(at, "max")])
    least = greatest.group_by(stream).aggregate([(f"{at}_max", "max")]).rename_columns([*stream, "reached"])
    waiting = told.filter(~pc.field("offsets_reached")).join(least, stream, join_type="left outer")
    says_more = waiting.filter(pc.field("reached").is_null() | (pc.field(at) >= pc.field("reached")))
    renamed = [name.removesuffix("_max") for name in greatest.column_names]
    return [*greatest.rename_columns(renamed).to_pylist(), *says_more.to_pylist()]


def reached_levels(known: Iterable[dict[str, Any]]) -> dict[Stream, Level]:
    """How far each source is believed about each topic."""
    levels: dict[Stream, Level] = {}
    for line in (line for line in known if line["offsets_reached"]):
        stream, level = (line["source"], line["topic"]), (line["complete_until"], line["is_final"])
        levels[stream] = max(level, levels.get(stream, NOTHING_SAID))
    return levels


def unreached(known: list[dict[str, Any]]) -> list[int]:
    """The batches with a statement that says more than what is believed of its source, its offsets not read yet."""
    levels = reached_levels(known)
    return sorted(
        {
            line["ingest_seq"]
            for line in known
            if not line["offsets_reached"]
            and (line["complete_until"], line["is_final"]) > levels.get((line["source"], line["topic"]), NOTHING_SAID)
        }
    )
