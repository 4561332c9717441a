"""The engine gives what trying every choice gives, on tens of thousands of random small histories."""

from __future__ import annotations

import os
from random import Random
from typing import Any

import numpy as np
import pytest

from jobs.definitions.funnel.engine import judge
from jobs.definitions.funnel.model import Definition
from tests.jobs.definitions.funnel import oracle
from tests.jobs.definitions.funnel.drawn import KINDS, as_arrays, definition, history

CASES = int(os.environ.get("FUNNEL_CASES", "24000"))  # histories, over all kinds
SUBJECTS = 60  # histories per definition: one call of the engine judges them all


def told_by_oracle(found: Definition, histories: list[list[oracle.Event]]) -> tuple[list[Any], list[Any]]:
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


def told_by_engine(found: Definition, histories: list[list[oracle.Event]], draw: Random) -> tuple[list[Any], list[Any]]:
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


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_and_attempt_equals_brute_force(kind: str) -> None:
    draw = Random(f"{kind} {os.environ.get('FUNNEL_SEED', '1')}")
    for _ in range(max(1, CASES // len(KINDS) // SUBJECTS)):
        found = definition(draw, kind)
        histories = [history(draw, found, n, 5 if kind == "unordered" else 9) for n in range(SUBJECTS)]
        entries, attempts = told_by_engine(found, histories, draw)
        expected_entries, expected_attempts = told_by_oracle(found, histories)
        for mine, theirs in zip(entries, expected_entries, strict=True):
            assert mine == theirs, _story(found, histories, theirs[0])
        assert attempts == expected_attempts, found


def _story(found: Definition, histories: list[list[oracle.Event]], event_id: str) -> str:
    """The one history that differs."""
    events = next(events for events in histories if any(event.id == event_id for event in events))
    lines = [
        f"{e.id} t={np.int64(e.time)} fits={set(e.fits)} bars={set(e.bars)} {e.in_scope}"
        for e in sorted(events, key=lambda e: e.by_rule_2)
    ]
    return "\n".join([str(found), *lines])
