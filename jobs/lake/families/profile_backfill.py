"""What a backfill makes of the profile tables, as a pure plan: tiles of some users from silver, and their swap.

Tiles are made anew; interests and profiles follow from them. At the swap everything is made again of users of whom
anything came in since the first slice was built, so the result equals a full rebuild, row for row.
"""

from collections.abc import Iterator, Sequence
from datetime import date

from jobs.definitions.identity import ties
from jobs.lake.backfills.slices import Slice
from jobs.lake.families.backfilled import Backfilled, of_users, with_backfilled
from jobs.lake.families.identity_refresh import TABLE
from jobs.lake.families.profile_refresh import DAYS, TOPICS, USER, AsOf, Gold, Keep, Silver, of_everybody, tiles
from jobs.lake.families.profile_touched import touched_acts, touched_pairs, touched_users
from jobs.lake.work import Staged
from jobs.silver import identity_edges
from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def remade(silver: Silver, one: Slice, zone: str) -> Iterator[Staged]:
    """The tiles of the slice's users; `zone`: the business."""
    mine, edges = of_users(one), identity_edges.build(silver.views, silver.likes, silver.orders)
    for table, rows in tiles(silver.of_people(mine(ties(edges))).acts_by(mine), zone).items():
        yield Staged(table, rows, "append")


def swap(
    silver: Silver, gold: Gold, edges: DataFrame, users: DataFrame, as_of_day: AsOf, done: Sequence[Backfilled],
    keep: Keep = DataFrame.persist,
) -> Iterator[Staged]:  # fmt: skip
    """The slices in the place of what is published, and all of `users` (distinct) on top of them.

    `edges` are all there are now, made anew.
    """
    yield Staged(TABLE, edges, "replace_all")
    tied = ties(edges).join(users, on=USER, how="left_semi")
    fresh = tiles(
        silver.of_people(tied).acts_by(lambda rows: rows.join(users, on=USER, how="left_semi")), as_of_day.zone
    )
    now: dict[str, DataFrame] = {}
    for table, public in ((DAYS, gold.user_days), (TOPICS, gold.user_interest_days)):
        kept = with_backfilled(table, public, done).join(users, on=USER, how="left_anti")
        now[table] = keep(kept.unionByName(fresh[table]))
        yield Staged(table, now[table], "replace_all")
    yield from of_everybody(silver, gold.user_profiles_history, now, as_of_day, keep)


def news_of(silver: Silver, edges: DataFrame, since: int, zone: str, *, redescribed_from: date | None) -> DataFrame:
    """Distinct users of whom something came in with batches after `since`; `edges` are all there are now."""
    acts = touched_acts(silver, since, redescribed_from=redescribed_from)
    users = touched_users(silver, touched_pairs(acts, ties(edges), zone), since)
    return users.union(_on_devices_seen(silver, edges, since)).distinct()


def _on_devices_seen(silver: Silver, edges: DataFrame, since: int) -> DataFrame:
    """Users of devices that somebody has logged in on since, perhaps repeated.

    Whose an anonymous act is can have changed for them only; slices may have known it otherwise than what is published.
    """
    new = (facts.where(F.col("ingest_seq") > since) for facts in (silver.views, silver.likes, silver.orders))
    seen = identity_edges.sightings(*new).select("device_id")
    return edges.join(seen, on=["device_id"], how="left_semi").select(*USER)
