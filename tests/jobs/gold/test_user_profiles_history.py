"""gold.user_profiles_history gains a row when a profile changed, and only then; a repeat gains nothing."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame

from jobs.gold.user_profiles_history import build

TableMaker = Callable[[str, list[dict[str, Any]]], DataFrame]
DAY, AT = date(2026, 6, 7), datetime(2026, 6, 8, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def added(table: TableMaker) -> dict[str, list[str]]:
    """Who gained a row in each of three releases: the first, the same again, and one where things changed."""
    first = [{"user_id": name, "as_of_day": DAY, "event_count": 1} for name in ("stays", "grows", "swaps", "ticks")]
    first[2] |= {"region": "x"}
    first[3] |= {"last_seen_at": AT}
    later = [row | {"as_of_day": DAY + timedelta(days=1)} for row in first]
    later[1] |= {"event_count": 2}
    later[2] |= {"region": None, "city_tier": "x"}
    later[3] |= {"last_seen_at": AT + timedelta(microseconds=1)}
    later.append({"user_id": "is new", "as_of_day": DAY, "event_count": 1})
    return _releases(table, [first, first, later, later, first])


def _releases(table: TableMaker, releases: list[list[dict[str, Any]]]) -> dict[str, list[str]]:
    history: list[dict[str, Any]] = []
    gained = {}
    for number, profiles in enumerate(releases):
        frame = build(
            table("gold.user_profiles", profiles), table("gold.user_profiles_history", history),
            known_from=AT + timedelta(hours=number),
        )  # fmt: skip
        rows = [row.asDict() for row in frame.collect()]
        gained[f"release {number}"] = sorted(row["user_id"] for row in rows)
        history += [row | {"known_from": row["known_from"].replace(tzinfo=UTC)} for row in rows]
    return gained


def test_the_first_release_is_all_new(added: dict[str, list[str]]) -> None:
    assert added["release 0"] == ["grows", "stays", "swaps", "ticks"]


def test_the_same_again_adds_nothing(added: dict[str, list[str]]) -> None:
    assert added["release 1"] == []
    assert added["release 3"] == []


def test_a_new_day_alone_is_no_change(added: dict[str, list[str]]) -> None:
    assert added["release 2"] == ["grows", "is new", "swaps", "ticks"]


def test_going_back_is_a_change_too(added: dict[str, list[str]]) -> None:
    """Release 4 says what the first said: the newest row counts, not whether the words were ever used."""
    assert added["release 4"] == ["grows", "swaps", "ticks"]
