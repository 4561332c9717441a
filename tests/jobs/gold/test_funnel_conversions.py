"""gold.funnel_conversions counts by the day of the conversion, and its sums and sketches add up."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from jobs.definitions.sketch import bucket_of, quantile
from jobs.gold import funnel_attempts, funnel_conversions
from tests.jobs.gold.funnel_stories import CHECKOUT, PAIRED, outcomes

MONDAY = date(2026, 3, 2)
TUESDAY = MONDAY + timedelta(days=1)
DAYS = [MONDAY + timedelta(days=n) for n in range(4)]
MINUTE = 60_000_000
TIMES = [4 * MINUTE, *[9 * MINUTE] * 4]  # of those who paid on Monday


@pytest.fixture(scope="module")
def conversions(told, table):  # type: ignore[no-untyped-def]
    ledger = funnel_attempts.build(outcomes(told, table))
    rows = funnel_conversions.build(ledger, [PAIRED, CHECKOUT], {"Asia/Shanghai": DAYS}).collect()
    return {(r.funnel, r.conversion_date, r.breakdown, r.breakdown_value): r for r in rows}


@pytest.fixture(scope="module")
def totals(conversions):  # type: ignore[no-untyped-def]
    return {key[1]: row for key, row in conversions.items() if (key[0], key[2]) == (PAIRED.name, "total")}


def test_a_conversion_counts_on_its_own_day_not_on_that_of_its_entry(totals):
    counts = {day: (row.conversions_count, row.people_count) for day, row in totals.items()}
    assert counts == {MONDAY: (5, 5), TUESDAY: (1, 1), DAYS[2]: (0, 0), DAYS[3]: (0, 0)}


def test_what_was_undone_since_is_taken_off(totals):
    row = totals[MONDAY]
    assert (row.reversed_conversions_count, row.net_conversions_count) == (2, 3)
    assert (row.reversed_people_count, row.net_people_count) == (2, 3)


def test_sums_and_sketches_hold_every_conversion(totals):
    row = totals[MONDAY]
    assert (int(row.decision_sum_us), int(row.deliberation_sum_us)) == (sum(TIMES), sum(TIMES) + 30 * MINUTE)
    assert [(part["bucket"], part["count"]) for part in row.decision_sketch] == [
        (bucket_of(4 * MINUTE), 1), (bucket_of(9 * MINUTE), 4),
    ]  # fmt: skip
    assert totals[DAYS[2]].decision_sketch == []
    assert int(totals[DAYS[2]].decision_sum_us) == 0


def test_a_sketch_tells_the_median_to_a_64th(totals):
    found = quantile([part.asDict() for part in totals[MONDAY].decision_sketch], 50)
    assert abs(found - 9 * MINUTE) * 64 <= 9 * MINUTE


def test_values_of_single_and_paired_breakdowns_add_up_to_the_total(conversions, totals):
    for breakdown in PAIRED.broken_down:
        for day, total in totals.items():
            parts = [row for key, row in conversions.items() if key[:3] == (PAIRED.name, day, breakdown)]
            assert sum(row.conversions_count for row in parts) == total.conversions_count
            assert sum(int(row.deliberation_sum_us) for row in parts) == int(total.deliberation_sum_us)


def test_a_pair_is_told_by_both_values(conversions):
    pairs = {
        key[3]: row.conversions_count for key, row in conversions.items() if key[1:3] == (MONDAY, "scene x city_tier")
    }
    assert pairs == {'["short_video","tier_3"]': 1, '["short_video","(none)"]': 4}


def test_a_person_of_two_conversions_is_one(conversions):
    row = conversions["checkout", MONDAY, "total", "(all)"]
    assert (row.conversions_count, row.people_count) == (7, 6)


def test_staff_convert_beside(conversions):
    row = conversions["checkout", MONDAY, "total", "(all)"]
    assert row.set_aside_conversions_count == 1
