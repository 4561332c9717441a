"""gold.funnel_conversions: how many converted on a day, whenever they entered, what was undone, and how long they took.

Grain: funnel x funnel_version x conversion_date x breakdown x breakdown_value. Breakdown `total`, value `(all)` counts
everybody, and stands there for every day of the data, with zeros where nobody converted.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.funnel.model import Definition
from jobs.definitions.postings import IN, OUT, posted
from jobs.definitions.segments import NONE
from jobs.definitions.sketch import sketch
from jobs.gold.funnel_daily import ALL, ASIDE_TOO, TOTAL, by_breakdown, funnel_part, of_breakdowns

DAY = ["funnel", "funnel_version", "conversion_date"]
GRAIN = [*DAY, "breakdown", "breakdown_value"]
COUNTS = ("conversion", "person", "reversed_conversion", "reversed_person", "set_aside_conversion")
TIMES = ("decision", "deliberation")
CONVERTED = "conversions"
SAID = "funnel string, funnel_version bigint, zone string, window_us bigint, definition_hash string"


def build(attempts: DataFrame, definitions: Sequence[Definition], days: Mapping[str, Sequence[date]]) -> DataFrame:
    """The ledger's conversions of `days` (by zone) in, all rows of those days out."""
    counted = by_breakdown(as_conversions(attempts), definitions)
    said = [(one.name, one.version, one.zone, one.window_us, one.fingerprint) for one in definitions]
    known = F.broadcast(attempts.sparkSession.createDataFrame(said, SAID))
    rows = counted.transform(_with_zeros, definitions, days).transform(_sum_up)
    return rows.join(known, on=["funnel", "funnel_version"], how="inner")


def as_conversions(attempts: DataFrame) -> DataFrame:
    """Conversions as counts of 1 and 0; a person counts by the first of the day (of equal ones by the later entry)."""
    mine = Window.partitionBy(*DAY, "user_id", "is_kept").orderBy(
        "converted_at", F.desc(F.get("step_times", F.lit(0))), F.desc(F.get("step_event_ids", F.lit(0))), "hold_key"
    )
    kept, undone = F.col("is_kept"), F.col("reversed_at").isNotNull()
    is_first = F.col("place") == 1
    marks = {
        "conversion": kept, "person": kept & is_first, "reversed_conversion": kept & undone,
        "reversed_person": kept & is_first & undone, "set_aside_conversion": ~kept,
    }  # fmt: skip
    return (
        attempts.where("is_converted")
        .withColumn("is_kept", F.col("set_aside") == NONE)
        .withColumn("place", F.row_number().over(mine))
        .select(
            *DAY,
            "breakdowns",
            *[mark.cast("bigint").alias(name) for name, mark in marks.items()],
            *[F.when(kept, F.col(f"{name}_us")).alias(f"{name}_us") for name in TIMES],
        )
    )


def _with_zeros(found: DataFrame, definitions: Sequence[Definition], days: Mapping[str, Sequence[date]]) -> DataFrame:
    """Add a row of nothing to the total of every day, so that no day is missing."""
    rows = [(one.name, one.version, day, TOTAL, ALL) for one in definitions for day in days.get(one.zone, ())]
    schema = "funnel string, funnel_version bigint, conversion_date date, breakdown string, breakdown_value string"
    return found.unionByName(found.sparkSession.createDataFrame(rows, schema), allowMissingColumns=True)


def _sum_up(found: DataFrame) -> DataFrame:
    """Sums and sketches per grain, under the names promised."""
    sums = [F.coalesce(F.sum(name), F.lit(0)).cast("bigint").alias(name) for name in COUNTS]
    lists = [F.sort_array(F.collect_list(f"{name}_us")).alias(f"{name}_us") for name in TIMES]
    totals = [F.sum(F.col(f"{name}_us").cast("decimal(38,0)")).alias(f"{name}_sum") for name in TIMES]
    rows = found.groupBy(*GRAIN).agg(*sums, *lists, *totals)
    columns = {
        "conversions_count": F.col("conversion"),
        "reversed_conversions_count": F.col("reversed_conversion"),
        "net_conversions_count": F.col("conversion") - F.col("reversed_conversion"),
        "people_count": F.col("person"),
        "reversed_people_count": F.col("reversed_person"),
        "net_people_count": F.col("person") - F.col("reversed_person"),
        "set_aside_conversions_count": F.col("set_aside_conversion"),
    }
    for name in TIMES:
        columns[f"{name}_sum_us"] = F.coalesce(f"{name}_sum", F.lit(0)).cast("decimal(38,0)")
        columns[f"{name}_sketch"] = sketch(F.col(f"{name}_us"))
    return rows.select(*GRAIN, *[column.alias(name) for name, column in columns.items()])


def postings(conversions: DataFrame, attempts: DataFrame, definitions: Sequence[Definition]) -> Iterator[DataFrame]:
    """What must add up, by funnel: attempts of the ledger that converted on a day = its conversions, set aside or not.

    All of the days, and of funnels that are defined.
    """
    day, part = F.col("conversion_date"), funnel_part()
    made = {
        (CONVERTED, OUT): F.col("conversions_count"),
        (CONVERTED, ASIDE_TOO): F.col("set_aside_conversions_count"),
    }
    yield posted(attempts.where("is_converted"), {(CONVERTED, IN): F.lit(1)}, day, part)
    yield posted(conversions.where(F.col("breakdown") == TOTAL), made, day, part)
    yield of_breakdowns(conversions, F.col("conversions_count"), day, definitions)
