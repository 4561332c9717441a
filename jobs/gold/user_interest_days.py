"""gold.user_interest_days: how much did a user's acts of a day say for a topic.

Grain: user_id x topic_kind x topic_name x day x fact (the silver fact the acts are from, so that each is rebuilt on its
own). An act that was taken back, whenever, is gone from the day it was done on.
"""

from collections.abc import Iterator

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.as_of import with_version
from jobs.definitions.interest import PURCHASE, TAKE_BACKS, WEIGHTS, play_weight
from jobs.definitions.money import is_taken_back, price_band
from jobs.definitions.orders import settled
from jobs.definitions.postings import IN, OUT, no_day, posted
from jobs.definitions.unions import together
from jobs.definitions.watching import is_valid_view

GRAIN = ["user_id", "topic_kind", "topic_name", "day", "fact"]
VIDEO = {"category": "video_category", "creator_id": "video_creator", "tags": "video_tags",
         "is_advertisement": "is_advertisement", "duration_ms": "video_ms"}  # fmt: skip
PRODUCT = {"category": "product_category", "list_price_fen": "list_price_fen"}


def build(views: DataFrame, likes: DataFrame, orders: DataFrame, videos: DataFrame, products: DataFrame) -> DataFrame:
    """Silver facts and versions of what they are about in, one row per grain out, weights as exact integers."""
    acts = [from_views(views), from_standing_likes(likes), from_kept_purchases(orders)]
    return (
        together(*acts)
        .transform(with_version, videos, "video_id", "at", VIDEO)
        .transform(with_version, products, "product_id", "at", PRODUCT)
        .transform(with_weight)
        .transform(by_topic)
    )


def from_views(views: DataFrame) -> DataFrame:
    """Plays, product views and rooms entered."""
    telling = views.where(F.col("kind").isin("play", "product_view", "live_enter"))
    return telling.select(*_act("views"), "kind", "video_id", "product_id", F.col("watch_ms"), F.col("duration_ms"))


def from_standing_likes(likes: DataFrame) -> DataFrame:
    """Acts that stand: of those with a take-back, the first since the last take-back; repeats say nothing new."""
    taken_back = F.col("kind").isin(*TAKE_BACKS)
    order = F.struct("event_time", "event_id")
    same_thing = Window.partitionBy("user_id", "act", "object")
    last_take_back = F.max(F.when(taken_back, order)).over(same_thing)
    is_later = ~taken_back & (F.col("last_take_back").isNull() | (order > F.col("last_take_back")))
    return (
        likes.withColumns({"act": _undone_or_done(), "object": _object()})
        .withColumn("last_take_back", last_take_back)
        .withColumn("first_standing", F.min(F.when(is_later, order)).over(same_thing))
        .where(is_later & (~F.col("act").isin(*TAKE_BACKS.values()) | (order == F.col("first_standing"))))
        .select(*_act("likes"), "kind", "video_id", "product_id", "creator_id")
    )


def from_kept_purchases(orders: DataFrame) -> DataFrame:
    """Lines paid for, neither cancelled nor given back whole; on the day they were paid."""
    kept = settled(orders).where("is_paid AND is_believable AND NOT is_cancelled AND (net_fen > 0 OR gross_fen = 0)")
    lines = kept.withColumn("line", F.explode("lines"))
    refunded = F.aggregate(
        F.filter("refund_lines", lambda refund: refund["line_id"] == F.col("line.line_id")),
        F.lit(0).cast("bigint"),
        lambda total, refund: F.try_add(total, refund["quantity"]),
    )
    return lines.where(~is_taken_back(F.col("line.quantity"), refunded)).select(
        "user_id",
        F.col("paid_date").alias("day"),
        F.col("paid_at").alias("at"),
        F.lit("orders").alias("fact"),
        F.lit(PURCHASE).alias("kind"),
        F.col("line.product_id").alias("product_id"),
        F.col("line.unit_price_fen").alias("paid_fen"),
    )


def with_weight(acts: DataFrame) -> DataFrame:
    """What each act weighs; plays that were only scrolled past weigh nothing and go."""
    weights = F.create_map(*[F.lit(part) for pair in WEIGHTS.items() for part in pair])
    measured = acts.withColumn("duration_ms", F.coalesce("duration_ms", "video_ms"))
    played = play_weight(F.col("watch_ms"), F.col("duration_ms"))
    play = F.when(F.coalesce(is_valid_view(), F.lit(False)), F.coalesce(played, F.lit(0)))
    weight = F.when(F.col("kind") == "play", play).otherwise(F.element_at(weights, F.col("kind")))
    return measured.withColumn("weight", weight.cast("bigint")).where(F.col("weight") != 0)


def by_topic(acts: DataFrame) -> DataFrame:
    """Sum the weights over each topic of what an act was about; one act counts once for a topic."""
    topics = F.array_distinct(F.filter(_topics(), lambda topic: F.coalesce(topic["topic_name"] != "", F.lit(False))))
    return (
        acts.withColumn("found", F.explode(topics))
        .select("user_id", "found.topic_kind", "found.topic_name", "day", "fact", "weight")
        .groupBy(*GRAIN)
        .agg(F.sum("weight").alias("weight"))
    )


def postings(interest_days: DataFrame, orders: DataFrame) -> Iterator[DataFrame]:
    """What must add up: the lines that were bought and kept = the purchases that price bands have, one for each.

    All orders, and tiles, of the same users.
    """
    has_price = price_band(F.col("paid_fen")).isNotNull()
    bought = from_kept_purchases(orders).where(has_price)
    bands = interest_days.where("fact = 'orders' AND topic_kind = 'price_band'")
    counted = F.call_function("div", F.col("weight"), F.lit(WEIGHTS[PURCHASE]))
    yield posted(bought, {("purchases", IN): F.lit(1)}, no_day(), are_many=True)
    yield posted(bands, {("purchases", OUT): counted}, no_day(), are_many=True)


def _topics() -> Column:
    price = F.coalesce("paid_fen", "list_price_fen")
    named = F.array(
        _topic("category", F.col("video_category")),
        _topic("category", F.col("product_category")),
        _topic("creator", F.coalesce("creator_id", "video_creator")),
        _topic("price_band", price_band(price)),
    )
    tags = F.transform(F.coalesce("video_tags", F.array().cast("array<string>")), lambda tag: _topic("tag", tag))
    return F.concat(named, tags)


def _topic(kind: str, name: Column) -> Column:
    return F.struct(F.lit(kind).alias("topic_kind"), name.alias("topic_name"))


def _act(fact: str) -> list[Column]:
    """Who, when and from which fact."""
    day, at = F.col("event_date").alias("day"), F.col("event_time").alias("at")
    return [F.col("user_id"), day, at, F.lit(fact).alias("fact")]


def _undone_or_done() -> Column:
    """The act a row is about: a take-back is about the act it undoes."""
    acts = F.create_map(*[F.lit(part) for pair in TAKE_BACKS.items() for part in pair])
    return F.coalesce(F.element_at(acts, F.col("kind")), F.col("kind"))


def _object() -> Column:
    """What the act was done to: who is followed, what is put into the cart, else the content itself."""
    video, product, creator, room = (
        F.concat(F.lit(f"{name}:"), F.col(f"{name}_id")) for name in ("video", "product", "creator", "live_room")
    )
    kind = F.col("kind")
    return (
        F.when(kind.isin("follow", "unfollow"), F.coalesce(creator, video, room, product))
        .when(kind.isin("add_to_cart", "remove_from_cart"), F.coalesce(product, video, room, creator))
        .otherwise(F.coalesce(video, product, room, creator))
    )
