"""The engine beside the brute-force oracle on the same histories; what differs is told as the smallest story."""

from __future__ import annotations

from random import Random
from typing import Any

from jobs.definitions.funnel.engine import judge
from jobs.definitions.funnel.model import Definition
from tests.jobs.definitions.funnel import oracle
from tests.jobs.definitions.funnel.drawn import MOST_EVENTS, as_arrays, definition, history
from tests.jobs.definitions.funnel.oracle import Event

SUBJECTS = 40  # histories per definition: one call of the engine judges them all
Told = tuple[list[Any], list[Any]]


def compare(kind: str, seed: str, cases: int) -> int:
    """Judge random histories of one kind of funnel both ways; how many were, or AssertionError."""
    draw, compared = Random(f"{kind} {seed}"), 0
    while compared < cases:
        found = definition(draw, kind)
        histories = [history(draw, found, n, MOST_EVENTS.get(kind, 10)) for n in range(SUBJECTS)]
        if told_by_engine(found, histories, draw) != told_by_oracle(found, histories):
            raise AssertionError(f"{kind}, seed {seed}:\n{smallest_story(found, histories)}")
        compared += len(histories)
    return compared


def told_by_oracle(found: Definition, histories: list[list[Event]]) -> Told:
    """Entries and attempts as comparable values, by entry event id."""
    entries, attempts = [], []
    for events in histories:
        outcomes = oracle.outcomes(found, events)
        entries += [
            (o.entry.id, o.reached, [e.id if e else None for e in o.chain], o.got_at, o.is_converted, o.is_excluded)
            for o in outcomes
        ]
        for key in {o.entry.hold for o in outcomes}:
            tries = oracle.attempts(found, [o for o in outcomes if o.entry.hold == key])
            attempts += [
                (a.identity.entry.id, a.steps.entry.id, a.entries[0].entry.id, a.entries[-1].entry.id, len(a.entries))
                for a in tries
            ]
    return sorted(entries), sorted(attempts)


def told_by_engine(found: Definition, histories: list[list[Event]], draw: Random) -> Told:
    """The same of the engine, the events of all histories at once and in any order."""
    arrays, events = as_arrays(found, histories, draw)
    entries, attempts = judge(found, arrays)
    ids = [event.id for event in events]
    name = [ids[row] for row in entries.row]
    told = [
        (name[n], int(entries.reached[n]), [ids[at] if at >= 0 else None for at in entries.chain[n]],
         int(entries.got_at[n]), bool(entries.is_converted[n]), bool(entries.is_excluded[n]))
        for n in range(len(name))
    ]  # fmt: skip
    parts = (attempts.identity, attempts.steps, attempts.first, attempts.last)
    grouped = [(*(name[int(part[n])] for part in parts), int(attempts.size[n])) for n in range(len(attempts.size))]
    return sorted(told), sorted(grouped)


def differs(found: Definition, events: list[Event]) -> bool:
    """Whether the engine and the oracle do not agree on one history."""
    return told_by_engine(found, [events], Random(0)) != told_by_oracle(found, [events])


def smallest_story(found: Definition, histories: list[list[Event]]) -> str:
    """The first history that differs, less every event without which it still does, and what both said of it."""
    events = next((events for events in histories if differs(found, events)), None)
    if events is None:
        return f"{found}\nno history alone differs: what other subjects did changed an answer"
    while fewer := next((less for less in without_one(events) if differs(found, less)), None):
        events = fewer
    first = min(event.time for event in events)
    lines = [
        f"  {e.id} t={(e.time - first) / 3_600_000_000:.6f}h day={e.day} fits={set(e.fits)} bars={set(e.bars)} "
        f"hold={e.hold} {'in scope' * e.in_scope}"
        for e in sorted(events, key=lambda e: e.by_rule_2)
    ]
    told = [f"engine: {told_by_engine(found, [events], Random(0))}", f"oracle: {told_by_oracle(found, [events])}"]
    return "\n".join([str(found), *lines, *told])


def without_one(events: list[Event]) -> list[list[Event]]:
    """The history without its first event, without its second, and so on."""
    return [[*events[:n], *events[n + 1 :]] for n in range(len(events))]
