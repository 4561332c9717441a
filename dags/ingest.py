"""Bring views, likes, orders and entities from Kafka into bronze and silver.

- **Reads** the Kafka topics views, likes, orders, users, videos, products, merchants, control
- **Writes** bronze.events, silver.*, ops.book_hours, ops.books, ops.touched, ops.watermarks, ops.sequences
- **On failure** unbalanced books or a re-created topic are never retried: docs/runbooks/ingest.md. A lost broker is.
- **Skipped** means: nothing waits for release.
"""

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from dags.lib.jobs import ingest
from dags.lib.policy import STANDARD, within

with DAG(
    dag_id="ingest",
    doc_md=__doc__,
    schedule=timedelta(minutes=5),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    default_args=STANDARD,
    deadline=within(30, "ingest"),
    catchup=False,
    max_active_runs=1,
    tags=["layer:silver", "impact:tier-1"],
):
    ingest()
