"""Keep the lake small and quick: compaction, vacuum, statistics.

- **Reads** every table's log
- **Writes** the same rows in fewer files; removes files no reader can still need
- **On failure** nothing is lost, the lake only stays as it was: docs/runbooks/upkeep.md
"""

import pendulum
from airflow.sdk import DAG

from dags.lib.jobs import upkeep
from dags.lib.policy import STANDARD, within

with DAG(
    dag_id="upkeep",
    doc_md=__doc__,
    schedule="30 3 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Asia/Shanghai"),
    default_args=STANDARD,
    deadline=within(120, "upkeep"),
    catchup=False,
    max_active_runs=1,
    tags=["layer:ops", "impact:tier-3"],
):
    upkeep()
