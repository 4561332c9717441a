"""What a run must do to the funnel tables, as a pure plan: silver and what is published in, what to write out.

The unit of work is the user: whoever is touched is judged again over their whole history, and the days on which that
changes a row are written anew, everybody else's rows of those days as they were. Then the days are summed up again that
changed, that ripened under a higher watermark, or that are new. The result equals a full rebuild, row for row.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce

from jobs.definitions.funnel.model import Definition
from jobs.gold import funnel_attempts, funnel_daily, funnel_openings
from jobs.lake.work import Staged
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Keep = Callable[[DataFrame], DataFrame]
ATTEMPTS, OPENINGS, DAILY = "gold.funnel_attempts", "gold.funnel_openings", "gold.funnel_daily"
USER = ["user_id"]


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


@dataclass(frozen=True)
class Level:
    """How far the streams are complete, now and at the last release; and the days of the data, by zone."""

    watermark: datetime | None
    last_watermark: datetime | None
    days: Mapping[str, Sequence[date]]


def rebuild(
    silver: Silver, gold: Gold, definitions: Sequence[Definition], level: Level, keep: Keep = DataFrame.persist
) -> Iterator[Staged]:
    """Everything from silver; rows of versions that have no definition any more stay readable."""
    outcomes = keep(funnel_attempts.judge(*silver.facts, silver.videos, silver.users, definitions))
    attempts, openings = funnel_attempts.build(outcomes), keep(funnel_openings.build(outcomes))
    is_old = ~_is_current(definitions)
    daily = funnel_daily.build(attempts, openings, definitions, level.days, watermark=level.watermark)
    for table, fresh, public in (
        (ATTEMPTS, attempts, gold.attempts),
        (OPENINGS, openings, gold.openings),
        (DAILY, daily, gold.daily),
    ):
        yield Staged(table, fresh.unionByName(public.where(is_old)), "replace_all")


def refresh(
    silver: Silver, gold: Gold, definitions: Sequence[Definition], touched: DataFrame, level: Level,
    keep: Keep = DataFrame.persist,
) -> Iterator[Staged]:  # fmt: skip
    """Judge the touched users (distinct user_id) again; write the days that this, or time, has changed."""
    facts = [frame.join(F.broadcast(touched), on=USER, how="left_semi") for frame in silver.facts]
    views, likes, orders = facts
    outcomes = keep(funnel_attempts.judge(views, likes, orders, silver.videos, silver.users, definitions))
    public = {ATTEMPTS: gold.attempts, OPENINGS: gold.openings}
    fresh = {ATTEMPTS: funnel_attempts.build(outcomes), OPENINGS: keep(funnel_openings.build(outcomes))}
    theirs = {table: rows.join(F.broadcast(touched), on=USER, how="left_semi") for table, rows in public.items()}
    changed = changed_days({t: (theirs[t].where(_is_current(definitions)), fresh[t]) for t in public})
    now: dict[str, DataFrame] = {}
    for table, rows in public.items():
        others = rows.join(F.broadcast(touched), on=USER, how="left_anti")
        now[table] = others.unionByName(theirs[table].where(~_is_current(definitions))).unionByName(fresh[table])
        days = changed.get(table, ())
        if days:
            yield Staged(table, now[table].where(F.col("entry_date").isin(*days)), "replace_slices", days)
    every = {day for days in changed.values() for day in days}
    due = sorted(every | ripened_days(now, definitions, level) | _unseen_days(gold.daily, definitions, level))
    if due:
        yield Staged(DAILY, _daily_of(due, now, gold.daily, definitions, level), "replace_slices", tuple(due))


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
    days = {zone: [day for day in its_days if day in set(due)] for zone, its_days in level.days.items()}
    daily = funnel_daily.build(attempts, openings, definitions, days, watermark=level.watermark)
    return daily.unionByName(public.where(is_due & ~is_current))


def changed_days(pairs: Mapping[str, tuple[DataFrame, DataFrame]]) -> dict[str, tuple[date, ...]]:
    """Table → the entry days on which its rows, (old, new), differ, sorted; in one job for all tables."""
    counted = [
        rows.select(
            F.lit(table).alias("table"), "entry_date", F.to_json(F.struct(*sorted(old.columns))).alias("row"),
            F.lit(sign).alias("sign"),
        )
        for table, (old, new) in pairs.items()
        for rows, sign in ((old, -1), (new, 1))
    ]  # fmt: skip
    odd = reduce(DataFrame.unionAll, counted).groupBy("table", "entry_date", "row").agg(F.sum("sign").alias("sign"))
    found = odd.where("sign <> 0").select("table", "entry_date").distinct().collect()
    days = {table: sorted(row["entry_date"] for row in found if row["table"] == table) for table in pairs}
    return {table: tuple(some) for table, some in days.items()}


def ripened_days(now: Mapping[str, DataFrame], definitions: Sequence[Definition], level: Level) -> set[date]:
    """Entry days of attempts that were open under the last watermark and are mature under this one."""
    if level.watermark is None or level.watermark == level.last_watermark:
        return set()
    recent, ripe = F.lit(True), F.col("at") < F.lit(level.watermark)
    if level.last_watermark is not None:
        longest = max(timedelta(microseconds=one.window_us or 86_400_000_000) for one in definitions)
        # an attempt's first entry is at most a window before its last, and a day has other bounds elsewhere
        recent = F.col("entry_date") >= F.lit((level.last_watermark - 2 * longest).date() - timedelta(days=2))
        ripe &= F.col("at") >= F.lit(level.last_watermark)
    times = [
        now[ATTEMPTS].where(recent).select("entry_date", F.col("matures_at").alias("at")),
        now[OPENINGS].where(recent).select("entry_date", F.explode("maturity_times").alias("at")),
    ]
    days = times[0].unionByName(times[1]).where(ripe).select("entry_date").distinct().collect()
    return {row["entry_date"] for row in days}


def _unseen_days(daily: DataFrame, definitions: Sequence[Definition], level: Level) -> set[date]:
    """Days of the data that some funnel has no row of yet."""
    totals = daily.where((F.col("breakdown") == funnel_daily.TOTAL) & _is_current(definitions))
    seen = totals.groupBy("zone").agg(F.collect_set("entry_date").alias("days")).collect()
    known = {row["zone"]: set(row["days"]) for row in seen}
    return {day for zone, days in level.days.items() for day in days if day not in known.get(zone, set())}


def touched_users(silver: Silver, since: int) -> DataFrame:
    """user_id, perhaps repeated, of new facts, of changed users, and of facts whose video is now known otherwise."""
    new = F.col("ingest_seq") > since
    frames = [frame.where(new).select(*USER) for frame in (*silver.facts, silver.users)]
    spans = silver.videos.where(new).select(F.col("video_id").alias("thing"), "valid_from", "valid_to")
    for facts in silver.facts:
        at, until = facts["event_time"], spans["valid_to"]
        within = (at >= spans["valid_from"]) & (until.isNull() | (at < until))
        frames.append(
            facts.join(spans, on=[facts["video_id"] == spans["thing"], within], how="left_semi").select(*USER)
        )
    return reduce(DataFrame.unionAll, frames)


def users_of_days(silver: Silver, gold: Gold, days: Sequence[date]) -> DataFrame:
    """user_id, perhaps repeated, of whoever was there or has an attempt on the days (or beside: zones differ)."""
    near = sorted({day + timedelta(days=step) for day in days for step in (-1, 0, 1)})
    frames = [frame.where(F.col("event_date").isin(*near)).select(*USER) for frame in silver.facts]
    frames += [rows.where(F.col("entry_date").isin(*days)).select(*USER) for rows in (gold.attempts, gold.openings)]
    return reduce(DataFrame.unionAll, frames)


def _is_current(definitions: Sequence[Definition]) -> Column:
    """The row belongs to one of the definitions."""
    return reduce(
        Column.__or__,
        [(F.col("funnel") == one.name) & (F.col("funnel_version") == one.version) for one in definitions],
        F.lit(False),
    )
