"""gold.user_scores ranks buyers within the day's population, foretells, and keeps to what they agreed to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from jobs.definitions.lifetime.in_arrow import Predicting
from jobs.definitions.lifetime.in_spark import buyers, purchase_days
from jobs.definitions.lifetime.purchases import PurchaseModel, chance_alive, expected_purchases
from jobs.definitions.lifetime.spending import SpendingModel, expected_value
from jobs.definitions.people import NEEDS_MARKETING
from jobs.gold.user_scores import build, set_apart
from tests.jobs.stories import FIRST_DAY, tell

DAY = FIRST_DAY + timedelta(days=30)
MODELS = Predicting(PurchaseModel(0.8, 30.0, 0.7, 2.5), SpendingModel(4.0, 5.0, 12_000.0))
STORIES = {  # what one person bought -> what is known of them
    "bought once": ("paid +10d 10:00", {"purchase_day_count": 1, "order_span_days": 0, "since_first_order_days": 20}),
    "twice a day is once": (
        "paid +10d 10:00 order_id=1, paid +10d 12:00 order_id=2, paid +12d 10:00 order_id=3",
        {"order_count": 3, "purchase_day_count": 2, "order_span_days": 2, "net_gmv_fen": 3_000},
    ),
    "came back for nothing": (
        "paid +10d 10:00 order_id=1, paid +12d 10:00 order_id=2, refunded +13d 10:00 order_id=2 refund_fen=1000",
        {"purchase_day_count": 2, "net_gmv_fen": 1_000},
    ),
    "bought today": ("paid +30d 23:59", {"since_first_order_days": 0}),
    "will buy tomorrow": ("paid +31d 00:00", None),
    "never paid": ("placed +10d 10:00", None),
    "a bot": ("paid +29d 10:00", {"is_counted": False} | dict.fromkeys(NEEDS_MARKETING)),
    "a minor": ("paid +29d 10:00", {"is_counted": False} | dict.fromkeys(NEEDS_MARKETING)),
    "did not agree": ("paid +29d 10:00", {"is_counted": True} | dict.fromkeys(NEEDS_MARKETING)),
    "agreed to something else": ("paid +29d 10:00", {"is_counted": True} | dict.fromkeys(NEEDS_MARKETING)),
}
CONSENT = {"did not agree": None, "agreed to something else": ["personalisation", "sharing"]}


@pytest.fixture(scope="module")
def people(table: Callable[[str, list[dict[str, Any]]], DataFrame]) -> DataFrame:
    """All stories as buyers, in one job; three of them pay the same at the same time."""
    told = tell({name: story for name, (story, _) in STORIES.items()})["orders"]
    lines = {"lines": [("l1", "p", "m", 1, 1_000, 0)]}
    orders = table("silver.orders", [row | (lines if row["kind"] == "paid" else {}) for row in told])
    profiles = table(
        "gold.user_profiles",
        [
            {
                "user_id": name,
                "consent": CONSENT.get(name, ["marketing"]),
                "is_suspected_bot": name == "a bot",
                "is_minor": True if name == "a minor" else None,
            }
            for name in STORIES
        ],
    )
    return set_apart(buyers(purchase_days(orders, DAY), DAY), profiles).persist()


@pytest.fixture(scope="module")
def scores(people: DataFrame) -> dict[str, Row]:
    return {row.user_id: row for row in build(people, MODELS, day=DAY).collect()}


@pytest.mark.parametrize("name", STORIES)
def test_a_buyer_is_known_by_days_with_a_payment(scores: dict[str, Row], name: str) -> None:
    expected = STORIES[name][1]
    if expected is None:
        assert name not in scores
        return
    assert {key: scores[name][key] for key in expected} == expected


def test_predictions_are_those_of_the_models_to_the_last_digit(scores: dict[str, Row]) -> None:
    x, recency, age = np.array([1.0, 1.0]), np.array([2.0, 2.0]), np.array([20.0, 20.0])
    alive = chance_alive(MODELS.purchases, x, recency, age) * 1e6
    ahead = {days: expected_purchases(MODELS.purchases, x, recency, age, days) * 1e6 for days in (7.0, 30.0, 90.0)}
    assert MODELS.spending is not None
    # one kept something of the second purchase, of the other's nothing is left: what all buyers spend is all we know
    value = expected_value(MODELS.spending, np.array([1.0, 0.0]), np.array([1_000.0, 0.0]))
    for place, name in enumerate(("twice a day is once", "came back for nothing")):
        row = scores[name]
        assert row.alive_ppm == round(alive[place])
        assert row.expected_purchases_7d_ppm == round(ahead[7.0][place])
        assert row.expected_purchases_30d_ppm == round(ahead[30.0][place])
        assert row.expected_purchases_90d_ppm == round(ahead[90.0][place])
        assert row.expected_purchase_fen == round(value[place])
        assert row.expected_value_90d_fen == row.expected_purchases_90d_ppm * row.expected_purchase_fen // 1_000_000


def test_without_a_model_nothing_is_foretold_and_everybody_is_ranked(people: DataFrame) -> None:
    rows = [row for row in build(people, None, day=DAY).collect() if row.user_id == "bought today"]
    assert [(row.recency_score is None, row.alive_ppm, row.expected_value_90d_fen) for row in rows] == [
        (False, None, None)
    ]


def test_without_a_mean_no_value_is_foretold(people: DataFrame) -> None:
    [row] = [
        row
        for row in build(people, Predicting(MODELS.purchases, None), day=DAY).collect()
        if row.user_id == "bought once"
    ]
    assert row.alive_ppm == 1_000_000
    assert (row.expected_purchase_fen, row.expected_value_90d_fen) == (None, None)


def test_fifths_are_of_one_size_and_ties_have_an_order(spark: SparkSession) -> None:
    """23 who count, 2 who do not; most alike in everything, so only the total order tells them apart."""
    noon = datetime(2026, 3, 2, 4, tzinfo=UTC)
    rows = [
        (
            f"k:{n:02d}",
            n < 23,
            ["marketing"],
            1 + (n == 3),
            500 if n == 4 else 100,
            noon - timedelta(days=n == 5),
            0,
            0,
            9,
            0,
            0,
        )
        for n in range(25)
    ]
    kinds = (
        "user_id string, is_counted boolean, consent array<string>, order_count bigint, net_gmv_fen bigint, "
        "last_order_at timestamp, frequency bigint, recency bigint, age bigint, valued_count bigint, valued_fen bigint"
    )
    found = {}
    for parts, order in ((1, rows), (4, rows[::-1])):
        people = spark.createDataFrame(order, kinds).repartition(parts)
        found[parts] = {row.user_id: row.asDict() for row in build(people, None, day=date(2026, 3, 11)).collect()}
    assert found[1] == found[4]
    scored = found[1]
    for name in ("recency_score", "frequency_score", "monetary_score"):
        sizes = [sum(row[name] == fifth for row in scored.values()) for fifth in (1, 2, 3, 4, 5)]
        assert sizes == [5, 5, 5, 4, 4]
    assert scored["k:03"]["frequency_score"] == scored["k:04"]["monetary_score"] == 5
    assert scored["k:05"]["recency_score"] == 1
    # alike but for the pseudonym, which decides
    assert scored["k:00"]["recency_score"] <= scored["k:22"]["recency_score"]
    assert [scored[user][name] for user in ("k:23", "k:24") for name in ("recency_score", "value_tier")] == [None] * 4
    sums = {
        user: sum(row[f"{n}_score"] or 0 for n in ("recency", "frequency", "monetary")) for user, row in scored.items()
    }
    tiers = {
        user: "high" if total >= 12 else "middle" if total >= 8 else "low" for user, total in sums.items() if total
    }
    assert {user: row["value_tier"] for user, row in scored.items() if row["value_tier"]} == tiers
    assert set(tiers.values()) == {"high", "middle", "low"}
