"""What a backfill has made anew, put in the place of what is published, before a run builds on it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from jobs.definitions.balanced import joined
from jobs.lake.backfills.slices import DaysSlice, FunnelSlice, Slice, UsersSlice
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


@dataclass(frozen=True)
class Backfilled:
    """One slice and, by table, all the rows that belong to it."""

    slice: Slice
    rows: Mapping[str, DataFrame]


def with_backfilled(
    table: str, public: DataFrame, done: Sequence[Backfilled], among: Column | None = None
) -> DataFrame:
    """The table as it stands, with the rows of the slices (no two overlap) as they were made anew.

    `among` is true of the rows a backfill may replace; by default it is of all.
    """
    replaced = is_of_any([one.slice for one in done])
    kept = public.where(~(replaced if among is None else replaced & among))
    return reduce(DataFrame.unionByName, [one.rows[table].select(*public.columns) for one in done], kept)


def is_of_any(slices: Sequence[Slice]) -> Column:
    """The row belongs to one of the slices."""
    return joined(Column.__or__, [is_of(one) for one in slices])


def is_of(one: Slice) -> Column:
    """The row belongs to the slice."""
    match one:
        case DaysSlice(days):
            return F.col("entry_date").isin(*days)
        case UsersSlice(number, of):
            return F.pmod(F.xxhash64("user_id"), F.lit(of)) == number - 1
        case FunnelSlice(funnel, version):
            return (F.col("funnel") == funnel) & (F.col("funnel_version") == version)


def of_users(one: Slice) -> Callable[[DataFrame], DataFrame]:
    """Facts in, those of the slice's users out; of everybody for a slice that is none of users."""
    return lambda facts: facts.where(is_of(one)) if isinstance(one, UsersSlice) else facts
