"""The history of one key is a pure function of all its changes, whatever order they came in.

Changes are ordered by (time, producer epoch and number, arrival). Each holds until the next; of several at the same
instant the last holds and the others are superseded. A tombstone is a change to "deleted".
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.arrival import ARRIVAL

BEFORE = ("valid_to", "is_superseded")  # what a later change may alter in a row


def rebuilt(changes: DataFrame, known: DataFrame, *, key: str) -> DataFrame:
    """The rows of the keys that are new, or hold for another time than `known` says.

    `changes` are new, one row per event, with `valid_from` and `is_deleted`; `known` are all rows of their keys,
    without those that a change replaces. A changed row takes the batch number of the changes.
    """
    batch = F.max("new_seq").over(Window.partitionBy(key))
    return (
        together(changes, known)
        .select("*", next_start(key).alias("next_from"), batch.alias("batch"))
        .transform(with_validity)
        .where(F.col("new_seq").isNotNull() | is_altered())
        .withColumn("ingest_seq", F.col("batch"))
        .drop("new_seq", "next_from", "batch", *(f"known_{name}" for name in BEFORE))
    )


def together(changes: DataFrame, known: DataFrame) -> DataFrame:
    """Known rows with what they said before, new ones with the batch that brings them."""
    old = known.withColumnsRenamed({name: f"known_{name}" for name in BEFORE}).drop("is_current")
    return changes.withColumn("new_seq", F.col("ingest_seq")).unionByName(old, allowMissingColumns=True)


def next_start(key: str) -> Column:
    """When the next change of the same key begins to hold; null for the last."""
    order = [
        F.col("valid_from"),
        F.col("producer_epoch").asc_nulls_last(),
        F.col("producer_seq").asc_nulls_last(),
        *(F.col(name) for name in ARRIVAL),
    ]
    return F.lead("valid_from").over(Window.partitionBy(key).orderBy(*order))


def with_validity(rows: DataFrame) -> DataFrame:
    """Say until when each row holds."""
    next_from = F.col("next_from")
    return rows.select(
        "*",
        next_from.alias("valid_to"),
        next_from.isNull().alias("is_current"),
        F.coalesce(next_from == F.col("valid_from"), F.lit(False)).alias("is_superseded"),
    )


def is_altered() -> Column:
    """Whether a known row now holds for another time."""
    return ~(
        F.col("valid_to").eqNullSafe(F.col("known_valid_to"))
        & F.col("is_superseded").eqNullSafe(F.col("known_is_superseded"))
    )
