"""What became of an order: all its steps as one row, whenever and in whatever order they came."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.definitions.money import MAX_ORDER_FEN, gross_fen, is_believable, net_fen

ORDER = ["user_id", "order_id"]  # a step under another user's id is not a step of this order


def settled(orders: DataFrame) -> DataFrame:
    """One row per (user_id, order_id) of silver.orders.

    The first payment counts. Unpaid orders have `is_paid` false and null money; paid ones that no order can amount to
    have `is_believable` false. Refunds above the payment are cut to it and flagged `is_over_refunded`.
    """
    return orders.groupBy(*ORDER).agg(*_steps()).transform(_with_money)


def _steps() -> list[Column]:
    """The order's steps, folded; each fold is blind to the order of arrival."""
    kind = F.col("kind")
    first_payment = F.when(kind == "paid", F.struct("event_time", "event_id"))
    refund_fen = F.greatest(F.lit(0), F.least(F.coalesce("refund_fen", F.lit(0)), F.lit(MAX_ORDER_FEN)))
    return [
        F.min_by(F.struct("event_time", "event_date", "lines", "freight_fen"), first_payment).alias("payment"),
        F.coalesce(F.sum(F.when(kind == "refunded", refund_fen)), F.lit(0)).alias("asked_back_fen"),
        F.max(F.when(kind == "cancelled", F.col("event_time"))).alias("cancelled_at"),
        F.max(kind == "returned").alias("is_returned"),
        F.flatten(F.collect_list(F.when(kind == "refunded", F.col("refund_lines")))).alias("refund_lines"),
    ]


def _with_money(steps: DataFrame) -> DataFrame:
    """Amounts from the folded steps."""
    paid_at, gross, asked_back = F.col("payment.event_time"), F.col("gross_fen"), F.col("asked_back_fen")
    cancelled = F.coalesce(F.col("cancelled_at") >= paid_at, F.lit(False))
    return (
        steps.withColumn("gross_fen", gross_fen(F.col("payment.lines"), F.col("payment.freight_fen")))
        .withColumn("refunded_fen", F.least(asked_back, gross))
        .select(
            *ORDER,
            F.col("payment").isNotNull().alias("is_paid"),
            is_believable(gross).alias("is_believable"),
            paid_at.alias("paid_at"),
            F.col("payment.event_date").alias("paid_date"),
            F.col("payment.lines").alias("lines"),
            "refund_lines",
            "gross_fen",
            "asked_back_fen",
            net_fen(gross, F.col("refunded_fen"), cancelled).alias("net_fen"),
            cancelled.alias("is_cancelled"),
            "is_returned",
            (asked_back > gross).alias("is_over_refunded"),
        )
    )
