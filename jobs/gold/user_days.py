"""gold.user_days: what did a user do on a day.

Grain: user_id x day (the business day of the act). A row is there only if the user was.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.definitions.as_of import with_version
from jobs.definitions.identity import is_anonymous, tied_acts
from jobs.definitions.local_time import local_hour
from jobs.definitions.postings import IN, OUT, is_among, posted
from jobs.definitions.sessions import own_acts, with_session_starts
from jobs.definitions.watching import is_completed_view, is_valid_view, watched_ms

SCENES = ("short_video", "live", "mall", "search")
ACTS = ("like", "unlike", "favourite", "unfavourite", "comment", "share", "follow", "unfollow", "add_to_cart",
        "remove_from_cart", "not_interested", "report")  # fmt: skip
SEEN = ("impression", "play", "product_view", "live_enter", "search")
NOBODYS = "of_nobody_we_know"  # anonymous acts that no tie gives to a person
ACT = ("user_id", "event_time", "event_date", "kind", "scene", "watched_ms", "is_valid", "is_complete")


def build(views: DataFrame, likes: DataFrame, orders: DataFrame, videos: DataFrame, *, zone: str) -> DataFrame:
    """Silver facts and video versions in, one row per grain out; `zone` names the business zone."""
    return (
        presence(views, likes, orders, videos)
        .transform(with_session_starts)
        .withColumn("hour", local_hour(F.col("event_time"), zone))
        .groupBy("user_id", F.col("event_date").alias("day"))
        .agg(*_sums())
    )


def presence(views: DataFrame, likes: DataFrame, orders: DataFrame, videos: DataFrame) -> DataFrame:
    """Every own act; views know whether they count."""
    seen = with_version(views, videos, "video_id", "event_time", {"is_advertisement": "is_advertisement"})
    is_play = F.col("kind") == "play"
    viewed = seen.withColumns(
        {
            "watched_ms": watched_ms(),
            "is_valid": is_play & F.coalesce(is_valid_view(), F.lit(False)),
            "is_complete": is_play & F.coalesce(is_completed_view(), F.lit(False)),
        }
    )
    return own_acts(viewed, likes, orders, ACT)


def _sums() -> list[Column]:
    kind, scene = F.col("kind"), F.col("scene")
    hours = F.array(*[F.count_if(F.col("hour") == hour) for hour in range(24)])
    return [
        F.count("*").alias("event_count"),
        F.count_if("starts_session").alias("session_count"),
        F.coalesce(F.sum("watched_ms"), F.lit(0)).alias("watch_ms"),
        F.count_if(kind == "impression").alias("impression_count"),
        F.count_if(kind == "play").alias("play_count"),
        F.count_if("is_valid").alias("valid_view_count"),
        F.count_if("is_complete").alias("completed_view_count"),
        F.count_if(kind == "product_view").alias("product_view_count"),
        F.count_if(kind == "live_enter").alias("live_enter_count"),
        F.count_if(kind == "search").alias("search_count"),
        *[F.count_if(kind == act).alias(f"{act}_count") for act in ACTS],
        *[F.count_if(scene == name).alias(f"{name}_event_count") for name in SCENES],
        hours.alias("events_by_hour"),
        F.min("event_time").alias("first_seen_at"),
        F.max("event_time").alias("last_seen_at"),
    ]


def postings(
    user_days: DataFrame, facts: Sequence[DataFrame], tied: DataFrame, days: Sequence[date] | None
) -> Iterator[DataFrame]:
    """What must add up: own acts, views and likes of a day = what its rows count, but for acts of nobody we know.

    `facts` (views, likes, orders, with `device_id`) are of everybody, anonymous ones too; `tied` as for `of_people`.
    """
    views, likes, orders = facts
    acts = own_acts(views, likes, orders, ("user_id", "device_id", "event_time", "event_date", "kind"))
    mine = acts.where(is_among(F.col("event_date"), days))
    counts = {"acts": F.lit(1), "views": _is_any(SEEN), "likes": _is_any(ACTS)}
    came = {(name, IN): number for name, number in counts.items()}
    nobodys = {(name, NOBODYS): F.when(is_anonymous(), number).otherwise(0) for name, number in counts.items()}
    found_out = {(name, NOBODYS): -number for name, number in counts.items()}
    made = {"acts": F.col("event_count"), "views": _total(SEEN), "likes": _total(ACTS)}
    yield posted(mine, came | nobodys, F.col("event_date"), are_many=True)
    yield posted(tied_acts(mine, tied), found_out, F.col("event_date"))
    counted = {(name, OUT): number for name, number in made.items()}
    yield posted(user_days.where(is_among(F.col("day"), days)), counted, F.col("day"))


def _is_any(kinds: Sequence[str]) -> Column:
    return F.col("kind").isin(*kinds).cast("bigint")


def _total(kinds: Sequence[str]) -> Column:
    return reduce(Column.__add__, [F.col(f"{kind}_count") for kind in kinds])
