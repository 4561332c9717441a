"""The family `sessions`: what a run reads and stages. What it means is in `session_refresh`."""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import reduce

from jobs.lake.backfills.slices import Slice
from jobs.lake.families.backfilled import Backfilled, of_users, with_backfilled
from jobs.lake.families.inputs import days_again, displaced, pinned
from jobs.lake.families.session_refresh import TABLE, Facts, rebuild, refresh, swap
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

FACTS = ("silver.views", "silver.likes", "silver.orders")


def stage(lake: Lake, work: Work, done: Sequence[Backfilled] = ()) -> Iterator[Staged]:
    """The sessions of every day on which one has become another; nothing when no act is new.

    With `done` (what a backfill made) all sessions there are.
    """
    facts = _facts(lake, work)
    if work.full or work.ingest_seq_from < 0:
        lake.expect(work.all_rows)
        yield from rebuild(facts)
    else:
        days, known, zone = days_again(lake, work), lake.read(TABLE), lake.settings.business_zone
        known = with_backfilled(TABLE, known, done) if done else known
        touched, doubted = _touched(work, facts, days), _doubted(known, days, displaced(lake, work).users)
        make = swap if done else refresh
        yield from make(facts, touched, known, zone, lake.keep, doubted=doubted)


def stage_slice(lake: Lake, work: Work, one: Slice) -> Iterator[Staged]:
    """All sessions of the slice's users, from the facts alone."""
    facts = _facts(lake, work)
    mine = Facts(*(rows.transform(of_users(one)) for rows in (facts.views, facts.likes, facts.orders)))
    yield Staged(TABLE, mine.sessions(), "append")


def _facts(lake: Lake, work: Work) -> Facts:
    """The inputs at the versions the run was planned on, less what came after its last complete batch."""
    return Facts(*pinned(lake, work, FACTS)).where(F.col("ingest_seq") <= work.ingest_seq_to)


def _doubted(known: DataFrame, days: Sequence[date], losers: DataFrame | None) -> DataFrame | None:
    """Known sessions that may have lost an act: of the days to do again, and of users an act of whom was displaced."""
    of_days = known.where(F.col("session_date").isin(*days)) if days else None
    of_users = known.join(losers, on=["user_id"], how="left_semi") if losers is not None else None
    found = [rows for rows in (of_days, of_users) if rows is not None]
    return reduce(DataFrame.unionByName, found) if found else None


def _touched(work: Work, facts: Facts, days: Sequence[date]) -> Facts:
    """New facts; and those of days asked for by hand, or held back before and tried again."""
    touched = F.col("ingest_seq") > work.ingest_seq_from
    return facts.where(touched | F.col("event_date").isin(*days) if days else touched)
