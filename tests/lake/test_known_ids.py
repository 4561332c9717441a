"""Ids of a small batch are looked up in silver without Spark; silver is read by Spark for those only that repeat."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyarrow.compute import field
from pyspark.sql import DataFrame, SparkSession

from jobs.lake.ingest import known_ids as module
from jobs.lake.ingest.known_ids import IdRange, known_ids, within
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from tests.lake.logs import NOON, Log, body_of, record
from tests.lake.test_ingest import run

MONDAY = date(2026, 11, 16)
RANGES = [IdRange(MONDAY, "a1", "a5", 5, 5), IdRange(MONDAY + timedelta(days=1), "b1", "b2", 2, 2)]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Ids of two days, each day twice, in files of their own; the last commit is younger than the batch."""
    for ids, day in ((["a1", "a3", "a9"], MONDAY), (["a3", "b2"], MONDAY + timedelta(days=1)), (["a2"], MONDAY)):
        rows = pa.table({"event_id": ids, "id_date": pa.array([day] * len(ids), pa.date32())})
        write_deltalake(str(tmp_path), rows, mode="append")
    return str(tmp_path)


@pytest.mark.parametrize(("dated", "known"), [(True, ["a1", "b2"]), (False, ["a1", "a3", "b2"])])
def test_an_id_is_known_where_its_day_has_it(path: str, dated: bool, known: list[str]) -> None:
    asked = pa.array(["a1", "a2", "a9" if dated else "a3", "b1", "b2"])
    found = known_ids(path, 1, asked, within(RANGES, field, dated=dated))
    assert found is not None
    assert sorted(found["event_id"].to_pylist()) == known


@pytest.mark.parametrize("limit", ["MANY_ROWS", "FEW_FILES"])
def test_where_much_is_near_it_is_left_to_spark(path: str, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, limit, 1)
    assert known_ids(path, 2, pa.array(["a1"]), within(RANGES, field, dated=True)) is None


def test_a_batch_in_which_nothing_repeats_has_spark_read_nothing_of_silver(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, asked, read = Log(), [], Lake.read

    def noted(lake: Lake, table: str, version: int | None = None) -> DataFrame:
        asked.append(table)
        return read(lake, table, version)

    settings = Settings(home=tmp_path)
    log.put([record("views", body_of("views", n), partition=0) for n in range(3)])
    run(settings, spark, log)
    monkeypatch.setattr(Lake, "read", noted)
    log.put([record("views", body_of("views", n), partition=0, at=NOON + timedelta(minutes=1)) for n in (3, 4)])
    run(settings, spark, log)
    assert "silver.views" not in asked
    log.put([record("views", body_of("views", n), partition=0, at=NOON + timedelta(minutes=2)) for n in (4, 5)])
    books = run(settings, spark, log).ledger.read("ops.books").to_pylist()
    assert asked.count("silver.views") == 1
    assert [(line["accepted"], line["duplicate"]) for line in sorted(books, key=lambda line: line["ingest_seq"])] == [
        (3, 0), (2, 0), (1, 1),
    ]  # fmt: skip
