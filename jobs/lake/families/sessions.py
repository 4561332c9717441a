"""The family `sessions`: what a run reads and stages. What it means is in `session_refresh`."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import reduce

from jobs.definitions.local_time import last_instant
from jobs.definitions.sessions import own_acts
from jobs.lake.backfills.slices import Slice
from jobs.lake.becoming import Becoming
from jobs.lake.families.backfilled import Backfilled, of_users, with_backfilled
from jobs.lake.families.inputs import days_again, displaced, pinned
from jobs.lake.families.session_refresh import TABLE, Facts, rebuild, refresh, swap
from jobs.lake.ledger import Ledger
from jobs.lake.staging import Manifest
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work, touched_days
from jobs.silver import sessions
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


def postings(now: Becoming) -> Iterator[tuple[str, DataFrame]]:
    """Every day that is staged or has new facts: its own acts beside those of its sessions.

    Not the day after one that is held, for the held one's sessions may reach into it by now.
    """
    days, zone = _judged(now), now.lake.settings.business_zone
    if days == []:
        return
    facts, reaching = _facts(now.lake, now.manifest), None
    if days is not None:
        near = sorted({each for day in days for each in (day, day + timedelta(days=1))})
        facts = facts.where(F.col("event_date").isin(*near))
        before = last_instant(min(days) - timedelta(days=1), zone)
        reaching = F.col("session_date").isin(*days) | (
            (F.col("ended_at") > F.lit(before)) & (F.col("session_date") < F.lit(max(days)))
        )
    acts = own_acts(facts.views, facts.likes, facts.orders, ("user_id", "event_time", "event_date"))
    for rows in sessions.postings(now.of(TABLE, reaching), acts, days, zone):
        yield TABLE, rows


def _judged(now: Becoming) -> list[date] | None:
    """The days to look at; None for all of them."""
    staged, manifest = now.slices(TABLE), now.manifest
    if staged is None:
        return None
    ledger = Ledger(now.lake.settings)
    touched, _ = touched_days(ledger, FACTS, manifest.ingest_seq_from, manifest.ingest_seq_to)
    held = {each for day in manifest.held for each in (day, day + timedelta(days=1))}
    return sorted({*staged, *touched, *manifest.days} - held)


def _facts(lake: Lake, work: Work | Manifest) -> Facts:
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
