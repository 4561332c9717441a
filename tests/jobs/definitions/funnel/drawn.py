"""Random definitions and histories, small enough to be tried out by brute force; drawn in bulk from a seed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

import numpy as np

from jobs.definitions.funnel.analysis import refuse_what_cannot_be_judged
from jobs.definitions.funnel.judged import Events
from jobs.definitions.funnel.model import Definition, Exclusion, Step
from jobs.lake.errors import DefinitionError
from tests.jobs.definitions.funnel.oracle import Event

NAMES = ("play", "like", "share", "search", "order_paid")
UNIT_US = 3_600_000_000
KINDS = ("plain", "shared", "gaps", "exclusions", "strict", "unordered", "optional", "everything")
SIZES = (1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 5)  # a funnel of one step says little
LONGEST = {"unordered": 3}  # of which every choice can be tried
MOST_EVENTS = {"unordered": 6}
STARTS = tuple(
    int(datetime(*day, hour, tzinfo=UTC).timestamp()) * 1_000_000
    for *day, hour in (
        (2023, 11, 14, 22),
        (2023, 11, 4, 20),
        (2024, 3, 9, 23),
    )  # the last two: New York's clocks change
)


def definition(draw: Random, kind: str) -> Definition:
    """One possible definition of a kind."""
    while True:
        found = _definition(draw, kind)
        try:
            refuse_what_cannot_be_judged(found, lambda _, message: DefinitionError(message))
        except DefinitionError:
            continue
        return found


def _definition(draw: Random, kind: str) -> Definition:
    size = min(draw.choice(SIZES), LONGEST.get(kind, 5))
    any_of = kind == "everything"
    names = draw.sample(NAMES, size) if kind == "plain" else draw.choices(NAMES[:3], k=size)
    steps = [_step(draw, number, name, kind, size) for number, name in enumerate(names)]
    rules: list[Exclusion] = []
    mandatory = [number for number, step in enumerate(steps) if not step.is_optional]
    if (kind == "exclusions" or (any_of and draw.random() < 0.5)) and len(mandatory) > 1:
        for _ in range(draw.randint(1, 2)):
            after, before = sorted(draw.sample(mandatory, 2))
            rules.append(Exclusion((draw.choice((*NAMES, *names)),), draw.choice((None, "ok")), after, before))
    is_strict = kind == "strict" or (any_of and draw.random() < 0.3)
    mode = "unordered" if kind == "unordered" else "strict" if is_strict else "ordered"
    return Definition(
        name="drawn",
        version=1,
        steps=tuple(steps),
        window_us=draw.choice((None, 2 * UNIT_US, 6 * UNIT_US, 12 * UNIT_US, 40 * UNIT_US)),
        mode=mode,  # type: ignore[arg-type]
        zone=draw.choice(("Asia/Shanghai", "America/New_York", "Asia/Kathmandu")),
        hold=("product_id",) if draw.random() < 0.2 else (),
        exclusions=tuple(rules),
        ties="allow" if mode == "unordered" else draw.choice(("allow", "forbid")),
        strict_scope=("search",) if mode == "strict" and draw.random() < 0.3 else (),
        first_entry_only=draw.choice(("no", "no", "no", "no", "true", "filtered")) if mode != "unordered" else "no",
    )


def _step(draw: Random, number: int, name: str, kind: str, size: int) -> Step:
    any_of = kind == "everything"
    more = (draw.choice(NAMES[:4]),) if kind != "plain" and draw.random() < 0.4 else ()
    has_gap = number > 0 and (kind == "gaps" or any_of) and draw.random() < 0.6
    may_skip = 0 < number < size - 1 and (kind == "optional" or any_of) and draw.random() < 0.6
    return Step(
        name=f"s{number}",
        events=tuple(dict.fromkeys((name, *more))),
        where=draw.choice((None, None, "ok")),
        gap_us=draw.choice((UNIT_US, 2 * UNIT_US, 4 * UNIT_US)) if has_gap else None,
        is_optional=may_skip,
    )


def history(draw: Random, found: Definition, subject: int, most: int = 10) -> list[Event]:
    """The events of one subject: few instants, so that ties, edges of windows and repeats are common."""
    spread, start = draw.choice((2, 5, 12, 30)), draw.choice(STARTS)
    times = [
        start + draw.randint(0, spread) * UNIT_US + draw.choice((0, 0, 0, 1)) for _ in range(draw.randint(2, most))
    ]
    named = [*found.events * 3, *NAMES[:2]]  # mostly what the definition is about, or little would happen
    ids = draw.sample(range(100), len(times))
    return [
        _event(draw, found, draw.choice(named), f"{subject}-{n:02}", time) for n, time in zip(ids, times, strict=True)
    ]


@cache
def local_day(zone: str, time: int) -> int:
    """The local date as a number, told apart from the engine's own calendar."""
    moment = datetime.fromtimestamp(time // 1_000_000, tz=ZoneInfo(zone))
    return moment.date().toordinal() - date(1970, 1, 1).toordinal()


def _event(draw: Random, found: Definition, name: str, event_id: str, time: int) -> Event:
    ok = draw.random() < 0.85
    return Event(
        id=event_id,
        time=time,
        fits=frozenset(n for n, s in enumerate(found.steps) if name in s.events and (ok or not s.where)),
        bars=frozenset(n for n, x in enumerate(found.exclusions) if name in x.events and (ok or not x.where)),
        in_scope=name in found.scope,
        is_opening=name in found.steps[0].events,
        hold=draw.choice((0, 0, 0, 1, None)) if found.hold else 0,
        day=local_day(found.zone, time),
    )


def as_arrays(found: Definition, histories: list[list[Event]], draw: Random) -> tuple[Events, list[Event]]:
    """The events of many subjects as the engine takes them, shuffled; and the events in that order."""
    pairs = [(subject, event) for subject, events in enumerate(histories) for event in events]
    draw.shuffle(pairs)
    events = [event for _, event in pairs]
    arrays = Events(
        subject=np.array([subject for subject, _ in pairs], np.int64),
        time=np.array([event.time for event in events], np.int64),
        event_id=np.array([event.id for event in events], object),
        mask=np.array([sum(1 << n for n in event.fits) for event in events], np.int64),
        xmask=np.array([sum(1 << n for n in event.bars) for event in events], np.int64),
        in_scope=np.array([event.in_scope for event in events], np.bool_),
        is_opening=np.array([event.is_opening for event in events], np.bool_),
        hold=np.array([-1 if e.hold is None else e.hold for e in events], np.int64) if found.hold else None,
    )
    return arrays, events
