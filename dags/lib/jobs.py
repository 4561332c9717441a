"""Jobs as tasks: what a DAG file says in one line."""

from dags.lib.operator import ReelhouseOperator
from dags.lib.tables import asset, family_tables, ingested

FAMILIES = ("funnels", "profiles", "sessions", "scores")


def ingest() -> ReelhouseOperator:
    """Bring in what waits in Kafka; wake the gold tables as long as anything is unreleased."""
    return ReelhouseOperator(
        task_id="ingest",
        arguments=["ingest"],
        skip_unless_unreleased=True,
        pool="lake_ingest",
        outlets=[asset(table) for table in ingested() if table != "silver.quarantine"],
        doc_md="Kafka → bronze → silver, books balanced. Red: docs/runbooks/ingest.md",
    )


def publish(family: str) -> None:
    """Write, audit, publish: build into staging, check it, release it by one commit per table."""
    pool = f"lake_{family}"
    build = ReelhouseOperator(
        task_id=f"{family}.build",
        arguments=["build", family],
        pool=pool,
        doc_md="Build every touched and unreleased day into staging. Red: docs/runbooks/build.md",
    )
    check = ReelhouseOperator(
        task_id=f"{family}.check",
        arguments=["check", family],
        pool=pool,
        doc_md="Great Expectations on staging. Red is bad data, not bad code: docs/runbooks/red-check.md",
    )
    release = ReelhouseOperator(
        task_id=f"{family}.release",
        arguments=["release", family],
        pool=pool,
        outlets=[asset(table) for table in family_tables(family)],
        doc_md="Make the checked slices visible. Red: docs/runbooks/release.md",
    )
    build >> check >> release


def backfill() -> None:
    """Make what a request of infra/backfills names anew, slice by slice, and swap it in."""
    ReelhouseOperator(
        task_id="backfill",
        arguments=["backfill", "run", "infra/backfills/{{ params.name }}.yaml"],
        pool="lake_backfill",
        doc_md="Slices beside the live run, then one swap. Red: docs/runbooks/backfill.md",
    )


def upkeep() -> None:
    """Compaction, vacuum and statistics: one task per group of tables, in the pool of its one writer."""
    pools = {"silver": "lake_ingest"} | {family: f"lake_{family}" for family in FAMILIES}
    for group, pool in pools.items():
        ReelhouseOperator(
            task_id=f"upkeep.{group}",
            arguments=["upkeep", group],
            pool=pool,
            doc_md="Compaction, vacuum and statistics. Red: docs/runbooks/upkeep.md",
        )


def watch() -> None:
    """Send canaries; measure, note it, and be red while a promise of a contract is broken.

    What is measured is what came of the canaries before: these are on their way.
    """
    canary = ReelhouseOperator(
        task_id="canary",
        arguments=["canary", "--send"],
        pool="lake_watch",
        doc_md="A canary to each partition of each topic. Red: docs/runbooks/canaries.md",
    )
    alerts = ReelhouseOperator(
        task_id="alerts",
        trigger_rule="all_done",
        arguments=["alerts", "--record"],
        pool="lake_watch",
        doc_md="Lag, freshness and checks beside the contracts' promises. Red: docs/runbooks/promises.md",
    )
    canary >> alerts
