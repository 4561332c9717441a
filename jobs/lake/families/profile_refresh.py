"""What a run must do to the profile tables, as a pure plan: silver and what is published in, what to write out.

A user is touched by new facts, by new knowledge about the videos and products of old facts, and by changes of their own
entity. Tiles are rebuilt for the touched (user, day) only; profiles and interests for the touched users, or for all of
them from the tiles when the business day has moved on.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from functools import reduce

from jobs.definitions.as_of import as_of
from jobs.definitions.local_time import last_instant, local_date
from jobs.definitions.sessions import reach
from jobs.gold import user_days, user_interest_days, user_interests, user_profiles, user_profiles_history
from jobs.lake.work import Staged
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

USER, PAIR = ["user_id"], ["user_id", "day"]
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
    days = user_days.build(silver.views, silver.likes, silver.orders, silver.videos, zone=as_of_day.zone)
    topics = user_interest_days.build(silver.views, silver.likes, silver.orders, silver.videos, silver.products)
    days, topics = keep(days), keep(topics)
    yield Staged("gold.user_days", days, "replace_all")
    yield Staged("gold.user_interest_days", topics, "replace_all")
    yield from _all_users(silver, history, days, topics, as_of_day, keep)


def refresh(
    silver: Silver, gold: Gold, touched: Touched, as_of_day: AsOf, *, is_new_day: bool, keep: Keep = DataFrame.persist
) -> Iterator[Staged]:
    """Only what is touched; a new day renews interests and profiles of everybody, from the tiles."""
    days, topics = keep(_fresh_days(silver, touched, as_of_day.zone)), keep(_fresh_topics(silver, touched))
    old_days = gold.user_days.join(touched.pairs, on=PAIR, how="left_semi")
    old_topics = _in_scope(gold.user_interest_days, touched, how="left_semi")
    yield _merged("gold.user_days", days, old_days, PAIR)
    yield _merged("gold.user_interest_days", topics, old_topics, user_interest_days.GRAIN)
    days_now = gold.user_days.join(touched.pairs, on=PAIR, how="left_anti").unionByName(days)
    topics_now = _in_scope(gold.user_interest_days, touched, how="left_anti").unionByName(topics)
    if is_new_day:
        yield from _all_users(silver, gold.user_profiles_history, days_now, topics_now, as_of_day, keep)
    else:
        yield from _some_users(silver, gold, days_now, topics_now, touched.users, as_of_day, keep)


def newest_day(silver: Silver) -> DataFrame:
    """One row, one column: the newest business day any fact is of."""
    days = [facts.agg(F.max("event_date").alias("day")) for facts in (silver.views, silver.likes, silver.orders)]
    return _union(days).agg(F.max("day"))


def first_redescribed_day(silver: Silver, since: int, zone: str) -> DataFrame:
    """One row, one column: the first day about whose videos or products batches after `since` say something else."""
    changed = [
        things.where(F.col("ingest_seq") > since).select("valid_from") for things in (silver.videos, silver.products)
    ]
    return _union(changed).agg(F.min(local_date(F.col("valid_from"), zone)))


def touched_pairs(silver: Silver, since: int, zone: str, *, redescribed_from: date | None) -> DataFrame:
    """(user_id, day), perhaps repeated: of new facts, and of facts whose video or product is now known otherwise.

    An act can end the session that would have begun up to 30 minutes later, so it touches the day then, too.
    """
    all_facts = (silver.views, silver.likes, silver.orders)
    pairs = [_pairs(facts.where(F.col("ingest_seq") > since), zone) for facts in all_facts]
    if redescribed_from:
        pairs += [_pairs(facts, zone) for facts in _redescribed(silver, since, redescribed_from)]
    return _union(pairs)


def pairs_of_days(silver: Silver, days: Sequence[date], zone: str) -> DataFrame:
    """(user_id, day), perhaps repeated, of everybody who was there on the days."""
    return _union(
        [_pairs(f.where(F.col("event_date").isin(*days)), zone) for f in (silver.views, silver.likes, silver.orders)]
    )


def pairs_of_losers(silver: Silver, gold: Gold, losers: DataFrame, zone: str) -> DataFrame:
    """(user_id, day), perhaps repeated: all days of the `losers` (user_id, day: a fact of theirs was taken away then).

    Days they have facts of, days they are published with, and the days they lost one on.
    """
    theirs = [facts.join(losers, on=USER, how="left_semi") for facts in (silver.views, silver.likes, silver.orders)]
    published = gold.user_days.join(losers, on=USER, how="left_semi").select(*PAIR)
    return _union([*(_pairs(facts, zone) for facts in theirs), published, losers.select(*PAIR)])


def touched_users(silver: Silver, pairs: DataFrame, since: int) -> DataFrame:
    """Distinct users of the pairs, and those whose own entity changed."""
    changed = silver.users.where(F.col("ingest_seq") > since).select(*USER)
    return pairs.select(*USER).union(changed).distinct()


def _pairs(facts: DataFrame, zone: str) -> DataFrame:
    days = F.array_distinct(F.array("event_date", local_date(reach(F.col("event_time")), zone)))
    return facts.select("user_id", F.explode(days).alias("day"))


def _redescribed(silver: Silver, since: int, start: date) -> Iterator[DataFrame]:
    """Facts about a video or product at a time of which something new is known."""
    new = F.col("ingest_seq") > since
    lines = silver.orders.where("kind = 'paid'").withColumn("product_id", F.explode("lines.product_id"))
    about = {"video_id": (silver.views, silver.likes), "product_id": (silver.views, silver.likes, lines)}
    things = {"video_id": silver.videos, "product_id": silver.products}
    for key, all_facts in about.items():
        spans = things[key].where(new).select(F.col(key).alias("thing"), "valid_from", "valid_to")
        for facts in all_facts:
            recent = facts.where(F.col("event_date") >= F.lit(start))
            yield recent.join(spans, on=[recent[key] == spans["thing"], _within(recent["event_time"])], how="left_semi")


def _within(at: Column) -> Column:
    until = F.col("valid_to")
    return (F.col("valid_from") <= at) & (until.isNull() | (at < until))


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


def _union(frames: Sequence[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionAll, frames)


def tables(of: type[Silver] | type[Gold]) -> tuple[str, ...]:
    """Names of the tables: `silver.views`, …, in the order of the fields."""
    return tuple(f"{of.__name__.lower()}.{field.name}" for field in fields(of))
