"""gold.funnel_openings counts the tries that came to nothing."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from jobs.gold import funnel_openings
from tests.jobs.gold.funnel_stories import outcomes


@pytest.fixture(scope="module")
def openings(told, table):  # type: ignore[no-untyped-def]
    rows = funnel_openings.build(outcomes(told, table)).collect()
    return {(row.funnel, row.user_id, row.entry_date.day): row for row in rows}


def test_only_tries_that_stayed_at_the_first_step_are_counted(openings):
    shop = {user for funnel, user, _ in openings if funnel == "content_to_purchase"}
    assert shop == {"looked and left", "came back two days later", "of school age"}


def test_a_count_knows_its_day_and_when_it_matures(openings):
    row = openings["content_to_purchase", "looked and left", 2]
    assert (row.entry_date, row.attempt_count, row.entry_count) == (date(2026, 3, 2), 1, 1)
    assert row.maturity_times == [datetime.fromisoformat("2026-03-03T02:00")]


def test_children_are_set_aside(openings):
    assert openings["content_to_purchase", "of school age", 2].set_aside == "minor"


def test_an_order_paid_too_late_stays_an_opening_of_the_checkout(openings):
    assert {user for funnel, user, _ in openings if funnel == "checkout"} == {
        "paid a second too late",
        "paid on the last second",
    }
