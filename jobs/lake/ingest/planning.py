"""Which offsets the next batch reads, and what must be true of the topics before it may."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from jobs.lake import topics
from jobs.lake.erasures import Erasure
from jobs.lake.errors import TopicError
from jobs.lake.event_versions import Contracts, contracts_of
from jobs.lake.ingest.progress import Progress, progress
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.lake.topics import CONTROL, TOPICS, Offsets

Range = tuple[int, int]  # offsets from (inclusive), to (exclusive)


@dataclass(frozen=True)
class Plan:
    """One batch: its number, what to read of each partition (empty ranges included), and what retention took before.

    One that is an `erasure` reads nothing: it empties what older batches read. `contracts` has the versions of event
    contracts that there were, of topics with more than one, so that the batch is judged by the same whenever it is done
    again; None where that is not known any more.
    """

    ingest_seq: int
    ranges: dict[str, dict[int, Range]]
    topic_ids: dict[str, str]
    lost: dict[tuple[str, int], int] = field(default_factory=dict)
    erasure: Erasure | None = None
    contracts: Contracts | None = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Offsets to read; records are fewer where transactions or compaction left gaps."""
        return sum(end - start for parts in self.ranges.values() for start, end in parts.values())

    def note(self) -> dict[str, Any]:
        """The plan as JSON can hold it, for the commit that carries it out."""
        return {
            "ingest_seq": self.ingest_seq,
            "ranges": {topic: {str(n): bounds for n, bounds in parts.items()} for topic, parts in self.ranges.items()},
            "topic_ids": self.topic_ids,
            "lost": [[topic, number, count] for (topic, number), count in sorted(self.lost.items())],
            **({"erasure": self.erasure.note()} if self.erasure else {}),
            **({} if self.contracts == {} else {"contracts": self.contracts}),
        }

    @classmethod
    def from_note(cls, note: Mapping[str, Any]) -> Self:
        """The plan that `note` was made of."""
        noted = note["ranges"].items()
        ranges = {topic: {int(n): (start, end) for n, (start, end) in parts.items()} for topic, parts in noted}
        lost = {(topic, number): count for topic, number, count in note["lost"]}
        erasure = Erasure.from_note(note["erasure"]) if "erasure" in note else None
        told = note.get("contracts", {})
        contracts = None if told is None else {topic: tuple(numbers) for topic, numbers in told.items()}
        return cls(note["ingest_seq"], ranges, note["topic_ids"], lost, erasure, contracts)

    def topics_to_read(self) -> list[str]:
        """The topics that have anything."""
        return [topic for topic, parts in self.ranges.items() if any(end > start for start, end in parts.values())]


def plan(settings: Settings, reached: Progress, *, accept_loss: bool = False) -> Plan:
    """Everything there is, up to the size of a batch.

    What the control topic says is read only together with all it speaks of: its end is asked for first, and it waits
    while the facts do not fit into the batch. TopicError if a topic was re-created, lost records, or is gone.
    """
    begins, ends = topics.extents(settings, [CONTROL], [topic for topic in TOPICS if topic != CONTROL])
    ids = topics.topic_ids(settings, TOPICS)
    check_identity(reached, ids)
    starts, lost = first_offsets(reached, begins, ends, accept_loss=accept_loss)
    whole = {topic: {n: (starts[topic][n], end) for n, end in parts.items()} for topic, parts in ends.items()}
    ranges = capped(whole, settings.max_records_per_batch)
    return Plan(reached.complete + 1, ranges, ids, lost, contracts=contracts_of(settings.schemas_dir))


def is_unread(settings: Settings) -> bool:
    """Whether the topics hold anything that the lake has not taken in to its end; asked without Spark."""
    reached = progress(Ledger(settings))
    return reached.is_unfinished or plan(settings, reached).size > 0


def check_identity(progress: Progress, ids: Mapping[str, str]) -> None:
    """A topic we have read must still be the same one."""
    for topic, known in progress.topic_ids.items():
        if topic not in ids:
            raise TopicError(f"topic {topic} is gone; bring it back, or begin a new lake")
        if ids[topic] != known:
            raise TopicError(
                f"topic {topic} was deleted and made anew (its id was {known}, now {ids[topic]}), so its offsets mean "
                "other records; nothing was read. Restore the topic, or begin a new lake"
            )


def first_offsets(
    progress: Progress, begins: Offsets, ends: Offsets, *, accept_loss: bool
) -> tuple[Offsets, dict[tuple[str, int], int]]:
    """Where to read on in each partition, and how many offsets retention took from us before we came."""
    starts: Offsets = {topic: {} for topic in ends}
    lost: dict[tuple[str, int], int] = {}
    for topic, parts in ends.items():
        for number, end in parts.items():
            known, begin = progress.next_offsets.get(topic, {}).get(number), begins[topic][number]
            if known is not None and end < known:
                raise TopicError(
                    f"{topic}/{number} ends at offset {end}, but {known} was read before: the broker lost its tail. "
                    "Restore the broker's data, or begin a new lake"
                )
            if known is not None and begin > known:
                if not accept_loss:
                    raise TopicError(
                        f"{topic}/{number}: offsets {known} to {begin - 1} are gone, retention outran ingest. "
                        "Restore them, or book the loss with `reelhouse ingest --accept-loss`"
                    )
                lost[topic, number] = begin - known
            starts[topic][number] = begin if known is None else max(known, begin)
    return starts, lost


def capped(ranges: dict[str, dict[int, Range]], most: int) -> dict[str, dict[int, Range]]:
    """The same ranges, or a like share of each when they hold more than a batch may; control then waits."""
    size = sum(end - start for parts in ranges.values() for start, end in parts.values())
    if size <= most:
        return ranges

    def share(topic: str, start: int, end: int) -> Range:
        return start, start if topic == CONTROL else start + -((start - end) * most // size)

    return {
        topic: {number: share(topic, *bounds) for number, bounds in parts.items()} for topic, parts in ranges.items()
    }
