"""Which field of a body comes from which column, by topic; the names are those of `schemas/events`."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "flag", "raw"]


@dataclass(frozen=True)
class BodyField:
    """A field `name` from `column`: a text or ready JSON (`raw`) by a code in `vocabulary`, a number or a flag."""

    name: str
    column: str
    kind: Kind = "number"
    vocabulary: str = ""


def _texts(**fields: str) -> tuple[BodyField, ...]:
    """Each `name="column vocabulary"`."""
    cut = {name: where.split() for name, where in fields.items()}
    return tuple(BodyField(name, column, "text", words) for name, (column, words) in cut.items())


def _raws(**fields: str) -> tuple[BodyField, ...]:
    return tuple(BodyField(field.name, field.column, "raw", field.vocabulary) for field in _texts(**fields))


def _numbers(**fields: str) -> tuple[BodyField, ...]:
    return tuple(BodyField(name, column) for name, column in fields.items())


def _flags(*names: str) -> tuple[BodyField, ...]:
    return tuple(BodyField(name, name, "flag") for name in names)


_PERSON = _texts(user_id="user user", device_id="device device")
_VISITOR = _texts(user_id="visitor visitor", device_id="device device")
_CONTENT = _texts(video_id="video video", live_room_id="room room")
_CONTEXT = _texts(
    scene="scene scene", source="source source", campaign_id="campaign campaign", app_version="app app",
    region="region region",
)  # fmt: skip
FIELDS: dict[str, tuple[BodyField, ...]] = {
    "views": (
        *_texts(kind="kind view"), *_VISITOR, *_CONTENT, *_texts(product_id="product product"), *_CONTEXT,
        *_raws(query="query query", features="feature feature", experiments="arm arm"),
        *_numbers(position="position", watch_ms="watch_ms", duration_ms="duration_ms", heartbeats="heartbeats"),
    ),
    "likes": (
        *_texts(kind="kind like"), *_PERSON, *_CONTENT, *_CONTEXT,
        *_texts(product_id="product product", creator_id="creator creator",
                share_channel="share_channel share_channel"),
        *_numbers(comment_length="comment_length"),
    ),
    "orders": (
        *_texts(kind="kind order_kind", order_id="order order"), *_PERSON, *_CONTENT, *_CONTEXT,
        *_texts(coupon_id="coupon coupon", payment_method="pay pay", ship_from_region="ship_from region",
                ship_to_region="ship_to region", group_buy_id="group_buy group_buy", invited_by="invited_by user"),
        *_numbers(points_used="points", freight_fen="freight", promised_by="promised_by", refund_fen="refund_total",
                  rating="rating"),
        *_flags("is_cross_border"),
        BodyField("lines", "lines", "raw"), BodyField("refund_lines", "refund_lines", "raw"),
    ),
    "users": (
        *_texts(kind="kind user_kind", user_id="user user", region="region region", city_tier="tier tier",
                member_tier="member member", acquisition_channel="channel channel", invited_by="invited_by user"),
        *_raws(consent="consent consent"), *_numbers(registered_at="registered_at", birth_year="birth_year"),
        *_flags("is_staff"),
    ),
    "videos": (
        *_texts(kind="kind video_kind", video_id="video video", creator_id="creator creator",
                category="category category", theme="theme theme", content_kind="content content"),
        *_raws(tags="tag tag", text="theme video_text", product_ids="products products"),
        *_numbers(published_at="published_at", duration_ms="duration"), BodyField("is_advertisement", "is_ad", "flag"),
    ),
    "products": (
        *_texts(kind="kind product_kind", product_id="product product", merchant_id="merchant merchant",
                category="category category", brand="brand brand"),
        *_raws(text="category product_text"), *_numbers(list_price_fen="price"), *_flags("is_green", "has_ar"),
    ),
    "merchants": (
        *_texts(kind="kind merchant_kind", merchant_id="merchant merchant", size="size size", region="region region",
                creator_id="creator creator"),
        *_numbers(opened_at="opened_at"), *_flags("is_own_brand"),
    ),
}  # fmt: skip
KEYS = {"views": "visitor", "likes": "user", "orders": "user", "users": "user", "videos": "video",
        "products": "product", "merchants": "merchant"}  # fmt: skip
