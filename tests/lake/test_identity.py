"""The pseudonymisation key stays in its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.lake.errors import KeyFileError
from jobs.lake.identity import ensure_key_file, pseudonym_function, pseudonym_of, read_keys


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "pseudonyms.json"
    ensure_key_file(path)
    return path


def test_a_key_file_is_its_owners_alone_and_made_once(key_file: Path) -> None:
    written = key_file.read_bytes()
    ensure_key_file(key_file)
    assert key_file.read_bytes() == written
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in key_file.parent.iterdir()] == [key_file.name]


def test_spark_and_python_agree_and_no_plan_holds_the_key(key_file: Path, spark: SparkSession) -> None:
    secret = json.loads(key_file.read_text())["keys"]["k1"]
    ids = spark.createDataFrame([("u1",), ("中文 😀",), (None,), ("u1",)], "id string")
    made = ids.select(pseudonym_function(key_file)(ids["id"]).alias("p"))
    told = [row.p for row in made.collect()]
    assert told == [pseudonym_of("u1", key_file), pseudonym_of("中文 😀", key_file), None, pseudonym_of("u1", key_file)]
    assert told[0] is not None
    assert told[0].startswith("k1:")
    assert len(told[0]) == len("k1:") + 32
    assert secret not in made._jdf.queryExecution().toString()  # type: ignore[operator]
    assert secret not in repr(read_keys(key_file))


def test_a_key_that_others_may_read_is_refused(key_file: Path) -> None:
    key_file.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_keys(key_file)


@pytest.mark.parametrize(
    "content", ["", "{}", '{"current": "k2", "keys": {"k1": "00"}}', '{"current": "k", "keys": 5}']
)
def test_a_key_file_of_another_form_is_refused(key_file: Path, content: str) -> None:
    key_file.write_text(content)
    with pytest.raises(KeyFileError):
        read_keys(key_file)


def test_an_unknown_key_id_is_refused_without_showing_a_key(key_file: Path) -> None:
    keys = read_keys(key_file)
    with pytest.raises(KeyFileError, match="k9") as refused:
        keys.pseudonym("u1", "k9")
    assert keys.keys["k1"].hex() not in str(refused.value)
