"""gold.retention_weekly: of the people first seen in a week, how many were here one, two, … weeks later.

Grain: cohort_week x counting x week_number. `calendar` counts weeks from Monday to Sunday, `rolling` counts every seven
days from each person's own first day. Weeks without anybody have rows of zeros.
"""

from collections.abc import Iterator
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.people import is_flagged
from jobs.definitions.postings import IN, OUT, no_day, posted

COUNTINGS = ("calendar", "rolling")
PPM = 1_000_000
CELL = ["cohort_week", "counting", "week_number"]


def build(days: DataFrame, profiles: DataFrame, *, day: date) -> DataFrame:
    """gold.user_days and gold.user_profiles in, one row per grain out, as of `day`; flagged people left out."""
    seen = of_people(days, profiles, day).transform(with_weeks)
    here = seen.groupBy(*CELL).agg(F.count_distinct("user_id").alias("active_count"))
    return cells(seen, day).join(here, on=CELL, how="left").fillna(0, ["active_count"]).transform(with_share)


def of_people(days: DataFrame, profiles: DataFrame, day: date) -> DataFrame:
    """The days up to `day` of who is not flagged."""
    people = profiles.where(~is_flagged()).select("user_id")  # one row per user_id
    return days.where(F.col("day") <= F.lit(day)).join(people, on=["user_id"], how="left_semi")


def with_weeks(days: DataFrame) -> DataFrame:
    """Each day with the Monday of its person's cohort, twice: its week by the calendar, and since their first day."""
    first_day = F.min("day").over(Window.partitionBy("user_id"))
    monday = F.to_date(F.date_trunc("week", F.col("first_day")))
    since = {"calendar": F.date_diff("day", "cohort_week"), "rolling": F.date_diff("day", "first_day")}
    weeks = F.explode(F.create_map(*[part for name, gone in since.items() for part in (F.lit(name), _weeks(gone))]))
    return (
        days.withColumn("first_day", first_day)
        .withColumn("cohort_week", monday)
        .select("user_id", "cohort_week", weeks.alias("counting", "week_number"))
    )


def cells(seen: DataFrame, day: date) -> DataFrame:
    """Every week of every cohort that has begun by `day`, by both countings, with the size of the cohort."""
    begun = F.sequence(F.lit(0).cast("bigint"), _weeks(F.date_diff(F.lit(day), F.col("cohort_week"))))
    last_day = F.date_add("cohort_week", (F.col("week_number") * 7 + 6).cast("int"))
    # who joined on the Sunday has every seven days end six days later than the calendar's
    latest = F.when(F.col("counting") == "rolling", F.date_add(last_day, 6)).otherwise(last_day)
    return (
        seen.groupBy("cohort_week")
        .agg(F.count_distinct("user_id").alias("cohort_count"))
        .withColumn("counting", F.explode(F.array(*[F.lit(name) for name in COUNTINGS])))
        .withColumn("week_number", F.explode(begun))
        .withColumns({"is_mature": latest <= F.lit(day), "as_of_day": F.lit(day)})
    )


def with_share(weeks: DataFrame) -> DataFrame:
    """The share of the cohort that was here, in whole millionths, rounded down."""
    share = F.call_function("div", F.col("active_count") * PPM, F.col("cohort_count"))
    return weeks.withColumn("retained_ppm", share)


def _weeks(days: Column) -> Column:
    return F.call_function("div", days, F.lit(7)).cast("bigint")


def postings(retention: DataFrame, days: DataFrame, profiles: DataFrame, *, day: date) -> Iterator[DataFrame]:
    """What must add up, by counting and cohort: its people = the size it is given; their weeks = who was here, summed.

    All as for `build`.
    """
    weeks = of_people(days, profiles, day).transform(with_weeks).distinct()
    is_first, part = F.col("week_number") == 0, F.concat_ws(" ", "counting", F.col("cohort_week").cast("string"))
    came = {("people", IN): F.when(is_first, 1).otherwise(0), ("weeks", IN): F.lit(1)}
    size = F.when(is_first, F.col("cohort_count")).otherwise(0)
    made = {("people", OUT): size, ("weeks", OUT): F.col("active_count")}
    yield posted(weeks, came, no_day(), part, are_many=True)
    yield posted(retention, made, no_day(), part, are_many=True)
