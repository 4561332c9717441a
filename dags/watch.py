"""Send canaries; measure lag, freshness and checks, and hold them against what the contracts promise.

- **Reads** the broker's offsets, ops.books, ops.canaries, ops.touched, ops.watermarks, ops.publications,
  ops.check_results
- **Writes** ops.canaries, ops.lag, ops.rates, ops.freshness, ops.promises
- **On failure** a promise is broken; the log's last line names table, promise and page: docs/runbooks/promises.md
"""

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from dags.lib.jobs import watch
from dags.lib.policy import STANDARD, within

with DAG(
    dag_id="watch",
    doc_md=__doc__,
    schedule=timedelta(minutes=5),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    default_args=STANDARD,
    deadline=within(15, "watch"),
    catchup=False,
    max_active_runs=1,
    tags=["layer:ops", "impact:tier-2"],
):
    watch()
