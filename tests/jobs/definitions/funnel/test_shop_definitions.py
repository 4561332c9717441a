"""The funnels the shop ships, each told by what somebody did: how far it takes them, and why not further."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.definitions.funnel.language import read_definition
from jobs.gold import funnel_attempts
from jobs.lake.settings import ROOT

NAMES = (
    "same_product_purchase",
    "live_to_order",
    "search_to_purchase",
    "checkout",
    "first_purchase",
    "cart_to_purchase",
)
A, B = "product_id=a", "product_id=b"
STORIES: dict[str, tuple[str, dict[str, str]]] = {  # what was done -> furthest step by funnel
    "the same product": (f"product_view 10:00 {A}, order 10:05, paid 10:06",
        {"same_product_purchase": "paid", "checkout": "paid"}),
    "both": (f"product_view 10:00 {A}, product_view 10:01 {B}, order 10:05, paid 10:06",
        {"same_product_purchase": "paid", "checkout": "paid"}),
    "another product": ("product_view 10:01 product_id=c, order 10:05, paid 10:06",
        {"same_product_purchase": "considered", "checkout": "paid"}),
    "by way of the basket": (f"product_view 10:00 {A}, add_to_cart 10:02 {A}, order 10:05, paid 10:06",
        {"same_product_purchase": "paid", "cart_to_purchase": "paid", "checkout": "paid"}),
    "out of the basket": (f"add_to_cart 10:02 {A}, remove_from_cart 10:03 {A}, order 10:05, paid 10:06",
        {"cart_to_purchase": "carted", "checkout": "paid"}),
    "another out of the basket": (f"add_to_cart 10:02 {A}, remove_from_cart 10:03 {B}, order 10:05, paid 10:06",
        {"cart_to_purchase": "paid", "checkout": "paid"}),
    "within the room": (
        "live_enter 10:00 live_room_id=r, product_view 10:01 live_room_id=r, order 10:05 live_room_id=r",
        {"live_to_order": "ordered", "first_purchase": "ordered", "checkout": "placed"}),
    "from another room": (
        "live_enter 10:00 live_room_id=r, product_view 10:01 live_room_id=r, order 10:05 live_room_id=q",
        {"live_to_order": "considered", "first_purchase": "ordered", "checkout": "placed"}),
    "found by searching": ("search 10:00, product_view 10:01, order 10:05, paid 10:06",
        {"search_to_purchase": "paid", "first_purchase": "paid", "checkout": "paid"}),
    "searched again": ("search 10:00, search 10:01, product_view 10:02, order 10:05, paid 10:06",
        {"search_to_purchase": "paid", "first_purchase": "paid", "checkout": "paid"}),
    "lost to the feed": ("search 10:00, view 10:01, product_view 10:02, order 10:05, paid 10:06",
        {"search_to_purchase": "searched", "first_purchase": "paid", "checkout": "paid"}),
    "paid too late": ("order 10:00, paid 10:30:01", {"checkout": "placed"}),
    "cancelled before it was paid": ("order 10:00, cancelled 10:10, paid 10:20", {"checkout": "placed"}),
    "cancelled after it was paid": ("order 10:00, paid 10:20, cancelled 10:30", {"checkout": "paid"}),
    "came back after a week": ("view 10:00, view +8d 10:00, product_view +8d 10:01, order +8d 10:02, paid +8d 10:03",
        {"first_purchase": "arrived", "checkout": "paid"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def found(told, table):  # type: ignore[no-untyped-def]
    silver = told({name: story for name, (story, _) in STORIES.items()})
    orders = [row.asDict() | {"lines": lines() if row.kind in ("placed", "paid") else None}
              for row in silver["orders"].collect()]  # fmt: skip
    judged = funnel_attempts.judge(
        silver["views"], silver["likes"], table("silver.orders", orders), table("silver.videos", []),
        table("silver.users", []), [read_definition(ROOT / "schemas" / "funnels" / f"{name}.yaml") for name in NAMES],
    ).persist()  # fmt: skip
    return judged.collect()


def lines() -> list[dict[str, Any]]:
    """An order of two products, a and b."""
    return [
        {
            "line_id": name,
            "product_id": name,
            "merchant_id": "m",
            "quantity": 1,
            "unit_price_fen": 100,
            "discount_fen": 0,
        }
        for name in ("a", "b")
    ]


@pytest.mark.parametrize("name", STORIES)
def test_a_story_gets_as_far_as_it_should(name: str, found: Any) -> None:
    reached: dict[str, tuple[int, str]] = {}
    for row in found:
        if row.user_id == name and row.reached:
            reached[row.funnel] = max(reached.get(row.funnel, (0, "")), (row.reached, row.reached_step))
    assert {funnel: step for funnel, (_, step) in reached.items()} == STORIES[name][1]


def test_an_order_of_two_products_converts_for_each_that_was_looked_at(found: Any) -> None:
    both = [row.hold_key for row in found if row.user_id == "both" and row.is_converted and row.hold_key]
    assert sorted(both) == ['{"order_id":"order of both"}', '{"product_id":"a"}', '{"product_id":"b"}']


def test_an_order_cancelled_afterwards_undoes_the_conversion(found: Any) -> None:
    undone = {row.user_id for row in found if row.reversed_at and row.funnel == "checkout"}
    assert undone == {"cancelled after it was paid"}


def test_an_order_is_one_event_to_a_funnel_that_holds_no_product(found: Any) -> None:
    mine = [row for row in found if row.user_id == "paid too late" and row.funnel == "checkout"]
    assert [(row.entry_count, row.attempt_count) for row in mine] == [(1, 1)]
