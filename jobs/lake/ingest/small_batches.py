"""Which steps of a batch do without Spark: those that the engine of small runs takes (docs/adr/0026)."""

from collections import Counter
from collections.abc import Mapping

from jobs.lake.erasures import horizons
from jobs.lake.ingest.batch import SMALL
from jobs.lake.ingest.planning import Plan
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.lake.small_commits import is_small
from jobs.lake.small_runs import may_be_used
from jobs.lake.topics import ENTITIES

# So many records kafka-python hands over one by one in about the time that a job of Spark takes to begin.
FEW_OFFSETS = 20_000


def may_land(settings: Settings, ledger: Ledger, planned: Plan) -> bool:
    """Whether a batch is read from its topics without Spark; not where records of erased people must land empty."""
    return planned.size <= FEW_OFFSETS and may_be_used(settings) and not horizons(ledger)


def may_end(settings: Settings, ledger: Ledger, planned: Plan, counts: Mapping[str, int]) -> bool:
    """Whether a batch with so many records by topic is taken from bronze to its end without Spark.

    Never an erasure, nor one that changes many rows of a table, or one too large to be looked through.
    How many facts it has does not matter: they are read in pieces, and their ids are in memory on either engine.
    """
    are_few = all(_are_few_changes(ledger, f"silver.{topic}", counts[topic]) for topic in ENTITIES if topic in counts)
    return planned.erasure is None and are_few and may_be_used(settings)


def _are_few_changes(ledger: Ledger, table: str, records: int) -> bool:
    return not ledger.exists(table) or (records <= SMALL and is_small(ledger.open(table)))


def by_topic(received: Mapping[tuple[str, int], int]) -> dict[str, int]:
    """Records by topic, of those by topic and partition."""
    sums: Counter[str] = Counter()
    for (topic, _), records in received.items():
        sums[topic] += records
    return dict(sums)
