"""The family `sessions`: what a run reads and stages. What it means is in `session_refresh`."""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import reduce

from jobs.lake.families.inputs import days_again, displaced, pinned
from jobs.lake.families.session_refresh import TABLE, Facts, rebuild, refresh
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

FACTS = ("silver.views", "silver.likes", "silver.orders")


def stage(lake: Lake, work: Work) -> Iterator[Staged]:
    """The sessions of every day on which one has become another; nothing when no act is new."""
    facts = _facts(lake, work)
    if work.full or work.ingest_seq_from < 0:
        yield from rebuild(facts)
    else:
        days, known, zone = days_again(lake, work), lake.read(TABLE), lake.settings.business_zone
        touched, doubted = _touched(work, facts, days), _doubted(known, days, displaced(lake, work).users)
        yield from refresh(facts, touched, known, zone, lake.keep, doubted=doubted)


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
