"""What a run must do to the profile tables, as a pure plan: silver and what is published in, what to write out.

A user is touched by new facts, by new knowledge about the videos and products of old facts, and by changes of their own
entity. Tiles are rebuilt for the touched (user, day) only; profiles and interests for the touched users, or for all of
them from the tiles when the business day has moved on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta

from jobs.definitions.as_of import as_of
from jobs.definitions.local_time import last_instant
from jobs.gold import user_days, user_interest_days, user_interests, user_profiles, user_profiles_history
from jobs.lake.work import Staged
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

USER, PAIR = ["user_id"], ["user_id", "day"]
DAYS, TOPICS = "gold.user_days", "gold.user_interest_days"
Keep = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Silver:
    """The inputs, each at one version."""

    views: DataFrame
    likes: DataFrame
    orders: DataFrame
    users: DataFrame
    videos: DataFrame
    products: DataFrame


@dataclass(frozen=True)
class Gold:
    """The family's own tables as they stand."""

    user_days: DataFrame
    user_interest_days: DataFrame
    user_interests: DataFrame
    user_profiles: DataFrame
    user_profiles_history: DataFrame


@dataclass(frozen=True)
class AsOf:
    """The business day of a run, the zone it is a day of, and when readers get to know."""

    day: date
    zone: str
    known_from: datetime


@dataclass(frozen=True)
class Touched:
    """`pairs` (user_id, day) whose tiles may have changed on the `days`; `users` who may have, for whatever reason."""

    pairs: DataFrame
    users: DataFrame
    days: tuple[date, ...]


def rebuild(silver: Silver, history: DataFrame, as_of_day: AsOf, keep: Keep = DataFrame.persist) -> Iterator[Staged]:
    """Everything from silver; only the history is added to. `keep` makes a frame that is used again cheap."""
    days, topics = (keep(rows) for rows in tiles(silver, as_of_day.zone))
    yield Staged(DAYS, days, "replace_all")
    yield Staged(TOPICS, topics, "replace_all")
    yield from _all_users(silver, history, days, topics, as_of_day, keep)


def tiles(silver: Silver, zone: str) -> tuple[DataFrame, DataFrame]:
    """Rows of user_days and of user_interest_days of everybody whose facts are there, all of whose facts must be."""
    return (
        user_days.build(silver.views, silver.likes, silver.orders, silver.videos, zone=zone),
        user_interest_days.build(silver.views, silver.likes, silver.orders, silver.videos, silver.products),
    )


def refresh(
    silver: Silver, gold: Gold, touched: Touched, as_of_day: AsOf, *, is_new_day: bool, keep: Keep = DataFrame.persist
) -> Iterator[Staged]:
    """Only what is touched; a new day renews interests and profiles of everybody, from the tiles."""
    days, topics = keep(_fresh_days(silver, touched, as_of_day.zone)), keep(_fresh_topics(silver, touched))
    old_days = gold.user_days.join(touched.pairs, on=PAIR, how="left_semi")
    old_topics = _in_scope(gold.user_interest_days, touched, how="left_semi")
    yield _merged(DAYS, days, old_days, PAIR)
    yield _merged(TOPICS, topics, old_topics, user_interest_days.GRAIN)
    days_now, topics_now = _tiles_now(gold, touched, days, topics)
    if is_new_day:
        yield from _all_users(silver, gold.user_profiles_history, days_now, topics_now, as_of_day, keep)
    else:
        yield from _some_users(silver, gold, days_now, topics_now, touched.users, as_of_day, keep)


def swap(
    silver: Silver, gold: Gold, touched: Touched, as_of_day: AsOf, keep: Keep = DataFrame.persist
) -> Iterator[Staged]:
    """Everything, from tiles some of which are a backfill's, less those that are touched since."""
    fresh = keep(_fresh_days(silver, touched, as_of_day.zone)), keep(_fresh_topics(silver, touched))
    days, topics = (keep(tiles) for tiles in _tiles_now(gold, touched, *fresh))
    yield Staged(DAYS, days, "replace_all")
    yield Staged(TOPICS, topics, "replace_all")
    yield from _all_users(silver, gold.user_profiles_history, days, topics, as_of_day, keep)


def _tiles_now(gold: Gold, touched: Touched, days: DataFrame, topics: DataFrame) -> tuple[DataFrame, DataFrame]:
    """All tiles: the fresh ones of what is touched, the others as they stand."""
    untouched = gold.user_days.join(touched.pairs, on=PAIR, how="left_anti")
    others = _in_scope(gold.user_interest_days, touched, how="left_anti")
    return untouched.unionByName(days), others.unionByName(topics)


def _fresh_days(silver: Silver, touched: Touched, zone: str) -> DataFrame:
    """Tiles of the touched pairs; the day before is read too, for sessions that began on it."""
    near = sorted({near for day in touched.days for near in (day - timedelta(days=1), day)})
    views, likes, orders = (
        facts.where(F.col("event_date").isin(*near)).join(touched.users, on=USER, how="left_semi")
        for facts in (silver.views, silver.likes, silver.orders)
    )
    tiles = user_days.build(views, likes, orders, silver.videos, zone=zone)
    return tiles.join(touched.pairs, on=PAIR, how="left_semi")


def _fresh_topics(silver: Silver, touched: Touched) -> DataFrame:
    """Views of the touched pairs; likes and orders of all times, because take-backs and refunds reach back."""
    days = touched.pairs.withColumnRenamed("day", "event_date")
    views = silver.views.where(F.col("event_date").isin(*touched.days))
    return user_interest_days.build(
        views.join(days, on=["user_id", "event_date"], how="left_semi"),
        silver.likes.join(touched.users, on=USER, how="left_semi"),
        silver.orders.join(touched.users, on=USER, how="left_semi"),
        silver.videos,
        silver.products,
    )


def _in_scope(topics: DataFrame, touched: Touched, *, how: str) -> DataFrame:
    """The tiles that `_fresh_topics` rebuilds (left_semi), or all others (left_anti)."""
    from_views = F.col("fact") == "views"
    seen = topics.where(from_views).join(touched.pairs, on=PAIR, how=how)
    return seen.unionByName(topics.where(~from_views).join(touched.users, on=USER, how=how))


def _all_users(
    silver: Silver, history: DataFrame, days: DataFrame, topics: DataFrame, as_of_day: AsOf, keep: Keep
) -> Iterator[Staged]:
    """Interests, profiles and their changes, of everybody."""
    people = as_of(silver.users, last_instant(as_of_day.day, as_of_day.zone))
    interests = keep(user_interests.build(topics, people, day=as_of_day.day))
    profiles = keep(_profiles(silver.orders, days, topics, interests, people, as_of_day))
    yield Staged("gold.user_interests", interests, "replace_all")
    yield Staged("gold.user_profiles", profiles, "replace_all")
    yield _changes(profiles, history, as_of_day)


def _some_users(
    silver: Silver, gold: Gold, days: DataFrame, topics: DataFrame, users: DataFrame, as_of_day: AsOf, keep: Keep
) -> Iterator[Staged]:
    """Interests, profiles and their changes, of the touched users."""
    days, topics, orders, entities, old_interests, old_profiles, history = (
        rows.join(users, on=USER, how="left_semi")
        for rows in (days, topics, silver.orders, silver.users,
                     gold.user_interests, gold.user_profiles, gold.user_profiles_history)
    )  # fmt: skip
    people = as_of(entities, last_instant(as_of_day.day, as_of_day.zone))
    interests = keep(user_interests.build(topics, people, day=as_of_day.day))
    profiles = keep(_profiles(orders, days, topics, interests, people, as_of_day))
    yield _merged("gold.user_interests", interests, old_interests, user_interests.GRAIN)
    yield _merged("gold.user_profiles", profiles, old_profiles, USER)
    yield _changes(profiles, history, as_of_day)


def _profiles(
    orders: DataFrame, days: DataFrame, topics: DataFrame, interests: DataFrame, people: DataFrame, as_of_day: AsOf
) -> DataFrame:
    return user_profiles.build(days, topics, interests, orders, people, day=as_of_day.day, zone=as_of_day.zone)


def _changes(profiles: DataFrame, history: DataFrame, as_of_day: AsOf) -> Staged:
    added = user_profiles_history.build(profiles, history, known_from=as_of_day.known_from)
    return Staged("gold.user_profiles_history", added, "append")


def _merged(table: str, fresh: DataFrame, old: DataFrame, keys: list[str]) -> Staged:
    """Rows of the scope as they are now; what was in it and is no more is removed."""
    gone = old.select(*keys).join(fresh.select(*keys), on=keys, how="left_anti")
    return Staged(table, fresh, "merge", removed=gone)


def tables(of: type[Silver] | type[Gold]) -> tuple[str, ...]:
    """Names of the tables: `silver.views`, …, in the order of the fields."""
    return tuple(f"{of.__name__.lower()}.{field.name}" for field in fields(of))
