"""gold.funnel_daily adds up what the ledger says: people and attempts, mature and open, gross and net."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from jobs.gold import funnel_attempts, funnel_daily, funnel_openings
from tests.jobs.gold.funnel_stories import CHECKOUT, SHOP, outcomes

MONDAY = date(2026, 3, 2)
DAYS = [MONDAY + timedelta(days=n) for n in range(5)]
NOON = datetime(2026, 3, 3, 2, 0, 0, 1, tzinfo=UTC)  # a microsecond above the end of windows that began 10:00 on Monday


@pytest.fixture(scope="module")
def found(told, table):  # type: ignore[no-untyped-def]
    return outcomes(told, table).persist()


@pytest.fixture(scope="module")
def daily(found):  # type: ignore[no-untyped-def]
    frame = funnel_daily.build(
        funnel_attempts.build(found),
        funnel_openings.build(found),
        [SHOP, CHECKOUT],
        {one.key: DAYS for one in (SHOP, CHECKOUT)},
        watermark=NOON,
    )
    return {(r.funnel, r.entry_date, r.breakdown, r.breakdown_value, r.step): r for r in frame.collect()}


@pytest.fixture(scope="module")
def monday(daily):  # type: ignore[no-untyped-def]
    return {key[4]: row for key, row in daily.items() if key[:4] == ("content_to_purchase", MONDAY, "total", "(all)")}


def test_each_step_counts_people_and_attempts(monday):
    counts = {step: (row.people_count, row.attempts_count) for step, row in monday.items()}
    assert counts == {
        "watched": (9, 9), "interested": (7, 7), "considered": (7, 7), "ordered": (7, 7), "paid": (6, 6),
    }  # fmt: skip


def test_a_window_that_ended_a_microsecond_ago_is_mature(monday):
    row = monday["watched"]
    assert (row.mature_attempts_count, row.open_attempts_count) == (8, 1)  # the second look opened another window
    assert (row.mature_people_count, row.open_people_count) == (8, 1)


def test_what_was_undone_is_taken_off_the_last_step_only(monday):
    assert (monday["paid"].reversed_people_count, monday["paid"].net_people_count) == (2, 4)
    assert monday["ordered"].net_attempts_count == monday["ordered"].attempts_count


def test_staff_and_children_are_counted_beside(monday):
    assert (monday["watched"].set_aside_people_count, monday["watched"].set_aside_attempts_count) == (2, 2)


def test_nobody_is_excluded_but_who_has_an_attempt_that_is(daily):
    """Not those either who are set aside, and count in no other column."""
    assert [key for key, row in daily.items() if row.excluded_people_count > row.excluded_attempts_count] == []
    assert sum(row.set_aside_people_count for row in daily.values()) >= 2


def test_the_median_is_kept_doubled_and_quantiles_are_exact(monday):
    row, minute = monday["paid"], 60_000_000
    assert row.decision_median_doubled_us == 2 * 9 * minute
    assert (row.decision_p25_us, row.deliberation_p90_us) == (9 * minute, 24 * 60 * minute)
    assert monday["ordered"].decision_median_doubled_us is None


def test_a_day_without_entries_is_a_row_of_zeros(daily):
    row = daily["content_to_purchase", MONDAY + timedelta(days=3), "total", "(all)", "watched"]
    assert (row.people_count, row.attempts_count, row.open_people_count) == (0, 0, 0)


def test_breakdowns_add_up_to_the_total(daily):
    for (funnel, day, breakdown, _, step), total in daily.items():
        if breakdown == "total" and total.people_count:
            for name in SHOP.breakdowns if funnel == SHOP.name else CHECKOUT.breakdowns:
                parts = [row for key, row in daily.items() if (*key[:3], key[4]) == (funnel, day, name, step)]
                assert sum(row.people_count for row in parts) == total.people_count
                assert sum(row.net_attempts_count for row in parts) == total.net_attempts_count


def test_nothing_is_mature_where_nobody_spoke_of_completeness(found):
    frame = funnel_daily.build(
        funnel_attempts.build(found), funnel_openings.build(found), [SHOP], {SHOP.key: DAYS}, watermark=None
    )
    row = frame.agg({"mature_attempts_count": "sum", "open_attempts_count": "sum"}).collect()[0].asDict()
    assert row["sum(mature_attempts_count)"] == 0 < row["sum(open_attempts_count)"]
