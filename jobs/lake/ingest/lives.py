"""Whether each topic is the one that was read before; and what to do where it is not.

A topic has lives. A new one begins where it was made anew, which the broker's id of it tells, or where its end moved
back behind what was read, as of a broker that came back from an older disk: its next records get offsets that others
had. Each life has an id of its own: the broker's, and, of one that has the same, its number behind it (`id~2`). It is
read from its beginning.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from jobs.lake.errors import TopicError
from jobs.lake.ingest.progress import Progress
from jobs.lake.topics import Offsets

NUMBERED = "~"  # in no id that a broker gives
Place = tuple[str, int]  # topic, partition


class Change(StrEnum):
    """What became of a topic."""

    gone = "gone"
    anew = "made anew"
    cut = "its end moved back"
    gap = "retention outran ingest"


REMEDIES = {
    Change.gone: "bring it back; or make it anew (`make up` does) and run `reelhouse ingest --accept-new-topic {0}`",
    Change.anew: "restore the topic; or take it for a new one, with `reelhouse ingest --accept-new-topic {0}`",
    Change.cut: "restore the broker's data; or take it for a new topic, with `reelhouse ingest --accept-new-topic {0}`",
    Change.gap: "restore them; or book the loss, with `reelhouse ingest --accept-loss`",
}


@dataclass(frozen=True)
class Trouble:
    """One topic, or one partition of it, that is not what was read before."""

    topic: str
    change: Change
    said: str

    @property
    def remedy(self) -> str:
        """What to do about it, in one line."""
        return REMEDIES[self.change].format(self.topic)

    @property
    def is_new_life(self) -> bool:
        """Whether it can be read on as a new one."""
        return self.change in (Change.anew, Change.cut)


def troubles(reached: Progress, ids: Mapping[str, str], begins: Offsets, ends: Offsets) -> list[Trouble]:
    """All that is not as it was; `ids`, `begins` and `ends` are the broker's."""
    found = list(of_topics(reached, ids))
    anew, gone = ({each.topic for each in found if each.change is kind} for kind in (Change.anew, Change.gone))
    for topic, parts in reached.next_offsets.items():
        for number, known in parts.items() if topic not in anew | gone else ():
            found += of_partition(topic, number, known, begins, ends)
    return found + [each for topic in sorted(anew) for number in ends.get(topic, {})
                    for each in of_partition(topic, number, 0, begins, ends)]  # fmt: skip


def of_topics(reached: Progress, ids: Mapping[str, str]) -> Iterator[Trouble]:
    """Topics that are gone, or others than were read."""
    for topic, known in reached.topic_ids.items():
        if topic not in ids:
            yield Trouble(topic, Change.gone, f"topic {topic} is gone")
        elif not is_same(ids[topic], known):
            said = f"topic {topic} was deleted and made anew (its id was {known}, now {ids[topic]}), so its offsets "
            yield Trouble(topic, Change.anew, f"{said}mean other records")


def of_partition(topic: str, number: int, known: int, begins: Offsets, ends: Offsets) -> Iterator[Trouble]:
    """A partition that ends before what was read of it, or begins behind it."""
    if number not in ends.get(topic, {}):
        yield Trouble(topic, Change.gone, f"{topic}/{number} is not among the partitions that the broker tells")
        return
    begin, end = begins[topic][number], ends[topic][number]
    if end < known:
        said = f"{topic}/{number} ends at offset {end}, but {known} was read before: the broker lost its tail"
        yield Trouble(topic, Change.cut, said)
    elif begin > known:
        said = f"{topic}/{number}: offsets {known} to {begin - 1} are gone, retention outran ingest"
        yield Trouble(topic, Change.gap, said)


def refuse_changed(found: Iterable[Trouble], *, accept_loss: bool, accept_new: Collection[str]) -> None:
    """TopicError that names all that nobody has accepted."""
    left = [
        each
        for each in found
        if not (each.is_new_life and each.topic in accept_new) and not (each.change is Change.gap and accept_loss)
    ]
    if left:
        words = ". ".join(f"{each.said}; {each.remedy}" for each in left)
        raise TopicError(f"nothing was read: {words}")


def is_same(brokers: str, known: str) -> bool:
    """Whether a life's id is of the topic that the broker knows by this one."""
    return brokers in (known, base_of(known))


def base_of(topic_id: str) -> str:
    """The broker's own id."""
    return topic_id.partition(NUMBERED)[0]


def id_of_life(brokers: str, known: str | None, *, is_new: bool) -> str:
    """The id of the life that is read: as it is known, or of the next where the broker has the same id for it."""
    if known is None or not is_same(brokers, known):
        return brokers
    base, _, number = known.partition(NUMBERED)
    return f"{base}{NUMBERED}{int(number or 1) + 1}" if is_new else known


def begun(reached: Progress, ids: Mapping[str, str]) -> list[str]:
    """The topics that were read under another id than these."""
    return [topic for topic, known in reached.topic_ids.items() if ids.get(topic) not in (None, known)]


def first_offsets(reached: Progress, new: Collection[str], begins: Offsets, ends: Offsets) -> Offsets:
    """Where to read on in each partition; a new life (`new`) is read from its beginning.

    Where a topic's end moved back nobody knows how far it was back before others wrote on; what is read twice for it
    is a duplicate.
    """
    known = {topic: parts for topic, parts in reached.next_offsets.items() if topic not in new}
    return {
        topic: {number: max(known.get(topic, {}).get(number, 0), begins[topic][number]) for number in parts}
        for topic, parts in ends.items()
    }


def lost_before(reached: Progress, anew: Collection[str], starts: Offsets) -> dict[Place, int]:
    """How many offsets retention took from us before we came, by topic and partition; of what was never read none."""
    known = reached.next_offsets | {topic: dict.fromkeys(starts.get(topic, {}), 0) for topic in anew}
    gaps = {
        (topic, number): start - known[topic][number]
        for topic, parts in starts.items()
        for number, start in parts.items()
        if number in known.get(topic, {})
    }
    return {place: size for place, size in gaps.items() if size > 0}


def unread_tails(found: Iterable[Trouble], reached: Progress, ends: Offsets, seen: Offsets) -> dict[Place, int]:
    """Offsets of the lives that ended which nobody read, as far as an end was seen (`seen`); by topic and partition."""
    tails: dict[Place, int] = {}
    for each in (each for each in found if each.is_new_life):
        for number, known in reached.next_offsets.get(each.topic, {}).items():
            is_over = each.change is Change.anew or ends.get(each.topic, {}).get(number, 0) < known
            if is_over and (size := seen.get(each.topic, {}).get(number, 0) - known) > 0:
                tails[each.topic, number] = size
    return tails
