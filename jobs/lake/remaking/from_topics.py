"""Bronze: the records of hurt files are read again from their topics, under the numbers of their batches.

Which offsets are lost is told by what each batch had read, less what stands. What a topic no longer holds is named
exactly, and nothing is changed, unless the loss is accepted.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from jobs.bronze.events import build
from jobs.lake import topics
from jobs.lake.aside import Mended
from jobs.lake.errors import TopicError, WriteError
from jobs.lake.ingest import landing
from jobs.lake.ingest.lives import is_same
from jobs.lake.ingest.loop import LEASE
from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import BRONZE
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.remaking.emptying import emptied_again, refuse_unemptied
from jobs.lake.remaking.plans import PART, Memory, Part, remembered
from jobs.lake.remaking.wounds import Wound, heal, proven, standing, wound_of
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SHOWN = 20


@dataclass(frozen=True)
class Run:
    """Offsets of one partition without a break, `start` to `end` (exclusive), that a batch had read."""

    batch: int
    topic: str
    topic_id: str
    partition: int
    start: int
    end: int

    @property
    def part(self) -> Part:
        """Where it belongs."""
        return self.batch, self.topic, self.partition

    @property
    def words(self) -> str:
        """views/0 offsets 10 to 19 (batch 1)."""
        return f"{self.topic}/{self.partition} offsets {self.start} to {self.end - 1} (batch {self.batch})"


def reland(settings: Settings, run_id: str, open_spark: Callable[[Settings], Any], *, accept_loss: bool) -> Mended:
    """Put the records of the hurt files back, under ingest's lease.

    TopicError when topics do not hold them all any more and that is not accepted; nothing is changed then.
    """
    ledger = Ledger(settings)
    with Leases(ledger).held(LEASE, run_id) as lease:
        lake, wound = Lake(settings, open_spark(settings)), wound_of(settings, BRONZE)
        memory, stands = remembered(lake), standing(lake, BRONZE, wound)
        lost = without(stands, short(stands, memory))
        rows = emptied_again(lake, again(lake, held(settings, lost, memory.topic_ids)), memory).persist()
        count = rows.count()
        gone = [] if count == wound.lost else without(rows, lost)
        refuse_loss(wound, count, gone, accept_loss=accept_loss)
        refuse_unemptied(stands.unionByName(rows), memory)
        Leases(ledger).check(lease)
        moved = heal(lake, wound, rows if count else None, run_id)
        return proven(ledger, BRONZE, wound.standing + count, moved, loss_of(wound, count, gone))


def short(stands: "DataFrame", memory: Memory) -> Iterator[Run]:
    """All that batches had read of the partitions of which records are missing."""
    counts = {tuple(line[:3]): line[3] for line in stands.groupBy(*PART).count().collect()}
    for number, plan in sorted(memory.plans.items()):
        for topic, parts in sorted(plan.ranges.items()):
            for partition, (start, end) in sorted(parts.items()):
                run = Run(number, topic, plan.topic_ids[topic], partition, start, end)
                if counts.get(run.part, 0) < memory.received.get(run.part, end - start):
                    yield run


def without(rows: "DataFrame", runs: Iterable[Run]) -> list[Run]:
    """What is left of these offsets, less those of rows of bronze; offsets that never had a record are among it."""
    every = list(runs)
    there = offsets_of(rows, {run.part for run in every})
    return [
        replace(run, start=first, end=last + 1)
        for run in every
        for first, last in unbroken(n for n in range(run.start, run.end) if n not in there.get(run.part, ()))
    ]


def offsets_of(rows: "DataFrame", parts: Iterable[Part]) -> dict[Part, set[int]]:
    """The offsets of rows of these parts; those of no others are held in memory."""
    wanted = rows.sparkSession.createDataFrame(list(parts), "ingest_seq bigint, topic string, `partition` int")
    found = rows.join(F.broadcast(wanted), on=list(PART), how="left_semi").groupBy(*PART)
    lines = found.agg(F.collect_list("offset").alias("offsets")).collect()
    return {(line.ingest_seq, line.topic, line.partition): set(line.offsets) for line in lines}


def unbroken(offsets: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(first, last) of each stretch of offsets, which come in order, without a break."""
    first = last = None
    for offset in offsets:
        if last is None or first is None:
            first = offset
        elif offset != last + 1:
            yield first, last
            first = offset
        last = offset
    if first is not None and last is not None:
        yield first, last


def held(settings: Settings, runs: Iterable[Run], newest: Mapping[str, str]) -> list[Run]:
    """Of these offsets those that may be asked for: of the same topic, and neither gone by retention nor cut off.

    `newest` has the ids that topics go by now: where one's end moved back others have the offsets of before.
    """
    every = list(runs)
    names = sorted({run.topic for run in every})
    ids = topics.topic_ids(settings, names)
    begins, ends = topics.extents(settings, names)
    cut = [
        replace(run, start=max(run.start, begin), end=min(run.end, ends[run.topic][run.partition]))
        for run in every
        if is_same(ids.get(run.topic, ""), run.topic_id) and newest.get(run.topic) == run.topic_id
        if (begin := begins.get(run.topic, {}).get(run.partition)) is not None
    ]
    return [run for run in cut if run.start < run.end]


def again(lake: Lake, runs: list[Run]) -> "DataFrame":
    """The records at these offsets, as bronze has them; each partition is read once."""
    ranges: dict[str, dict[int, tuple[int, int]]] = {}
    for run in runs:
        start, end = ranges.setdefault(run.topic, {}).get(run.partition, (run.start, run.end))
        ranges[run.topic][run.partition] = (min(start, run.start), max(end, run.end))
    ids = {run.topic: run.topic_id for run in runs}
    if not ids:
        return lake.nothing(BRONZE)
    rows = build(landing.records(lake, Plan(0, ranges, ids)), topic_ids=ids, ingest_seq=0).drop("ingest_seq")
    told = [(run.topic, run.partition, run.start, run.end, run.batch) for run in runs]
    wanted = lake.spark.createDataFrame(told, "_topic string, _part int, _start bigint, _end bigint, ingest_seq bigint")
    is_there = (F.col("topic") == F.col("_topic")) & (F.col("partition") == F.col("_part"))
    is_wanted = is_there & (F.col("offset") >= F.col("_start")) & (F.col("offset") < F.col("_end"))
    joined = rows.join(F.broadcast(wanted), on=is_wanted, how="inner")  # an offset is of one run
    return joined.drop("_topic", "_part", "_start", "_end")


def refuse_loss(wound: Wound, count: int, gone: list[Run], *, accept_loss: bool) -> None:
    """TopicError for what the topics have no more, unless accepted; WriteError when they have something else."""
    if count > wound.lost or sum(run.end - run.start for run in gone) < wound.lost - count:
        raise WriteError(
            f"{BRONZE}: the hurt files held {wound.lost} records, the topics have {count} at those offsets; nothing "
            "was changed. Put the files back from a copy"
        )
    if count < wound.lost and not accept_loss:
        raise TopicError(
            f"{loss_of(wound, count, gone)}; nothing was changed. Put the files back from a copy, or book the loss "
            f"with `reelhouse repair {BRONZE} --accept-loss`; see docs/runbooks/lake.md"
        )


def loss_of(wound: Wound, count: int, gone: list[Run]) -> str:
    """In words what is lost for good; empty for nothing. Of some of these offsets there may never have been records."""
    if count == wound.lost:
        return ""
    more = f" and {len(gone) - SHOWN} more stretches" if len(gone) > SHOWN else ""
    places = ", ".join(run.words for run in gone[:SHOWN])
    return f"{BRONZE}: {wound.lost - count} records are lost for good, at {places}{more}"
