"""silver.sessions: when was somebody here, how did they come in, and what did they do.

Grain: user_id x started_at. A session is own acts with no gap over 30 minutes; midnight cuts nothing.
"""

from collections.abc import Iterator, Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.local_time import local_date
from jobs.definitions.postings import IN, OUT, POSTING, is_among, posted
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
ACTS, BEGUN_BEFORE, GOES_ON = "acts", "of_sessions_begun_before", "of_sessions_that_go_on"


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


def postings(sessions: DataFrame, acts: DataFrame, days: Sequence[date] | None, zone: str) -> Iterator[DataFrame]:
    """What must add up: the own acts of a day = the acts of the sessions begun on it, but for what midnight parts.

    `acts` (user_id, event_time, event_date) are of the `days` and of the day after each; `sessions` those begun on the
    days, and those from before that reach into them. What a session has on the day after it began is taken off its day
    (GOES_ON, below zero) and is left out on that one. Of a session of three days only its first is counted, as acts.
    """
    last_day = local_date(F.col("ended_at"), zone)
    is_long = last_day > F.date_add("session_date", 1)
    begun = sessions.where(is_among(F.col("session_date"), days))
    done = acts.where(is_among(F.col("event_date"), days))
    yield posted(done, {(ACTS, IN): F.lit(1)}, F.col("event_date"), are_many=True)
    yield posted(begun, {(ACTS, OUT): F.when(is_long, 0).otherwise(F.col("event_count"))}, F.col("session_date"))
    over_midnight = sessions.where(last_day > F.col("session_date")).withColumn("is_long", is_long)
    yield _parted(over_midnight, acts).where(is_among(F.col("slice"), days))


def _parted(over_midnight: DataFrame, acts: DataFrame) -> DataFrame:
    """POSTING of the acts of sessions that midnight parts, each on the days that it is about."""
    whose = over_midnight.select(F.col("user_id").alias("whose"), "started_at", "ended_at", "session_date", "is_long")
    inside = (acts["user_id"] == whose["whose"]) & acts["event_time"].between(whose["started_at"], whose["ended_at"])
    is_later = F.col("event_date") > F.col("session_date")
    told = F.array(
        F.when(is_later, _said("event_date", BEGUN_BEFORE, 1)),
        F.when(is_later & ~F.col("is_long"), _said("session_date", GOES_ON, -1)),
        F.when(~is_later & F.col("is_long"), _said("session_date", OUT, 1)),
    )
    pieces = acts.join(whose, on=[inside], how="inner").select(F.explode(told).alias("told")).where("told IS NOT NULL")
    return pieces.select("told.*").select(*POSTING)


def _said(day: str, side: str, rows: int) -> Column:
    number = F.lit(rows).cast("bigint").alias("rows")
    words = [F.lit(ACTS).alias("equation"), F.lit("").alias("part")]
    return F.struct(*words, F.col(day).alias("slice"), F.lit(side).alias("side"), number)
