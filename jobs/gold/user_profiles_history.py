"""gold.user_profiles_history: what did we know about a user at a past time.

Grain: user_id x as_of_day x known_from. A row is added when a release changed the profile; an old row never changes.
"""

from collections.abc import Iterator
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.definitions.postings import IN, OUT, no_day, posted
from jobs.definitions.row_text import row_text

PASSING = ("as_of_day",)  # moves on by itself; a new day alone is no change


def build(profiles: DataFrame, history: DataFrame, *, known_from: datetime) -> DataFrame:
    """The profiles (one row per user) that differ from their user's last row in the history.

    A release cut short and repeated adds nothing twice: what is in the history already differs no more.
    """
    latest = history.groupBy("user_id").agg(
        F.max_by("profile_hash", F.struct("known_from", "as_of_day")).alias("latest_hash")
    )
    hashed = profiles.withColumn("profile_hash", profile_hash(profiles))
    changed = hashed.join(latest, on=["user_id"], how="left").where(
        ~F.col("profile_hash").eqNullSafe(F.col("latest_hash"))
    )
    return changed.drop("latest_hash").withColumn("known_from", F.lit(known_from))


def postings(profiles: DataFrame, history: DataFrame) -> Iterator[DataFrame]:
    """What must add up: of every profile the state it is in now is among its user's in the history."""
    mine = profiles.select("user_id", profile_hash(profiles).alias("profile_hash"))
    told = mine.join(history.select("user_id", "profile_hash"), on=["user_id", "profile_hash"], how="left_semi")
    yield posted(profiles, {("states", IN): F.lit(1)}, no_day(), are_many=True)
    yield posted(told, {("states", OUT): F.lit(1)}, no_day(), are_many=True)


def profile_hash(profiles: DataFrame) -> Column:
    """Hash of all that can change in a profile."""
    return F.sha2(row_text(profiles, without=PASSING), 256)
