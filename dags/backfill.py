"""Run a reviewed request of infra/backfills beside the live run; started by hand with the name of its file.

- **Reads** what the family of its table reads, and the slices it has built before
- **Writes** slices into staging, then all tables of the family as one release
- **On failure** nothing of it is published; run it again and it goes on where it was: docs/runbooks/backfill.md
- **Skipped** means: it is paused or cancelled, or another backfill of the family is at work.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from dags.lib.jobs import backfill
from dags.lib.policy import STANDARD, within

with DAG(
    dag_id="backfill",
    doc_md=__doc__,
    schedule=None,
    params={
        "name": Param(
            type="string", pattern="^[a-z][a-z0-9_]*$", description="A file of infra/backfills, without .yaml."
        )
    },
    # A long one ends here, and the retry goes on where it was.
    default_args=STANDARD | {"execution_timeout": timedelta(hours=6)},
    deadline=within(24 * 60, "backfill"),
    catchup=False,
    max_active_runs=1,
    tags=["layer:gold", "impact:tier-2"],
):
    backfill()
