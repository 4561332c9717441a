"""gold.user_profiles sums up tiles, orders and interests as of a day, and keeps to what people agreed to."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row

from jobs.gold import user_days
from jobs.gold.user_profiles import build
from tests.jobs.stories import FIRST_DAY, ZONE, read_act, tell

DAY = FIRST_DAY + timedelta(days=100)
LINES = [("l1", "p", "m", 1, 1_001, 0)]
STORIES: dict[str, tuple[str, dict[str, Any]]] = {
    "windows end with the day": (
        "view +93d 10:00, view +94d 10:00, view +100d 23:59, view +101d 00:00",
        {"active_days_7d": 2, "active_days_30d": 3, "event_count": 3, "lifecycle": "active"},
    ),
    "windows of a quarter": ("view +10d 10:00, view +11d 10:00", {"active_days_90d": 1, "lifecycle": "lost"}),
    "seconds are rounded once": (
        "view +100d 10:00, view +99d 10:00",
        {"watch_seconds_7d": 20, "watch_seconds_90d": 20},
    ),
    "came back": ("view +60d 10:00, view +98d 10:00", {"lifecycle": "waking"}),
    "went quiet": ("view +80d 10:00", {"lifecycle": "dormant"}),
    "just began": ("view +99d 10:00", {"lifecycle": "new"}),
    "registered only": (
        "",
        {
            "lifecycle": "dormant",
            "event_count": 0,
            "is_registered": True,
            "order_count": 0,
            "average_order_value_fen": None,
            "generation": "millennial",
            "registered_on": date(2026, 4, 21),
        },
    ),
    "will come": ("view +101d 10:00", None),
    "bought once": (
        "paid +10d 10:00",
        {
            "order_count": 1,
            "order_count_90d": 0,
            "gross_gmv_fen": 1_001,
            "order_span_days": 0,
            "is_repeat_buyer": False,
        },
    ),
    "bought again in time": (
        "paid 10:00 order_id=1, paid +90d 10:00 order_id=2, paid +91d 10:00 order_id=3",
        {"is_repeat_buyer": True, "order_span_days": 91, "order_count_30d": 2, "average_order_value_fen": 1_001},
    ),
    "bought again too late": (
        "paid 10:00 order_id=1, paid +91d 10:00 order_id=2, paid +92d 10:00 order_id=3",
        {"is_repeat_buyer": False},
    ),
    "refunded this week of last month": (
        "paid +75d 10:00, refunded +99d 10:00 refund_fen=1001",
        {"net_gmv_fen_30d": 0, "gross_gmv_fen_30d": 1_001, "net_gmv_fen": 0, "order_count": 1},
    ),
    "returned": ("paid +75d 10:00, returned +80d 10:00", {"returned_order_count": 1}),
    "refunded what was never paid": (
        "refunded +75d 10:00 refund_fen=5",
        {"unmatched_refund_count": 1, "net_gmv_fen": 0},
    ),
    "paid tomorrow": ("view +99d 10:00, paid +101d 10:00", {"order_count": 0}),
    "agreed": (
        "live_enter +99d 21:00 scene=live, view +98d 21:10 scene=live, view +97d 08:00",
        {
            "preferred_scene": "live",
            "habit_hour": 21,
            "top_interests": ["category:a", "tag:b"],
            "preferred_categories": ["home", "food"],
            "preferred_price_band": "20_to_50_yuan",
        },
    ),
    "did not agree": (
        "live_enter +99d 21:00 scene=live",
        {
            "preferred_scene": None,
            "habit_hour": None,
            "top_interests": None,
            "preferred_categories": None,
            "preferred_price_band": None,
        },
    ),
    "agreed too late": ("view +99d 10:00", {"preferred_scene": None, "consent": None, "is_registered": False}),
}
SILENT = ("agreed", "registered only")


@pytest.fixture(scope="module")
def profiles(table: Callable[[str, list[dict[str, Any]]], DataFrame]) -> dict[str, Row]:
    """Run all stories in one job."""
    silver = tell({name: story for name, (story, _) in STORIES.items()})
    orders = [row | ({"lines": LINES} if row["kind"] == "paid" else {}) for row in silver["orders"]]
    views, likes = (table(f"silver.{topic}", silver[topic]) for topic in ("views", "likes"))
    days = user_days.build(views, likes, table("silver.orders", orders), table("silver.videos", []), zone=str(ZONE))
    registered = read_act("view +50d 10:00")[1]["event_time"]
    people = [
        {
            "user_id": user,
            "consent": ["personalisation"] if user in SILENT else [],
            "birth_year": 1990,
            "registered_at": registered,
        }
        for user in ("agreed", "did not agree", "registered only")
    ]
    tile = {"user_id": "agreed", "fact": "orders", "weight": 100}
    bought = [
        ("category", "food", 0),
        ("category", "home", 0),
        ("category", "home", 1),
        ("category", "late", 101),
        ("price_band", "from_1000_yuan", 0),
        ("price_band", "20_to_50_yuan", 0),
    ]
    tiles = [tile | {"topic_kind": k, "topic_name": n, "day": FIRST_DAY + timedelta(days=d)} for k, n, d in bought]
    liked = [
        {"user_id": user, "topic_kind": k, "topic_name": n, "rank": rank, "interest": Decimal(interest)}
        for user in ("agreed", "did not agree")
        for k, n, rank, interest in (
            ("tag", "b", 1, 9),
            ("category", "a", 1, 1),
            ("category", "d", 2, -1),
            ("tag", "z", 4, 1),
        )
    ]
    built = build(
        days,
        table("gold.user_interest_days", tiles),
        table("gold.user_interests", liked),
        table("silver.orders", orders),
        table("silver.users", people),
        day=DAY,
        zone=str(ZONE),
    )
    return {row.user_id: row for row in built.collect()}


@pytest.mark.parametrize("name", STORIES)
def test_a_profile_says(profiles: dict[str, Row], name: str) -> None:
    expected = STORIES[name][1]
    if expected is None:
        assert name not in profiles
        return
    assert {column: profiles[name][column] for column in expected} == expected


def test_every_profile_is_as_of_the_day(profiles: dict[str, Row]) -> None:
    assert {row.as_of_day for row in profiles.values()} == {DAY}
