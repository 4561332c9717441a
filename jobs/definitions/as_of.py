"""Entities as they were: which version of a thing held at an instant."""

from collections.abc import Mapping
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def held_at(at: Column) -> Column:
    """The version's row held at that instant; a deleted thing holds nothing."""
    until = F.col("valid_to")
    return (F.col("valid_from") <= at) & (until.isNull() | (at < until)) & ~F.col("is_deleted")


def as_of(versions: DataFrame, instant: datetime) -> DataFrame:
    """The versions that held at one instant: one row per key."""
    return versions.where(held_at(F.lit(instant)))


def with_version(facts: DataFrame, versions: DataFrame, key: str, at: str, columns: Mapping[str, str]) -> DataFrame:
    """Attach the version of `key` that held at the fact's `at`: `columns` maps its columns to names on the fact.

    At most one version of a key holds at an instant, by contract, so no fact is doubled; where none did, nulls.
    """
    narrow = versions.where(~F.col("is_deleted")).select(
        F.col(key).alias("_key"),
        "valid_from",
        "valid_to",
        "is_deleted",
        *(F.col(c).alias(n) for c, n in columns.items()),
    )
    joined = facts.join(narrow, on=[facts[key] == narrow["_key"], held_at(facts[at])], how="left")
    return joined.drop("_key", "valid_from", "valid_to", "is_deleted")
