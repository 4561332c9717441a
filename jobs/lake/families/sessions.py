"""The family `sessions`: what a run reads and stages. What it means is in `session_refresh`."""

from collections.abc import Iterator, Sequence

from jobs.lake.backfills.slices import Slice
from jobs.lake.families.backfilled import Backfilled, of_users, with_backfilled
from jobs.lake.families.inputs import days_again, pinned
from jobs.lake.families.session_refresh import TABLE, Facts, rebuild, refresh, swap
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work
from pyspark.sql import functions as F

FACTS = ("silver.views", "silver.likes", "silver.orders")


def stage(lake: Lake, work: Work, done: Sequence[Backfilled] = ()) -> Iterator[Staged]:
    """The sessions of every day on which one has become another; nothing when no act is new.

    With `done` (what a backfill made) all sessions there are.
    """
    facts = _facts(lake, work)
    if work.full or work.ingest_seq_from < 0:
        yield from rebuild(facts)
    else:
        touched, zone, known = _touched(lake, work, facts), lake.settings.business_zone, lake.read(TABLE)
        if done:
            yield from swap(facts, touched, with_backfilled(TABLE, known, done), zone, lake.keep)
        else:
            yield from refresh(facts, touched, known, zone, lake.keep)


def stage_slice(lake: Lake, work: Work, one: Slice) -> Iterator[Staged]:
    """All sessions of the slice's users, from the facts alone."""
    facts = _facts(lake, work)
    mine = Facts(*(rows.transform(of_users(one)) for rows in (facts.views, facts.likes, facts.orders)))
    yield Staged(TABLE, mine.sessions(), "append")


def _facts(lake: Lake, work: Work) -> Facts:
    """The inputs at the versions the run was planned on, less what came after its last complete batch."""
    return Facts(*pinned(lake, work, FACTS)).where(F.col("ingest_seq") <= work.ingest_seq_to)


def _touched(lake: Lake, work: Work, facts: Facts) -> Facts:
    """New facts; and those of days asked for by hand, or held back before and tried again."""
    touched = F.col("ingest_seq") > work.ingest_seq_from
    days = days_again(lake, work)
    return facts.where(touched | F.col("event_date").isin(*days) if days else touched)
