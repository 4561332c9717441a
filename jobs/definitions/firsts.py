"""Telling first arrivals from repeats: within a batch and against what is there already.

Only contested events, whose id occurs more than once, are compared; they are few unless a log is replayed.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.definitions.arrival import by_arrival, nth_arrival, of_first

PLACE = ("kafka_topic_id", "kafka_partition", "kafka_offset")
ARRIVAL = ("event_id", "content_hash", *PLACE, "kafka_time")  # of a claim, what silver has in columns of these names
CLAIM = (*ARRIVAL, "event_hour", "day", "subject", "is_new")


def judged(claims: DataFrame) -> DataFrame:
    """Say of each arrival (columns of CLAIM) whether it was first, or what it repeats.

    Adds `fate`: first, duplicate (same content as the first) or conflict (another content), and the first's place
    (`twin`) for those that were not first.
    """
    place = F.struct(F.col("kafka_partition").alias("partition"), F.col("kafka_offset").alias("offset"))
    ranked = claims.select(
        *CLAIM,
        nth_arrival("event_id").alias("nth"),
        of_first("content_hash", "event_id").alias("first_hash"),
        F.first(place).over(by_arrival("event_id")).alias("first_place"),
    )
    same = F.col("content_hash").eqNullSafe(F.col("first_hash"))
    fate = F.when(F.col("nth") == 1, "first").when(same, "duplicate").otherwise("conflict")
    twin = F.when(F.col("nth") > 1, F.col("first_place"))
    return ranked.select(*CLAIM, fate.alias("fate"), twin.alias("twin"))


def without(rows: DataFrame, places: DataFrame) -> DataFrame:
    """Leave out the rows that lie at these places; one row per place is enough."""
    return rows.join(places.select(*PLACE), on=list(PLACE), how="left_anti")
