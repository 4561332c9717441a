"""The engine of small runs: when it is asked, that it leaves nothing behind, and that Spark does what it gives up."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import socket
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.connect.session import SparkSession as RemoteSession

from jobs.definitions.row_text import row_text
from jobs.definitions.unions import together
from jobs.drills.records import NOON
from jobs.lake import small_runs
from jobs.lake.digest import digest_of
from jobs.lake.errors import ContractError, LeaseError, QualityError, TooMuchError
from jobs.lake.families import funnels
from jobs.lake.kill_points import Killed
from jobs.lake.ledger import Ledger
from jobs.lake.lifetimes import began_at
from jobs.lake.publications import families
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.lake.small_engine import MODE, SmallLake, small_lake
from jobs.lake.small_runs import is_refusal, is_small, own_prefix
from jobs.lake.tables import Lake
from jobs.lake.work import Work, plan
from tests.lake.small_shop import FUNNEL, ingest, publish, put, watched

NOW = datetime(2026, 12, 1, tzinfo=UTC)
WORK = Work("funnels", "r", False, (), 1, 2, None, None, NOW, {}, rows=299_999)


@pytest.mark.parametrize(
    ("task", "setting", "expected"),
    [
        ({}, {}, True),
        ({"rows": 300_000}, {}, False),
        ({"full": True}, {}, True),
        ({"all_rows": 9_999_999}, {}, True),
        ({"all_rows": 10_000_000}, {}, False),
        ({"family": "scores"}, {}, False),
        ({}, {"small_run_rows": 0}, False),
        ({"rows": 0}, {"small_run_rows": 0}, False),
        ({}, {"spark_master": "local[2]"}, True),
        ({}, {"spark_remote": "sc://127.0.0.1:15002"}, True),
        ({}, {"spark_master": "spark://cluster:7077"}, False),
        ({}, {"spark_remote": "sc://cluster:15002"}, False),
        ({}, {"lake_uri": "s3a://shop/lake"}, False),
        ({}, {"lake_uri": "/srv/the lake"}, False),
        ({}, {"home": Path("/srv/100%")}, False),
    ],
)
def test_few_rows_of_this_machine_are_small(task: dict[str, Any], setting: dict[str, Any], expected: bool) -> None:
    plain = {"spark_master": "", "spark_remote": "", "lake_uri": "/srv/shop_1/lake", "home": Path("/srv/shop_1")}
    assert is_small(replace(WORK, **task), Settings(**(plain | setting))) is expected


@pytest.fixture
def waiting(published: Settings, spark: SparkSession, tmp_path: Path) -> Settings:
    """A copy of the small shop in which a late view waits."""
    home = tmp_path / "shop"
    shutil.copytree(published.home, home)
    made = published.model_copy(
        update={"home": home, "schemas_dir": home / "schemas", "kafka_bootstrap_servers": f"file:{home / 'topics'}"}
    )
    publish(made, spark)  # whatever others left
    put(made, [watched(7, 88, NOON + timedelta(hours=2), is_refused=False)])
    ingest(made, spark)
    return made


def built(settings: Settings, spark: SparkSession) -> dict[str, str]:
    """The digests of what is published after a run."""
    runner = Runner(settings, "funnels", "small", lambda _: spark)
    for outcome in (runner.build(NOW), runner.check(), runner.release()):
        assert outcome.outcome == "done", outcome.message
    return digests(settings, spark)


def digests(settings: Settings, spark: SparkSession) -> dict[str, str]:
    """What is published."""
    lake = Lake(settings, spark)
    return {table: digest_of(lake, table) for table in families(settings.schemas_dir)["funnels"]}


def none_here(_: Settings) -> SparkSession:
    raise AssertionError("a small run asked for Spark")


def test_a_small_run_asks_no_spark_and_gives_what_spark_gives(
    waiting: Settings, spark: SparkSession, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(waiting.home, tmp_path / "other"))
    by_spark = waiting.model_copy(update={"home": other, "small_run_rows": 0})
    runner = Runner(waiting, "funnels", "small", none_here)
    for outcome in (runner.build(NOW), runner.check(), runner.release()):
        assert outcome.outcome == "done", outcome.message
    assert digests(waiting, spark) == built(by_spark, spark)
    causes = [sorted(map(repr, told(settings))) for settings in (waiting, by_spark)]
    assert causes[0] == causes[1] != []


def told(settings: Settings) -> list[tuple[Any, ...]]:
    """The restatements, less when they were written down."""
    lines = Ledger(settings).read("ops.restatements").to_pylist()
    return [tuple(value for name, value in line.items() if not name.endswith("_at")) for line in lines]


def test_a_whole_lake_of_few_rows_asks_no_spark_either(waiting: Settings, spark: SparkSession, tmp_path: Path) -> None:
    other = Path(shutil.copytree(waiting.home, tmp_path / "other"))
    by_spark = waiting.model_copy(update={"home": other, "small_run_rows": 0})
    for settings, session in ((waiting, none_here), (by_spark, lambda _: spark)):
        runner = Runner(settings, "funnels", "whole", session)
        for outcome in (runner.build(NOW, full=True), runner.check(), runner.release()):
            assert outcome.outcome == "done", outcome.message
    assert digests(waiting, spark) == digests(by_spark, spark)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (PySparkException("no such thing here\nand more of it"), "PySparkException: no such thing here"),
        (PySparkException(""), "PySparkException: "),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (ContractError("a check cannot be evaluated"), "ContractError: a check cannot be evaluated"),
        (TooMuchError("too many"), "TooMuchError: too many"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_engine_leaves_spark_does_and_a_warning_says_so(
    failure: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(small_runs, "is_refusal", is_refusal)  # in tests little is forgiven else
    settings, by = Settings(home=tmp_path, spark_remote="", spark_master=""), []
    runner = Runner(settings, "funnels", "r", lambda _: cast("SparkSession", None))

    def work(lake: Lake) -> str:
        by.append(type(lake))
        if isinstance(lake, SmallLake):
            raise failure
        return "done"

    with caplog.at_level(logging.WARNING, small_runs.__name__):
        assert runner.on_engine(True, work) == "done"
    assert by == [SmallLake, Lake]
    [said] = [record.getMessage() for record in caplog.records if record.name == small_runs.__name__]
    assert said == f"funnels: left to Spark, {words}"


@pytest.mark.parametrize("failure", [QualityError("red"), LeaseError("lost"), Killed("here")], ids=repr)
def test_what_spark_would_raise_again_is_raised_at_once(failure: BaseException, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, spark_remote="", spark_master="")

    def work(_: Lake) -> None:
        raise failure

    with pytest.raises(type(failure)):
        Runner(settings, "funnels", "r", none_here).on_engine(True, work)


def test_who_has_lost_the_lease_meanwhile_does_not_begin_again(waiting: Settings, spark: SparkSession) -> None:
    runner = Runner(waiting, "funnels", "r", none_here)
    lost = runner.leases.acquire("family:funnels", "r")
    runner.leases.release(lost)
    other = runner.leases.acquire("family:funnels", "another")

    def work(_: Lake) -> None:
        raise TooMuchError("too many")

    with pytest.raises(LeaseError):
        runner.on_engine(True, work, lost)
    runner.leases.release(other)


def test_a_rebuild_that_only_the_family_knows_of_is_weighed_before_it_begins(
    waiting: Settings, spark: SparkSession
) -> None:
    """One row has come, and a funnel nobody built: all there is must be read."""
    name = f"{FUNNEL}.yaml"
    text = (waiting.schemas_dir / "funnels" / name).read_text()
    (waiting.schemas_dir / "funnels" / f"new_{name}").write_text(text.replace(f"name: {FUNNEL}", "name: another"))
    tight = waiting.model_copy(update={"small_run_rows": 2})
    task = plan(Ledger(tight), tight, "funnels", False, (), NOW)
    assert task
    assert is_small(task, tight)
    with small_lake(tight) as lake, pytest.raises(TooMuchError):
        list(funnels.stage(lake, task))


def test_one_small_run_at_a_time_in_a_process(tmp_path: Path) -> None:
    settings, before = Settings(home=tmp_path, spark_remote="", spark_master=""), dict(os.environ)
    with small_lake(settings), pytest.raises(TooMuchError, match="another small run"), small_lake(settings):
        pass
    assert dict(os.environ) == before


def test_a_table_that_grows_meanwhile_is_read_as_it_was(waiting: Settings) -> None:
    with small_lake(waiting) as lake:
        views = lake.read("silver.views")
        count = views.count()
        ledger = Ledger(waiting)
        ledger.append("silver.views", ledger.read("silver.views").slice(0, 1).to_pylist())
        assert views.count() == count
        assert lake.read("silver.views").count() == count + 1


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


def test_what_is_kept_is_the_engines_though_the_process_has_a_session_of_spark_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a large batch, or in a repair, beside the warm server."""
    sparks = object()
    monkeypatch.setattr(RemoteSession, "_default_session", sparks)
    monkeypatch.setattr(RemoteSession._active_session, "session", sparks, raising=False)
    with small_lake(Settings(home=tmp_path, spark_remote="", spark_master="")) as lake:
        kept = lake.keep(lake.spark.range(10))
        assert kept.sparkSession is lake.spark
        assert kept.join(lake.spark.range(5), on="id").count() == 5
    assert (RemoteSession._default_session, RemoteSession._active_session.session) == (sparks, sparks)


def test_after_a_run_that_was_killed_the_next_is_left_to_spark(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, spark_remote="", spark_master="")
    with subprocess.Popen(["sleep", "60"]) as killed:
        started = began_at(killed.pid)
        own = own_prefix().split("-", 4)
        folder = tmp_path / "tmp" / "-".join([*own[:2], str(killed.pid), str(started), f"{own[4]}x"])
        (folder / "rows").mkdir(parents=True)
        with small_lake(settings):
            assert folder.exists()  # it is at work
        killed.kill()
    with pytest.raises(TooMuchError, match="was killed"), small_lake(settings):
        pass
    assert not folder.exists()
    with small_lake(settings):
        pass


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


def test_no_client_of_a_small_run_stays_in_the_process(tmp_path: Path) -> None:
    """An ingest that goes on for ever has two such runs a batch."""

    def clients() -> int:
        gc.collect()
        return sum(type(each).__name__ == "SparkConnectClient" for each in gc.get_objects())

    before = clients()
    for _ in range(3):
        with small_lake(Settings(home=tmp_path, spark_remote="", spark_master="")) as lake:
            assert lake.spark.range(3).count() == 3
        del lake
    assert clients() == before
