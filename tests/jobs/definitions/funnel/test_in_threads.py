"""Many subjects shared out among threads are judged as they would be one after another."""

from __future__ import annotations

from dataclasses import fields, replace
from random import Random
from typing import Any

import numpy as np
import pytest

from jobs.definitions.funnel import in_threads
from jobs.definitions.funnel.engine import judge
from jobs.definitions.funnel.judged import Events
from tests.jobs.definitions.funnel.drawn import KINDS, as_arrays, definition, history

SUBJECTS = 30


@pytest.mark.parametrize("kind", KINDS)
def test_threads_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_threads, "EVENTS_AT_ONCE", 50)
    draw = Random(kind)
    for _ in range(20):
        found = definition(draw, kind)
        events, _ = as_arrays(found, [history(draw, found, n) for n in range(SUBJECTS)], draw)
        for given in (events, replace(events, object_key=events.time % 3)):
            assert told(in_threads.judge_in_threads(found, given, 3)) == told(judge(found, given))


def told(judged: tuple[Any, Any]) -> list[Any]:
    """What was judged; `place` only as the order of a subject's entries, which it is for, and `nulls` in any order."""
    entries, attempts = judged
    ordered = np.argsort(np.lexsort((entries.place, entries.subject)))
    parts = [replace(entries, place=ordered, nulls=np.sort(entries.nulls)), attempts]
    return [getattr(part, field.name).tolist() for part in parts for field in fields(part)]


def test_events_are_shared_out_evenly_and_a_busy_subject_stays_whole() -> None:
    subjects = np.random.default_rng(1).permutation(np.append(np.repeat(np.arange(50), 10), np.full(450, 50)))
    rows = np.flatnonzero(subjects != 20)
    firsts, parts = in_threads._shares(subjects, rows, 100)
    assert np.sort(np.concatenate(parts)).tolist() == rows.tolist()
    assert firsts == [0, 10, 21, 31, 41, 50]
    ends = [*firsts[1:], 51]
    for first, end, part in zip(firsts, ends, parts, strict=True):
        assert first <= subjects[part].min() <= subjects[part].max() < end
    assert [part.size for part in parts] == [100, 100, 100, 100, 90, 450]


def test_nobody_at_all_is_nobody() -> None:
    nothing = np.empty(0, np.int64)
    events = Events(nothing, nothing, np.empty(0, object), nothing)
    entries, attempts = in_threads.judge_in_threads(definition(Random(1), "plain"), events, 2)
    assert (entries.row.size, attempts.size.size) == (0, 0)
