"""gold.funnel_attempts: who tried, how far they got, with which events, and how long it took.

Grain: funnel x funnel_version x hold_key x entry_event_id: one row per attempt (docs/funnels.md) that got past the
first step. Where a product is held, an order of two may open two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.definitions.as_of import with_version
from jobs.definitions.funnel.in_arrow import Judging
from jobs.definitions.funnel.in_spark import kernel_events, named_events, with_properties
from jobs.definitions.funnel.model import Definition
from jobs.definitions.funnel.restarts import only_from
from jobs.definitions.funnel.standing import is_of_eve, with_eve
from jobs.definitions.funnel.vocabulary import ACTS
from jobs.definitions.people import generation, is_minor
from jobs.definitions.segments import NONE

EPOCH = "1970-01-01"
PERSON = {name: name for name in ("birth_year", "city_tier", "member_tier", "is_staff")}
COLUMNS = (
    "funnel", "funnel_version", "entry_date", "user_id", "hold_key", "entry_event_id", "entry_at",
    "deliberation_event_id", "deliberation_at", "deliberation_date", "entry_count", "reached", "reached_step",
    "step_event_ids", "step_times", "acts_after",
    "breakdowns", "is_converted", "converted_at", "conversion_date", "decision_us", "deliberation_us", "is_excluded",
    "reversed_at", "matures_at", "set_aside", "zone",
)  # fmt: skip


@dataclass(frozen=True)
class Eve:
    """What tells how people stood before an entry: `signs` of life (user_id, sign_days) and the business zone."""

    signs: DataFrame
    zone: str


def build(outcomes: DataFrame) -> DataFrame:
    """The ledger from what the kernel found."""
    return outcomes.where("reached > 1").withColumn("hold_key", F.coalesce("hold_key", F.lit(NONE))).select(*COLUMNS)


def judge(
    views: DataFrame, likes: DataFrame, orders: DataFrame, videos: DataFrame, users: DataFrame,
    definitions: Sequence[Definition], restarted: DataFrame | None = None, eve: Eve | None = None,
) -> DataFrame:  # fmt: skip
    """Every attempt of every funnel, those that stayed at the first step too, in one pass over the events.

    With `restarted` (jobs/definitions/funnel/restarts.py) those of its users, from their days on. `eve` is needed where
    a definition breaks down by what holds on the eve of an entry (jobs/definitions/funnel/standing.py).
    """
    events = (
        named_events(views, likes, orders, definitions)
        .transform(with_properties, videos, definitions)
        .transform(kernel_events, definitions, ACTS)
    )
    if restarted is not None:
        events = events.transform(only_from, restarted, definitions)
    return (
        events.repartition("user_id")
        .sortWithinPartitions("user_id", "at")
        .mapInArrow(Judging(tuple(definitions), ACTS), _schema(definitions))
        .transform(_with_definition, definitions)
        .transform(_with_times)
        .transform(_with_person, users)
        .transform(_with_eve, users, eve)
        .transform(_with_breakdowns, definitions)
    )


def _schema(definitions: Sequence[Definition]) -> str:
    """What the kernel gives, as Spark DDL."""
    from jobs.definitions.funnel.in_arrow import outcome_schema

    words = {"int32": "int", "int64": "bigint", "bool": "boolean", "string": "string"}
    lists = {"list<item: string>": "array<string>", "list<item: int64>": "array<bigint>",
             "list<item: list<item: string>>": "array<array<string>>"}  # fmt: skip
    return ", ".join(f"`{one.name}` {(words | lists)[str(one.type)]}" for one in outcome_schema(definitions))


def _with_definition(outcomes: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    """Name funnel, version, zone and the furthest step, from the number of the definition."""
    names = [_text_array([step.name for step in one.steps]) for one in definitions]
    return outcomes.withColumns(
        {
            "funnel": _pick([F.lit(one.name) for one in definitions]),
            "funnel_version": _pick([F.lit(one.version).cast("bigint") for one in definitions]),
            "zone": _pick([F.lit(one.zone) for one in definitions]),
            "reached_step": F.when(F.col("reached") > 0, F.get(_pick(names), F.col("reached").cast("int") - 1)),
        }
    )


def _text_array(words: Sequence[str]) -> Column:
    return F.array(*[F.lit(word) for word in words])


def _pick(values: Sequence[Column]) -> Column:
    """The value that belongs to the row's definition."""
    chosen = F.when(F.col("definition") == 0, values[0])
    return reduce(lambda so_far, n: so_far.when(F.col("definition") == n, values[n]), range(1, len(values)), chosen)


def _with_times(outcomes: DataFrame) -> DataFrame:
    """Instants and days from numbers."""
    instants = ("entry_at", "deliberation_at", "converted_at", "reversed_at", "matures_at")
    days = ("entry", "deliberation", "conversion")
    return outcomes.withColumns(
        {name: F.timestamp_micros(name) for name in instants}
        | {f"{name}_date": F.date_add(F.lit(EPOCH).cast("date"), F.col(f"{name}_day")) for name in days}
        | {"step_times": F.transform("step_times", F.timestamp_micros)}
    )


def _with_person(outcomes: DataFrame, users: DataFrame) -> DataFrame:
    """Who they were when the attempt's steps began; staff and minors are set aside, the business's own days too."""
    seen = outcomes.withColumn("seen_at", F.get("step_times", F.lit(0)))
    known = with_version(seen, users, "user_id", "seen_at", PERSON)
    aside = (
        F.when(F.col("set_aside").isNotNull(), F.col("set_aside"))
        .when(F.coalesce("is_staff", F.lit(False)), "staff")
        .when(F.coalesce(is_minor(F.col("birth_year"), F.col("entry_date")), F.lit(False)), "minor")
        .otherwise(NONE)
    )
    who = generation(F.col("birth_year"), F.col("entry_date"))
    said = {f"by_{name}": F.col(name) for name in ("city_tier", "member_tier")}
    return known.withColumns({"set_aside": aside, "by_generation": who} | said)


def _with_eve(outcomes: DataFrame, users: DataFrame, eve: Eve | None) -> DataFrame:
    return outcomes if eve is None else with_eve(outcomes, users, eve.signs, eve.zone)


def _with_breakdowns(outcomes: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    """What the row's definition breaks down by, as a map from property to value."""
    maps, none = [], F.array().cast("array<string>")
    for definition in definitions:
        columns = {n: f"eve_{n}" if is_of_eve(n, definition) else f"by_{n}" for n in definition.broken_down_by}
        named = [(F.lit(name), F.coalesce(F.col(column), F.lit(NONE))) for name, column in columns.items()]
        pairs = [part for pair in named for part in pair]
        maps.append(F.create_map(*pairs).cast("map<string,string>") if pairs else F.map_from_arrays(none, none))
    return outcomes.withColumn("breakdowns", _pick(maps))
