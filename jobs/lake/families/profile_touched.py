"""Whom new facts, new knowledge and ties won or lost touch, and on which days: what `profile_refresh` makes again."""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import reduce

from jobs.definitions.identity import of_people, tied_acts
from jobs.definitions.local_time import local_date
from jobs.definitions.sessions import reach
from jobs.lake.families.profile_refresh import PAIR, USER, Gold, Silver
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

ACT = ("user_id", "device_id", "event_time", "event_date")


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


def touched_acts(silver: Silver, since: int, *, redescribed_from: date | None) -> DataFrame:
    """ACT, perhaps repeated: of new facts, and of facts whose video or product is now known otherwise."""
    found = [facts.where(F.col("ingest_seq") > since) for facts in silver.facts]
    if redescribed_from:
        found += _redescribed(silver, since, redescribed_from)
    return _union([facts.select(*ACT) for facts in found])


def acts_of_days(silver: Silver, days: Sequence[date]) -> DataFrame:
    """ACT of everybody who was there on the days."""
    return _union([facts.where(F.col("event_date").isin(*days)).select(*ACT) for facts in silver.facts])


def touched_pairs(acts: DataFrame, tied: DataFrame, zone: str) -> DataFrame:
    """(user_id, day), perhaps repeated, of the people whose acts (ACT) these are.

    An act can end the session that would have begun up to 30 minutes later, so it touches the day then, too.
    """
    return _pairs(of_people(acts, tied), zone)


def retied_pairs(silver: Silver, retied: DataFrame, first: date, last: date, zone: str) -> DataFrame:
    """(user_id, day), perhaps repeated, of the anonymous acts, on days `first` to `last`, that ties won or lost."""
    near = F.col("event_date").between(F.lit(first), F.lit(last))
    acts = _union([facts.where(near).select(*ACT) for facts in (silver.views, silver.likes)])
    return _pairs(tied_acts(acts, retied), zone)


def losers_and_owners(losers: DataFrame, tied: DataFrame) -> DataFrame:
    """(user_id, day), perhaps repeated: the losers, and for a device among them the users ties give its acts to."""
    devices, owners = losers.select(F.col("user_id").alias("device_id"), "day"), tied.select("device_id", "user_id")
    return losers.select(*PAIR).union(devices.join(owners, on=["device_id"], how="inner").select(*PAIR))


def pairs_of_losers(silver: Silver, gold: Gold, losers: DataFrame, zone: str) -> DataFrame:
    """(user_id, day), perhaps repeated: all days of the `losers` (user_id, day: a fact of theirs was taken away then).

    Days they have facts of, days they are published with, and the days they lost one on.
    """
    theirs = [facts.join(losers, on=USER, how="left_semi") for facts in (silver.views, silver.likes, silver.orders)]
    published = gold.user_days.join(losers, on=USER, how="left_semi").select(*PAIR)
    return _union([*(_pairs(facts, zone) for facts in theirs), published, losers.select(*PAIR)])


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
    views, likes, orders = silver.facts
    lines = orders.where("kind = 'paid'").withColumn("product_id", F.explode("lines.product_id"))
    about = {"video_id": (views, likes), "product_id": (views, likes, lines)}
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
