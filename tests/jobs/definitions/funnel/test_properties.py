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
from jobs.definitions.funnel.model import Definition, Step
from jobs.definitions.funnel.views import Judged, view
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


@pytest.mark.parametrize("kind", ["gaps", "everything"])
def test_a_wider_gap_never_lowers_an_entry(kind: str) -> None:
    for found, events in drawn(kind, "gap"):
        steps = tuple(replace(step, gap_us=step.gap_us and step.gap_us + UNIT_US) for step in found.steps)
        wider = reach(replace(found, steps=steps, exclusions=()), events)
        assert all(wider[entry] >= steps for entry, steps in reach(replace(found, exclusions=()), events).items())


@pytest.mark.parametrize("kind", ["exclusions", "everything"])
def test_an_exclusion_never_raises_reach_or_conversions(kind: str) -> None:
    for found, events in drawn(kind, "exclusion"):
        kept, free = reach(found, events), reach(replace(found, exclusions=()), events)
        assert kept.keys() == free.keys()
        assert all(free[entry] >= steps for entry, steps in kept.items())
        held_back = {entry for entry, steps in kept.items() if free[entry] > steps}
        entries, _ = judge(found, events)
        excluded = set(events.event_id[entries.row[entries.is_excluded]])
        assert held_back <= excluded  # who would only have filled more optional steps is marked, too


@pytest.mark.parametrize("kind", ORDERED)
def test_a_wider_window_never_lowers_a_subject(kind: str) -> None:
    for found, events in drawn(kind, "subject"):
        if found.window_us is not None and not found.exclusions:
            wider = best(replace(found, window_us=found.window_us * 3), events)
            assert all(wider[subject] >= steps for subject, steps in best(found, events).items())


def best(found: Definition, events: Events) -> dict[int, int]:
    """Subject → steps of the furthest entry."""
    entries, _ = judge(found, events)
    furthest: dict[int, int] = {}
    for subject, reached in zip(entries.subject.tolist(), entries.reached.tolist(), strict=True):
        furthest[subject] = max(reached, furthest.get(subject, 0))
    return furthest


@pytest.mark.parametrize("kind", KINDS)
def test_counts_never_grow_along_the_mandatory_steps(kind: str) -> None:
    for found, events in drawn(kind, "counts"):
        entries, attempts = judge(found, events)
        ids, times = events.event_id.tolist(), events.time.tolist()
        judged = Judged(found, entries, attempts, list(range(SUBJECTS)), ids, times, events.mask.tolist(), None)
        counted = view(judged, "steps")
        for name in ("people", "attempts"):
            counts = [counted[number][name] for number in found.mandatory]
            assert counts == sorted(counts, reverse=True)
            assert counts[0] == (len(best(found, events)) if name == "people" else attempts.size.size)


@pytest.mark.parametrize("kind", ["plain", "shared", "gaps", "everything"])
def test_a_double_tap_left_out_of_every_step_is_as_if_it_had_not_been(kind: str) -> None:
    for found, events in drawn(kind, "distinct"):
        if found.mode == "strict" or found.exclusions or found.first_entry_only == "true":
            continue  # a double tap still counts for these
        objects = events.time % 7
        distinct = replace(found, steps=tuple(replace(step, distinct=True) for step in found.steps))
        order = sorted(range(objects.size), key=lambda n: (events.time[n], events.event_id[n]))
        kept: dict[tuple[int, int], int] = {}
        stays = []
        for n in order:
            key = (int(events.subject[n]), int(objects[n]))
            if key not in kept or events.time[n] - kept[key] > 1_000_000:
                kept[key] = int(events.time[n])
                stays.append(n)
        fewer = rows_of(events, np.array(stays, np.int64))
        with_taps = replace(events, object_key=objects.astype(np.int64))
        assert named(with_taps, judge(distinct, with_taps)) == named(fewer, judge(found, fewer))


def test_the_events_of_two_subjects_at_one_instant_stay_apart() -> None:
    found = definition(Random(1), "strict")
    steps = tuple(Step(f"s{n}", ("play",)) for n in range(3))
    found = replace(found, steps=steps, hold=(), first_entry_only="no", ties="allow", window_us=UNIT_US)
    events = Events(
        subject=np.array([0, 0, 1, 1, 1], np.int64),
        time=np.array([0, 1, 1, 1, 1], np.int64),
        event_id=np.array(list("badce"), object),
        mask=np.array([0b001, 0b110, 0b011, 0b110, 0b110], np.int64),
        in_scope=np.ones(5, np.bool_),
    )
    entries, _ = judge(found, events)
    chained = [events.subject[chain[chain >= 0]].tolist() for chain in entries.chain]
    assert chained == [[0, 0], [1, 1, 1]]


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
