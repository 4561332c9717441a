"""What a run must do to the profile tables, as a pure plan: silver and what is published in, what to write out.

A user is touched by new facts, by new knowledge about the videos and products of old facts, by changes of their own
entity, and when a device is tied to them, or no more. Tiles are rebuilt for the touched (user, day) only; profiles and
interests for the touched users, or for all of them from the tiles when the business day has moved on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta

from jobs.definitions.as_of import as_of
from jobs.definitions.identity import of_people, ties
from jobs.definitions.local_time import last_instant
from jobs.gold import user_days, user_interest_days, user_interests, user_profiles, user_profiles_history
from jobs.lake.families import identity_refresh
from jobs.lake.families.identity_refresh import Edges
from jobs.lake.work import Staged
from jobs.silver import identity_edges
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

USER, PAIR = ["user_id"], ["user_id", "day"]
DAYS, TOPICS = "gold.user_days", "gold.user_interest_days"  # the tiles
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

    @property
    def facts(self) -> tuple[DataFrame, DataFrame, DataFrame]:
        """Views, likes, orders; these without a device: who orders has an account, so no order is anonymous."""
        return self.views, self.likes, self.orders.withColumn("device_id", F.lit(None).cast("string"))

    def of_people(self, tied: DataFrame) -> "Silver":
        """Anonymous views and likes under the name of whom ties say they are; others of them left out."""
        return replace(self, views=of_people(self.views, tied), likes=of_people(self.likes, tied))

    def acts_by(self, some: Callable[[DataFrame], DataFrame]) -> "Silver":
        """What some did, as `some` picks their rows; of entities everything."""
        return replace(self, views=some(self.views), likes=some(self.likes), orders=some(self.orders))


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
    """`pairs` (user_id, day) whose tiles may have changed on the `days`; `users` who may have, for whatever reason.

    `edges` as they are now, and `tied`: the ties of the touched users.
    """

    pairs: DataFrame
    users: DataFrame
    days: tuple[date, ...]
    edges: Edges
    tied: DataFrame


def rebuild(silver: Silver, history: DataFrame, as_of_day: AsOf, keep: Keep = DataFrame.persist) -> Iterator[Staged]:
    """Everything from silver; only the history is added to. `keep` makes a frame that is used again cheap."""
    edges = keep(identity_edges.build(silver.views, silver.likes, silver.orders))
    yield Staged(identity_refresh.TABLE, edges, "replace_all")
    made = {table: keep(rows) for table, rows in tiles(silver.of_people(ties(edges)), as_of_day.zone).items()}
    for table, rows in made.items():
        yield Staged(table, rows, "replace_all")
    yield from of_everybody(silver, history, made, as_of_day, keep)


def tiles(silver: Silver, zone: str) -> dict[str, DataFrame]:
    """What people did, by day, and by topic and day."""
    views, likes, orders = silver.views, silver.likes, silver.orders
    return {
        DAYS: user_days.build(views, likes, orders, silver.videos, zone=zone),
        TOPICS: user_interest_days.build(views, likes, orders, silver.videos, silver.products),
    }


def refresh(
    silver: Silver, gold: Gold, touched: Touched, as_of_day: AsOf, *, is_new_day: bool, keep: Keep = DataFrame.persist
) -> Iterator[Staged]:
    """Only what is touched; a new day renews interests and profiles of everybody, from the tiles."""
    yield touched.edges.staged()
    silver = silver.of_people(touched.tied)
    days, topics = keep(_fresh_days(silver, touched, as_of_day.zone)), keep(_fresh_topics(silver, touched))
    old_days = gold.user_days.join(touched.pairs, on=PAIR, how="left_semi")
    old_topics = _in_scope(gold.user_interest_days, touched, how="left_semi")
    yield _merged(DAYS, days, old_days, PAIR)
    yield _merged(TOPICS, topics, old_topics, user_interest_days.GRAIN)
    days_now = gold.user_days.join(touched.pairs, on=PAIR, how="left_anti").unionByName(days)
    topics_now = _in_scope(gold.user_interest_days, touched, how="left_anti").unionByName(topics)
    if is_new_day:
        now = {DAYS: days_now, TOPICS: topics_now}
        yield from of_everybody(silver, gold.user_profiles_history, now, as_of_day, keep)
    else:
        yield from _some_users(silver, gold, days_now, topics_now, touched.users, as_of_day, keep)


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


def of_everybody(
    silver: Silver, history: DataFrame, of_days: Mapping[str, DataFrame], as_of_day: AsOf, keep: Keep
) -> Iterator[Staged]:
    """Interests, profiles and their changes, of everybody; `of_days`: all tiles."""
    days, topics = of_days[DAYS], of_days[TOPICS]
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
