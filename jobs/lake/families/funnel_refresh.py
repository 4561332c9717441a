"""What a run must do to the funnel tables, as a pure plan: silver and what is published in, what to write out.

The unit of work is the user from a day on: whoever is touched is judged again from the last day before the change that
no earlier attempt runs into (jobs/definitions/funnel/restarts.py), and the days on which that changes a row are written
anew, all other rows of those days as they were. Then the days are summed up again that changed, that ripened under a
higher watermark, or that are new: by entry (daily, paths) and by conversion. The result equals a full rebuild, row for
row.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce

from jobs.definitions.funnel.model import Definition
from jobs.definitions.funnel.restarts import BEGINNING, FARTHEST_DAYS, from_day_of, recent, restarts
from jobs.definitions.funnel.standing import is_asked, signs_of_life
from jobs.gold import funnel_attempts, funnel_conversions, funnel_daily, funnel_openings, funnel_paths
from jobs.lake.families.inputs import handed_round
from jobs.lake.work import Staged
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Keep = Callable[[DataFrame], DataFrame]
ATTEMPTS, OPENINGS, DAILY = "gold.funnel_attempts", "gold.funnel_openings", "gold.funnel_daily"
CONVERSIONS, PATHS = "gold.funnel_conversions", "gold.funnel_paths"
USER, RIPE = ["user_id"], "ripe"


@dataclass(frozen=True)
class Silver:
    """The inputs, each at one version."""

    views: DataFrame
    likes: DataFrame
    orders: DataFrame
    users: DataFrame
    videos: DataFrame

    @property
    def facts(self) -> tuple[DataFrame, DataFrame, DataFrame]:
        """Views, likes, orders."""
        return self.views, self.likes, self.orders


@dataclass(frozen=True)
class Gold:
    """The family's own tables as they stand."""

    attempts: DataFrame
    openings: DataFrame
    daily: DataFrame
    conversions: DataFrame
    paths: DataFrame


@dataclass(frozen=True)
class Level:
    """How far streams are complete, now and at the last release; the days of the data by zone; the business zone."""

    watermark: datetime | None
    last_watermark: datetime | None
    days: Mapping[str, Sequence[date]]
    business_zone: str


def rebuild(
    silver: Silver, gold: Gold, definitions: Sequence[Definition], level: Level, keep: Keep = DataFrame.persist
) -> Iterator[Staged]:
    """Everything from silver; rows of versions that have no definition any more stay readable."""
    eve = _eve(silver, definitions, level)
    outcomes = keep(funnel_attempts.judge(*silver.facts, silver.videos, silver.users, definitions, eve=eve))
    attempts, openings = funnel_attempts.build(outcomes), keep(funnel_openings.build(outcomes))
    is_old = ~_is_current(definitions)
    daily = funnel_daily.build(attempts, openings, definitions, level.days, watermark=level.watermark)
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
    count = touched.count()
    restarted = keep(restarts(handed_round(touched, count), gold.attempts, gold.openings, definitions))
    (earliest,) = restarted.agg(F.min("earliest")).first() or (None,)
    restarted = handed_round(restarted, count)
    views, likes = (_since(facts, earliest).transform(recent, restarted) for facts in (silver.views, silver.likes))
    # Whole: a refund reaches back to what was paid, whenever that was.
    orders = _of(silver.orders, restarted)
    judged = funnel_attempts.judge(
        views,
        likes,
        orders,
        silver.videos,
        silver.users,
        definitions,
        restarted,
        _eve(silver, definitions, level, restarted),
    )
    outcomes = keep(judged)
    public = {ATTEMPTS: gold.attempts, OPENINGS: gold.openings}
    fresh = {ATTEMPTS: funnel_attempts.build(outcomes), OPENINGS: keep(funnel_openings.build(outcomes))}
    marked = {table: _with_again(rows, restarted, definitions) for table, rows in public.items()}
    changed = changed_days({t: (marked[t].where("is_again").drop("is_again"), fresh[t]) for t in public})
    now: dict[str, DataFrame] = {}
    for table in public:
        now[table] = marked[table].where("NOT is_again").drop("is_again").unionByName(fresh[table])
        days = changed[table]
        if days:
            yield Staged(table, now[table].where(F.col("entry_date").isin(*days)), "replace_slices", days)
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


def _eve(
    silver: Silver, definitions: Sequence[Definition], level: Level, restarted: DataFrame | None = None
) -> funnel_attempts.Eve | None:
    """All days of everybody, or of the restarted, on which they gave a sign of life; None where nobody asks."""
    if not is_asked(definitions):
        return None
    signs = signs_of_life(*(rows if restarted is None else _of(rows, restarted) for rows in silver.facts))
    return funnel_attempts.Eve(signs, level.business_zone)


def _of(facts: DataFrame, restarted: DataFrame) -> DataFrame:
    return facts.join(restarted.select(*USER), on=USER, how="left_semi")


def _since(facts: DataFrame, earliest: date | None) -> DataFrame:
    """Facts of the days that some funnel restarts on, or later."""
    if earliest is None or earliest <= BEGINNING.date():
        return facts
    return facts.where(F.col("event_date") >= F.lit(earliest - timedelta(days=FARTHEST_DAYS)))


def _with_again(rows: DataFrame, restarted: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    """Mark with `is_again` the rows that are judged again, in place of which the fresh ones come."""
    known = rows.join(restarted.select(*USER, "from_days"), on=USER, how="left")  # one row per user
    is_again = F.coalesce(F.col("entry_date") >= from_day_of(rows, definitions), F.lit(False))
    return known.withColumn("is_again", is_again).drop("from_days")


def _daily_of(
    due: Sequence[date],
    now: Mapping[str, DataFrame],
    public: DataFrame,
    definitions: Sequence[Definition],
    level: Level,
) -> DataFrame:
    """All rows of the due days, those of versions without a definition as they were."""
    is_due, is_current = F.col("entry_date").isin(*due), _is_current(definitions)
    attempts, openings = (now[table].where(is_due & is_current) for table in (ATTEMPTS, OPENINGS))
    daily = funnel_daily.build(attempts, openings, definitions, _among(due, level), watermark=level.watermark)
    return daily.unionByName(public.where(is_due & ~is_current))


def _conversions_of(
    due: Sequence[date], attempts: DataFrame, public: DataFrame, definitions: Sequence[Definition], level: Level
) -> DataFrame:
    """All rows of the due days of conversion, those of versions without a definition as they were."""
    is_due, is_current = F.col("conversion_date").isin(*due), _is_current(definitions)
    earliest = min(due) - _longest_window(definitions) - timedelta(days=2)  # no conversion is later than a window
    mine = attempts.where((F.col("entry_date") >= F.lit(earliest)) & is_due & is_current)
    conversions = funnel_conversions.build(mine, definitions, _among(due, level))
    return conversions.unionByName(public.where(is_due & ~is_current))


def _paths_of(
    due: Sequence[date], attempts: DataFrame, public: DataFrame, definitions: Sequence[Definition]
) -> DataFrame:
    """All rows of the due days, those of versions without a definition as they were: they too come from the ledger."""
    is_due, is_current = F.col("entry_date").isin(*due), _is_current(definitions)
    return funnel_paths.build(attempts.where(is_due & is_current)).unionByName(public.where(is_due & ~is_current))


def _among(due: Sequence[date], level: Level) -> dict[str, list[date]]:
    """By zone the days of the data that are due."""
    return {zone: [day for day in days if day in set(due)] for zone, days in level.days.items()}


def _longest_window(definitions: Sequence[Definition]) -> timedelta:
    return max(timedelta(microseconds=one.window_us or 86_400_000_000) for one in definitions)


def changed_days(pairs: Mapping[str, tuple[DataFrame, DataFrame]]) -> dict[str, tuple[date, ...]]:
    """Table → the days on which its rows, (old, new), differ, sorted; in one job for all tables.

    Days of entry, and under CONVERSIONS the days of conversion of the attempts that differ.
    """
    counted = [
        rows.select(
            F.lit(table).alias("table"), "entry_date", _conversion_date(rows), F.lit(sign).alias("sign"),
            F.to_json(F.struct(*sorted(old.columns))).alias("row"),
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
    totals = rows.where((F.col("breakdown") == funnel_daily.TOTAL) & _is_current(definitions))
    return totals.transform(_as_days, table, column)


def _as_days(rows: DataFrame, of: str, column: str) -> DataFrame:
    return rows.select(F.lit(of).alias("of"), "zone", F.col(column).alias("day"))


def _unseen_days(seen: Set[tuple[str, date]], level: Level) -> set[date]:
    """Days of the data that are not there yet."""
    return {day for zone, days in level.days.items() for day in days if (zone, day) not in seen}


def _is_current(definitions: Sequence[Definition]) -> Column:
    """The row belongs to one of the definitions."""
    return reduce(
        Column.__or__,
        [(F.col("funnel") == one.name) & (F.col("funnel_version") == one.version) for one in definitions],
        F.lit(False),
    )
