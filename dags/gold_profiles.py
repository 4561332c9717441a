"""Publish the profiles and interests of every user that new facts, or the passing of days, have touched.

- **Reads** silver.views, silver.likes, silver.orders, silver.users, silver.videos, silver.products
- **Writes** silver.identity_edges, gold.user_days, gold.user_interest_days, gold.user_interests, gold.user_profiles,
  gold.user_profiles_history, as one release
- **On failure** a red `check` is bad data, not bad code: docs/runbooks/red-check.md
- **Skipped** means: every touched user is released already.
"""

from airflow.sdk import DAG, AssetAny

from dags.lib.jobs import publish
from dags.lib.policy import STANDARD, within
from dags.lib.tables import asset, family_inputs

with DAG(
    dag_id="gold_profiles",
    doc_md=__doc__,
    schedule=AssetAny(*(asset(table) for table in family_inputs("profiles"))),  # a wake-up, not a work list
    default_args=STANDARD,
    deadline=within(60, "gold_profiles"),
    catchup=False,
    max_active_runs=1,
    tags=["layer:gold", "impact:tier-1"],
):
    publish("profiles")
