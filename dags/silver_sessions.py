"""Publish the sessions that new acts have begun, lengthened or joined.

- **Reads** silver.views, silver.likes, silver.orders
- **Writes** silver.sessions
- **On failure** a red `check` is bad data, not bad code: docs/runbooks/red-check.md
- **Skipped** means: every new act is in its session already.
"""

from airflow.sdk import DAG, AssetAny

from dags.lib.jobs import publish
from dags.lib.policy import STANDARD, within
from dags.lib.tables import asset, family_inputs

with DAG(
    dag_id="silver_sessions",
    doc_md=__doc__,
    schedule=AssetAny(*(asset(table) for table in family_inputs("sessions"))),  # a wake-up, not a work list
    default_args=STANDARD,
    deadline=within(60, "silver_sessions"),
    catchup=False,
    max_active_runs=1,
    tags=["layer:silver", "impact:tier-2"],
):
    publish("sessions")
