"""Whom new facts and new knowledge touch, and on which days: what `profile_refresh` works out again."""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import reduce

from jobs.definitions.local_time import local_date
from jobs.definitions.sessions import reach
from jobs.lake.families.profile_refresh import USER, Silver
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def newest_day(silver: Silver) -> DataFrame:
    """One row, one column: the newest business day any fact is of."""
    days = [facts.agg(F.max("event_date").alias("day")) for facts in (silver.views, silver.likes, silver.orders)]
    return _union(days).agg(F.max("day"))


def first_redescribed_day(silver: Silver, since: int, zone: str) -> DataFrame:
    """One row, one column: the first day about whose videos or products batches after `since` say something else."""
    changed = [
        things.where(F.col("ingest_seq") > since).select("valid_from") for things in (silver.videos, silver.products)
    ]
    return _union(changed).agg(F.min(local_date(F.col("valid_from"), zone)))


def touched_pairs(silver: Silver, since: int, zone: str, *, redescribed_from: date | None) -> DataFrame:
    """(user_id, day), perhaps repeated: of new facts, and of facts whose video or product is now known otherwise.

    An act can end the session that would have begun up to 30 minutes later, so it touches the day then, too.
    """
    all_facts = (silver.views, silver.likes, silver.orders)
    pairs = [_pairs(facts.where(F.col("ingest_seq") > since), zone) for facts in all_facts]
    if redescribed_from:
        pairs += [_pairs(facts, zone) for facts in _redescribed(silver, since, redescribed_from)]
    return _union(pairs)


def pairs_of_days(silver: Silver, days: Sequence[date], zone: str) -> DataFrame:
    """(user_id, day), perhaps repeated, of everybody who was there on the days."""
    return _union(
        [_pairs(f.where(F.col("event_date").isin(*days)), zone) for f in (silver.views, silver.likes, silver.orders)]
    )


def touched_users(silver: Silver, pairs: DataFrame, since: int) -> DataFrame:
    """Distinct users of the pairs, and those whose own entity changed."""
    changed = silver.users.where(F.col("ingest_seq") > since).select(*USER)
    return pairs.select(*USER).union(changed).distinct()


def _pairs(facts: DataFrame, zone: str) -> DataFrame:
    days = F.array_distinct(F.array("event_date", local_date(reach(F.col("event_time")), zone)))
    return facts.select("user_id", F.explode(days).alias("day"))


def _redescribed(silver: Silver, since: int, start: date) -> Iterator[DataFrame]:
    """Facts about a video or product at a time of which something new is known."""
    new = F.col("ingest_seq") > since
    lines = silver.orders.where("kind = 'paid'").withColumn("product_id", F.explode("lines.product_id"))
    about = {"video_id": (silver.views, silver.likes), "product_id": (silver.views, silver.likes, lines)}
    things = {"video_id": silver.videos, "product_id": silver.products}
    for key, all_facts in about.items():
        spans = things[key].where(new).select(F.col(key).alias("thing"), "valid_from", "valid_to")
        for facts in all_facts:
            recent = facts.where(F.col("event_date") >= F.lit(start))
            yield recent.join(spans, on=[recent[key] == spans["thing"], _within(recent["event_time"])], how="left_semi")


def _within(at: Column) -> Column:
    until = F.col("valid_to")
    return (F.col("valid_from") <= at) & (until.isNull() | (at < until))


def _union(frames: Sequence[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionAll, frames)
