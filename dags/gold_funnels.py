"""Publish the funnels for every day that new facts have touched.

- **Reads** silver.views, silver.likes, silver.orders, silver.users, silver.videos
- **Writes** gold.funnel_attempts, gold.funnel_openings, gold.funnel_daily, gold.funnel_conversions, gold.funnel_paths,
  as one release
- **On failure** a red `check` is bad data, not bad code: docs/runbooks/red-check.md
- **Skipped** means: every touched day is released already.
"""

from airflow.sdk import DAG, AssetAny

from dags.lib.jobs import publish
from dags.lib.policy import STANDARD, within
from dags.lib.tables import asset, family_inputs

with DAG(
    dag_id="gold_funnels",
    doc_md=__doc__,
    schedule=AssetAny(*(asset(table) for table in family_inputs("funnels"))),  # a wake-up, not a work list
    default_args=STANDARD,
    deadline=within(60, "gold_funnels"),
    catchup=False,
    max_active_runs=1,
    tags=["layer:gold", "impact:tier-1"],
):
    publish("funnels")
