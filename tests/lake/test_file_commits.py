"""Many rows appended as files that Spark wrote plainly: the same table and log as by Delta's own writer."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.lake.errors import WriteError
from jobs.lake.file_commits import FileCommit, statistics
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from tests.lake.toys import MONDAY, TUESDAY, Toys, _frame

BRONZE, PLAYS, NOTE = "bronze.events", "silver.plays", '{"ingest_seq": 1}'
AT = datetime(2026, 11, 16, 23, 59, 59, 999_999, tzinfo=UTC)


def events(lake: Lake, count: int = 8) -> DataFrame:
    """Records of two days of arrival, one of them without key, value and headers."""
    schema = lake.contract(BRONZE).spark_schema(enforced=False)
    body = (b"ann", b"{}", [("ce_id", b"1")])
    instants = [AT + timedelta(microseconds=n % 2) for n in range(count)]
    rows = [
        ("views", "t", n % 2, n, at, *(body if n != 3 else (None, None, None)), 1, at.date())
        for n, at in enumerate(instants)
    ]
    return lake.spark.createDataFrame(rows, schema)


def appended(lake: Lake, table: str, rows: DataFrame) -> DeltaTable:
    lake.append(table, rows.coalesce(1), app="a", version=1, metadata=NOTE)
    return DeltaTable(lake.path(table))


def told(delta: DeltaTable) -> list[dict[str, Any]]:
    """What the log says of each file but its name, size and time; instants to the millisecond, as Delta has them."""
    actions = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    apart = ("path", "size_bytes", "modification_time")
    cut = [{name: to_ms(value) for name, value in one.items() if name not in apart} for one in actions]
    return sorted(cut, key=repr)


def to_ms(value: Any) -> Any:
    return value.replace(microsecond=value.microsecond // 1000 * 1000) if isinstance(value, datetime) else value


def rows_of(delta: DeltaTable) -> list[str]:
    return sorted(map(repr, delta.to_pyarrow_table().to_pylist()))


def test_rows_notes_and_statistics_are_those_of_deltas_own_append(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakes = [
        Lake(Settings(home=tmp_path / name, spark_remote="", spark_master=""), spark) for name in ("files", "delta")
    ]
    ours = appended(lakes[0], BRONZE, events(lakes[0]))
    monkeypatch.setattr(FileCommit, "is_possible", property(lambda _: False))
    theirs = appended(lakes[1], BRONZE, events(lakes[1]))
    assert rows_of(ours) == rows_of(theirs)
    assert told(ours) == told(theirs)
    assert {one["max.offset"] for one in told(ours)} == {6, 7}
    assert {one["partition.received_date"] for one in told(ours)} == {date(2026, 11, 16), date(2026, 11, 17)}
    for delta in (ours, theirs):
        assert delta.transaction_version("a") == 1
        assert [commit.get("userMetadata") for commit in delta.history()] == [NOTE, None]
    by_delta = spark.read.format("delta").load(lakes[0].path(BRONZE))
    assert by_delta.where("received_date = '2026-11-17' AND offset > 2").count() == 3
    assert sorted(map(str, by_delta.collect())) == sorted(map(str, lakes[0].read(BRONZE).collect()))


def plays(toys: Toys, *found: tuple[str | None, str]) -> DataFrame:
    rows = [
        {"play_id": play, "user_id": user, "event_date": MONDAY, "watch_ms": 5, "ingest_seq": 1} for play, user in found
    ]
    return _frame(toys.lake, PLAYS, [row | {"play_id": row["play_id"] or "x"} for row in rows]).withColumn(
        "play_id", F.when(F.col("play_id") != "x", F.col("play_id"))
    )


def test_no_value_of_a_person_gets_into_the_log(toys: Toys) -> None:
    delta = appended(toys.lake, PLAYS, plays(toys, ("play-1", "ann"), ("play-2", "bob")))
    (one,) = told(delta)
    assert (one["min.play_id"], one["max.play_id"]) == ("play-1", "play-2")
    logs = "".join(file.read_text() for file in Path(toys.lake.path(PLAYS), "_delta_log").glob("*.json"))
    assert not any(name in logs for name in ("ann", "bob"))


def test_a_commit_that_is_there_is_not_made_again_and_leaves_nothing_behind(toys: Toys) -> None:
    for _ in range(2):
        delta = appended(Lake(toys.settings, toys.lake.spark), PLAYS, plays(toys, ("play-1", "ann")))
    assert delta.version() == 1
    assert files_of(delta) == {Path(uri).name for uri in delta.file_uris()}


def test_a_null_where_none_is_promised_is_refused_and_nothing_is_written(toys: Toys) -> None:
    with pytest.raises(WriteError, match=r"^silver.plays: rows do not fit the table: play_id is null in some$"):
        appended(toys.lake, PLAYS, plays(toys, ("play-1", "ann"), (None, "bob")))
    delta = toys.ledger.open(PLAYS)
    assert (delta.version(), files_of(delta)) == (0, set())


def test_texts_too_long_for_a_footer_are_looked_at_themselves(toys: Toys) -> None:
    assert appended(toys.lake, PLAYS, plays(toys, ("p" * 9_000, "ann"))).count() == 1
    rows = plays(toys, ("p" * 9_000, "ann"), (None, "bob")).coalesce(1)
    with pytest.raises(WriteError, match=r"^silver.plays: rows do not fit the table: play_id is null in some$"):
        toys.lake.append(PLAYS, rows, app="a", version=2, metadata=NOTE)
    assert toys.ledger.open(PLAYS).version() == 1


def files_of(delta: DeltaTable) -> set[str]:
    return {file.name for file in Path(delta.table_uri.removeprefix("file://")).rglob("*.parquet")}


@pytest.mark.parametrize(
    ("values", "least", "greatest"),
    [
        (["b" * 40, "a" * 40], "a" * 32, "b" * 32 + chr(0x10FFFF)),
        (["b", None], "b", "b"),
        ([None, None], None, None),
        ([Decimal("1.5")], None, None),
        ([TUESDAY, MONDAY], "2026-11-16", "2026-11-17"),
        ([AT], "2026-11-16T23:59:59.999999Z", "2026-11-16T23:59:59.999999Z"),
    ],
    ids=["long texts are cut", "a null", "nulls only", "a decimal", "days", "an instant"],
)
def test_what_a_footer_tells_is_told_as_delta_tells_it(
    tmp_path: Path, values: Sequence[Any], least: Any, greatest: Any
) -> None:
    column = pa.array(values, pa.string() if values == [None, None] else None)
    pq.write_table(pa.table({"it": column, "other": column}), tmp_path / "rows.parquet", row_group_size=1)
    found = statistics(pq.read_metadata(tmp_path / "rows.parquet"), ("it",))
    assert found["numRecords"] == len(values)
    assert found["nullCount"] == {"it": values.count(None)}
    assert (found["minValues"].get("it"), found["maxValues"].get("it")) == (least, greatest)


@pytest.mark.parametrize("text", ["𠮷", "\U0010ffff" * 40, "\U0010ffff\uffff", "x" * 31 + "😀y"])
def test_rows_are_found_by_letters_of_any_plane(toys: Toys, text: str) -> None:
    delta = appended(toys.lake, PLAYS, plays(toys, (text, "ann")))
    assert delta.to_pyarrow_dataset().count_rows(filter=pc.field("play_id") == text) == 1
