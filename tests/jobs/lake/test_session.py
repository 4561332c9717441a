"""Where Spark runs, and how: what the settings make of it."""

import socket

import pytest

from jobs.lake.errors import ServiceError, SettingsError
from jobs.lake.session import ON_LOOPBACK, open_session, static_conf
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
