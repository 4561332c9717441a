"""The producers of a schedule: what they put on the topics, and the truth about it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from jobs.drills.chance.fates import CANARY, Sent
from jobs.drills.chance.schedule import Step
from jobs.drills.corpus import Maker, broken_texts, wrong_types
from jobs.drills.records import NOON, Record, body_of, micros, record
from jobs.lake.file_topics import Entry, FileTopics
from jobs.lake.topics import CANARY_KEY
from jobs.produce.records import Record as Spooled
from jobs.produce.spool import Spool

SENDING = timedelta(seconds=10)  # between two steps of a producer, by the broker's clock
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TOPICS = ("views", "views", "views", "views", "likes", "likes", "orders", "users")
REPEATED = ("views", "likes", "orders")
SUNG = (*REPEATED, "users", "control")
# What is put in place of what, so that an event says something else.
CHANGED = {
    "views": (b'"watch_ms":4000', b'"watch_ms":%d'),
    "likes": (b'"video_id":"v1"', b'"video_id":"w%d"'),
    "orders": (b'"order_id":"o1"', b'"order_id":"w%d"'),
}


@dataclass(frozen=True)
class Made:
    """A record before it has a place, with what it says; `reasons` if it is broken."""

    record: Record
    event_id: str = ""
    says: str = ""
    reasons: tuple[str, ...] = ()


@dataclass
class Producers:
    """All producers of one run; `sent` is the truth about what lies on the topics."""

    topics: FileTopics
    folder: Path
    sent: list[Sent] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)  # good events, in the order of their first sending
    clock: datetime = NOON
    number: int = 0

    def do(self, step: Step) -> None:
        """Take one step."""
        self.clock += SENDING
        kinds: dict[str, Callable[[Step], None]] = {"gap": self._gap, "respool": self._respool}
        if step.kind in kinds:
            kinds[step.kind](step)
        else:
            self._put(self._makers[step.kind](step))

    @property
    def _makers(self) -> dict[str, Callable[[Step], Iterator[Made]]]:
        return {
            "send": self._new,
            "late": self._late,
            "skew": self._skewed,
            "poison": self._broken,
            "again": self._again,
            "other": self._other,
            "earlier": self._earlier,
            "canary": self._canaries,
        }

    def _put(self, records: Iterable[Made]) -> None:
        for each in records:
            there = each.record
            entry = Entry(there.key, there.value, there.headers, there.at)
            offset = self.topics.append(there.topic, there.partition, entry)
            place = (there.topic, there.partition, offset)
            self.sent.append(Sent(place, there.at, each.event_id, each.says, each.reasons))

    def _good(self, topic: str, **fields: Any) -> Made:
        """A new event; users are spread over partitions, by their number."""
        self.number += 1
        usual: dict[str, Any] = {"user_id": f"u{self.number % 9}", "sent_time": micros(self.clock)}
        body = body_of(topic, self.number, **(usual | fields))
        partition = self.number % 2 if topic in REPEATED else 0
        made = Made(record(topic, body, at=self.clock, partition=partition), str(body["event_id"]), str(fields))
        if topic in REPEATED:
            self.made.append(made)
        return made

    def _new(self, step: Step) -> Iterator[Made]:
        """Good events of one topic, a minute apart."""
        topic = TOPICS[step.pick % len(TOPICS)]
        for _ in range(step.count):
            yield self._good(topic, event_time=micros(self.clock) - self.number * 60_000_000)

    def _late(self, step: Step) -> Iterator[Made]:
        """Events of long ago that were sent only now."""
        for n in range(step.count):
            yield self._good("views", event_time=micros(self.clock - (step.pick % 40) * DAY - n * HOUR))

    def _skewed(self, step: Step) -> Iterator[Made]:
        """Events of telephones whose clocks are hours off, in either direction."""
        off = (step.pick - 50) * HOUR
        for _ in range(step.count):
            by_their_clock = micros(self.clock + off)
            yield self._good("views", event_time=by_their_clock, sent_time=by_their_clock)

    def _broken(self, step: Step) -> Iterator[Made]:
        """Records that are refused, of any kind that fits in a line."""
        self.number += 1
        maker = Maker(NOON - self.number * HOUR)  # their ids are nobody else's
        known = [each for make in (broken_texts, wrong_types) for each in make(maker) if each.reasons]
        for case in (known[(step.pick * 7 + n * 11) % len(known)] for n in range(step.count)):
            yield Made(replace(case.record, at=self.clock), reasons=case.reasons)

    def _canaries(self, step: Step) -> Iterator[Made]:
        """Canaries, to topics that have records and to some that have none."""
        for n in range(step.count):
            topic = SUNG[(step.pick + n) % len(SUNG)]
            partition = step.pick % 2 if topic in REPEATED else 0
            yield Made(Record(topic, CANARY_KEY, b"{}", None, self.clock, partition), reasons=CANARY)

    def _chosen(self, step: Step) -> Iterator[Made]:
        """Events that were sent before, each at most once."""
        known = self.made
        start = step.pick % len(known) if known else 0
        return islice((*known[start:], *known[:start]), step.count)

    def _again(self, step: Step) -> Iterator[Made]:
        """The same events as before: what a producer does that had no answer."""
        return (replace(each, record=replace(each.record, at=self.clock)) for each in self._chosen(step))

    def _other(self, step: Step) -> Iterator[Made]:
        """Other content under ids that are taken."""
        return (self._changed(each, self.clock, each.record.partition) for each in self._chosen(step))

    def _earlier(self, step: Step) -> Iterator[Made]:
        """Arrivals before ones that came, repeated or not, in the other partition, read later; half say the same."""
        for n, each in enumerate(self._chosen(step)):
            at, partition = each.record.at - HOUR, 1 - each.record.partition
            same = replace(each, record=replace(each.record, at=at, partition=partition))
            yield same if n % 2 else self._changed(each, at, partition)

    def _changed(self, made: Made, at: datetime, partition: int) -> Made:
        self.number += 1
        old, new = CHANGED[made.record.topic]
        value = (made.record.value or b"").replace(old, new % self.number, 1)
        return replace(made, record=replace(made.record, value=value, at=at, partition=partition), says=value.decode())

    def _gap(self, step: Step) -> None:
        """Offsets that hold no record, as the markers of transactions do."""
        for n in range(step.count):
            self.topics.append("views", (step.pick + n) % 2, None)

    def _respool(self, step: Step) -> None:
        """A producer is killed with a batch on its disk of which some had arrived; the next one sends all of it."""
        made = list(self._new(replace(step, pick=0)))
        spool = Spool(self.folder / "spool")
        spool.append(
            [Spooled(e.record.topic, e.record.key, e.record.value, list(e.record.headers or ())) for e in made]
        )
        self._put(made[: step.pick % (step.count + 1)])
        spool.close(is_empty=False)
        heir = Spool(self.folder / "spool")
        kept = [spooled for batch in heir.left_over for spooled in heir.load(batch)]
        by_value = {each.record.value: each for each in made}
        self._put(by_value[spooled.value] for spooled in kept)
        for batch in heir.left_over:
            heir.acknowledge(batch)
        heir.close(is_empty=True)
