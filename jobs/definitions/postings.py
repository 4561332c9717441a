"""What must add up, told as postings: rows that came in, rows that came out, and rows left out by reason.

Every table declares its own equations beside its `build`; who compares them knows none (jobs/lake/reconciling.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

IN, OUT = "in", "out"  # any other side is the reason why rows that came in did not come out
POSTING = ("equation", "part", "slice", "side", "rows")
Side = tuple[str, str]  # equation, side


def posted(rows: DataFrame, sums: Mapping[Side, Column], day: Column, part: Column | None = None) -> DataFrame:
    """POSTING: the `sums` of rows by day and part (what is compared by itself, such as one funnel), in one pass."""
    numbers = {f"n{place}": F.sum(number).cast("bigint") for place, number in enumerate(sums.values())}
    named = F.lit("") if part is None else part
    found = rows.groupBy(day.alias("slice"), named.alias("part")).agg(
        *[number.alias(name) for name, number in numbers.items()]
    )
    sides = [
        F.struct(F.lit(equation).alias("equation"), F.lit(side).alias("side"), F.col(name).alias("rows"))
        for (equation, side), name in zip(sums, numbers, strict=True)
    ]
    return found.select("slice", "part", F.inline(F.array(*sides))).select(*POSTING)


def is_among(column: Column, days: Sequence[date] | None) -> Column:
    """The day is one of those asked for; all are where none are named."""
    return F.lit(True) if days is None else column.isin(*days)


def ledger_of(postings: Iterable[tuple[str, DataFrame]]) -> DataFrame:
    """The postings of all tables as one frame, summed up: table, and POSTING."""
    frames = [rows.select(F.lit(table).alias("table"), *POSTING) for table, rows in postings]
    keys = ["table", *POSTING[:-1]]
    return reduce(DataFrame.unionByName, frames).groupBy(*keys).agg(F.sum("rows").alias("rows"))
