"""After its first task a worker does not look through what it keeps for good."""

from __future__ import annotations

import gc
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf

from jobs.lake.identity import ensure_key_file, pseudonym_function


def test_a_worker_that_made_pseudonyms_has_settled(spark: SparkSession, tmp_path: Path) -> None:
    """The same worker does the next task: what it then holds frozen is Arrow, the compiler and all else it loaded."""
    keys = tmp_path / "keys.json"
    ensure_key_file(keys)

    def frozen(ids: pa.Array) -> pa.Array:
        return pa.array([gc.get_freeze_count()] * len(ids), pa.int64())

    ids = spark.range(1).select(F.col("id").cast("string").alias("id")).coalesce(1)
    ids.select(pseudonym_function(keys)(F.col("id"))).collect()
    counts = [ids.select(arrow_udf(frozen, "bigint")("id").alias("n")).collect()[0].n for _ in range(4)]
    assert max(counts) > 10_000


def test_a_use_settles_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.definitions import workers

    calls: list[str] = []
    monkeypatch.setattr(workers.gc, "freeze", lambda: calls.append("freeze"))
    workers.settle.cache_clear()
    for use in ("one", "one", "other"):
        workers.settle(use)
    workers.settle.cache_clear()
    assert len(calls) == 2
