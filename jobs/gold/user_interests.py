"""gold.user_interests: what does a user like now, and how much more than the rest.

Grain: user_id x topic_kind x topic_name, as of one business day. Only of people who agreed to personalisation.
"""

from collections.abc import Iterator
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.interest import faded
from jobs.definitions.people import PERSONALISATION, may
from jobs.definitions.postings import IN, OUT, no_day, posted

GRAIN = ["user_id", "topic_kind", "topic_name"]
MILLION = 1_000_000
LAST_DIGITS = 10**18


def build(interest_days: DataFrame, people: DataFrame, *, day: date) -> DataFrame:
    """Tiles and the users as of the day (one row per user) in, one row per grain out.

    `interest` is the exact sum of weight × fade, scaled by 2^40; what has faded to nothing or cancels out is left out.
    """
    agreed = people.where(may(PERSONALISATION)).select("user_id")
    return (
        interest_days.join(agreed, on=["user_id"], how="left_semi")
        .transform(fade_to, day=day)
        .transform(with_rank)
        .withColumn("as_of_day", F.lit(day))
    )


def fade_to(interest_days: DataFrame, *, day: date) -> DataFrame:
    """The decayed sums on `day`; later days are not known yet on that day."""
    return (
        with_faded(interest_days, day)
        .groupBy(*GRAIN)
        .agg(
            F.sum("faded").cast("decimal(38,0)").alias("interest"),
            F.count("*").alias("tile_count"),
            F.max("day").alias("last_day"),
        )
        .where("interest <> 0")
    )


def with_faded(interest_days: DataFrame, day: date) -> DataFrame:
    """The tiles that are known and not gone on `day`, with what is left of their weight."""
    fade = faded(F.col("topic_kind"), F.date_diff(F.lit(day), F.col("day")))
    weight = F.col("weight").cast("decimal(19,0)") * F.col("fade").cast("decimal(18,0)")
    known = interest_days.withColumn("fade", fade).where("fade IS NOT NULL")
    return known.withColumn("faded", weight.cast("decimal(38,0)"))


def with_rank(interests: DataFrame) -> DataFrame:
    """Rank within the user and kind by a total order; share of what speaks for anything, in parts per million."""
    within = Window.partitionBy("user_id", "topic_kind")
    liked = F.greatest(F.col("interest"), F.lit(0).cast("decimal(38,0)"))
    share = F.call_function("div", liked * F.lit(MILLION), F.nullif(F.sum(liked).over(within), F.lit(0)))
    ranked = within.orderBy(F.desc("interest"), "topic_name")
    return interests.withColumns(
        {
            "rank": F.row_number().over(ranked).cast("bigint"),
            "share_ppm": F.coalesce(share, F.lit(0)).cast("bigint"),
        }
    )


def postings(interests: DataFrame, interest_days: DataFrame, profiles: DataFrame, *, day: date) -> Iterator[DataFrame]:
    """What must add up: what is left on `day` of all tiles of those who agreed = all interest; what cancels out is 0.

    Of both sums the last digits, which 64 bits hold. All of the same users; `profiles` have their consent.
    """
    agreed = profiles.where(may(PERSONALISATION)).select("user_id")
    left = with_faded(interest_days, day).join(agreed, on=["user_id"], how="left_semi")
    yield posted(left.agg(_last_digits("faded")), {("interest", IN): F.col("rows")}, no_day())
    yield posted(interests.agg(_last_digits("interest")), {("interest", OUT): F.col("rows")}, no_day())


def _last_digits(column: str) -> Column:
    total = F.sum(column).cast("decimal(38,0)")
    return (total % F.lit(LAST_DIGITS).cast("decimal(38,0)")).cast("bigint").alias("rows")
