"""silver.identity_edges: who acted on which device, and which devices are shared and so say nothing.

Grain: user_id x device_id, of own acts that carry both; what goes by the device's own name is evidence of nobody.
"""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.identity import is_anonymous, is_shared
from jobs.definitions.sessions import own_acts

GRAIN = ["user_id", "device_id"]
SEEN = ("first_seen_at", "evidence_event_id", "last_seen_at")


def build(views: DataFrame, likes: DataFrame, orders: DataFrame) -> DataFrame:
    """Silver facts in, one row per grain out; times are UTC, of the first and last act of the user on the device."""
    return sightings(views, likes, orders).transform(with_company)


def sightings(views: DataFrame, likes: DataFrame, orders: DataFrame) -> DataFrame:
    """GRAIN and SEEN of these facts alone."""
    acts = own_acts(views, likes, orders, ("user_id", "device_id", "event_time", "event_id"))
    at = F.col("event_time")
    return (
        acts.where(F.col("device_id").isNotNull() & ~is_anonymous())
        .select(
            *GRAIN, at.alias("first_seen_at"), F.col("event_id").alias("evidence_event_id"), at.alias("last_seen_at")
        )
        .transform(summed)
    )


def summed(sightings: DataFrame) -> DataFrame:
    """Sightings of one grain as one; the order and number of parts change nothing, nor does a part that comes twice."""
    first = F.min(F.struct("first_seen_at", "evidence_event_id"))
    parts = sightings.groupBy(*GRAIN).agg(first.alias("first"), F.max("last_seen_at").alias("last_seen_at"))
    return parts.select(*GRAIN, "first.*", "last_seen_at")


def with_company(sightings: DataFrame) -> DataFrame:
    """How many users each device has; all sightings of a device must be there (one row per grain), or none."""
    users = F.count("*").over(Window.partitionBy("device_id"))
    return sightings.withColumn("device_user_count", users).withColumn(
        "is_shared", is_shared(F.col("device_user_count"))
    )
