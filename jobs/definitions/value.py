"""Who buys lately, often and much: fifths of the population, and the tiers they make."""

from pyspark.sql import Column, Window
from pyspark.sql import functions as F

FIFTHS = 5
HIGH_FROM, MIDDLE_FROM = 12, 8  # sums of the three scores, 3 to 15
TIERS = ("high", "middle", "low")
# Each ranking is total: equals are told apart by the other two, and at last by the pseudonym.
RECENCY = ("last_order_at", "order_count", "net_gmv_fen", "user_id")
FREQUENCY = ("order_count", "last_order_at", "net_gmv_fen", "user_id")
MONETARY = ("net_gmv_fen", "order_count", "last_order_at", "user_id")


def fifth(ranking: tuple[str, ...], is_in: Column, *of: str) -> Column:
    """1 for the lowest fifth of those who are in, 5 for the highest, by size alike but for one; null for the others.

    `of` names columns (a day) within whose values people are ranked among each other.
    """
    place = F.ntile(FIFTHS).over(Window.partitionBy(*of, is_in).orderBy(*ranking))
    return F.when(is_in, place.cast("bigint"))


def tier(recency: Column, frequency: Column, monetary: Column) -> Column:
    """high, middle or low by the sum of the three scores; null without them."""
    total = recency + frequency + monetary
    return F.when(total >= HIGH_FROM, "high").when(total >= MIDDLE_FROM, "middle").when(total.isNotNull(), "low")


def value_tier(is_in: Column, *of: str) -> Column:
    """The tier of those who are in, from last_order_at, order_count, net_gmv_fen and user_id; null for the others."""
    return tier(*(fifth(ranking, is_in, *of) for ranking in (RECENCY, FREQUENCY, MONETARY)))
