"""The engine of small runs: when it is asked, that it leaves nothing behind, and that Spark does what it gives up."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from jobs.definitions.row_text import row_text
from jobs.definitions.unions import together
from jobs.lake import runner as running
from jobs.lake.digest import digest_of
from jobs.lake.ledger import Ledger
from jobs.lake.publications import families
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.lake.small_engine import MODE, SmallLake, small_lake
from jobs.lake.small_runs import is_small, refusals
from jobs.lake.tables import Lake
from jobs.lake.work import Work, plan
from tests.lake.small_shop import ingest, late_view, put

NOW = datetime(2026, 12, 1, tzinfo=UTC)
WORK = Work("funnels", "r", False, (), 1, 2, None, None, NOW, {}, rows=299_999)


@pytest.mark.parametrize(
    ("task", "setting", "expected"),
    [
        ({}, {}, True),
        ({"rows": 300_000}, {}, False),
        ({"full": True}, {}, True),
        ({"all_rows": 49_999_999}, {}, True),
        ({"all_rows": 50_000_000}, {}, False),
        ({"family": "scores"}, {}, False),
        ({}, {"small_run_rows": 0}, False),
        ({"rows": 0}, {"small_run_rows": 0}, False),
        ({}, {"spark_master": "local[2]"}, True),
        ({}, {"spark_remote": "sc://127.0.0.1:15002"}, True),
        ({}, {"spark_master": "spark://cluster:7077"}, False),
        ({}, {"spark_remote": "sc://cluster:15002"}, False),
        ({}, {"lake_uri": "s3a://shop/lake"}, False),
    ],
)
def test_few_rows_of_this_machine_are_small(task: dict[str, Any], setting: dict[str, Any], expected: bool) -> None:
    plain = {"spark_master": "", "spark_remote": "", "lake_uri": ""}
    assert is_small(replace(WORK, **task), Settings(**plain | setting)) is expected


@pytest.fixture
def waiting(published: Settings, spark: SparkSession, tmp_path: Path) -> Settings:
    """A copy of the small shop in which a late view waits."""
    home = tmp_path / "shop"
    shutil.copytree(published.home, home)
    made = published.model_copy(
        update={"home": home, "schemas_dir": home / "schemas", "kafka_bootstrap_servers": f"file:{home / 'topics'}"}
    )
    put(made, [late_view()])
    ingest(made, spark)
    return made


def built(settings: Settings, spark: SparkSession) -> dict[str, str]:
    """The digests of what is published after a small run."""
    runner = Runner(settings, "funnels", "small", lambda _: spark)
    for outcome in (runner.build(NOW), runner.check(), runner.release()):
        assert outcome.outcome == "done", outcome.message
    lake = Lake(settings, spark)
    return {table: digest_of(lake, table) for table in families(settings.schemas_dir)["funnels"]}


def test_a_small_run_asks_no_spark_and_gives_what_spark_gives(
    waiting: Settings, spark: SparkSession, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(waiting.home, tmp_path / "other"))
    by_spark = waiting.model_copy(update={"home": other, "small_run_rows": 0})

    def none_here(_: Settings) -> SparkSession:
        raise AssertionError("a small run asked for Spark")

    Runner(waiting, "funnels", "small", none_here).build(NOW)
    assert built(waiting, spark) == built(by_spark, spark)


def test_what_the_engine_gives_up_spark_does_and_says_so(
    waiting: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Any) -> Any:
        raise PySparkException("no such thing here\nand more of it")

    monkeypatch.setattr(SmallLake, "keep", staticmethod(refuse))
    monkeypatch.setattr(running, "refusals", refusals)  # which fail in tests else
    asked: list[bool] = []
    runner = Runner(waiting, "funnels", "small", lambda _: asked.append(True) or spark)
    with caplog.at_level(logging.WARNING, running.__name__):
        assert runner.build(NOW).outcome == "done"
    assert asked
    [said] = [record.getMessage() for record in caplog.records if record.name == running.__name__]
    assert said == "funnels: the engine of small runs gave up, Spark does it again: no such thing here"


def test_the_engine_leaves_nothing_behind(tmp_path: Path) -> None:
    settings, before = Settings(home=tmp_path, spark_remote="", spark_master=""), dict(os.environ)
    with small_lake(settings) as lake:
        assert os.environ[MODE] == "1"
        kept = lake.keep(lake.spark.range(10))
        assert kept.count() == 10
        host, port = lake.spark.client._builder.endpoint.rsplit(":", 1)
        socket.create_connection((host, int(port)), timeout=3).close()
        [scratch] = (tmp_path / "tmp").iterdir()
    assert dict(os.environ) == before
    assert not scratch.exists()
    assert host == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=3)


def test_what_a_killed_run_left_the_next_one_removes(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    left, alive = (tmp_path / "tmp" / f"small-run-{pid}-x" for pid in (ended.pid, os.getpid()))
    for folder in (left, alive):
        folder.mkdir(parents=True)
    with small_lake(Settings(home=tmp_path, spark_remote="", spark_master="")):
        assert not left.exists()
        assert alive.exists()


def test_a_failure_within_leaves_nothing_behind_either(tmp_path: Path) -> None:
    settings, before = Settings(home=tmp_path, spark_remote="", spark_master=""), dict(os.environ)
    with pytest.raises(ZeroDivisionError), small_lake(settings):
        raise ZeroDivisionError
    assert dict(os.environ) == before
    assert list((tmp_path / "tmp").iterdir()) == []


def test_all_that_ever_came_counts_where_everything_is_built(waiting: Settings) -> None:
    ledger = Ledger(waiting)
    (small, whole) = (plan(ledger, waiting, "funnels", full, (), NOW) for full in (False, True))
    assert small
    assert whole
    assert small.rows == 1
    assert whole.rows > small.rows


def test_rows_go_together_whatever_columns_they_have(spark: SparkSession, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, spark_remote="", spark_master="")

    def rows(session: SparkSession) -> list[Any]:
        one = session.createDataFrame([("a", 1)], "name string, count bigint")
        other = session.createDataFrame([("b", NOW)], "name string, at timestamp")
        both = together(one, other)
        return [[field.dataType.simpleString() for field in both.schema], *sorted(map(tuple, both.collect()))]

    with small_lake(settings) as lake:
        small = rows(lake.spark)
    assert small == rows(spark)
    assert small[0] == ["string", "bigint", "timestamp"]


def test_a_row_as_text_tells_of_every_microsecond(spark: SparkSession, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, spark_remote="", spark_master="")

    def texts(session: SparkSession) -> list[str]:
        rows = [(at, [at], "ü\"'") for at in (NOW, NOW + timedelta(microseconds=1))]
        frame = session.createDataFrame(rows, "at timestamp, times array<timestamp>, word string")
        return sorted(row[0] for row in frame.select(row_text(frame)).collect())

    with small_lake(settings) as lake:
        small = texts(lake.spark)
    assert small == texts(spark)
    assert len(set(small)) == 2
