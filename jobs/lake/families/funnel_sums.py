"""What is summed up from the ledger of attempts, day by day: by entry (daily, paths) and by conversion."""

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date, timedelta
from functools import reduce

from jobs.definitions.funnel.model import Definition
from jobs.gold import funnel_conversions, funnel_daily, funnel_paths
from jobs.lake.families.funnel_tables import ATTEMPTS, CONVERSIONS, DAILY, OPENINGS, PATHS, Gold, Level, is_current
from jobs.lake.work import Staged
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

RIPE = "ripe"


def summed_up(
    now: Mapping[str, DataFrame],
    gold: Gold,
    changed: Mapping[str, tuple[date, ...]],
    definitions: Sequence[Definition],
    level: Level,
) -> Iterator[Staged]:
    """The sums of the changed days, of those that ripened and of new ones, from the ledger as it is `now`."""
    told = told_days(now, gold, definitions, level)
    ripe = {day for _, day in told[RIPE]}
    due = sorted({*changed[ATTEMPTS], *changed[OPENINGS]} | ripe | _unseen_days(told[DAILY], level))
    if due:
        yield Staged(DAILY, _daily_of(due, now, gold.daily, definitions, level), "replace_slices", tuple(due))
    due = sorted({*changed[CONVERSIONS]} | _unseen_days(told[CONVERSIONS], level))
    if due:
        conversions = _conversions_of(due, now[ATTEMPTS], gold.conversions, definitions, level)
        yield Staged(CONVERSIONS, conversions, "replace_slices", tuple(due))
    if changed[ATTEMPTS]:
        paths = _paths_of(changed[ATTEMPTS], now[ATTEMPTS], gold.paths, definitions)
        yield Staged(PATHS, paths, "replace_slices", changed[ATTEMPTS])


def _daily_of(
    due: Sequence[date],
    now: Mapping[str, DataFrame],
    public: DataFrame,
    definitions: Sequence[Definition],
    level: Level,
) -> DataFrame:
    """All rows of the due days, those of versions without a definition as they were."""
    is_due, is_ours = F.col("entry_date").isin(*due), is_current(definitions)
    attempts, openings = (now[table].where(is_due & is_ours) for table in (ATTEMPTS, OPENINGS))
    daily = funnel_daily.build(attempts, openings, definitions, _among(due, level), watermark=level.watermark)
    return daily.unionByName(public.where(is_due & ~is_ours))


def _conversions_of(
    due: Sequence[date], attempts: DataFrame, public: DataFrame, definitions: Sequence[Definition], level: Level
) -> DataFrame:
    """All rows of the due days of conversion, those of versions without a definition as they were."""
    is_due, is_ours = F.col("conversion_date").isin(*due), is_current(definitions)
    earliest = min(due) - _longest_window(definitions) - timedelta(days=2)  # no conversion is later than a window
    mine = attempts.where((F.col("entry_date") >= F.lit(earliest)) & is_due & is_ours)
    conversions = funnel_conversions.build(mine, definitions, _among(due, level))
    return conversions.unionByName(public.where(is_due & ~is_ours))


def _paths_of(
    due: Sequence[date], attempts: DataFrame, public: DataFrame, definitions: Sequence[Definition]
) -> DataFrame:
    """All rows of the due days, those of versions without a definition as they were: they too come from the ledger."""
    is_due, is_ours = F.col("entry_date").isin(*due), is_current(definitions)
    return funnel_paths.build(attempts.where(is_due & is_ours)).unionByName(public.where(is_due & ~is_ours))


def _among(due: Sequence[date], level: Level) -> dict[str, list[date]]:
    """By zone the days of the data that are due."""
    return {zone: [day for day in days if day in set(due)] for zone, days in level.days.items()}


def _longest_window(definitions: Sequence[Definition]) -> timedelta:
    return max(timedelta(microseconds=one.window_us or 86_400_000_000) for one in definitions)


def told_days(
    now: Mapping[str, DataFrame], gold: Gold, definitions: Sequence[Definition], level: Level
) -> dict[str, set[tuple[str, date]]]:
    """Days as (zone, day): RIPE entry days, and the days that DAILY and CONVERSIONS have; in one job."""
    frames = [
        _days_with_totals(DAILY, gold.daily, "entry_date", definitions),
        _days_with_totals(CONVERSIONS, gold.conversions, "conversion_date", definitions),
        *_ripened(now, definitions, level),
    ]
    found: dict[str, set[tuple[str, date]]] = {RIPE: set(), DAILY: set(), CONVERSIONS: set()}
    for row in reduce(DataFrame.unionAll, frames).distinct().collect():
        found[row["of"]].add((row["zone"], row["day"]))
    return found


def _ripened(now: Mapping[str, DataFrame], definitions: Sequence[Definition], level: Level) -> list[DataFrame]:
    """Entry days of attempts that were open under the last watermark and are mature under this one."""
    if level.watermark is None or level.watermark == level.last_watermark:
        return []
    recent, ripe = F.lit(True), F.col("at") < F.lit(level.watermark)
    if level.last_watermark is not None:
        # an attempt's first entry is at most a window before its last, and a day has other bounds elsewhere
        since = level.last_watermark - 2 * _longest_window(definitions) - timedelta(days=2)
        recent = F.col("entry_date") >= F.lit(since.date())
        ripe &= F.col("at") >= F.lit(level.last_watermark)
    times = [
        now[ATTEMPTS].where(recent).withColumn("at", F.col("matures_at")),
        now[OPENINGS].where(recent).withColumn("at", F.explode("maturity_times")),
    ]
    return [rows.where(ripe).transform(_as_days, RIPE, "entry_date") for rows in times]


def _days_with_totals(table: str, rows: DataFrame, column: str, definitions: Sequence[Definition]) -> DataFrame:
    """The days (`column`) of a table that has a row of every funnel for every day of the data."""
    totals = rows.where((F.col("breakdown") == funnel_daily.TOTAL) & is_current(definitions))
    return totals.transform(_as_days, table, column)


def _as_days(rows: DataFrame, of: str, column: str) -> DataFrame:
    return rows.select(F.lit(of).alias("of"), "zone", F.col(column).alias("day"))


def _unseen_days(seen: Set[tuple[str, date]], level: Level) -> set[date]:
    """Days of the data that are not there yet."""
    return {day for zone, days in level.days.items() for day in days if (zone, day) not in seen}
