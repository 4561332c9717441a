"""Rules 2 to 16 of the funnel design, word by word, by trying every entry and every choice. Slow; for tests only."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import permutations

from jobs.definitions.funnel.model import Definition


@dataclass(frozen=True)
class Event:
    """One event; `fits` numbers the steps it matches, `bars` the exclusions it belongs to."""

    id: str
    time: int
    fits: frozenset[int]
    bars: frozenset[int] = frozenset()
    in_scope: bool = True
    is_opening: bool = False
    hold: int | None = 0
    day: int = 0

    @property
    def by_rule_2(self) -> tuple[int, int, str]:
        return self.time, min(self.fits, default=64), self.id


@dataclass
class Outcome:
    """How far one entry got: `chain` by step, None where not filled."""

    entry: Event
    chain: tuple[Event | None, ...]
    reached: int
    got_at: int
    is_excluded: bool = False
    is_converted: bool = False


@dataclass
class Attempt:
    identity: Outcome
    steps: Outcome
    entries: list[Outcome] = field(default_factory=list)


def outcomes(definition: Definition, events: list[Event]) -> list[Outcome]:
    """Every entry of one subject and how far it got, by rule 2."""
    found = []
    for entry in entries(definition, events):
        if entry.hold is None:
            continue
        same_key = [event for event in events if event.hold == entry.hold]
        judge = unordered if definition.mode == "unordered" else ordered
        found.append(judge(definition, same_key, entry))
    return found


def entries(definition: Definition, events: list[Event]) -> list[Event]:
    """Rules 6, 13 and 15."""
    in_order = sorted(events, key=lambda event: event.by_rule_2)
    if definition.mode == "unordered":
        return [event for event in in_order if event.fits]
    opening = [event for event in in_order if 0 in event.fits]
    by_id = sorted(events, key=lambda event: (event.time, event.id))
    if definition.first_entry_only == "filtered":
        first = next((event for event in by_id if 0 in event.fits), None)
        return [event for event in opening if event is first]
    if definition.first_entry_only == "true":
        first = next((event for event in by_id if event.is_opening), None)
        return [event for event in opening if event is first]
    return opening


def in_window(definition: Definition, entry: Event, event: Event) -> bool:
    """Rule 7."""
    if definition.window_us is None:
        return event.day == entry.day
    return event.time <= entry.time + definition.window_us


def may_follow(definition: Definition, chain: list[Event], step: int, event: Event, events: list[Event]) -> bool:
    """Rules 3, 4, 7, 8 and 12 for the next mandatory step after `chain`."""
    last, numbers = chain[-1], definition.mandatory
    if event in chain or numbers[step] not in event.fits or not in_window(definition, chain[0], event):
        return False
    if event.time < last.time or (definition.ties == "forbid" and event.time == last.time):
        return False
    gap = definition.steps[numbers[step]].gap_us
    if gap is not None and event.time - last.time > gap:
        return False
    if definition.mode == "strict":
        between = [other for other in events if last.time < other.time < event.time and other.in_scope]
        return all(numbers[step - 1] in other.fits for other in between)
    return True


def all_chains(definition: Definition, events: list[Event], chain: list[Event]) -> list[list[Event]]:
    """`chain` and every way to go on with it."""
    found = [chain]
    if len(chain) < len(definition.mandatory):
        for event in events:
            if may_follow(definition, chain, len(chain), event, events):
                found += all_chains(definition, events, [*chain, event])
    return found


def is_clean(definition: Definition, events: list[Event], chain: list[Event]) -> bool:
    """Rule 11."""
    for number, rule in enumerate(definition.exclusions):
        first, last = definition.mandatory.index(rule.after), definition.mandatory.index(rule.before)
        if last < len(chain):
            for event in events:
                if number in event.bars and event not in chain and chain[first].time < event.time < chain[last].time:
                    return False
    return True


def ordered(definition: Definition, events: list[Event], entry: Event) -> Outcome:
    """Rules 5, 8, 11, 12 and 14: of the chains that get as far, the one whose every step is earliest."""
    every = all_chains(definition, events, [entry])
    clean = [chain for chain in every if is_clean(definition, events, chain)]
    furthest = max(len(chain) for chain in clean)
    as_far = [chain for chain in clean if len(chain) == furthest]
    best = min(as_far, key=lambda chain: ([e.time for e in chain], [e.by_rule_2 for e in chain]))
    for other in as_far:  # the design says that one such exists
        assert all(mine.time <= theirs.time for mine, theirs in zip(best, other, strict=True))
    full = with_optional(definition, events, best)
    reached = max(number for number, event in enumerate(full) if event) + 1
    last = full[reached - 1]
    assert last
    is_excluded = max(len(chain) for chain in every) > furthest
    return Outcome(entry, full, reached, last.time, is_excluded, reached == len(definition.steps))


def with_optional(definition: Definition, events: list[Event], chain: list[Event]) -> tuple[Event | None, ...]:
    """Rule 14: an optional step takes the earliest unused event between its neighbours."""
    full: list[Event | None] = [None] * len(definition.steps)
    for level, event in enumerate(chain):
        full[definition.mandatory[level]] = event
    forbid = definition.ties == "forbid"
    for number, step in enumerate(definition.steps):
        level = sum(1 for mandatory in definition.mandatory if mandatory < number)
        if not step.is_optional or level > len(chain):
            continue
        before = next(event for event in reversed(full[:number]) if event)
        after = chain[level] if level < len(chain) else None
        fitting = [
            event
            for event in events
            if number in event.fits
            and event not in full
            and in_window(definition, chain[0], event)
            and (event.time > before.time or (event.time == before.time and not forbid))
            and (after is None or event.time < after.time or (event.time == after.time and not forbid))
            and (step.gap_us is None or event.time - chain[level - 1].time <= step.gap_us)
        ]
        full[number] = min(fitting, key=lambda event: event.by_rule_2, default=None)
    return tuple(full)


def unordered(definition: Definition, events: list[Event], entry: Event) -> Outcome:
    """Rule 13: most steps; earliest finish; smallest list of filled steps; smallest event ids."""
    size = len(definition.steps)
    may = [event for event in events if event.time >= entry.time and in_window(definition, entry, event) and event.fits]
    best: tuple[int, int, list[int], list[str]] | None = None
    best_chain: tuple[Event | None, ...] = ()
    padded: list[Event | None] = [*may, *([None] * size)]
    for choice in permutations(padded, size):
        if entry not in choice or any(event and number not in event.fits for number, event in enumerate(choice)):
            continue
        filled = [(number, event) for number, event in enumerate(choice) if event]
        score = (-len(filled), max(e.time for _, e in filled), [n for n, _ in filled], [e.id for _, e in filled])
        if best is None or score < best:
            best, best_chain = score, choice
    assert best
    return Outcome(entry, best_chain, -best[0], best[1], False, -best[0] == size)


def furthest(found: list[Outcome]) -> Outcome:
    """Rule 9a: the furthest; then the one that got there first; then the later entry."""
    in_order = sorted(found, key=lambda one: one.entry.by_rule_2, reverse=True)
    return min(in_order, key=lambda one: (-one.reached, one.got_at))


def attempts(definition: Definition, found: list[Outcome]) -> list[Attempt]:
    """Rule 9b for the entries of one subject and hold key."""
    made: list[Attempt] = []
    untaken = sorted(found, key=lambda one: one.entry.by_rule_2)
    previous: int | None = None
    while converting := [one for one in untaken if one.is_converted]:
        instant = min(one.got_at for one in converting)
        taken = [
            one for one in untaken
            if (previous is None or one.entry.time > previous) and one.entry.time <= instant
            and in_window(definition, one.entry, Event("", instant, frozenset(), day=_day_at(found, instant)))
        ]  # fmt: skip
        last = [one for one in taken if one.is_converted and one.got_at == instant][-1]
        made.append(Attempt(last, last, taken))
        untaken = [one for one in untaken if one not in taken]
        previous = instant
    while untaken:
        first = untaken[0]
        run = [one for one in untaken if in_window(definition, first.entry, one.entry)]
        made.append(Attempt(first, furthest(run), run))
        untaken = untaken[len(run) :]
    return sorted(made, key=lambda attempt: attempt.identity.entry.by_rule_2)


def _day_at(found: list[Outcome], instant: int) -> int:
    """The local day of a conversion."""
    days = [event.day for one in found for event in one.chain if event and event.time == instant]
    return days[0]
