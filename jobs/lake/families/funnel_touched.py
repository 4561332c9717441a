"""Whom new facts and new knowledge touch, and from when on: what `funnel_refresh` judges again."""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import reduce

from jobs.definitions.funnel.restarts import BEGINNING
from jobs.lake.families.funnel_tables import USER, Gold, Silver
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def touched_users(silver: Silver, since: int) -> DataFrame:
    """(user_id, `since`: the instant of a change), perhaps repeated.

    Of new facts, and of facts whose video is now known otherwise; a changed user is changed from the beginning.
    """
    new = F.col("ingest_seq") > since
    frames = [facts.where(new).transform(_at_their_time) for facts in (silver.views, silver.likes)]
    frames += [_of_touched_orders(silver.orders, new), from_the_beginning(silver.users.where(new))]
    spans = silver.videos.where(new).select(F.col("video_id").alias("thing"), "valid_from", "valid_to")
    for facts in silver.facts:
        at, until = facts["event_time"], spans["valid_to"]
        within = (at >= spans["valid_from"]) & (until.isNull() | (at < until))
        described = facts.join(spans, on=[facts["video_id"] == spans["thing"], within], how="left_semi")
        frames.append(described.transform(_at_their_time))
    return reduce(DataFrame.unionAll, frames)


def _at_their_time(facts: DataFrame) -> DataFrame:
    return facts.select(*USER, F.col("event_time").alias("since"))


def _of_touched_orders(orders: DataFrame, new: Column) -> DataFrame:
    """The first event of every order with a new one: a refund changes what all events of its order say."""
    whole = orders.groupBy(*USER, "order_id").agg(F.min("event_time").alias("since"), F.max(new).alias("is_touched"))
    return whole.where("is_touched").select(*USER, "since")


def from_the_beginning(rows: DataFrame) -> DataFrame:
    """(user_id, `since`) of rows with users in whom anything may have changed, perhaps repeated."""
    return rows.select(*USER, F.lit(BEGINNING).alias("since"))


def users_of_days(silver: Silver, gold: Gold, days: Sequence[date]) -> DataFrame:
    """As touched_users, from the beginning: who was there, or has an attempt, on the days (or beside: zones differ)."""
    near = sorted({day + timedelta(days=step) for day in days for step in (-1, 0, 1)})
    frames = [facts.where(F.col("event_date").isin(*near)).select(*USER) for facts in silver.facts]
    frames += [rows.where(F.col("entry_date").isin(*days)).select(*USER) for rows in (gold.attempts, gold.openings)]
    return from_the_beginning(reduce(DataFrame.unionAll, frames))
