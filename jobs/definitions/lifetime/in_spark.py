"""Buyers as the models know them, as Spark columns: days with a purchase, summed up per person, counted by kind.

A purchase is a business day with a payment of a believable order; its value is what is left of that day's payments.
"""

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.orders import settled

HISTORY = ("frequency", "recency", "age")


def purchase_days(orders: DataFrame, day: date) -> DataFrame:
    """One row per (user_id, day) with a payment by `day`: order_count, net_fen, last_order_at; from silver.orders."""
    paid = settled(orders).where(F.col("is_paid") & F.col("is_believable") & (F.col("paid_date") <= F.lit(day)))
    return paid.groupBy("user_id", F.col("paid_date").alias("day")).agg(
        F.count("*").alias("order_count"), F.sum("net_fen").alias("net_fen"), F.max("paid_at").alias("last_order_at")
    )


def buyers(days: DataFrame, day: date) -> DataFrame:
    """One row per user_id of `purchase_days` up to `day`; times in days, money in fen.

    HISTORY is what BG/NBD knows; `valued_count` and `valued_fen` are the purchases after the first that anything is
    left of, and how much: what gamma-gamma knows.
    """
    first_day = F.min("day").over(Window.partitionBy("user_id"))
    again = (F.col("day") > F.col("first_day")) & (F.col("net_fen") > 0)
    return (
        days.where(F.col("day") <= F.lit(day))
        .withColumn("first_day", first_day)
        .groupBy("user_id", "first_day")
        .agg(
            F.sum("order_count").alias("order_count"),
            F.sum("net_fen").alias("net_gmv_fen"),
            F.max("last_order_at").alias("last_order_at"),
            (F.count("*") - 1).alias("frequency"),
            F.date_diff(F.max("day"), F.col("first_day")).cast("bigint").alias("recency"),
            F.date_diff(F.lit(day), F.col("first_day")).cast("bigint").alias("age"),
            F.count_if(again).alias("valued_count"),
            F.coalesce(F.sum(F.when(again, F.col("net_fen"))), F.lit(0)).alias("valued_fen"),
        )
    )


def by_history(people: DataFrame) -> DataFrame:
    """How many of the `buyers` (`count`) have each HISTORY, and how many `later` purchases they made together."""
    return people.groupBy(*HISTORY).agg(F.count("*").alias("count"), F.sum("later").alias("later"))


def by_value(people: DataFrame) -> DataFrame:
    """How many of the `buyers` (`count`) have the same valued purchases, of those who have any."""
    return people.where("valued_count > 0").groupBy("valued_count", "valued_fen").agg(F.count("*").alias("count"))


def with_later(people: DataFrame, days: DataFrame, day: date) -> DataFrame:
    """Attach how many purchases each buyer made after `day`."""
    later = days.where(F.col("day") > F.lit(day)).groupBy("user_id").agg(F.count("*").alias("later"))
    return people.join(later, on=["user_id"], how="left").fillna(0, ["later"])
