"""What must hold of any funnel, whatever the definition and the history; drawn in bulk, and shrunk by hypothesis."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.definitions.funnel.engine import judge
from jobs.definitions.funnel.judged import Attempts, Entries, Events
from jobs.definitions.funnel.model import Definition
from tests.jobs.definitions.funnel import oracle
from tests.jobs.definitions.funnel.drawn import KINDS, UNIT_US, as_arrays, definition, history

ROUNDS, SUBJECTS = 6, 40
ORDERED = [kind for kind in KINDS if kind != "unordered"]


def drawn(kind: str, seed: str) -> list[tuple[Definition, Events]]:
    draw = Random(f"{kind} {seed}")
    cases = []
    for _ in range(ROUNDS):
        found = definition(draw, kind)
        cases.append((found, as_arrays(found, [history(draw, found, n, 6) for n in range(SUBJECTS)], draw)[0]))
    return cases


def reach(found: Definition, events: Events) -> dict[str, int]:
    """Entry event id → steps reached."""
    entries, _ = judge(found, events)
    return {events.event_id[row]: int(n) for row, n in zip(entries.row, entries.reached, strict=True)}


def named(events: Events, judged: tuple[Entries, Attempts]) -> list[tuple[object, ...]]:
    """Attempts by event ids, whatever the order of the rows."""
    entries, attempts = judged
    ids = events.event_id[entries.row]
    parts = (
        ids[attempts.identity],
        ids[attempts.steps],
        ids[attempts.first],
        attempts.size,
        entries.reached[attempts.steps],
    )
    return sorted(zip(*(part.tolist() for part in parts), strict=True))


def rows_of(events: Events, rows: np.ndarray) -> Events:
    """The events of some rows, in that order."""
    columns = {name: getattr(events, name) for name in events.__dataclass_fields__}
    return Events(**{name: None if column is None else column[rows] for name, column in columns.items()})


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_in_which_events_come_changes_nothing(kind: str) -> None:
    for found, events in drawn(kind, "order"):
        shuffled = rows_of(events, np.random.default_rng(1).permutation(events.time.size))
        assert named(events, judge(found, events)) == named(shuffled, judge(found, shuffled))


@pytest.mark.parametrize("kind", KINDS)
def test_subjects_do_not_know_of_each_other(kind: str) -> None:
    for found, events in drawn(kind, "alone"):
        together = named(events, judge(found, events))
        parts = [rows_of(events, np.flatnonzero(events.subject % 3 == part)) for part in range(3)]
        assert sorted(row for part in parts for row in named(part, judge(found, part))) == together


@pytest.mark.parametrize("kind", KINDS)
def test_a_funnel_later_is_the_same_funnel(kind: str) -> None:
    for found, events in drawn(kind, "shift"):
        if found.window_us is not None:
            later = replace(events, time=events.time + 987_654_321_012)
            assert named(events, judge(found, events)) == named(later, judge(found, later))


@pytest.mark.parametrize("kind", ORDERED)
def test_a_wider_window_never_lowers_an_entry(kind: str) -> None:
    for found, events in drawn(kind, "window"):
        if found.window_us is not None:
            wider = reach(replace(found, window_us=found.window_us * 2), events)
            if not found.exclusions:  # a longer chain may meet an exclusion, but a clean one stays
                assert all(wider[entry] >= steps for entry, steps in reach(found, events).items())


def test_a_wider_gap_never_lowers_an_entry() -> None:
    for found, events in drawn("gaps", "gap"):
        steps = tuple(replace(step, gap_us=step.gap_us and step.gap_us + UNIT_US) for step in found.steps)
        wider = reach(replace(found, steps=steps), events)
        assert all(wider[entry] >= steps for entry, steps in reach(found, events).items())


def test_an_exclusion_never_helps() -> None:
    for found, events in drawn("exclusions", "exclusion"):
        free = reach(replace(found, exclusions=()), events)
        assert all(free[entry] >= steps for entry, steps in reach(found, events).items())


@pytest.mark.parametrize("kind", ["plain", "shared", "gaps", "exclusions", "optional"])
def test_events_that_match_nothing_change_nothing(kind: str) -> None:
    for found, events in drawn(kind, "noise"):
        if found.first_entry_only == "no":
            matters = (events.mask != 0) | (events.xmask != 0)
            fewer = rows_of(events, np.flatnonzero(matters))
            assert named(events, judge(found, events)) == named(fewer, judge(found, fewer))


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_is_in_one_attempt(kind: str) -> None:
    for found, events in drawn(kind, "whole"):
        entries, attempts = judge(found, events)
        assert attempts.size.sum() == entries.row.size
        assert len(set(attempts.identity.tolist())) == attempts.identity.size


moments = st.integers(0, 12).map(lambda n: n * UNIT_US // 2)
acts = st.lists(st.tuples(moments, st.sampled_from([(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2), ()])), max_size=8)


@settings(max_examples=300, deadline=None)
@given(acts=acts, seed=st.integers(0, 40))
def test_hypothesis_finds_no_history_that_brute_force_judges_otherwise(
    acts: list[tuple[int, tuple[int, ...]]], seed: int
) -> None:
    one = definition(Random(seed), "shared")
    steps = tuple(replace(step, events=("play",)) for step in one.steps)  # any event may then fit any of them
    found = replace(one, steps=steps, hold=(), first_entry_only="no", window_us=3 * UNIT_US)
    size = len(found.steps)
    events = [
        oracle.Event(f"e{n}", at, frozenset(step for step in fits if step < size)) for n, (at, fits) in enumerate(acts)
    ]
    arrays, rows = as_arrays(found, [events], Random(seed))
    entries, _ = judge(found, arrays)
    told = {rows[row].id: int(steps) for row, steps in zip(entries.row, entries.reached, strict=True)}
    assert told == {one.entry.id: one.reached for one in oracle.outcomes(found, events)}
