"""What a run must do to the funnel tables, as a pure plan: silver and what is published in, what to write out.

The unit of work is the user from a day on: whoever is touched is judged again from the last day before the change that
no earlier attempt runs into (jobs/definitions/funnel/restarts.py), and the days on which that changes a row are written
anew, all other rows of those days as they were. Then the days are summed up again that changed, that ripened under a
higher watermark, or that are new: by entry (daily, paths) and by conversion. The result equals a full rebuild, row for
row.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import reduce

from jobs.definitions.funnel.model import Definition
from jobs.definitions.funnel.restarts import BEGINNING, FARTHEST_DAYS, from_day_of, recent, restarts
from jobs.definitions.funnel.standing import is_asked, signs_of_life
from jobs.definitions.row_text import row_text
from jobs.gold import funnel_attempts, funnel_conversions, funnel_daily, funnel_openings, funnel_paths
from jobs.lake.families.funnel_sums import summed_up
from jobs.lake.families.funnel_tables import (
    ATTEMPTS,
    CONVERSIONS,
    DAILY,
    OPENINGS,
    PATHS,
    USER,
    Gold,
    Keep,
    Level,
    Silver,
    is_current,
)
from jobs.lake.families.inputs import handed_round
from jobs.lake.work import Staged
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def rebuild(
    silver: Silver, gold: Gold, definitions: Sequence[Definition], level: Level, keep: Keep = DataFrame.persist
) -> Iterator[Staged]:
    """Everything from silver; rows of versions that have no definition any more stay readable."""
    eve = eve_of(silver.facts, definitions, level.business_zone)
    outcomes = keep(funnel_attempts.judge(*silver.facts, silver.videos, silver.users, definitions, eve=eve))
    attempts, openings = funnel_attempts.build(outcomes), keep(funnel_openings.build(outcomes))
    is_old = ~is_current(definitions)
    days = {one.key: level.days[one.zone] for one in definitions}
    daily = funnel_daily.build(attempts, openings, definitions, days, watermark=level.watermark)
    for table, fresh, public in (
        (ATTEMPTS, attempts, gold.attempts),
        (OPENINGS, openings, gold.openings),
        (DAILY, daily, gold.daily),
        (CONVERSIONS, funnel_conversions.build(attempts, definitions, level.days), gold.conversions),
        (PATHS, funnel_paths.build(attempts), gold.paths),
    ):
        yield Staged(table, fresh.unionByName(public.where(is_old)), "replace_all")


def refresh(
    silver: Silver, gold: Gold, definitions: Sequence[Definition], touched: DataFrame, level: Level,
    keep: Keep = DataFrame.persist,
) -> Iterator[Staged]:  # fmt: skip
    """Judge the touched users (unique, `since` their first change) again; write the days this, or time, has changed."""
    restarted, fresh = judged_again(silver, gold, touched, definitions, level, keep)
    public = {ATTEMPTS: gold.attempts, OPENINGS: gold.openings}
    marked = {table: with_again(rows, restarted, definitions) for table, rows in public.items()}
    changed = changed_days({t: (marked[t].where("is_again").drop("is_again"), fresh[t]) for t in public})
    now: dict[str, DataFrame] = {}
    for table in public:
        now[table] = marked[table].where("NOT is_again").drop("is_again").unionByName(fresh[table])
        yield from of_days(table, now[table], changed[table])
    yield from summed_up(now, gold, changed, definitions, level)


def judged_again(
    silver: Silver, gold: Gold, touched: DataFrame, definitions: Sequence[Definition], level: Level, keep: Keep
) -> tuple[DataFrame, dict[str, DataFrame]]:
    """From which days on the touched users are judged again (`restarts`), and by table their rows since then."""
    count = touched.count()
    restarted = keep(restarts(handed_round(touched, count), gold.attempts, gold.openings, definitions))
    (earliest,) = restarted.agg(F.min("earliest")).first() or (None,)
    restarted = handed_round(restarted, count)
    whole = [rows.join(restarted.select(*USER), on=USER, how="left_semi") for rows in silver.facts]
    eve = eve_of(whole, definitions, level.business_zone)
    views, likes = (_since(facts, earliest).transform(recent, restarted) for facts in (silver.views, silver.likes))
    orders = whole[2]  # a refund reaches back to what was paid, whenever that was
    judged = funnel_attempts.judge(views, likes, orders, silver.videos, silver.users, definitions, restarted, eve)
    outcomes = keep(judged)
    return restarted, {ATTEMPTS: funnel_attempts.build(outcomes), OPENINGS: keep(funnel_openings.build(outcomes))}


def eve_of(facts: Sequence[DataFrame], definitions: Sequence[Definition], zone: str) -> funnel_attempts.Eve | None:
    """All days on which whoever these facts are of gave a sign of life; None where no definition asks."""
    return funnel_attempts.Eve(signs_of_life(*facts), zone) if is_asked(definitions) else None


def of_days(table: str, rows: DataFrame, days: tuple[date, ...]) -> Iterator[Staged]:
    """The rows of these days of entry in place of what the table has of them; nothing without a day."""
    if days:
        yield Staged(table, rows.where(F.col("entry_date").isin(*days)), "replace_slices", days)


def _since(facts: DataFrame, earliest: date | None) -> DataFrame:
    """Facts of the days that some funnel restarts on, or later."""
    if earliest is None or earliest <= BEGINNING.date():
        return facts
    return facts.where(F.col("event_date") >= F.lit(earliest - timedelta(days=FARTHEST_DAYS)))


def with_again(rows: DataFrame, restarted: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    """Mark with `is_again` the rows that are judged again, in place of which the fresh ones come."""
    known = rows.join(restarted.select(*USER, "from_days"), on=USER, how="left")  # one row per user
    is_again = F.coalesce(F.col("entry_date") >= from_day_of(rows, definitions), F.lit(False))
    return known.withColumn("is_again", is_again).drop("from_days")


def changed_days(pairs: Mapping[str, tuple[DataFrame, DataFrame]]) -> dict[str, tuple[date, ...]]:
    """Table → the days on which its rows, (old, new), differ, sorted; in one job for all tables.

    Days of entry, and under CONVERSIONS the days of conversion of the attempts that differ.
    """
    counted = [
        rows.select(
            F.lit(table).alias("table"), "entry_date", _conversion_date(rows), F.lit(sign).alias("sign"),
            row_text(rows.select(old.columns)).alias("row"),
        )
        for table, (old, new) in pairs.items()
        for rows, sign in ((old, -1), (new, 1))
    ]  # fmt: skip
    days = ["table", "entry_date", "conversion_date"]
    odd = reduce(DataFrame.unionAll, counted).groupBy(*days, "row").agg(F.sum("sign").alias("sign"))
    found = odd.where("sign <> 0").select(*days).distinct().collect()
    changed = {table: {row["entry_date"] for row in found if row["table"] == table} for table in pairs}
    changed[CONVERSIONS] = {row["conversion_date"] for row in found if row["conversion_date"]}
    return {table: tuple(sorted(some)) for table, some in changed.items()}


def _conversion_date(rows: DataFrame) -> Column:
    """The day of conversion where rows have one."""
    has_one = "conversion_date" in rows.columns
    return (F.col("conversion_date") if has_one else F.lit(None).cast("date")).alias("conversion_date")
