"""gold.retention_weekly counts who comes back, by the calendar and by own weeks, and says what is settled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame

from jobs.gold.retention_weekly import build

MONDAY = date(2026, 3, 2)
DAY = MONDAY + timedelta(days=24)  # a Thursday
FLAGS = {"bot": {"is_suspected_bot": True}, "minor": {"is_minor": True}, "grown-up": {"is_minor": False}}
SEEN = {  # who was here on which day after the Monday
    "grown-up": (0, 7),
    "sunday's child": (6, 13, 14),
    "later": (8, 25),
    "bot": (0, 7, 14, 21),
    "minor": (1, 2),
}
Cells = dict[tuple[date, str, int], tuple[int, int, int, bool]]


@pytest.fixture(scope="module")
def retention(table: Callable[[str, list[dict[str, Any]]], DataFrame]) -> Callable[[dict[str, Any]], Cells]:
    def built(seen: dict[str, Any]) -> Cells:
        days = [{"user_id": user, "day": MONDAY + timedelta(days=at)} for user, ats in seen.items() for at in ats]
        profiles = [{"user_id": user, "is_suspected_bot": False} | FLAGS.get(user, {}) for user in seen]
        rows = build(table("gold.user_days", days), table("gold.user_profiles", profiles), day=DAY).collect()
        return {
            (row.cohort_week, row.counting, row.week_number): (
                row.cohort_count, row.active_count, row.retained_ppm, row.is_mature
            )
            for row in rows
        }  # fmt: skip

    return built


@pytest.fixture(scope="module")
def told(retention: Callable[[dict[str, Any]], Cells]) -> Cells:
    return retention(SEEN)


def test_weeks_of_the_calendar_end_on_sundays(told: Cells) -> None:
    first = [told[MONDAY, "calendar", week] for week in range(4)]
    assert first == [(2, 2, 1_000_000, True), (2, 2, 1_000_000, True), (2, 1, 500_000, True), (2, 0, 0, False)]


def test_own_weeks_are_seven_days_from_the_first_and_ripen_with_the_last_of_the_cohort(told: Cells) -> None:
    first = [told[MONDAY, "rolling", week] for week in range(4)]
    assert first == [(2, 2, 1_000_000, True), (2, 2, 1_000_000, True), (2, 0, 0, False), (2, 0, 0, False)]


def test_a_later_cohort_has_the_weeks_that_have_begun_and_no_day_to_come(told: Cells) -> None:
    week = MONDAY + timedelta(days=7)
    assert {key[1:]: value for key, value in told.items() if key[0] == week} == {
        ("calendar", 0): (1, 1, 1_000_000, True),
        ("calendar", 1): (1, 0, 0, True),
        ("calendar", 2): (1, 0, 0, False),
        ("rolling", 0): (1, 1, 1_000_000, True),
        ("rolling", 1): (1, 0, 0, False),
        ("rolling", 2): (1, 0, 0, False),
    }


def test_random_days_are_counted_as_plain_python_counts_them(retention: Callable[[dict[str, Any]], Cells]) -> None:
    chance = np.random.default_rng(4)
    seen = {f"k:{n}": sorted({int(at) for at in chance.integers(0, 25, 6)}) for n in range(200)}
    active = defaultdict[tuple[date, str, int], set[str]](set)
    for user, ats in seen.items():
        cohort = MONDAY + timedelta(days=ats[0] // 7 * 7)
        for at in ats:
            active[cohort, "calendar", at // 7 - ats[0] // 7].add(user)
            active[cohort, "rolling", (at - ats[0]) // 7].add(user)
    found = {key: value[1] for key, value in retention(seen).items() if value[1]}
    assert found == {key: len(users) for key, users in active.items()}
