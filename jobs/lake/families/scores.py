"""The family `scores`: what a run reads and stages, and the book of fits. What it means is in `score_refresh`."""

from collections.abc import Iterator
from datetime import date, timedelta

from jobs.gold import retention_weekly, segment_daily, user_scores
from jobs.lake import clock
from jobs.lake.becoming import Becoming
from jobs.lake.erasures import is_any_between
from jobs.lake.families.inputs import days_again, emptied, only_day, pinned
from jobs.lake.families.score_refresh import Fits, as_rows, fits, population
from jobs.lake.ledger import Ledger
from jobs.lake.staging import Manifest
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

TABLE, FITS = "gold.user_scores", "ops.model_fits"
PROFILES, DAYS, ORDERS = "gold.user_profiles", "gold.user_days", "silver.orders"
RETENTION, SEGMENTS, HISTORY = "gold.retention_weekly", "gold.segment_daily", "gold.user_profiles_history"
READ = (PROFILES, DAYS, ORDERS, HISTORY)


def stage(lake: Lake, work: Work) -> Iterator[Staged]:
    """Scores and retention anew: they depend on everybody; segments from the last day on. Nothing without a profile."""
    profiles, days, orders, history = pinned(lake, work, READ)
    day = only_day(profiles.agg(F.max("as_of_day")))
    if day is None:
        yield from emptied(lake, (TABLE, RETENTION, SEGMENTS))
        return
    orders = _counted(orders, work)
    of = population(orders, profiles, day, lake.keep)
    fitted = fits(of, profiles)
    if fitted:
        book(Ledger(lake.settings), work, fitted, day)
    yield Staged(TABLE, user_scores.build(of.people, fitted.predicting if fitted else None, day=day), "replace_all")
    yield Staged(RETENTION, retention_weekly.build(days, profiles, day=day), "replace_all")
    yield segments(lake, work, history, day)


def postings(now: Becoming) -> Iterator[tuple[str, DataFrame]]:
    """All scores and cohorts, and every day that segments are staged of, beside what they were made from."""
    profiles, days, orders, history = pinned(now.lake, now.manifest, READ)
    day = only_day(profiles.agg(F.max("as_of_day")))
    if day is None:
        return
    if now.is_staged(TABLE):
        scored = user_scores.postings(now.of(TABLE), _counted(orders, now.manifest), day=day)
        yield from ((TABLE, rows) for rows in scored)
    if now.is_staged(RETENTION):
        kept = retention_weekly.postings(now.of(RETENTION), days, profiles, day=day)
        yield from ((RETENTION, rows) for rows in kept)
    slices = now.slices(SEGMENTS)
    if now.is_staged(SEGMENTS) and slices != ():
        first = (only_day(history.agg(F.min("as_of_day"))) or day) if slices is None else min(slices)
        told = now.of(SEGMENTS, days=slices)
        counted = segment_daily.postings(told, history, slices, first=first, last=max(slices) if slices else day)
        yield from ((SEGMENTS, rows) for rows in counted)


def _counted(orders: DataFrame, work: Work | Manifest) -> DataFrame:
    """The orders of complete batches that a run is about."""
    return orders.where(F.col("ingest_seq") <= work.ingest_seq_to)


def segments(lake: Lake, work: Work, history: DataFrame, day: date) -> Staged:
    """The days from the last one made (it may not have been over) or owed.

    All of them where the lake is behind it, or a person was erased.
    """
    first = only_day(history.agg(F.min("as_of_day"))) or day
    # What was known of a person goes from every day once they are erased.
    erased = is_any_between(Ledger(lake.settings), work.ingest_seq_from, work.ingest_seq_to)
    made = None if work.full or erased else only_day(lake.read(SEGMENTS).agg(F.max("as_of_day")))
    if made is None or made > day:
        return Staged(SEGMENTS, segment_daily.build(history, first=first, last=day), "replace_all")
    since = max(first, min([made, *days_again(lake, work)]))
    slices = tuple(since + timedelta(days=n) for n in range((day - since).days + 1))
    return Staged(SEGMENTS, segment_daily.build(history, first=since, last=day), "replace_slices", slices)


def book(ledger: Ledger, work: Work, fitted: Fits, day: date) -> None:
    """Note the fits of the run, once."""
    if work.run_id not in ledger.read(FITS, ["run_id"])["run_id"].to_pylist():
        about = {"run_id": work.run_id, "ingest_seq": work.ingest_seq_to, "recorded_at": clock.now()}
        ledger.append(FITS, [row | about for row in as_rows(fitted, day)])
