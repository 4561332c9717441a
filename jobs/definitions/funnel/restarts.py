"""From which local day on a user must be judged again (rule 23): what is stored of the days before stays true.

Judging may restart on a day that no earlier entry's window reaches into, at or before the day of the first change:
entries on either side then share no event, no conversion and no run. The stored attempts tell of such days, for none of
their entries is changed but those a window before the first change or later. Why: docs/adr/0013.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.definitions.balanced import joined
from jobs.definitions.funnel.in_arrow import NO_HOLD_KEY, TOO_MANY_EVENTS
from jobs.definitions.funnel.model import Definition
from jobs.definitions.local_time import local_date
from jobs.definitions.unions import together

BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)  # before every fact: a first change that leaves nothing as it was
NEVER = date(9999, 12, 31)
FARTHEST_DAYS = 2  # local dates of two zones are apart by so much at most
MASKS = ("steps_", "exclusions_", "flags_")


def restarts(
    touched: DataFrame, attempts: DataFrame, openings: DataFrame, definitions: Sequence[Definition]
) -> DataFrame:
    """A row per touched user (user_id unique, `since`: their first change): `from_days`, a date per definition.

    `earliest` is the least of them. NEVER: nothing of that funnel can have changed for them.
    """
    tried, opened = (rows.join(touched, on=["user_id"], how="left_semi") for rows in (attempts, openings))
    told = together(_spans(tried, opened, definitions), touched)
    known = told.groupBy("user_id").agg(F.min("since").alias("since"), F.collect_list("span").alias("spans"))
    days = F.array(*[_from_day(number, one) for number, one in enumerate(definitions)])
    return known.select("user_id", days.alias("from_days")).withColumn("earliest", F.array_min("from_days"))


def from_day_of(rows: DataFrame, definitions: Sequence[Definition]) -> Column:
    """Of rows of a table of the family, joined with `restarts`: the day of their funnel; null for other versions."""
    days = [F.when(_is_of(rows, one), F.get("from_days", F.lit(number))) for number, one in enumerate(definitions)]
    return F.coalesce(*days)


def recent(facts: DataFrame, restarted: DataFrame) -> DataFrame:
    """The touched users' facts, less those too old for every funnel."""
    mine = facts.join(restarted.select("user_id", "earliest"), on=["user_id"], how="inner")  # one row per user
    return mine.where(F.col("event_date") >= F.date_sub("earliest", FARTHEST_DAYS)).drop("earliest")


def only_from(events: DataFrame, restarted: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    """The kernel's events of the touched users, each blank to the funnels that restart after it."""
    at = F.timestamp_micros("at")
    days = {zone: local_date(at, zone) for zone in {one.zone for one in definitions}}
    seen = [days[one.zone] >= F.get("from_days", F.lit(number)) for number, one in enumerate(definitions)]
    masks = {
        name: F.when(seen[int(name.removeprefix(kind))], F.col(name)).otherwise(0)
        for kind in MASKS
        for name in events.columns
        if name.startswith(kind)
    }
    matters = [F.col(name) != 0 for name in masks]
    an_act = (F.col("act") > 0) & joined(Column.__or__, seen)
    mine = events.join(restarted.select("user_id", "from_days"), on=["user_id"], how="inner")  # one row per user
    return mine.withColumns(masks).where(joined(Column.__or__, [*matters, an_act])).drop("from_days")


def _spans(attempts: DataFrame, openings: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    """(user_id, span) of what is stored: the days of an attempt's first entry and of its last entry's deadline."""
    tried = attempts.withColumns({"first": F.col("deliberation_date"), "until": F.col("matures_at")})
    opened = openings.withColumns({"first": F.col("entry_date"), "until": F.array_max("maturity_times")})
    parts = ["user_id", "funnel", "funnel_version", "first", "until", "set_aside", "zone"]
    rows = tried.select(*parts).unionByName(opened.select(*parts))
    numbers = [F.when(_is_of(rows, one), F.lit(number)) for number, one in enumerate(definitions)]
    zones = sorted({one.zone for one in definitions})  # a zone that is a column is looked up by name for every row
    last = F.coalesce(*[F.when(F.col("zone") == zone, local_date(F.col("until"), zone)) for zone in zones])
    is_aside = F.col("set_aside").isin(NO_HOLD_KEY, TOO_MANY_EVENTS)
    span = F.struct(F.coalesce(*numbers).alias("number"), last.alias("last"), "first", is_aside.alias("is_aside"))
    return rows.select("user_id", span.alias("span")).where("span.number is not null")


def _is_of(rows: DataFrame, definition: Definition) -> Column:
    return (rows["funnel"] == definition.name) & (rows["funnel_version"] == definition.version)


def _from_day(number: int, definition: Definition) -> Column:
    """The day for one definition; `since` and all `spans` of the user on the row."""
    beginning, changed = F.lit(BEGINNING.date()), local_date(F.col("since"), definition.zone)
    if any(step.distinct for step in definition.steps):
        return beginning  # a double tap depends on the tap before it, across any midnight
    if definition.first_entry_only == "true" and definition.steps[0].where:
        return beginning  # an entry that did not pass is not stored, and yet it was the first
    mine = F.filter("spans", lambda span: span["number"] == number)
    day = _free_day(mine, changed)
    if definition.first_entry_only == "no":
        return day
    entered_before = F.exists(mine, lambda span: span["first"] < day)
    has_aside = F.exists(mine, lambda span: span["is_aside"])
    return F.when(has_aside, beginning).when(entered_before, NEVER).otherwise(day)


def _free_day(spans: Column, changed: Column) -> Column:
    """The last day up to `changed` that no span runs into; one walk back, for spans come by their last day."""
    back = F.sort_array(F.transform(spans, lambda span: F.struct(span["last"], span["first"])), asc=False)
    return F.aggregate(
        back,
        changed,
        lambda day, span: F.when((span["first"] < day) & (span["last"] >= day), span["first"]).otherwise(day),
    )
