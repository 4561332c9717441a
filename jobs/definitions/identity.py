"""Whose an anonymous act is: a device is tied to the one person who logged in on it."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

MOST_USERS = 1  # who used it, of a device that ties; with more it is shared, and whose an act is would be a guess
BEFORE_DAYS = 30  # an act so long before the first log-in may be of the device's last owner


def is_anonymous() -> Column:
    """Nobody was logged in: the act goes by the name of the device."""
    return F.coalesce(F.col("user_id") == F.col("device_id"), F.lit(False))


def is_shared(user_count: Column) -> Column:
    """More people acted on the device than may be taken for one."""
    return user_count > MOST_USERS


def ties(edges: DataFrame) -> DataFrame:
    """(device_id, user_id, from_at, until_at) of edges that tie: anonymous acts in [from_at, until_at) are the user's.

    One row per device at most, since no shared device ties.
    """
    until = F.col("first_seen_at")
    return edges.where(~F.col("is_shared")).select(
        "device_id",
        "user_id",
        (until - F.expr(f"INTERVAL {BEFORE_DAYS} DAYS")).alias("from_at"),
        until.alias("until_at"),
    )


def of_people(acts: DataFrame, tied: DataFrame) -> DataFrame:
    """The acts of people: those under their name, and anonymous ones (`event_time`) that ties say are theirs.

    An anonymous act that nothing ties is left out. One hop: a tie leads from a device to a person, never on.
    """
    return acts.where(~is_anonymous()).unionByName(tied_acts(acts, tied))


def tied_acts(acts: DataFrame, tied: DataFrame) -> DataFrame:
    """The anonymous acts that ties say are somebody's, under that user's id."""
    theirs = tied.select(F.col("device_id").alias("_device"), F.col("user_id").alias("_user"), "from_at", "until_at")
    at = acts["event_time"]
    within = (acts["device_id"] == theirs["_device"]) & (theirs["from_at"] <= at) & (at < theirs["until_at"])
    joined = acts.where(is_anonymous()).join(theirs, on=within, how="inner")
    return joined.withColumn("user_id", F.col("_user")).drop("_device", "_user", "from_at", "until_at")
