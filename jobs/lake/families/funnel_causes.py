"""Whose news changed the funnels' numbers, and by how much, as a pure plan: both ledgers in, what each cause did out.

All counts are sums over people. So each cause has its people, and its part is what the rows of these people come to in
the ledger that is published now, less what they came to in the one before, by the same `build` as the tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from jobs.definitions.causes import OF_NEWS
from jobs.definitions.funnel.model import Definition
from jobs.definitions.news import cause_at, place_of_description, place_of_erasure, place_of_fact, place_of_undoing
from jobs.definitions.segments import NONE
from jobs.gold import funnel_conversions, funnel_daily, funnel_paths
from jobs.gold.funnel_paths import ATTEMPT
from jobs.gold.funnel_paths import GROUP as PATH
from jobs.lake.families.funnel_tables import USER, Silver
from jobs.lake.work import ERASED, RETRACTED
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

BEFORE, AFTER = "before", "after"
MARK = ":"  # between cause, side and the name of a funnel


@dataclass(frozen=True)
class Ledgers:
    """gold.funnel_attempts and gold.funnel_openings of one release."""

    attempts: DataFrame
    openings: DataFrame


def people(
    silver: Silver,
    since: int,
    until: int | None,
    watermark: datetime | None,
    replayed: DataFrame,
    touched: DataFrame,
) -> DataFrame:
    """(user_id, cause): one row per person with news of batches after `since`, up to `until` if there is such.

    The `watermark` is that of the release before. `replayed` has the `event_id` of records that were sent again,
    `touched` (ops.touched) names who lost one because its replay was undone, and who was erased. News of a video are
    news of everybody with facts within what it says.
    """
    level = F.lit(watermark).cast("timestamp")
    new = (
        F.col("ingest_seq") > since if until is None else (F.col("ingest_seq") > since) & (F.col("ingest_seq") <= until)
    )
    sent_again = F.broadcast(replayed.select("event_id").distinct().withColumn("is_replayed", F.lit(True)))
    facts = [rows.select(*USER, "event_id", "kind", "event_time", "video_id", "ingest_seq") for rows in silver.facts]
    every = reduce(DataFrame.unionAll, facts)
    told = every.where(new).join(sent_again, on=["event_id"], how="left")
    is_replayed = F.coalesce("is_replayed", F.lit(False))
    frames = [
        told.select(*USER, place_of_fact(level, is_replayed).alias("place")),
        silver.users.where(new).select(*USER, place_of_description(level).alias("place")),
        _of_videos(every, silver.videos.where(new), place_of_description(level)),
        of_undone(touched.where(new)),
        of_erased(touched.where(new)),
    ]
    first = reduce(DataFrame.unionAll, frames).groupBy(*USER).agg(F.min("place").alias("place"))
    return first.select(*USER, cause_at(F.col("place")).alias("cause"))


def of_undone(touched: DataFrame) -> DataFrame:
    """Who lost what a replay had brought."""
    lost = touched.where((F.col("cause") == RETRACTED) & F.col("subject").isNotNull())
    return lost.select(F.col("subject").alias("user_id"), place_of_undoing().alias("place"))


def of_erased(touched: DataFrame) -> DataFrame:
    """Who was erased."""
    lost = touched.where((F.col("cause") == ERASED) & F.col("subject").isNotNull())
    return lost.select(F.col("subject").alias("user_id"), place_of_erasure().alias("place"))


def _of_videos(facts: DataFrame, videos: DataFrame, place: Column) -> DataFrame:
    """Who has facts within what is newly said of a video."""
    spans = videos.select("video_id", "valid_from", "valid_to", place.alias("place"))
    at, until = F.col("event_time"), F.col("valid_to")
    within = (at >= F.col("valid_from")) & (until.isNull() | (at < until))
    return facts.join(F.broadcast(spans), on=["video_id"], how="inner").where(within).select(*USER, "place")


def daily_parts(
    before: Ledgers, after: Ledgers, causes: DataFrame, definitions: Sequence[Definition], watermark: datetime | None
) -> DataFrame:
    """Rows of gold.funnel_daily of each cause's people alone, then and now, both under the watermark of now."""
    attempts = _sides(before.attempts, after.attempts, causes)
    openings = _sides(before.openings, after.openings, causes)
    daily = funnel_daily.build(attempts, openings, _named(definitions), {}, watermark=watermark)
    return daily.transform(_told_apart)


def conversion_parts(
    before: Ledgers, after: Ledgers, causes: DataFrame, definitions: Sequence[Definition]
) -> DataFrame:
    """Rows of gold.funnel_conversions of each cause's people alone, then and now."""
    attempts = _sides(before.attempts, after.attempts, causes)
    return funnel_conversions.build(attempts, _named(definitions), {}).transform(_told_apart)


def path_parts(
    before: Ledgers, after: Ledgers, causes: DataFrame, told_before: DataFrame, told_after: DataFrame
) -> DataFrame:
    """Rows of gold.funnel_paths of each cause's people alone, then and now.

    Acts count under the names that the table had for them in that release (`told_before`, `told_after`): which are the
    most frequent is of everybody. So the rows of all people together are the table's own.
    """
    sides = ((BEFORE, before.attempts, told_before), (AFTER, after.attempts, told_after))
    parts = [
        _paths_of(rows.join(causes, on=USER, how="inner"), told).withColumn("side", F.lit(side))
        for side, rows, told in sides
    ]
    return parts[0].unionByName(parts[1])


def _paths_of(attempts: DataFrame, told: DataFrame) -> DataFrame:
    """What the attempts of each cause come to in the rows of the table."""
    marked = attempts.withColumn("funnel", F.concat_ws(MARK, "cause", "funnel")).transform(funnel_paths.as_stretches)
    names = F.split("funnel", MARK)
    stretches = marked.withColumns({"cause": F.get(names, F.lit(0)), "funnel": F.get(names, F.lit(1))})
    group, rows = ["cause", *PATH], told.select(*PATH, "act", F.col("act_rank").isNotNull().alias("is_named"))
    done = stretches.select(*group, *ATTEMPT, F.explode("acts").alias("act"))
    label = F.when(F.coalesce("is_named", F.lit(False)), F.col("act")).otherwise(funnel_paths.OTHER).alias("act")
    named = done.join(rows, on=[*PATH, "act"], how="left").select(*group, label, *ATTEMPT).distinct()
    idle = stretches.where(F.size("acts") == 0).select(*group, F.lit(NONE).alias("act"), *ATTEMPT)
    counts = named.unionByName(idle).groupBy(*group, "act").agg(F.count("*").alias("attempts_count"))
    base = stretches.groupBy(*group).agg(F.count("*").alias("share_base_count"))
    every = base.join(rows.drop("is_named"), on=PATH, how="inner")
    return every.join(counts, on=[*group, "act"], how="left").fillna(0, ["attempts_count"])


def _sides(before: DataFrame, after: DataFrame, causes: DataFrame) -> DataFrame:
    """The rows of people with news, as they were and as they are; cause and side lead the name of the funnel."""
    mine = [
        rows.join(causes, on=USER, how="inner").withColumn("funnel", F.concat_ws(MARK, "cause", F.lit(side), "funnel"))
        for side, rows in ((BEFORE, before), (AFTER, after))
    ]
    return mine[0].unionByName(mine[1]).drop("cause")


def _named(definitions: Sequence[Definition]) -> list[Definition]:
    """Every definition once for each cause and side, under the names that `_sides` gives."""
    marks = [(cause, side) for cause in OF_NEWS for side in (BEFORE, AFTER)]
    return [replace(one, name=MARK.join([*mark, one.name])) for one in definitions for mark in marks]


def _told_apart(rows: DataFrame) -> DataFrame:
    """Cause and side as columns of their own again."""
    parts = F.split("funnel", MARK)
    return rows.withColumns({"cause": F.get(parts, F.lit(0)), "side": F.get(parts, F.lit(1)),
                             "funnel": F.get(parts, F.lit(2))})  # fmt: skip
