"""Which steps of a batch do without Spark: those that the engine of small runs takes (docs/adr/0026)."""

from collections.abc import Collection

from jobs.lake.erasures import horizons
from jobs.lake.ingest.planning import Plan
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.lake.small_commits import is_small
from jobs.lake.small_runs import may_be_used
from jobs.lake.topics import ENTITIES

FEW = 20_000  # records that kafka-python hands over one by one, in about the time that a job of Spark takes to begin


def may_land(settings: Settings, ledger: Ledger, planned: Plan) -> bool:
    """Whether a batch is read from its topics without Spark; not where records of erased people must land empty."""
    return planned.size <= FEW and may_be_used(settings) and not horizons(ledger)


def may_end(settings: Settings, ledger: Ledger, planned: Plan, topics: Collection[str]) -> bool:
    """Whether a batch with records of these topics is taken from bronze to its end without Spark.

    Never one that takes rows away, nor one that changes a table too large to be looked through. How many records it has
    does not matter: they are read in pieces, and their ids are in this process's memory on either engine.
    """
    changed = [f"silver.{topic}" for topic in ENTITIES if topic in topics]
    are_small = all(is_small(ledger.open(table)) for table in changed if ledger.exists(table))
    return planned.erasure is None and are_small and may_be_used(settings)
