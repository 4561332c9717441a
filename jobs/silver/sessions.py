"""silver.sessions: when was somebody here, how did they come in, and what did they do.

Grain: user_id x started_at. A session is own acts with no gap over 30 minutes; midnight cuts nothing.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.sessions import own_acts, with_session_starts
from jobs.definitions.watching import watched_ms

ACT = ("user_id", "event_id", "event_time", "event_date", "kind", "scene", "source", "watched_ms", "heartbeats")
SUMS = ("event_count", "watch_ms", "heartbeat_count")
COUNTED = {
    "play": "play_count",
    "product_view": "product_view_count",
    "live_enter": "live_enter_count",
    "search": "search_count",
    "like": "like_count",
    "add_to_cart": "add_to_cart_count",
    "placed": "placed_count",
    "paid": "paid_count",
}


def build(views: DataFrame, likes: DataFrame, orders: DataFrame) -> DataFrame:
    """Silver facts in, one row per session out; every act of a session must be there, or none."""
    return (
        own_acts(views.withColumn("watched_ms", watched_ms()), likes, orders, ACT)
        .transform(with_session_starts)
        .transform(with_number)
        .groupBy("user_id", "number")
        .agg(*_sums())
        .select("user_id", "started_at", "ended_at", "entry.*", *SUMS, *COUNTED.values())
    )


def with_number(acts: DataFrame) -> DataFrame:
    """Number each user's sessions; acts at one instant belong to one."""
    so_far = Window.partitionBy("user_id").orderBy("event_time").rangeBetween(Window.unboundedPreceding, 0)
    return acts.withColumn("number", F.count_if("starts_session").over(so_far))


def _sums() -> list[Column]:
    at, kind = F.col("event_time"), F.col("kind")
    entry = F.struct(
        F.col("event_date").alias("session_date"),
        F.col("event_id").alias("first_event_id"),
        kind.alias("entry_kind"),
        F.col("scene").alias("entry_scene"),
        F.col("source").alias("entry_source"),
    )
    return [
        F.min(at).alias("started_at"),
        F.max(at).alias("ended_at"),
        F.min_by(entry, F.struct("event_time", "event_id")).alias("entry"),
        F.count("*").alias("event_count"),
        F.coalesce(F.sum("watched_ms"), F.lit(0)).alias("watch_ms"),
        F.coalesce(F.sum(F.greatest("heartbeats", F.lit(0))), F.lit(0)).alias("heartbeat_count"),
        *[F.count_if(kind == act).alias(name) for act, name in COUNTED.items()],
    ]
