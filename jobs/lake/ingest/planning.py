"""Which offsets the next batch reads, and what must be true of the topics before it may."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from jobs.lake import topics
from jobs.lake.erasures import Erasure
from jobs.lake.event_versions import Contracts, contracts_of
from jobs.lake.ingest.lives import (
    Change,
    Trouble,
    begun,
    first_offsets,
    id_of_life,
    lost_before,
    refuse_changed,
    troubles,
    unread_tails,
)
from jobs.lake.ingest.progress import CANARIES, LAG, Progress, progress, seen_ends
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.lake.topics import CONTROL, TOPICS, Offsets

Range = tuple[int, int]  # offsets from (inclusive), to (exclusive)


@dataclass(frozen=True)
class Plan:
    """One batch: its number, what to read of each partition (empty ranges included), and what was lost before it.

    One that is an `erasure` reads nothing: it empties what older batches read. Nor does one that says what nobody read
    of topics that are `over`; elsewhere retention took what was lost. `contracts` has the versions of event contracts
    that there were, of topics with more than one, so that the batch is judged by the same whenever it is done again;
    None where that is not known any more.
    """

    ingest_seq: int
    ranges: dict[str, dict[int, Range]]
    topic_ids: dict[str, str]
    lost: dict[tuple[str, int], int] = field(default_factory=dict)
    erasure: Erasure | None = None
    contracts: Contracts | None = field(default_factory=dict)
    over: tuple[str, ...] = ()

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
            **({"over": list(self.over)} if self.over else {}),
            **({"erasure": self.erasure.note()} if self.erasure else {}),
            "contracts": self.contracts,
        }

    @classmethod
    def from_note(cls, note: Mapping[str, Any]) -> Self:
        """The plan that `note` was made of."""
        noted = note["ranges"].items()
        ranges = {topic: {int(n): (start, end) for n, (start, end) in parts.items()} for topic, parts in noted}
        lost = {(topic, number): count for topic, number, count in note["lost"]}
        erasure = Erasure.from_note(note["erasure"]) if "erasure" in note else None
        told, over = note.get("contracts"), tuple(note.get("over", ()))
        contracts = None if told is None else {topic: tuple(numbers) for topic, numbers in told.items()}
        return cls(note["ingest_seq"], ranges, note["topic_ids"], lost, erasure, contracts, over)

    def begins_lives(self, reached: Progress) -> list[str]:
        """The topics of which it is the first batch of a new life: it is carried out though it may read nothing."""
        return begun(reached, self.topic_ids)

    def topics_to_read(self) -> list[str]:
        """The topics that have anything."""
        return [topic for topic, parts in self.ranges.items() if any(end > start for start, end in parts.values())]


def plan(settings: Settings, reached: Progress, *, accept_loss: bool = False, accept_new: Collection[str] = ()) -> Plan:
    """Everything there is, up to the size of a batch; what no batch will ever read is booked as lost in one of its own.

    What the control topic says is read only together with all it speaks of: its end is asked for first, and it waits
    while the facts do not fit into the batch. TopicError if a topic was re-created, lost records, or is gone, and
    nobody has accepted it.
    """
    begins, ends, ids = asked(settings)
    found = troubles(reached, ids, begins, ends)
    refuse_changed(found, accept_loss=accept_loss, accept_new=accept_new)
    new = {each.topic for each in found if each.is_new_life}
    anew = {each.topic for each in found if each.change is Change.anew}
    seen = seen_ends(Ledger(settings), reached.topic_ids) if new else {}
    if tails := unread_tails(found, reached, ends, seen):
        return closing(reached, tails)
    starts = first_offsets(reached, new, begins, ends)
    whole = {topic: {n: (starts[topic][n], end) for n, end in parts.items()} for topic, parts in ends.items()}
    lives = {topic: id_of_life(brokers, reached.topic_ids.get(topic), is_new=topic in new)
             for topic, brokers in ids.items()}  # fmt: skip
    ranges, lost = capped(whole, settings.max_records_per_batch), lost_before(reached, anew, starts)
    return Plan(reached.complete + 1, ranges, lives, lost, contracts=contracts_of(settings.schemas_dir))


def asked(settings: Settings) -> tuple[Offsets, Offsets, dict[str, str]]:
    """What the broker holds: first offsets, ends, and the topics' ids."""
    begins, ends = topics.extents(settings, [CONTROL], [topic for topic in TOPICS if topic != CONTROL])
    return begins, ends, topics.topic_ids(settings, TOPICS)


def changed(settings: Settings, reached: Progress) -> list[Trouble]:
    """What is not as it was with the topics that were read."""
    begins, ends, ids = asked(settings)
    return troubles(reached, ids, begins, ends)


def is_unread(settings: Settings) -> bool:
    """Whether the topics hold anything but canaries that the lake has not taken in to its end; asked without Spark."""
    ledger = Ledger(settings)
    reached = progress(ledger)
    if reached.is_unfinished:
        return True
    planned = plan(settings, reached)
    return planned.size > canaries_in(ledger, planned)


def canaries_in(ledger: Ledger, planned: Plan) -> int:
    """How many of the planned offsets are known to hold a canary."""
    places = [
        [("topic", "=", topic), ("topic_id", "=", planned.topic_ids[topic]), ("partition", "=", number),
         ("kafka_offset", ">=", start), ("kafka_offset", "<", end)]
        for topic, parts in planned.ranges.items() for number, (start, end) in parts.items() if end > start
    ]  # fmt: skip
    return ledger.read(CANARIES, ["kafka_offset"], places).num_rows if places else 0


def closing(reached: Progress, tails: Mapping[tuple[str, int], int]) -> Plan:
    """The batch that books as lost what nobody read of topics that are over; it reads nothing."""
    ranges = {
        topic: {n: (end + tails.get((topic, n), 0),) * 2 for n, end in parts.items()}
        for topic, parts in reached.next_offsets.items()
    }
    over = tuple(sorted({topic for topic, _ in tails}))
    return Plan(reached.complete + 1, ranges, reached.topic_ids, dict(tails), over=over)


def notes_of(planned: Plan, reached: Progress, anew: Iterable[str]) -> list[str]:
    """In words, what is lost, and which topics are read on as new ones."""
    how = " with their topic" if planned.over else ""
    lost = [f"{n} offsets of {topic}/{number} that nobody read are booked as lost{how}"
            for (topic, number), n in sorted(planned.lost.items())]  # fmt: skip
    tail = f"what nobody read of that is known as far as {LAG} had seen its end"
    return lost + [
        f"{topic} is read on as {planned.topic_ids[topic]}, after {reached.topic_ids[topic]}: {tail}" for topic in anew
    ]


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
