"""gold.user_scores: where does a buyer stand among all buyers, and what will they do next.

Grain: user_id, as of one business day. Only buyers have a row; those who are set apart have no scores in it.
"""

from collections.abc import Iterator
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.definitions.lifetime.in_arrow import NAMES, PPM, SCHEMA, Predicting
from jobs.definitions.lifetime.in_spark import purchase_days
from jobs.definitions.people import MARKETING, NEEDS_MARKETING, is_flagged, may
from jobs.definitions.postings import IN, OUT, no_day, posted
from jobs.definitions.value import FREQUENCY, MONETARY, RECENCY, fifth, tier

KNOWN = ("frequency", "recency", "age", "valued_count", "valued_fen")


def build(people: DataFrame, predicting: Predicting | None, *, day: date) -> DataFrame:
    """`set_apart` buyers in, one row per buyer out; without a model (`predicting`) the predictions are null."""
    return (
        people.transform(with_scores)
        .transform(with_predictions, predicting)
        .transform(with_consent)
        .transform(named, day)
    )


def set_apart(buyers: DataFrame, profiles: DataFrame) -> DataFrame:
    """Buyers (definitions/lifetime) with their consent, and `is_counted`: neither a suspected bot nor a minor."""
    flags = profiles.select("user_id", "consent", is_flagged().alias("is_flagged"))
    known = buyers.join(flags, on=["user_id"], how="left")  # profiles: one row per user_id
    return known.withColumn("is_counted", ~F.coalesce("is_flagged", F.lit(False))).drop("is_flagged")


def with_scores(people: DataFrame) -> DataFrame:
    """Fifths over the population of the day, and the tier they make."""
    is_in = F.col("is_counted")
    scored = people.withColumns(
        {
            "recency_score": fifth(RECENCY, is_in),
            "frequency_score": fifth(FREQUENCY, is_in),
            "monetary_score": fifth(MONETARY, is_in),
        }
    )
    return scored.withColumn(
        "value_tier", tier(*(F.col(f"{name}_score") for name in ("recency", "frequency", "monetary")))
    )


def with_predictions(people: DataFrame, predicting: Predicting | None) -> DataFrame:
    """What the models say of those who count."""
    if predicting is None:
        return people.withColumns({name: F.lit(None).cast("bigint") for name in (*NAMES, "expected_value_90d_fen")})
    counted = people.where("is_counted").select("user_id", *KNOWN)
    told = people.join(counted.mapInArrow(predicting, SCHEMA), on=["user_id"], how="left")  # one row per user_id
    value = F.col("expected_purchases_90d_ppm").cast("decimal(20,0)") * F.col("expected_purchase_fen")
    return told.withColumn("expected_value_90d_fen", F.call_function("div", value, F.lit(PPM)))


def with_consent(people: DataFrame) -> DataFrame:
    """Empty what needs a consent that was not given; the others' places do not change by it."""
    agreed = may(MARKETING)
    return people.withColumns({name: F.when(agreed, F.col(name)) for name in NEEDS_MARKETING})


def named(people: DataFrame, day: date) -> DataFrame:
    """The table's columns."""
    return people.select(
        "user_id",
        F.lit(day).alias("as_of_day"),
        "is_counted",
        "consent",
        "order_count",
        "net_gmv_fen",
        "last_order_at",
        (F.col("frequency") + 1).alias("purchase_day_count"),
        F.col("recency").alias("order_span_days"),
        F.col("age").alias("since_first_order_days"),
        *NEEDS_MARKETING,
    )


def postings(scores: DataFrame, orders: DataFrame, *, day: date) -> Iterator[DataFrame]:
    """What must add up: who bought by `day`, their orders and what is left of the money = rows, and what they sum up.

    `orders` are those the scores were made of.
    """
    days = purchase_days(orders, day)
    bought = days.groupBy("user_id").agg(F.sum("order_count").alias("order_count"), F.sum("net_fen").alias("net_fen"))
    for rows, side, money in ((bought, IN, "net_fen"), (scores, OUT, "net_gmv_fen")):
        sums = {"buyers": F.lit(1), "orders": F.col("order_count"), "net_fen": F.col(money)}
        yield posted(rows, {(name, side): number for name, number in sums.items()}, no_day(), are_many=True)
