"""What must add up, told as postings: rows that came in, rows that came out, and rows left out by reason.

Every table declares its own equations beside its `build`; who compares them knows none (jobs/lake/reconciling.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

IN, OUT = "in", "out"  # any other side is the reason why rows that came in did not come out
WORDS = ("equation", "side")
POSTING = ("equation", "part", "slice", "side", "rows")
Side = tuple[str, str]  # equation, side


def posted(
    rows: DataFrame, sums: Mapping[Side, Column], day: Column, part: Column | None = None, *, are_many: bool = False
) -> DataFrame:
    """POSTING: the numbers of each row by day and part (what is compared by itself, such as one funnel); no zeros.

    Where the rows `are_many` they are summed up first, for each makes as many postings as there are numbers.
    """
    named = (F.lit("") if part is None else part).alias("part")
    numbers = [number.cast("bigint").alias(f"n{place}") for place, number in enumerate(sums.values())]
    told = rows.select(day.alias("slice"), named, *numbers)
    names = [f"n{place}" for place in range(len(sums))]
    if are_many:
        told = told.groupBy("slice", "part").agg(*[F.sum(name).alias(name) for name in names])
    at = F.col("place")
    words = [
        F.get(F.array(*map(F.lit, each)), at).alias(name)
        for name, each in zip(WORDS, zip(*sums, strict=True), strict=True)
    ]
    # by place, for the engine of small runs takes no list of structs of which some numbers may be null and others not
    each = told.select("*", F.explode(F.array(*map(F.lit, range(len(sums))))).alias("place"))
    number = F.get(F.array(*map(F.col, names)), at).alias("rows")
    return each.select("slice", "part", *words, number).where("rows <> 0").select(*POSTING)


def no_day() -> Column:
    """The slice of what is counted of a whole table."""
    return F.lit(None).cast("date")


def is_among(column: Column, days: Sequence[date] | None) -> Column:
    """The day is one of those asked for; all are where none are named."""
    return F.lit(True) if days is None else column.isin(*days)


def ledger_of(postings: Iterable[tuple[str, DataFrame]]) -> DataFrame:
    """The postings of all tables as one frame, summed up: table, and POSTING."""
    frames = [rows.select(F.lit(table).alias("table"), *POSTING) for table, rows in postings]
    keys = ["table", *POSTING[:-1]]
    return reduce(DataFrame.unionByName, frames).groupBy(*keys).agg(F.sum("rows").alias("rows"))
