"""gold.funnel_daily: of the people and attempts that entered a funnel on a day, how many got to each step.

Grain: funnel x funnel_version x entry_date x breakdown x breakdown_value x step_number. Breakdown `total`, value
`(all)` counts everybody, and stands there for every day of the data, with zeros where nothing happened.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.balanced import joined
from jobs.definitions.funnel.model import Definition, Key
from jobs.definitions.json_text import json_text
from jobs.definitions.postings import IN, OUT, posted
from jobs.definitions.segments import NONE
from jobs.definitions.sketch import sketch

TOTAL, ALL = "total", "(all)"
GRAIN = ["funnel", "funnel_version", "entry_date", "breakdown", "breakdown_value", "step_number"]
DAY = ["funnel", "funnel_version", "entry_date"]
FIRST = ["first_at", "first_id", "hold_key"]  # one entry may open an attempt for each product of an order
ALIKE = [*DAY, "breakdowns", "reached", "is_filled"]
QUANTILES = {"p25": 25, "p75": 75, "p90": 90}
MEASURES = ("attempt", "mature_attempt", "excluded_attempt", "reversed_attempt", "person", "mature_person",
            "excluded_person", "reversed_person")  # fmt: skip
ASIDE, TIMES = ("set_aside_attempt", "set_aside_person"), ("decision_us", "deliberation_us")
COUNTS = {"person": "people", "attempt": "attempts"}
SAID = ["step", "is_optional", "zone", "window_us", "definition_hash"]  # of a step, by its definition
ENTERED, STEPS, BREAKDOWNS, ASIDE_TOO = "attempts", "steps", "breakdowns", "set_aside"
STEP = (
    "funnel string, funnel_version bigint, step_number bigint, step string, is_optional boolean, is_last boolean, "
    "zone string, window_us bigint, definition_hash string"
)


def build(
    attempts: DataFrame, openings: DataFrame, definitions: Sequence[Definition], days: Mapping[Key, Sequence[date]], *,
    watermark: datetime | None,
) -> DataFrame:  # fmt: skip
    """Ledger and openings of `days` (by funnel) in, all rows of those days out; mature means below `watermark`."""
    ripe, places = F.lit(watermark).cast("timestamp"), max(len(one.steps) for one in definitions)
    tries = as_tries(attempts, ripe, places).unionByName(as_tries_of_openings(openings, ripe, places))
    attempts_counted = count_attempts(tries)
    counted = attempts_counted.unionByName(count_people(tries))
    steps = attempts.sparkSession.createDataFrame(_steps(definitions), STEP)
    alike = _alike(counted).unionByName(_times(attempts_counted))
    gathered = by_breakdown(alike, definitions).transform(_gathered)
    found = gathered.join(F.broadcast(steps), on=["funnel", "funnel_version"], how="inner")
    return found.transform(_with_zeros, definitions, days).transform(_sum_up).transform(_finish)


def as_tries(attempts: DataFrame, watermark: Column, places: int) -> DataFrame:
    """Attempts of the ledger in the shape both kinds share: how far, how many, how many of them mature.

    `is_filled` says of each of `places` steps whether an event fills it; what a funnel of fewer lacks is not filled.
    """
    is_mature = F.coalesce(F.col("matures_at") < watermark, F.lit(False))
    return attempts.select(
        *DAY, "user_id", "breakdowns", "set_aside", "reached", "decision_us", "deliberation_us",
        F.array(*[F.get("step_event_ids", F.lit(place)).isNotNull() for place in range(places)]).alias("is_filled"),
        F.lit(1).cast("bigint").alias("attempt"),
        is_mature.cast("bigint").alias("mature_attempt"),
        F.col("is_excluded").cast("bigint").alias("excluded_attempt"),
        F.col("reversed_at").isNotNull().cast("bigint").alias("reversed_attempt"),
        F.try_element_at("step_times", F.col("reached").cast("int")).alias("got_at"),
        F.try_element_at("step_times", F.lit(1)).alias("first_at"),
        F.try_element_at("step_event_ids", F.lit(1)).alias("first_id"),
        "hold_key",
    )  # fmt: skip


def as_tries_of_openings(openings: DataFrame, watermark: Column, places: int) -> DataFrame:
    """The counted attempts that stayed at the first step, in the same shape."""
    nothing = F.lit(None).cast("bigint")
    mature = F.size(F.filter("maturity_times", lambda at: F.coalesce(at < watermark, F.lit(False))))
    return openings.select(
        *DAY, "user_id", "breakdowns", "set_aside",
        F.lit(1).cast("bigint").alias("reached"),
        nothing.alias("decision_us"),
        nothing.alias("deliberation_us"),
        F.array(*[F.lit(place == 0) for place in range(places)]).alias("is_filled"),
        F.col("attempt_count").alias("attempt"),
        mature.cast("bigint").alias("mature_attempt"),
        F.col("excluded_count").alias("excluded_attempt"),
        F.lit(0).cast("bigint").alias("reversed_attempt"),
        F.col("first_entry_at").alias("got_at"),
        F.col("first_entry_at").alias("first_at"),
        F.col("first_entry_event_id").alias("first_id"),
        F.lit(None).cast("string").alias("hold_key"),
    )  # fmt: skip


def count_attempts(tries: DataFrame) -> DataFrame:
    """Attempts as measures; those set aside count in a column of their own."""
    kept = F.col("set_aside") == NONE
    measures = {name: F.when(kept, F.col(name)).otherwise(0) for name in MEASURES if name.endswith("attempt")}
    people = {name: F.lit(0).cast("bigint") for name in MEASURES if name.endswith("person")}
    aside = {
        "set_aside_attempt": F.when(kept, 0).otherwise(F.col("attempt")).cast("bigint"),
        "set_aside_person": F.lit(0).cast("bigint"),
        "decision_us": F.when(kept, F.col("decision_us")),
        "deliberation_us": F.when(kept, F.col("deliberation_us")),
    }
    return tries.withColumns(measures | people | aside).select(*_counted())


def _counted() -> list[str]:
    return [*DAY, "breakdowns", "reached", "is_filled", *TIMES, *MEASURES, *ASIDE]


def count_people(tries: DataFrame) -> DataFrame:
    """A person once a day, by their best attempt (rules 9a and 9c); mature when all their attempts of the day are."""
    kept, person = F.col("set_aside") == NONE, Window.partitionBy(*DAY, "user_id")
    best = [kept, F.when(kept, F.col("reached")), F.when(kept, -F.unix_micros("got_at")), *map(F.col, FIRST)]
    people = tries.withColumns({
        "place": F.row_number().over(person.orderBy(*[column.desc() for column in best])),
        "is_kept": F.max(kept).over(person),
        "is_mature": F.min(F.when(kept, F.col("mature_attempt") == F.col("attempt"))).over(person),
        "is_aside": F.max(~kept).over(person),
    }).where("place = 1")  # fmt: skip
    nothing, one = F.lit(None).cast("bigint"), F.col("is_kept").cast("bigint")
    measures = {name: F.lit(0).cast("bigint") for name in MEASURES} | {
        "person": one,
        "mature_person": F.coalesce(F.col("is_mature").cast("bigint"), F.lit(0)),
        "excluded_person": F.when(F.col("is_kept"), F.least("excluded_attempt", F.lit(1))).otherwise(0).cast("bigint"),
        "reversed_person": F.when(F.col("is_kept"), F.col("reversed_attempt")).otherwise(0).cast("bigint"),
        "set_aside_attempt": F.lit(0).cast("bigint"),
        "set_aside_person": F.col("is_aside").cast("bigint"),
        "decision_us": nothing,
        "deliberation_us": nothing,
        "reached": F.when(F.col("is_kept"), F.col("reached")).otherwise(1).cast("bigint"),
        "is_filled": F.when(F.col("is_kept"), F.col("is_filled")).otherwise(F.array().cast("array<boolean>")),
    }
    return people.withColumns(measures).select(*_counted())


def by_breakdown(counted: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    """Each row once for the total and once for every breakdown of its funnel; a pair's value is its two, as JSON."""
    asked = [
        (one.name, one.version, name, list(parts))
        for one in definitions
        for name, parts in {TOTAL: (), **one.broken_down}.items()
    ]
    schema = "funnel string, funnel_version bigint, breakdown string, parts array<string>"
    named = F.broadcast(counted.sparkSession.createDataFrame(asked, schema))
    values = F.transform("parts", lambda part: F.try_element_at("breakdowns", part))
    value = (
        F.when(F.size("parts") == 0, ALL)
        .when(F.size("parts") == 1, F.get(values, F.lit(0)))
        .otherwise(json_text(values))
    )
    return counted.join(named, on=["funnel", "funnel_version"], how="inner").withColumn("breakdown_value", value)


def _alike(counted: DataFrame) -> DataFrame:
    """Those of a day with the same values who got equally far as one row, before each counts for every breakdown."""
    none = [F.array().cast("array<bigint>").alias(name) for name in TIMES]
    return counted.groupBy(*ALIKE).agg(*_sums()).select("*", *none)


def _times(counted: DataFrame) -> DataFrame:
    """The times of those who took some as lists, in the same shape; they are few, and so are told apart."""
    took = counted.where(joined(Column.__or__, [F.col(name).isNotNull() for name in TIMES]))
    none = [F.lit(0).cast("bigint").alias(name) for name in (*MEASURES, *ASIDE)]
    return took.groupBy(*ALIKE).agg(*[F.collect_list(name).alias(name) for name in TIMES]).select("*", *none)


def _gathered(found: DataFrame) -> DataFrame:
    """Those who got equally far as one row, with lists of their times, before each becomes a row per step."""
    times = [F.flatten(F.collect_list(name)).alias(name) for name in TIMES]
    return found.groupBy(*DAY, "breakdown", "breakdown_value", "reached", "is_filled").agg(*_sums(), *times)


def _sums() -> list[Column]:
    return [F.sum(name).alias(name) for name in (*MEASURES, *ASIDE)]


def _steps(definitions: Sequence[Definition]) -> list[tuple[Any, ...]]:
    """One row (STEP) per step of every definition, with what the definition says."""
    return [
        (one.name, one.version, number + 1, step.name, step.is_optional, number + 1 == len(one.steps), one.zone,
         one.window_us, one.fingerprint)
        for one in definitions
        for number, step in enumerate(one.steps)
    ]  # fmt: skip


def _with_zeros(found: DataFrame, definitions: Sequence[Definition], days: Mapping[Key, Sequence[date]]) -> DataFrame:
    """Add a row of nothing to the total of every step and day, so that no day is missing."""
    rows = [(*step, day, TOTAL, ALL) for one in definitions for step in _steps([one]) for day in days.get(one.key, ())]
    schema = f"{STEP}, entry_date date, breakdown string, breakdown_value string"
    return found.unionByName(found.sparkSession.createDataFrame(rows, schema), allowMissingColumns=True)


def _sum_up(found: DataFrame) -> DataFrame:
    """Sums per grain: a mandatory step counts who reached it or further, an optional one who filled it."""
    filled = F.get("is_filled", F.col("step_number").cast("int") - 1)
    counts = F.when(F.col("is_optional"), filled).otherwise(F.col("reached") >= F.col("step_number"))
    undone = ("reversed_attempt", "reversed_person")  # a refund undoes the conversion, not the steps before it
    sums = [
        F.sum(F.when(counts & (F.col("is_last") if name in undone else F.lit(True)), F.col(name)).otherwise(0)).alias(
            name
        )
        for name in MEASURES
    ]
    aside = [F.sum(F.when(F.col("step_number") == 1, F.col(name)).otherwise(0)).alias(name) for name in ASIDE]
    times = [
        F.sort_array(F.flatten(F.collect_list(F.when(counts & F.col("is_last"), F.col(name))))).alias(name)
        for name in TIMES
    ]
    return found.groupBy(*GRAIN, *SAID).agg(*sums, *aside, *times)


def _finish(sums: DataFrame) -> DataFrame:
    """Name the columns as promised, and put in what the definition says."""
    count = {name: F.coalesce(name, F.lit(0)).cast("bigint") for name in (*MEASURES, *ASIDE)}
    columns: dict[str, Column] = {}
    for one, many in COUNTS.items():
        columns |= {
            f"{many}_count": count[one],
            f"mature_{many}_count": count[f"mature_{one}"],
            f"open_{many}_count": count[one] - count[f"mature_{one}"],
            f"excluded_{many}_count": count[f"excluded_{one}"],
            f"reversed_{many}_count": count[f"reversed_{one}"],
            f"net_{many}_count": count[one] - count[f"reversed_{one}"],
            f"set_aside_{many}_count": count[f"set_aside_{one}"],
        }
    for name in ("decision", "deliberation"):
        times = F.col(f"{name}_us")
        columns |= _quantiles(name) | {f"{name}_sketch": F.when(F.size(times) > 0, sketch(times))}
    return sums.select(*GRAIN, *SAID, *[column.alias(name) for name, column in columns.items()])


def _quantiles(name: str) -> dict[str, Column]:
    """Exact quantiles of a sorted list: the doubled median (mean of the middle two), the others by nearest rank."""
    times = F.col(f"{name}_us")
    size = F.size(times)
    middle = F.get(times, F.floor((size - 1) / 2).cast("int")) + F.get(times, F.floor(size / 2).cast("int"))
    ranks = {
        f"{name}_{label}_us": F.get(times, F.ceil(size * part / 100).cast("int") - 1)
        for label, part in QUANTILES.items()
    }
    return {f"{name}_median_doubled_us": F.when(size > 0, middle)} | {
        label: F.when(size > 0, column) for label, column in ranks.items()
    }


def postings(
    daily: DataFrame, attempts: DataFrame, openings: DataFrame, definitions: Sequence[Definition]
) -> Iterator[DataFrame]:
    """What must add up, by funnel: attempts of the ledger and openings of a day = attempts of its first step.

    Those set aside are counted beside. And the steps they got to, one by one, are those of all steps together. All of
    the days, and of funnels that are defined.
    """
    kept, day, part = F.col("set_aside") == NONE, F.col("entry_date"), funnel_part()
    steps = _by_funnel({one.key: _steps_got_to(one) for one in definitions})
    yield posted(attempts, {(ENTERED, IN): F.lit(1), (STEPS, IN): F.when(kept, steps)}, day, part)
    opened = F.col("attempt_count")
    yield posted(openings, {(ENTERED, IN): opened, (STEPS, IN): F.when(kept, opened)}, day, part)
    is_first, tried = F.col("step_number") == 1, F.col("attempts_count")
    made = {
        (ENTERED, OUT): F.when(is_first, tried),
        (ENTERED, ASIDE_TOO): F.when(is_first, F.col("set_aside_attempts_count")),
        (STEPS, OUT): tried,
    }
    yield posted(daily.where(F.col("breakdown") == TOTAL), made, day, part)
    yield of_breakdowns(daily, tried, day, definitions)


def of_breakdowns(rows: DataFrame, count: Column, day: Column, definitions: Sequence[Definition]) -> DataFrame:
    """The values of every breakdown come to the total: POSTING of a table that has both."""
    is_total = F.col("breakdown") == TOTAL
    times = _by_funnel({one.key: F.lit(len(one.broken_down)) for one in definitions})
    told = {(BREAKDOWNS, IN): F.when(is_total, count * times), (BREAKDOWNS, OUT): F.when(~is_total, count)}
    return posted(rows, told, day, funnel_part())


def funnel_part() -> Column:
    """A funnel and its version, in words."""
    return F.concat(F.col("funnel"), F.lit(" v"), F.col("funnel_version").cast("string"))


def _steps_got_to(one: Definition) -> Column:
    """How many steps count an attempt of the ledger: mandatory ones by how far, optional ones by event."""
    counts = [
        F.coalesce(F.get("step_event_ids", F.lit(place)).isNotNull(), F.lit(False))
        if step.is_optional
        else F.col("reached") > place
        for place, step in enumerate(one.steps)
    ]
    return joined(Column.__add__, [each.cast("bigint") for each in counts])


def _by_funnel(values: Mapping[Key, Column]) -> Column:
    """The value that belongs to the row's funnel."""
    is_of = {key: (F.col("funnel") == key[0]) & (F.col("funnel_version") == key[1]) for key in values}
    return F.coalesce(*[F.when(is_of[key], value) for key, value in values.items()])
