"""The truth: what should become of each record that was sent, worked out from the records alone."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

Place = tuple[str, int, int]  # topic, partition, offset
Fate = tuple[str, ...]  # accepted, duplicate, canary, or the reasons for which it is in quarantine
ACCEPTED, DUPLICATE, CONFLICT, CANARY = ("accepted",), ("duplicate",), ("conflict",), ("canary",)
BOOKED = (ACCEPTED, DUPLICATE, CANARY)  # under their own names; all others are quarantined


@dataclass(frozen=True)
class Sent:
    """One record on a topic: where, when taken in, whose event it is, and what it says.

    `reasons` if it is broken, or CANARY.
    """

    place: Place
    at: datetime
    event_id: str = ""
    says: str = ""
    reasons: tuple[str, ...] = ()


def fates(sent: Iterable[Sent]) -> dict[Place, Fate]:
    """The fate of each: of one event the first arrival is accepted, the like of it repeat, others are conflicts."""
    found: dict[Place, Fate] = {}
    good = []
    for each in sent:
        if each.reasons:
            found[each.place] = tuple(sorted(each.reasons))
        else:
            good.append(each)
    good.sort(key=lambda each: (each.place[0], each.event_id, each.at, *each.place[1:]))
    for _, arrivals in groupby(good, key=lambda each: (each.place[0], each.event_id)):
        first, *rest = arrivals
        found[first.place] = ACCEPTED
        found |= {each.place: DUPLICATE if each.says == first.says else CONFLICT for each in rest}
    return found


def tally(truth: dict[Place, Fate]) -> Counter[tuple[str, int, str]]:
    """What the books should say: records by topic, partition, and received, or their fate there."""
    counts: Counter[tuple[str, int, str]] = Counter()
    for (topic, partition, _), fate in truth.items():
        booked = fate[0] if fate in BOOKED else "quarantined"
        counts[topic, partition, "received"] += 1
        counts[topic, partition, booked] += 1
    return counts
