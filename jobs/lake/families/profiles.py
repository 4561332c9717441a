"""The family `profiles`: what a run reads and stages. What it means is in `profile_refresh`."""

from collections.abc import Iterator
from datetime import date

from jobs.definitions.local_time import last_complete_day
from jobs.lake.families.inputs import handed_round, only_day, pinned
from jobs.lake.families.profile_refresh import (
    AsOf,
    Gold,
    Keep,
    Silver,
    Touched,
    first_redescribed_day,
    newest_day,
    pairs_of_days,
    rebuild,
    refresh,
    tables,
    touched_pairs,
    touched_users,
)
from jobs.lake.ledger import Ledger
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work, displaced_facts


def stage(lake: Lake, work: Work) -> Iterator[Staged]:
    """The tables of the family, one after the other; write each before asking for the next: it feeds the next.

    Nothing is staged when there is nothing: no fact yet, or no user touched on the same business day.
    """
    silver = Silver(*pinned(lake, work, tables(Silver)))
    as_of_day = _as_of(lake, work, silver)
    if as_of_day is None:
        return
    # A fact that gave its place to an earlier arrival is gone from a day that new facts alone do not name.
    is_displaced = displaced_facts(Ledger(lake.settings), work.ingest_seq_from, work.ingest_seq_to) > 0
    last_day = None if work.full or work.ingest_seq_from < 0 or is_displaced else _last_day(lake)
    if last_day is None:
        yield from rebuild(silver, lake.read("gold.user_profiles_history"), as_of_day, lake.keep)
        return
    touched = _touched(silver, work, as_of_day.zone, lake.keep)
    is_new_day = last_day != as_of_day.day
    if is_new_day or not touched.users.isEmpty():
        gold = Gold(*(lake.read(table) for table in tables(Gold)))
        yield from refresh(silver, gold, touched, as_of_day, is_new_day=is_new_day, keep=lake.keep)


def _as_of(lake: Lake, work: Work, silver: Silver) -> AsOf | None:
    """The day of the watermark; where no source ever spoke of completeness, the newest day there is a fact of."""
    zone = lake.settings.business_zone
    day = last_complete_day(work.watermark, zone) if work.watermark else only_day(newest_day(silver))
    return AsOf(day, zone, work.known_from) if day else None


def _last_day(lake: Lake) -> date | None:
    """The business day the profiles are as of; None before the first."""
    return only_day(lake.read("gold.user_profiles").selectExpr("max(as_of_day)"))


def _touched(silver: Silver, work: Work, zone: str, keep: Keep) -> Touched:
    """Who and what the new batches touched; days asked for by hand (they book no progress) touch all who were there."""
    since = work.ingest_seq_from
    start = only_day(first_redescribed_day(silver, since, zone))
    pairs = touched_pairs(silver, since, zone, redescribed_from=start)
    if work.days and work.ingest_seq_to == since:
        pairs = pairs.union(pairs_of_days(silver, work.days, zone))
    pairs = keep(pairs.distinct())
    users = keep(touched_users(silver, pairs, since))
    counted = {row["day"]: row["count"] for row in pairs.groupBy("day").count().collect()}
    return Touched(
        handed_round(pairs, sum(counted.values())), handed_round(users, users.count()), tuple(sorted(counted))
    )
