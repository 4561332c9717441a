"""What is summed up from the ledger of attempts, day by day: by entry (daily, paths) and by conversion."""

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date, timedelta
from functools import reduce

from jobs.definitions.balanced import joined
from jobs.definitions.funnel.model import Definition, Key
from jobs.gold import funnel_conversions, funnel_daily, funnel_paths
from jobs.lake.families.funnel_tables import ATTEMPTS, CONVERSIONS, DAILY, OPENINGS, PATHS, Gold, Level, is_current
from jobs.lake.work import Staged
from pyspark.sql import Column, DataFrame
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
    whole = {*changed[ATTEMPTS], *changed[OPENINGS]} | _unseen_days(told[DAILY], definitions, level)
    entries = {one.key: whole | {day for key, day in told[RIPE] if key == one.key} for one in definitions}
    due = sorted(whole.union(*entries.values()))
    if due:
        daily = _daily_of(entries, due, now, gold.daily, definitions, level)
        yield Staged(DAILY, daily, "replace_slices", tuple(due))
    due = sorted({*changed[CONVERSIONS]} | _unseen_days(told[CONVERSIONS], definitions, level))
    if due:
        conversions = _conversions_of(due, now[ATTEMPTS], gold.conversions, definitions, level)
        yield Staged(CONVERSIONS, conversions, "replace_slices", tuple(due))
    if changed[ATTEMPTS]:
        paths = _paths_of(changed[ATTEMPTS], now[ATTEMPTS], gold.paths, definitions)
        yield Staged(PATHS, paths, "replace_slices", changed[ATTEMPTS])


def _daily_of(
    entries: Mapping[Key, Set[date]],
    due: Sequence[date],
    now: Mapping[str, DataFrame],
    public: DataFrame,
    definitions: Sequence[Definition],
    level: Level,
) -> DataFrame:
    """All rows of the due days: those of `entries` (the days of a funnel) anew, the others as they were."""
    is_due, is_anew = F.col("entry_date").isin(*due), _is_among(entries, definitions)
    attempts, openings = (now[table].where(is_due & is_anew) for table in (ATTEMPTS, OPENINGS))
    shown = {one.key: [day for day in level.days[one.zone] if day in entries[one.key]] for one in definitions}
    daily = funnel_daily.build(attempts, openings, definitions, shown, watermark=level.watermark)
    return daily.unionByName(public.where(is_due & ~is_anew))


def _is_among(entries: Mapping[Key, Set[date]], definitions: Sequence[Definition]) -> Column:
    """The row is of one of these funnels, and of one of its days; some funnel has a day."""
    dated = [(one, sorted(entries[one.key])) for one in definitions if entries[one.key]]
    return joined(Column.__or__, [is_current([one]) & F.col("entry_date").isin(*days) for one, days in dated])


def _conversions_of(
    due: Sequence[date], attempts: DataFrame, public: DataFrame, definitions: Sequence[Definition], level: Level
) -> DataFrame:
    """All rows of the due days of conversion, those of versions without a definition as they were."""
    is_due, is_ours = F.col("conversion_date").isin(*due), is_current(definitions)
    mine = attempts.where((F.col("entry_date") >= F.lit(first_entry_day(due, definitions))) & is_due & is_ours)
    conversions = funnel_conversions.build(mine, definitions, _among(due, level))
    return conversions.unionByName(public.where(is_due & ~is_ours))


def first_entry_day(due: Sequence[date], definitions: Sequence[Definition]) -> date:
    """No conversion on the due days has an earlier day of entry: it is at most a window later."""
    return min(due) - _longest_window(definitions) - timedelta(days=2)


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
) -> dict[str, set[tuple[Key, date]]]:
    """Days of a funnel: RIPE entry days, and the days that DAILY and CONVERSIONS have; in one job."""
    frames = [
        _days_with_totals(DAILY, gold.daily, "entry_date", definitions),
        _days_with_totals(CONVERSIONS, gold.conversions, "conversion_date", definitions),
        *_ripened(now, definitions, level),
    ]
    found: dict[str, set[tuple[Key, date]]] = {RIPE: set(), DAILY: set(), CONVERSIONS: set()}
    for row in reduce(DataFrame.unionAll, frames).distinct().collect():
        found[row["of"]].add(((row["funnel"], row["funnel_version"]), row["day"]))
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
    return rows.select(F.lit(of).alias("of"), "funnel", "funnel_version", F.col(column).alias("day"))


def _unseen_days(seen: Set[tuple[Key, date]], definitions: Sequence[Definition], level: Level) -> set[date]:
    """Days of the data that a funnel does not have yet."""
    return {day for one in definitions for day in level.days[one.zone] if (one.key, day) not in seen}
