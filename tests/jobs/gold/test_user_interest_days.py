"""gold.user_interest_days weighs what was done for each topic; what was taken back is gone from its own day."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame

from jobs.gold.user_interest_days import build
from tests.jobs.stories import FIRST_DAY, read_act, tell

Rows = dict[str, list[dict[str, Any]]]
OLD = read_act("view 00:00")[1]["event_time"] - timedelta(days=30)
NOW_FOOD = read_act("view +5d 00:00")[1]["event_time"]
HELD = {"valid_from": OLD, "is_deleted": False}
VIDEOS = [
    HELD | {"video_id": "v", "category": "beauty", "creator_id": "ann", "tags": ["new", "new", ""]},
    HELD | {"video_id": "w", "event_id": "1", "category": "beauty", "valid_to": NOW_FOOD},
    HELD | {"video_id": "w", "event_id": "2", "category": "food", "valid_from": NOW_FOOD},
    HELD | {"video_id": "ad", "category": "food", "is_advertisement": True},
    HELD | {"video_id": "gone", "category": "food", "is_deleted": True},
]
PRODUCTS = [
    HELD | {"product_id": "p", "category": "beauty", "list_price_fen": 1_999},
    HELD | {"product_id": "q", "category": "home", "list_price_fen": 2_000},
]
LINES = [("l1", "p", "m", 2, 5_000, 0), ("l2", "q", "m", 1, 500, 0)]
STORIES: dict[str, tuple[str, dict[str, int]]] = {  # -> `[+Nd ]kind:topic` -> weight, summed over facts
    "played half": ("view 10:00 video_id=v", {"category:beauty": 5, "creator:ann": 5, "tag:new": 5}),
    "scrolled past": ("play 10:00 video_id=v watch_ms=2000 duration_ms=20000", {}),
    "saw an advertisement": ("view 10:00 video_id=ad", {}),
    "played what is deleted": ("view 10:00 video_id=gone", {}),
    "was shown it": ("impression 10:00 video_id=v", {}),
    "played before and after it changed": (
        "view 10:00 video_id=w, view +9d 10:00 video_id=w",
        {"category:beauty": 5, "+9d category:food": 5},
    ),
    "looked at a product": ("product_view 10:00 product_id=p", {"category:beauty": 5, "price_band:under_20_yuan": 5}),
    "of two with one category": (
        "product_view 10:00 product_id=p video_id=v",
        {"category:beauty": 5, "creator:ann": 5, "tag:new": 5, "price_band:under_20_yuan": 5},
    ),
    "followed": ("follow 10:00 creator_id=bob", {"creator:bob": 60}),
    "unfollowed a month later": ("follow 10:00 creator_id=bob, unfollow +30d 10:00 creator_id=bob", {}),
    "followed anew": (
        "follow 10:00 creator_id=bob, unfollow 11:00 creator_id=bob, follow +1d 10:00 creator_id=bob",
        {"+1d creator:bob": 60},
    ),
    "liked twice over": ("like 10:00 video_id=w, like +1d 10:00 video_id=w", {"category:beauty": 20}),
    "liked this, unliked that": ("like 10:00 video_id=w, unlike 11:00 video_id=v", {"category:beauty": 20}),
    "unliked first": ("unlike 09:00 video_id=w, like 10:00 video_id=w", {"category:beauty": 20}),
    "a like is no favourite": ("favourite 10:00 video_id=w, unlike 11:00 video_id=w", {"category:beauty": 30}),
    "commented twice": ("comment 10:00 video_id=w, comment 10:01 video_id=w", {"category:beauty": 50}),
    "took it out of the cart": ("add_to_cart 10:00 product_id=q, remove_from_cart +3d 10:00 product_id=q", {}),
    "does not care": ("not_interested 10:00 video_id=w, view 11:00 video_id=w", {"category:beauty": -35}),
    "bought two things": (
        "paid 10:00",
        {
            "category:beauty": 100,
            "category:home": 100,
            "price_band:50_to_100_yuan": 100,
            "price_band:under_20_yuan": 100,
        },
    ),
    "gave one thing back": (
        "paid 10:00, refunded +20d 10:00 give=l1x2",
        {"category:home": 100, "price_band:under_20_yuan": 100},
    ),
    "gave a piece back": (
        "paid 10:00, refunded +20d 10:00 give=l1x1",
        {
            "category:beauty": 100,
            "category:home": 100,
            "price_band:50_to_100_yuan": 100,
            "price_band:under_20_yuan": 100,
        },
    ),
    "gave all back": ("paid 10:00, refunded +20d 10:00 refund_fen=10500", {}),
    "cancelled": ("paid 10:00, cancelled 11:00", {}),
    "never paid": ("placed 10:00", {}),
}


@pytest.fixture(scope="module")
def tiles(table: Callable[[str, list[dict[str, Any]]], DataFrame]) -> dict[str, dict[str, int]]:
    """Run all stories in one job."""
    silver = tell({name: story for name, (story, _) in STORIES.items()})
    facts = {topic: table(f"silver.{topic}", [_with_lines(row) for row in rows]) for topic, rows in silver.items()}
    built = build(**facts, videos=table("silver.videos", VIDEOS), products=table("silver.products", PRODUCTS))
    found: dict[str, dict[str, int]] = {name: {} for name in STORIES}
    for row in built.collect():
        later = (row.day - FIRST_DAY).days
        name = f"+{later}d {row.topic_kind}:{row.topic_name}" if later else f"{row.topic_kind}:{row.topic_name}"
        found[row.user_id][name] = found[row.user_id].get(name, 0) + row.weight
    return found


@pytest.mark.parametrize("name", STORIES)
def test_a_topic_weighs_what_still_stands(tiles: dict[str, dict[str, int]], name: str) -> None:
    assert tiles[name] == STORIES[name][1]


def _with_lines(row: dict[str, Any]) -> dict[str, Any]:
    """Every order is of the same two lines; `give=l1x2` gives two pieces of l1 back for one fen."""
    if row["kind"] in ("placed", "paid"):
        row |= {"lines": LINES}
    if give := row.pop("give", ""):
        line, pieces = give.split("x")
        row |= {"refund_lines": [(line, int(pieces), 1)], "refund_fen": 1}
    return row
