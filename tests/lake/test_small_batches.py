"""Batches that are taken in without Spark: which they are, and that Spark ends what the engine gives up (ADR 0026)."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from jobs.bronze.events import build
from jobs.drills.records import NOON, body_of, record
from jobs.lake import small_runs
from jobs.lake.clock import now
from jobs.lake.erasures import Erasure
from jobs.lake.errors import DamageError, LeaseError, TooMuchError, WriteError
from jobs.lake.ingest import ids, landing, small_batches, steps
from jobs.lake.ingest.batch import SMALL, Batch
from jobs.lake.ingest.loop import LEASE, Ingest
from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.small_batches import FEW_OFFSETS, may_end, may_land
from jobs.lake.leases import TABLE as LEASES
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.mending import newest_of_log
from jobs.lake.settings import Settings
from jobs.lake.small_engine import SmallLake
from jobs.lake.small_runs import is_refusal
from tests.lake.logs import Log

PLAN = Plan(0, {"views": {0: (0, FEW_OFFSETS)}}, {"views": "t"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A lake of the test's own."""
    return Settings(home=tmp_path / "home", spark_remote="", spark_master="")


def none_here(_: Settings) -> SparkSession:
    raise AssertionError("Spark was opened")


def some(count: int, *, first: int = 0) -> Log:
    """Views, a few of them refused or sent twice, and people."""
    log = Log()
    views = [record("views", body_of("views", first + n, watch_ms=n - 2), partition=n % 2) for n in range(count)]
    log.put([*views, replace(views[-1], at=NOON + timedelta(minutes=1))])
    log.put(record("users", body_of("users", 1000 + n)) for n in range(3))
    return log


def ingest(settings: Settings, log: Log, open_spark: Callable[[Settings], Any]) -> Ingest:
    """Take in what lies there."""
    run = Ingest(settings, "test", now, open_spark)
    with pytest.MonkeyPatch.context() as patch:
        log.installed(patch)
        run.until_caught_up()
    return run


@pytest.mark.parametrize(
    ("planned", "setting", "lands", "ends"),
    [
        (PLAN, {}, True, True),
        (replace(PLAN, ranges={"views": {0: (0, FEW_OFFSETS + 1)}}), {}, False, True),
        (replace(PLAN, erasure=Erasure(("m",), NOON, False, "", "", {}, {})), {}, True, False),
        (PLAN, {"small_run_rows": 0}, False, False),
        (PLAN, {"spark_remote": "sc://127.0.0.1:15002"}, True, True),
        (PLAN, {"spark_master": "spark://cluster:7077"}, False, False),
        (PLAN, {"lake_uri": "s3a://shop/lake"}, False, False),
    ],
    ids=["few", "many", "an erasure", "turned off", "our server", "a cluster", "an object store"],
)
def test_which_batches_do_without_spark(
    planned: Plan, setting: dict[str, Any], lands: bool, ends: bool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_batches, "horizons", lambda ledger: {})
    asked = settings.model_copy(update=setting)
    assert may_land(asked, Ledger(asked), planned) is lands
    assert may_end(asked, Ledger(asked), planned, {"views": FEW_OFFSETS}) is ends


def test_where_somebody_was_erased_spark_lands(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_batches, "horizons", lambda ledger: {"m": NOON})
    assert not may_land(settings, Ledger(settings), PLAN)


FULL = OSError(28, "No space left on device")
TOLD = "ingest: left to Spark, "


@pytest.mark.parametrize(
    ("point", "failure", "said"),
    [
        ("write_facts", FULL, f"{TOLD}OSError: [Errno 28] No space left on device"),
        ("close", PySparkException("cannot cast u00000042"), f"{TOLD}PySparkException"),
    ],
    ids=["a full disk", "an error that quotes an id"],
)
def test_what_the_engine_fails_at_spark_ends_and_nothing_is_doubled(
    point: str,
    failure: Exception,
    said: str,
    settings: Settings,
    spark: SparkSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(small_runs, "is_refusal", is_refusal)  # in tests little is forgiven else
    does = getattr(steps, point)

    def fails(batch: Batch, *rest: Any) -> Any:
        done = does(batch, *rest)
        if isinstance(batch.lake, SmallLake):
            raise failure
        return done

    monkeypatch.setattr(steps, point, fails)
    with caplog.at_level(logging.WARNING, small_runs.__name__):
        run = ingest(settings, some(20), lambda _: spark)
    assert [each.getMessage() for each in caplog.records if each.name == small_runs.__name__] == [said]
    lines = run.ledger.read("ops.books").to_pylist()
    counts = {fate: sum(line[fate] for line in lines) for fate in ("received", "accepted", "duplicate", "quarantined")}
    assert counts == {"received": 24, "accepted": 21, "duplicate": 1, "quarantined": 2}
    assert run.ledger.read("silver.views").num_rows == 18
    assert run.ledger.read("silver.quarantine").num_rows == 2


@pytest.mark.parametrize("few", [landing.FEW, 0], ids=["by this process", "by Spark's files"])
@pytest.mark.parametrize("spoil", [lambda rows: rows.limit(9), lambda rows: rows.union(rows)], ids=["lost", "doubled"])
def test_what_does_not_land_as_it_was_read_does_not_land_at_all(
    spoil: Callable[[Any], Any], few: int, settings: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that loses rows at landing, or doubles them; the next run lands them."""
    log = some(20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landing, "FEW", few)
        patch.setattr(landing, "build", lambda *what, **more: spoil(build(*what, **more)))
        with pytest.raises(WriteError, match=r"24 rows were handed over and (9|48) were to be written"):
            ingest(settings.model_copy(update={"small_run_rows": 0}), log, lambda _: spark)
    assert not Ledger(settings).exists("bronze.events") or not Ledger(settings).read("bronze.events").num_rows
    run = ingest(settings, log, lambda _: spark)
    assert run.ledger.read("bronze.events").num_rows == 24


def test_what_an_engine_loses_at_landing_spark_lands(
    settings: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_runs, "is_refusal", is_refusal)
    made = SmallLake.conform
    loses = lambda lake, table, frame: made(lake, table, frame).limit(9 if table == "bronze.events" else 99)  # noqa: E731
    monkeypatch.setattr(SmallLake, "conform", loses)
    run = ingest(settings, some(20), lambda _: spark)
    assert sum(line["received"] for line in run.ledger.read("ops.books").to_pylist()) == 24


def test_a_batch_is_not_judged_again_against_what_upkeep_has_removed(settings: Settings) -> None:
    """Its line in the books is lost, long after it was done."""
    log = some(20)
    ingest(settings, log, none_here)
    log.put([record("users", body_of("users", 2000, at=NOON + timedelta(hours=1)))])
    ledger = ingest(settings, log, none_here).ledger
    newest_of_log(ledger, "ops.books").unlink()
    ledger.open("silver.users").vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(DamageError, match=r"silver.users: batch 1 is to be done again, and upkeep has removed"):
        ingest(settings, log, none_here)


def test_many_refusals_are_written_by_spark(
    settings: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The engine's own commits do not say whose they are: a batch that is done again would add its rows again."""
    monkeypatch.setattr("jobs.lake.ingest.batch.SMALL", 0)
    with caplog.at_level(logging.WARNING, small_runs.__name__):
        run = ingest(settings, some(20), lambda _: spark)
    told = [each.getMessage() for each in caplog.records if each.name == small_runs.__name__]
    assert told == [f"{TOLD}TooMuchError: rows of silver.quarantine are more than delta-rs is given, or replace others"]
    assert run.ledger.read("silver.quarantine").num_rows == 2
    assert run.ledger.open("silver.quarantine").transaction_version("ingest") == 0


def test_spark_does_not_go_on_for_whom_another_has_replaced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine fails at a step in the middle of which the lease is taken over."""
    monkeypatch.setattr(small_runs, "is_refusal", is_refusal)
    does = steps.write_facts

    def fails(batch: Batch, *rest: Any) -> Any:
        does(batch, *rest)
        held, version = batch.ledger.read_versioned(LEASES)
        gone = [line | {"expires_at": line["acquired_at"]} for line in held.to_pylist()]
        batch.ledger.replace(LEASES, gone, on_version=version)
        Leases(batch.ledger).acquire(LEASE, "another")
        raise FULL

    monkeypatch.setattr(steps, "write_facts", fails)
    with pytest.raises(LeaseError, match="another .* took it"):
        ingest(settings, some(20), none_here)


def test_a_table_too_large_to_be_looked_through_is_changed_by_spark(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(settings)
    assert may_end(settings, ledger, PLAN, {"users": SMALL + 1}), "nothing is there to change"
    ingest(settings, some(3), none_here)
    assert may_end(settings, ledger, PLAN, {"users": SMALL})
    assert not may_end(settings, ledger, PLAN, {"users": SMALL + 1})
    monkeypatch.setattr("jobs.lake.small_commits.SMALL_BYTES", 0)
    assert not may_end(settings, ledger, PLAN, {"users": 1, "views": 1})
    assert may_end(settings, ledger, PLAN, {"views": SMALL + 1}), "facts are only added"


def test_where_many_rows_may_lose_their_place_spark_changes_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log()
    for minute in (1, 0):
        log.put([replace(record("views", body_of("views", 1)), at=NOON + timedelta(minutes=minute))])
        if minute:
            ingest(settings, log, none_here)
    monkeypatch.setattr("jobs.lake.ingest.batch.SMALL", 0)
    with caplog.at_level(logging.WARNING, small_runs.__name__), pytest.raises(AssertionError, match="Spark was opened"):
        ingest(settings, log, none_here)
    assert caplog.messages == [f"{TOLD}TooMuchError: rows lose their place in a batch of many"]


def test_rows_are_changed_by_spark_alone(settings: Settings) -> None:
    with pytest.raises(TooMuchError, match=r"rows of silver\.views are to be changed"):
        SmallLake(settings, None).merge("silver.views", None, [])  # type: ignore[arg-type]


def test_records_worth_a_second_look_are_those_with_these_ids(settings: Settings) -> None:
    """Whatever is asked for, and no more than may be held."""
    log = some(40)
    run = ingest(settings, log, none_here)
    batch = Batch(None, run.ledger, PLAN, "r", {}, lambda column: column)  # type: ignore[arg-type]
    every = ids._in_arrow(batch, ["views"])
    assert every is not None
    names = every["views"]["event_id"].to_pylist()
    wanted = random.Random(1).sample(names, 9)
    found = ids.records_with(batch, "views", ids.pa.array(wanted))
    assert found is not None
    told = {
        pair["value"].decode() for pairs in found["headers"].to_pylist() for pair in pairs if pair["key"] == "ce_id"
    }
    assert told == set(wanted)
