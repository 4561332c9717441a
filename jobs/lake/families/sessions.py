"""The family `sessions`: what a run reads and stages. What it means is in `session_refresh`."""

from collections.abc import Iterator

from jobs.lake.families.inputs import days_again, pinned
from jobs.lake.families.session_refresh import TABLE, Facts, rebuild, refresh
from jobs.lake.ledger import Ledger
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work, displaced_facts
from pyspark.sql import functions as F

FACTS = ("silver.views", "silver.likes", "silver.orders")


def stage(lake: Lake, work: Work) -> Iterator[Staged]:
    """The sessions of every day on which one has become another; nothing when no act is new."""
    facts = _facts(lake, work)
    # A fact that gave its place to an earlier arrival is gone from where it was: sessions may shrink or fall apart.
    is_displaced = displaced_facts(Ledger(lake.settings), work.ingest_seq_from, work.ingest_seq_to) > 0
    if work.full or work.ingest_seq_from < 0 or is_displaced:
        yield from rebuild(facts)
    else:
        touched, zone = _touched(lake, work, facts), lake.settings.business_zone
        yield from refresh(facts, touched, lake.read(TABLE), zone, lake.keep)


def _facts(lake: Lake, work: Work) -> Facts:
    """The inputs at the versions the run was planned on, less what came after its last complete batch."""
    return Facts(*pinned(lake, work, FACTS)).where(F.col("ingest_seq") <= work.ingest_seq_to)


def _touched(lake: Lake, work: Work, facts: Facts) -> Facts:
    """New facts; and those of days asked for by hand, or held back before and tried again."""
    touched = F.col("ingest_seq") > work.ingest_seq_from
    days = days_again(lake, work)
    return facts.where(touched | F.col("event_date").isin(*days) if days else touched)
