"""Publish what depends on everybody, anew whenever profiles are: where buyers stand, who comes back, who moves.

- **Reads** gold.user_profiles, gold.user_profiles_history, gold.user_days, silver.orders
- **Writes** gold.user_scores, gold.retention_weekly, gold.segment_daily, as one release; notes the fits in
  ops.model_fits
- **On failure** a red `check` is bad data, not bad code: docs/runbooks/red-check.md
- **Skipped** means: the profiles are those the scores were made of.
"""

from airflow.sdk import DAG, AssetAny

from dags.lib.jobs import publish
from dags.lib.policy import STANDARD, within
from dags.lib.tables import asset, family_inputs

with DAG(
    dag_id="gold_scores",
    doc_md=__doc__,
    schedule=AssetAny(*(asset(table) for table in family_inputs("scores"))),  # a wake-up, not a work list
    default_args=STANDARD,
    deadline=within(60, "gold_scores"),
    catchup=False,
    max_active_runs=1,
    tags=["layer:gold", "impact:tier-2"],
):
    publish("scores")
