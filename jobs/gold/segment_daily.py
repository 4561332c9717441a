"""gold.segment_daily: how many people are in which segment on a day, and in which they were the day before.

Grain: as_of_day x dimension x segment_before x segment. Who stayed has both alike, with a row of zero where nobody did;
who came or left has `(outside)` on the other side. As it was known at the end of each day: later news change no day.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.people import MARKETING, is_flagged, may
from jobs.definitions.postings import IN, OUT, is_among, posted
from jobs.definitions.segments import IN_PROFILES, NONE, OUTSIDE, SEGMENTS, VALUE
from jobs.definitions.value import value_tier

GRAIN = ["as_of_day", "dimension", "segment_before", "segment"]


def build(history: DataFrame, *, first: date, last: date) -> DataFrame:
    """Rows of gold.user_profiles_history in, the rows of every day from `first` to `last` out."""
    found = (
        on_each_day(history, first - timedelta(days=1), last)
        .transform(with_value_tier)
        .transform(by_dimension)
        .transform(with_before)
        .where((F.col("as_of_day") >= F.lit(first)) & ~_is_outside())
        .withColumn("people_count", F.lit(1).cast("bigint"))
    )
    counted = found.select(*GRAIN, "people_count").unionByName(nobody(history, first, last))
    return counted.groupBy(*GRAIN).agg(F.sum("people_count").alias("people_count"))


def on_each_day(history: DataFrame, first: date, last: date) -> DataFrame:
    """One row per user and day: the last profile known on it, from the day we first knew one."""
    in_turn = Window.partitionBy("user_id").orderBy("as_of_day")
    until = F.coalesce(F.date_sub(F.lead("as_of_day").over(in_turn), 1), F.lit(last))
    since = F.greatest("as_of_day", F.lit(first))
    return (
        history.where(F.col("as_of_day") <= F.lit(last))
        .groupBy("user_id", "as_of_day")
        .agg(F.max_by(F.struct(*_told()), "known_from").alias("told"))
        .withColumn("until", until)
        .where(F.col("until") >= F.lit(first))
        .select("user_id", F.explode(F.sequence(since, F.col("until"))).alias("as_of_day"), "told.*")
    )


def _told() -> list[str | Column]:
    """What the segments are read from."""
    money = ("order_count", "net_gmv_fen", "last_order_at")
    return [*IN_PROFILES, *money, may(MARKETING).alias("may_be_ranked"), is_flagged().alias("is_flagged")]


def with_value_tier(states: DataFrame) -> DataFrame:
    """The tier among the buyers of each day, as gold.user_scores has it; null without the consent to be ranked."""
    is_counted = ~F.col("is_flagged") & (F.col("order_count") > 0)
    return states.withColumn(VALUE, F.when(F.col("may_be_ranked"), value_tier(is_counted, "as_of_day")))


def by_dimension(states: DataFrame) -> DataFrame:
    """One row per user, day and dimension."""
    words = [
        F.struct(
            F.lit(name).alias("dimension"),
            F.when(F.col("is_flagged"), OUTSIDE).otherwise(F.coalesce(name, F.lit(NONE))).alias("segment"),
        )
        for name in SEGMENTS
    ]
    return states.select("user_id", "as_of_day", F.inline(F.array(*words)))


def with_before(states: DataFrame) -> DataFrame:
    """The segment of the day before."""
    in_turn = Window.partitionBy("user_id", "dimension").orderBy("as_of_day")
    return states.withColumn("segment_before", F.lag("segment", 1, OUTSIDE).over(in_turn))


def nobody(history: DataFrame, first: date, last: date) -> DataFrame:
    """A row of zero for every day and segment that is known by name, so that none is missing."""
    words = [(dimension, word, word) for dimension, named in SEGMENTS.items() for word in (*named, NONE)]
    every = history.sparkSession.createDataFrame(words, "dimension string, segment_before string, segment string")
    days = F.explode(F.sequence(F.lit(first), F.lit(last))).alias("as_of_day")
    return every.select(days, "*", F.lit(0).cast("bigint").alias("people_count"))


def _is_outside() -> Column:
    """Then and now no part of the population."""
    return (F.col("segment") == OUTSIDE) & (F.col("segment_before") == OUTSIDE)


def postings(
    segments: DataFrame, history: DataFrame, days: Sequence[date] | None, *, first: date, last: date
) -> Iterator[DataFrame]:
    """What must add up, by dimension: who is known on a day and not flagged = the people of its segments.

    And who was so the day before = those who are told apart by where they were. Of `days`, all of them within `first`
    and `last`, as for `build`.
    """
    known = on_each_day(history, first - timedelta(days=1), last).where(~F.col("is_flagged"))
    counted = known.groupBy("as_of_day").agg(F.count("*").alias("people"))
    told = counted.select("people", "as_of_day", F.explode(F.array(*map(F.lit, SEGMENTS))).alias("dimension"))
    day, part = F.col("as_of_day"), F.col("dimension")
    is_asked, rows = is_among(day, days) & day.between(F.lit(first), F.lit(last)), F.col("people")
    later = told.withColumn("as_of_day", F.date_add("as_of_day", 1))
    yield posted(told.where(is_asked), {("people", IN): rows}, day, part)
    yield posted(later.where(is_asked), {("people_before", IN): rows}, day, part)
    sums = {("people", OUT): "segment", ("people_before", OUT): "segment_before"}
    counts = {side: F.when(F.col(name) != OUTSIDE, F.col("people_count")).otherwise(0) for side, name in sums.items()}
    yield posted(segments.where(is_asked), counts, day, part, are_many=True)
