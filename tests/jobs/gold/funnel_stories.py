"""What the funnel tables' tests share: the stories of this file through the whole transform, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import DataFrame

from jobs.definitions.funnel.language import parse_definition, read_definition
from jobs.gold import funnel_attempts

ROOT = Path(__file__).parents[3]
SHOP = read_definition(ROOT / "schemas" / "funnels" / "content_to_purchase.yaml")
CHECKOUT = parse_definition(
    """
name: checkout
version: 3
window: 30m
hold: [order_id]
steps:
  - {name: ordered, event: order_placed}
  - {name: paid,    event: order_paid}
breakdowns: [scene]
""",
    "checkout.yaml",
)
PAIRED = replace(SHOP, name="paired", pairs=(("scene", "city_tier"),))
STORIES = {
    "looked and left": "view 10:00",
    "scrolled past": "play 10:00 watch_ms=900 duration_ms=60000",
    "bought": "view 10:00, like 10:05, product_view 10:06, order 10:07, paid 10:09",
    "bought after a second look": "view 10:00, view 10:30, like 10:31, product_view 10:32, order 10:33, paid 10:34",
    "came back two days later": "view 10:00, view +2d 10:00, like +2d 10:01",
    "paid a second too late": "view 10:00, like 10:01, product_view 10:02, order 10:03, paid +1d 10:00:01",
    "paid on the last second": "view 10:00, like 10:01, product_view 10:02, order 10:03, paid +1d 10:00",
    "changed their mind": "view 10:00, like 10:05, product_view 10:06, order 10:07, paid 10:09, cancelled 11:00",
    "gave half back": "view 10:00, like 10:05, product_view 10:06, order 10:07, paid 10:09, "
    "refunded +1d 10:00 refund_fen=500",
    "gave all back in two": "view 10:00, like 10:05, product_view 10:06, order 10:07, paid 10:09, "
    "refunded +1d 10:00 refund_fen=500, refunded +3d 10:00 refund_fen=500",
    "of the staff": "view 10:00, like 10:05, order 21:00, paid 21:01",
    "of school age": "view 10:00",
    "bought twice": "order 20:00 order_id=a, paid 20:01 order_id=a, order 20:02 order_id=b, paid 20:03 order_id=b",
    "saw an advertisement": "view 10:00 video_id=advertisement, like 10:01",
}
LINE = [
    {"line_id": "1", "product_id": "p", "merchant_id": "m", "quantity": 1, "unit_price_fen": 1000, "discount_fen": 0}
]
SINCE = datetime(2020, 1, 1, tzinfo=UTC)


def entity(key: str, name: str, **columns: object) -> dict[str, object]:
    """One version of an entity that has always held."""
    return {key: name, "valid_from": SINCE, "is_current": True, "is_deleted": False, "is_superseded": False} | columns


def outcomes(told, table) -> DataFrame:  # type: ignore[no-untyped-def]
    """All funnels over all stories."""
    silver = told(STORIES)
    paid = [row.asDict() | {"lines": LINE if row.kind == "paid" else None} for row in silver["orders"].collect()]
    users = [
        entity("user_id", "of the staff", is_staff=True, birth_year=1990),
        entity("user_id", "of school age", birth_year=2012),
        entity("user_id", "bought", birth_year=1999, city_tier="tier_3"),
    ]
    videos = [entity("video_id", "advertisement", is_advertisement=True, content_kind="PGC")]
    return funnel_attempts.judge(
        silver["views"], silver["likes"], table("silver.orders", paid), table("silver.videos", videos),
        table("silver.users", users), [SHOP, CHECKOUT, PAIRED],
    )  # fmt: skip
