"""The engine gives what trying every choice gives, on hundreds of thousands of random small histories."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.definitions.funnel.judged import Events
from jobs.definitions.funnel.model import Definition
from tests.jobs.definitions.funnel import comparing
from tests.jobs.definitions.funnel.comparing import compare, differs, smallest_story
from tests.jobs.definitions.funnel.drawn import KINDS, MOST_EVENTS, definition, history

CASES = 240_000  # histories, over all kinds; `make fuzz` compares more


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_and_attempt_equals_brute_force(kind: str) -> None:
    assert compare(kind, "1", CASES // len(KINDS)) == CASES // len(KINDS)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(draw=st.randoms(use_true_random=False), kind=st.sampled_from(KINDS))
def test_hypothesis_finds_no_history_that_brute_force_judges_otherwise(draw: Random, kind: str) -> None:
    found = definition(draw, kind)
    events = history(draw, found, 0, MOST_EVENTS.get(kind, 10))
    assert not differs(found, events), smallest_story(found, [events])


def test_an_engine_that_errs_is_told_by_its_smallest_story(monkeypatch: pytest.MonkeyPatch) -> None:
    right = comparing.judge

    def without_window(found: Definition, events: Events) -> object:
        return right(replace(found, window_us=found.window_us and 10**15), events)

    monkeypatch.setattr(comparing, "judge", without_window)
    with pytest.raises(AssertionError) as told:
        compare("plain", "1", 2_000)
    assert "window_us=" in str(told.value)
    assert str(told.value).count(" fits=") == 2
