"""The family `profiles`: what a run reads and stages. What it means is in `profile_refresh`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date

from jobs.definitions.as_of import as_of
from jobs.definitions.identity import ties
from jobs.definitions.local_time import last_complete_day, last_instant
from jobs.gold import user_days, user_interest_days, user_interests, user_profiles, user_profiles_history
from jobs.lake.backfills.slices import Slice
from jobs.lake.becoming import Becoming
from jobs.lake.families.backfilled import Backfilled
from jobs.lake.families.identity_refresh import TABLE, Edges, added_to, days_of, made_anew
from jobs.lake.families.inputs import Displaced, days_again, displaced, emptied, names_at_hand, only_day, pinned
from jobs.lake.families.profile_backfill import news_of, remade, swap
from jobs.lake.families.profile_refresh import DAYS, TOPICS, AsOf, Gold, Silver, Touched, rebuild, refresh, tables
from jobs.lake.families.profile_touched import (
    acts_of_days,
    first_redescribed_day,
    losers_and_owners,
    newest_day,
    pairs_of_losers,
    retied_pairs,
    touched_acts,
    touched_pairs,
    touched_users,
)
from jobs.lake.ledger import Ledger
from jobs.lake.staging import Manifest
from jobs.lake.tables import Lake
from jobs.lake.work import FACT_TOPICS, Staged, Work, touched_days
from jobs.silver import identity_edges
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

PROFILES, INTERESTS, HISTORY = "gold.user_profiles", "gold.user_interests", "gold.user_profiles_history"
FACTS = tuple(f"silver.{topic}" for topic in FACT_TOPICS)


def stage(lake: Lake, work: Work, done: Sequence[Backfilled] = ()) -> Iterator[Staged]:
    """The tables of the family, one after the other; write each before asking for the next: it feeds the next.

    Nothing is staged when no user was touched on the same business day; without any fact there is nothing in them.
    `done`: what a backfill made.
    """
    silver = Silver(*pinned(lake, work, tables(Silver)))
    as_of_day, lost, history = _as_of(lake, work, silver), displaced(lake, work), lake.read(HISTORY)
    if as_of_day is None:
        yield from emptied(lake, (TABLE, *(table for table in tables(Gold) if table != HISTORY)))
        if lost.erased:
            yield from forgetting(iter([Staged(HISTORY, lake.nothing(HISTORY), "append")]), history, lost)
        return
    kept = history.where(~lost.is_erased()) if lost.erased else history
    # Whose facts were taken away is told; what slices made of them, and of ties that are no more, is not.
    is_anew = work.full or work.ingest_seq_from < 0 or lost.of_things or bool(done and lost.users is not None)
    last_day = None if is_anew else _last_day(lake)
    if last_day is None:
        lake.expect(work.all_rows)
        yield from forgetting(rebuild(silver, kept, as_of_day, lake.keep), history, lost)
        return
    gold = replace(Gold(*(lake.read(table) for table in tables(Gold))), user_profiles_history=kept)
    if done:
        edges = lake.keep(identity_edges.build(silver.views, silver.likes, silver.orders))
        since, zone = work.ingest_seq_from, lake.settings.business_zone
        first_day = only_day(first_redescribed_day(silver, since, zone))
        users = names_at_hand(lake, news_of(silver, edges, since, zone, redescribed_from=first_day))
        yield from forgetting(swap(silver, gold, edges, users, as_of_day, done, lake.keep), history, lost)
        return
    touched = _touched(lake, work, silver, gold, lost.users)
    is_new_day = last_day != as_of_day.day
    lake.expect(gold.user_days if is_new_day else touched.users)
    if is_new_day or not touched.users.isEmpty():
        fresh = refresh(silver, gold, touched, as_of_day, is_new_day=is_new_day, keep=lake.keep)
        yield from forgetting(fresh, history, lost)


def stage_slice(lake: Lake, work: Work, one: Slice) -> Iterator[Staged]:
    """All tiles of the slice's users, from silver alone."""
    yield from remade(Silver(*pinned(lake, work, tables(Silver))), one, lake.settings.business_zone)


def postings(now: Becoming) -> Iterator[tuple[str, DataFrame]]:
    """The tiles beside the facts, and what follows from them beside the tiles; nothing where nobody is left."""
    if not now.is_staged(DAYS):
        return
    silver = Silver(*pinned(now.lake, now.manifest, tables(Silver)))
    yield from _of_tiles(now, silver)
    as_of_day = _as_of(now.lake, now.manifest, silver)
    if as_of_day is not None:
        yield from _of_people(now, silver, as_of_day)


def _of_tiles(now: Becoming, silver: Silver) -> Iterator[tuple[str, DataFrame]]:
    """Every day that tiles are staged of, or that has new facts: its own acts beside those the tiles count."""
    days, manifest = None, now.manifest
    if now.slices(DAYS) is not None:
        touched, _ = touched_days(Ledger(now.lake.settings), FACTS, manifest.ingest_seq_from, manifest.ingest_seq_to)
        days = sorted(touched | now.days_told(DAYS, "day"))
    tiles = now.of(DAYS, None if days is None else F.col("day").isin(*days))
    for rows in user_days.postings(tiles, silver.facts, ties(now.of(TABLE)), days):
        yield DAYS, rows


def _of_people(now: Becoming, silver: Silver, as_of_day: AsOf) -> Iterator[tuple[str, DataFrame]]:
    """Of who is touched (everybody, where profiles are replaced whole) all that the release will leave of them."""
    some = _some_of(now, silver)
    tiles, topics, interests, profiles, history = (some(now.of(table)) for table in tables(Gold))
    people = as_of(some(silver.users), last_instant(as_of_day.day, as_of_day.zone))
    orders, day = some(silver.orders), as_of_day.day
    made = {
        TOPICS: user_interest_days.postings(topics, orders),
        INTERESTS: user_interests.postings(interests, topics, profiles, day=day),
        PROFILES: user_profiles.postings(profiles, tiles, orders, people, day=day),
        HISTORY: user_profiles_history.postings(profiles, history),
    }
    yield from ((table, rows) for table, postings_of in made.items() for rows in postings_of)


def _some_of(now: Becoming, silver: Silver) -> Callable[[DataFrame], DataFrame]:
    """Of rows those of the users who are staged in any table, or of whom something else is known; or all."""
    if now.slices(PROFILES) is None:
        return lambda rows: rows
    known = silver.users.where(F.col("ingest_seq") > now.manifest.ingest_seq_from).select("user_id")
    users = names_at_hand(now.lake, now.users_told(*tables(Gold)).unionAll(known).distinct())
    return lambda rows: rows.join(users, on=["user_id"], how="left_semi")


def forgetting(made: Iterator[Staged], history: DataFrame, lost: Displaced) -> Iterator[Staged]:
    """The same; what the history has of people who were erased goes, though nothing else in it ever does."""
    for staged in made:
        if staged.table == HISTORY and lost.erased:
            gone = history.where(lost.is_erased()).select("user_id", "as_of_day", "known_from")
            yield replace(staged, mode="merge", removed=gone)
        else:
            yield staged


def _as_of(lake: Lake, work: Work | Manifest, silver: Silver) -> AsOf | None:
    """The day of the watermark; where no source ever spoke of completeness, the newest day there is a fact of."""
    zone = lake.settings.business_zone
    day = last_complete_day(work.watermark, zone) if work.watermark else only_day(newest_day(silver))
    return AsOf(day, zone, work.known_from) if day else None


def _last_day(lake: Lake) -> date | None:
    """The business day the profiles are as of; None before the first."""
    return only_day(lake.read("gold.user_profiles").selectExpr("max(as_of_day)"))


def _touched(lake: Lake, work: Work, silver: Silver, gold: Gold, losers: DataFrame | None) -> Touched:
    """Who and what the new batches touched; days asked for by hand (they book no progress) touch all who were there."""
    since, zone = work.ingest_seq_from, lake.settings.business_zone
    edges = edges_now(lake, work, silver, is_unsure=losers is not None)
    acts = touched_acts(silver, since, redescribed_from=only_day(first_redescribed_day(silver, since, zone)))
    if work.days and work.ingest_seq_to == since:
        acts = acts.union(acts_of_days(silver, work.days))
    pairs = touched_pairs(acts, ties(edges.now), zone)
    if losers is not None:
        owned = losers_and_owners(losers, ties(edges.now).union(ties(edges.old)))
        pairs = pairs.union(pairs_of_losers(silver, gold, owned, zone))
    retied = names_at_hand(lake, edges.retied())
    first, last = days_of(retied, zone).first() or (None, None)
    if first and last:
        pairs = pairs.union(retied_pairs(silver, retied, first, last, zone))
    pairs = names_at_hand(lake, pairs.distinct())
    users = names_at_hand(lake, touched_users(silver, pairs, since))
    days = tuple(sorted(row["day"] for row in pairs.select("day").distinct().collect()))
    tied = names_at_hand(lake, ties(edges.now).join(users, on=["user_id"], how="left_semi"))
    return Touched(pairs, users, days, edges, tied)


def edges_now(lake: Lake, work: Work, silver: Silver, *, is_unsure: bool) -> Edges:
    """New facts added to what is published; anew where a fact is gone again (`is_unsure`), or days are done again."""
    known, facts = lake.read(TABLE), (silver.views, silver.likes, silver.orders)
    if is_unsure or days_again(lake, work):
        lake.expect(work.all_rows)
        return made_anew(facts, known, lake.keep)
    views, likes, orders = (rows.where(F.col("ingest_seq") > work.ingest_seq_from) for rows in facts)
    return added_to(known, (views, likes, orders), lake.keep)
