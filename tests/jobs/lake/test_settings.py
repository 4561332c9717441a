"""Settings that cannot be are refused by the name they were given under, with what to write instead."""

from pathlib import Path

import pytest

from jobs.lake.errors import SettingsError
from jobs.lake.settings import Settings

IMPOSSIBLE = {
    "REELHOUSE_KAFKA_PORT": ("0", "greater than or equal to 1"),
    "REELHOUSE_METRICS_PORT": ("99999", "less than or equal to 65535"),
    "REELHOUSE_SPARK_MEMORY_MB": ("0", "greater than or equal to 64"),
    "REELHOUSE_SPARK_CORES": ("-1", "greater than or equal to 1"),
    "REELHOUSE_FACT_PARTITIONS": ("0", "greater than or equal to 1"),
    "REELHOUSE_MAX_RECORDS_PER_BATCH": ("0", "greater than or equal to 1"),
    "REELHOUSE_KAFKA_MEMORY_MB": ("abc", "a valid integer"),
    "REELHOUSE_BUSINESS_ZONE": ("Moon/Base", "'Moon/Base' is no IANA time zone; write one such as Asia/Shanghai"),
    "REELHOUSE_LAKE_URI": ("foo://bucket", "'foo://bucket' is no store we know; write a folder, or s3a://"),
    "REELHOUSE_SCHEMAS_DIR": ("/nowhere", "/nowhere is no folder"),
    "REELHOUSE_ALERT_WEBHOOK": ("garbage", "is no address of an API"),
    "SPARK_REMOTE": ("http://host", "is no Spark Connect server; write one such as sc://host:15002"),
    "SPARK_MASTER": ("nonsense", "is no Spark master; write local"),
    "AIRFLOW_URL": ("host:8080", "is no address of an API; write one such as http://"),
    "KAFKA_SECURITY_PROTOCOL": ("HTTP", "'PLAINTEXT', 'SSL'"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    given, told = IMPOSSIBLE[name]
    monkeypatch.setenv(name, given)
    with pytest.raises(SettingsError, match=told) as refused:
        Settings.from_env()
    assert str(refused.value).startswith(f"{name}: ")
    assert "Value error" not in str(refused.value)


@pytest.mark.parametrize("name", ["SPARK_MASTER", "SPARK_REMOTE", "REELHOUSE_LAKE_URI"])
def test_nothing_is_as_good_as_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    assert Settings.from_env().lake_uri == ""


@pytest.mark.parametrize(
    "master", ["local", "local[*]", "local-cluster[2,1,1024]", "spark://h:7077", "yarn", "k8s://h"]
)
def test_every_kind_of_master_is_taken(master: str) -> None:
    assert Settings(spark_master=master).spark_master == master


@pytest.mark.parametrize(
    ("uri", "root"),
    [("file:///a%20b/lake", "/a b/lake"), ("s3a://bucket/lake/", "s3a://bucket/lake"), ("/abs/lake", "/abs/lake")],
)
def test_a_folder_of_this_machine_is_told_as_its_path(uri: str, root: str) -> None:
    assert Settings(lake_uri=uri).lake_root == root


def test_a_relative_lake_is_the_same_for_every_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings(lake_uri="some/lake").lake_root == str(tmp_path / "some/lake")
