"""The family `scores`: what a run reads and stages, and the book of fits. What it means is in `score_refresh`."""

from collections.abc import Iterator
from datetime import date

from jobs.gold import retention_weekly, user_scores
from jobs.lake.clock import now
from jobs.lake.families.inputs import pinned
from jobs.lake.families.score_refresh import Fits, as_rows, fits, population
from jobs.lake.ledger import Ledger
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work
from pyspark.sql import functions as F

TABLE, FITS = "gold.user_scores", "ops.model_fits"
PROFILES, DAYS, ORDERS = "gold.user_profiles", "gold.user_days", "silver.orders"
RETENTION = "gold.retention_weekly"


def stage(lake: Lake, work: Work) -> Iterator[Staged]:
    """Scores and retention anew: they depend on everybody. Nothing before the first profile."""
    profiles, days, orders = pinned(lake, work, (PROFILES, DAYS, ORDERS))
    row = profiles.agg(F.max("as_of_day")).first()
    day: date | None = row[0] if row else None
    if day is None:
        return
    orders = orders.where(F.col("ingest_seq") <= work.ingest_seq_to)
    of = population(orders, profiles, day, lake.keep)
    fitted = fits(of, profiles)
    if fitted:
        book(Ledger(lake.settings), work, fitted, day)
    yield Staged(TABLE, user_scores.build(of.people, fitted.predicting if fitted else None, day=day), "replace_all")
    yield Staged(RETENTION, retention_weekly.build(days, profiles, day=day), "replace_all")


def book(ledger: Ledger, work: Work, fitted: Fits, day: date) -> None:
    """Note the fits of the run, once."""
    if work.run_id not in ledger.read(FITS, ["run_id"])["run_id"].to_pylist():
        about = {"run_id": work.run_id, "ingest_seq": work.ingest_seq_to, "recorded_at": now()}
        ledger.append(FITS, [row | about for row in as_rows(fitted, day)])
