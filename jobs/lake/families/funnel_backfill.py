"""What a backfill makes of the funnel tables, as a pure plan: slices of the ledger from silver, and their swap.

The ledger (attempts, openings) is made anew; what is summed up from it follows. At the swap every user is judged again
of whom anything came in since the first slice was made, so the result equals a full rebuild, row for row.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import reduce

from jobs.definitions.funnel.model import Definition
from jobs.gold import funnel_attempts, funnel_openings
from jobs.lake.backfills.slices import DaysSlice, FunnelSlice, Slice
from jobs.lake.families.backfilled import Backfilled, is_of, is_of_any, of_users, with_backfilled
from jobs.lake.families.funnel_refresh import changed_days, eve_of, judged_again, of_days, with_again
from jobs.lake.families.funnel_sums import summed_up
from jobs.lake.families.funnel_tables import (
    ATTEMPTS,
    CONVERSIONS,
    OPENINGS,
    USER,
    Gold,
    Keep,
    Level,
    Silver,
    is_current,
)
from jobs.lake.work import Staged
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def remade(
    silver: Silver, definitions: Sequence[Definition], one: Slice, zone: str, keep: Keep = DataFrame.persist
) -> Iterator[Staged]:
    """The rows of attempts and openings that belong to the slice, of the funnels there are; `zone`: the business."""
    facts = [rows.transform(of_users(one)) for rows in silver.facts]
    views, likes, orders = _of_who_was_there(facts, one.days) if isinstance(one, DaysSlice) else facts
    meant = _meant(definitions, one)
    eve = eve_of((views, likes, orders), meant, zone)
    outcomes = keep(funnel_attempts.judge(views, likes, orders, silver.videos, silver.users, meant, eve=eve))
    for table, rows in ((ATTEMPTS, funnel_attempts.build(outcomes)), (OPENINGS, funnel_openings.build(outcomes))):
        yield Staged(table, rows.where(is_of(one)), "append")


def swap(
    silver: Silver, gold: Gold, definitions: Sequence[Definition], touched: DataFrame, level: Level,
    done: Sequence[Backfilled], keep: Keep = DataFrame.persist,
) -> Iterator[Staged]:  # fmt: skip
    """The slices in the place of what is published, and the touched users (all from the beginning) on top of them.

    Only days of the ledger that differ are written; sums are written of every day the slices are about.
    """
    restarted, fresh = judged_again(silver, gold, touched, definitions, level, keep)
    is_remade = is_of_any([one.slice for one in done]) & is_current(definitions)
    pairs: dict[str, tuple[DataFrame, DataFrame]] = {}
    now: dict[str, DataFrame] = {}
    for table, public in ((ATTEMPTS, gold.attempts), (OPENINGS, gold.openings)):
        old = with_again(public, restarted, definitions).where(F.col("is_again") | is_remade).drop("is_again")
        base = with_backfilled(table, public, done, is_current(definitions))
        kept = with_again(base, restarted, definitions).where("NOT is_again").drop("is_again")
        pairs[table] = (old, kept.where(is_remade).unionByName(fresh[table]))
        now[table] = kept.unionByName(fresh[table])
    changed = changed_days(pairs)
    for table, rows in now.items():
        yield from of_days(table, rows, changed[table])
    days = _days_of(done, now[ATTEMPTS], is_remade, level)
    due = {table: tuple(sorted({*some, *days[table]})) for table, some in changed.items()}
    yield from summed_up(now, gold, due, definitions, level)


def _of_who_was_there(facts: Sequence[DataFrame], days: Sequence[date]) -> list[DataFrame]:
    """All facts of the users who have one on the days, or beside them: zones differ."""
    near = sorted({day + timedelta(days=step) for day in days for step in (-1, 0, 1)})
    present = [rows.where(F.col("event_date").isin(*near)).select(*USER) for rows in facts]
    users = reduce(DataFrame.unionAll, present).distinct()
    return [rows.join(users, on=USER, how="left_semi") for rows in facts]


def _meant(definitions: Sequence[Definition], one: Slice) -> list[Definition]:
    """The definitions the slice has rows of."""
    if not isinstance(one, FunnelSlice):
        return list(definitions)
    return [each for each in definitions if each.key == (one.funnel, one.version)]


def _days_of(done: Sequence[Backfilled], attempts: DataFrame, is_remade: Column, level: Level) -> dict[str, set[date]]:
    """Table → the days the slices are about: of entry, and under CONVERSIONS of conversion."""
    days = {day for one in done if isinstance(one.slice, DaysSlice) for day in one.slice.days}
    if not days:
        every = {day for some in level.days.values() for day in some}
        return {ATTEMPTS: every, OPENINGS: every, CONVERSIONS: every}
    done_on = attempts.where(is_remade & F.col("conversion_date").isNotNull()).select("conversion_date").distinct()
    return {ATTEMPTS: days, OPENINGS: days, CONVERSIONS: {row["conversion_date"] for row in done_on.collect()}}
