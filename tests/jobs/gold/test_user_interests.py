"""gold.user_interests fades the tiles to a day, ranks without ties, and knows only people who agreed."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row

from jobs.definitions.interest import fade
from jobs.gold.user_interests import build

DAY = date(2026, 6, 7)
WHOLE = 2**40
TILES = {  # user -> (kind, topic, days ago, weight)
    "fades": [("tag", "new", 0, 10), ("tag", "old", 7, 10), ("tag", "older", 14, 10), ("tag", "gone", 141, 10)],
    "mixes": [("category", "a", 0, 1), ("category", "a", 30, 2), ("category", "a", 1, 5)],
    "ties": [("creator", "b", 0, 5), ("creator", "a", 0, 5), ("creator", "c", 0, 5)],
    "dislikes": [
        ("category", "a", 0, -40),
        ("category", "b", 0, 30),
        ("category", "c", 0, 10),
        ("category", "c", 0, -10),
    ],
    "of the future": [("category", "a", -1, 100)],
    "did not agree": [("category", "a", 0, 100)],
    "is unknown": [("category", "a", 0, 100)],
}


@pytest.fixture(scope="module")
def interests(table: Callable[[str, list[dict[str, Any]]], DataFrame]) -> dict[tuple[str, str], Row]:
    """Run all users in one job."""
    tiles = [
        {"user_id": user, "topic_kind": kind, "topic_name": name, "day": DAY - timedelta(days=ago), "weight": weight,
         "fact": f"{place}"}
        for user, rows in TILES.items() for place, (kind, name, ago, weight) in enumerate(rows)
    ]  # fmt: skip
    consent = {user: ["personalisation"] for user in TILES} | {"did not agree": ["marketing"]}
    people = [{"user_id": user, "consent": scopes} for user, scopes in consent.items() if user != "is unknown"]
    built = build(table("gold.user_interest_days", tiles), table("silver.users", people), day=DAY)
    return {(row.user_id, row.topic_name): row for row in built.collect()}


def test_half_a_life_ago_counts_exactly_half(interests: dict[tuple[str, str], Row]) -> None:
    assert [interests["fades", name].interest for name in ("new", "old", "older")] == [
        10 * WHOLE,
        5 * WHOLE,
        5 * WHOLE // 2,
    ]
    assert ("fades", "gone") not in interests


def test_days_add_up_exactly(interests: dict[tuple[str, str], Row]) -> None:
    row = interests["mixes", "a"]
    assert row.interest == WHOLE + 2 * WHOLE // 2 + 5 * fade(1, 30)
    assert (row.tile_count, row.last_day, row.share_ppm, row.as_of_day) == (3, DAY, 1_000_000, DAY)


def test_ties_are_broken_by_name(interests: dict[tuple[str, str], Row]) -> None:
    assert {name: interests["ties", name].rank for name in "abc"} == {"a": 1, "b": 2, "c": 3}
    assert interests["ties", "a"].share_ppm == 333_333


def test_dislike_is_kept_and_has_no_share(interests: dict[tuple[str, str], Row]) -> None:
    disliked = interests["dislikes", "a"]
    assert (disliked.interest, disliked.share_ppm, disliked.rank) == (-40 * WHOLE, 0, 2)
    assert interests["dislikes", "b"].share_ppm == 1_000_000
    assert ("dislikes", "c") not in interests


@pytest.mark.parametrize("user", ["of the future", "did not agree", "is unknown"])
def test_nothing_is_said_of(interests: dict[tuple[str, str], Row], user: str) -> None:
    assert not [key for key in interests if key[0] == user]
