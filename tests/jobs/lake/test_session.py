"""Where Spark runs, and how: what the settings make of it."""

import json
import socket

import pytest
from pyspark.sql import SparkSession

from jobs.lake.errors import ServiceError, SettingsError
from jobs.lake.session import BARE_FILES, CLASS_PATH, LOCAL_FILES, ON_LOOPBACK, local_files, open_session, static_conf
from jobs.lake.settings import Settings


@pytest.mark.parametrize(("master", "is_ours"), [("", True), ("local[4]", True), ("spark://far:7077", False)])
def test_only_the_workers_of_a_cluster_may_come_from_elsewhere(master: str, is_ours: bool) -> None:
    assert (ON_LOOPBACK.items() <= static_conf(Settings(spark_master=master)).items()) is is_ours


def test_settings_of_our_own_win_and_survive_the_way_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "REELHOUSE_SPARK_CONF", '{"spark.hadoop.fs.s3a.endpoint": "http://s", "spark.ui.enabled": "true"}'
    )
    settings = Settings.from_env()
    assert settings.as_environment()["REELHOUSE_SPARK_CONF"] == settings.spark_conf
    conf = static_conf(settings)
    assert (conf["spark.hadoop.fs.s3a.endpoint"], conf["spark.ui.enabled"]) == ("http://s", "true")


def test_local_files_are_written_without_a_process_for_each(spark: SparkSession) -> None:
    """Of Spark's own file system there are six."""
    system = spark._jvm.org.apache.hadoop.fs.FileSystem.get(spark._jsc.hadoopConfiguration())  # type: ignore[union-attr]
    assert system.getClass().getName() == BARE_FILES


def test_a_cluster_has_its_own_files_and_whoever_names_another_way_has_that(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LOCAL_FILES not in static_conf(Settings(spark_master="spark://far:7077"))
    monkeypatch.setenv("REELHOUSE_SPARK_CONF", json.dumps({CLASS_PATH: "/more.jar", LOCAL_FILES: "a.b.C"}))
    settings = Settings.from_env()
    conf = static_conf(settings)
    assert conf[LOCAL_FILES] == "a.b.C"
    assert conf[CLASS_PATH] == f"{settings.local_files_jar[0]}:/more.jar"
    with pytest.raises(SettingsError, match="files; run `make setup`"):
        local_files(settings.model_copy(update={"jars_dir": settings.jars_dir / "none"}), {})


def test_a_server_that_does_not_answer_is_told_at_once_and_without_its_token() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        remote = f"sc://127.0.0.1:{nobody.getsockname()[1]}/;token=secret"
        with pytest.raises(
            ServiceError, match=r"Spark Connect at sc://127.0.0.1:\d+: .*; check SPARK_REMOTE"
        ) as silent:
            open_session(Settings(spark_remote=remote))
    assert "secret" not in str(silent.value)


@pytest.mark.parametrize("text", ["{", "[1]", '{"spark.cores.max": 2}'])
def test_a_bad_object_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("REELHOUSE_SPARK_CONF", text)
    with pytest.raises(SettingsError, match=r"REELHOUSE_SPARK_CONF: .*(is no JSON|write a JSON object of strings)"):
        Settings.from_env()
