"""Few rows committed by delta-rs, and small tables read as plain files: the same as by Spark and by Delta."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import DataFrame

from jobs.lake import plain_scan
from jobs.lake.errors import WriteError
from jobs.lake.ingest.counting import table_before
from jobs.lake.scanning import dataset_of
from jobs.lake.small_commits import SmallCommit, commit_few
from jobs.lake.tables import Lake
from tests.lake.toys import MONDAY, TUESDAY, WEDNESDAY, Toys, _frame, users_of
from tests.lake.toys import toys as make_toys

USERS, DAYS, NOTE = "gold.toy_users", "gold.toy_days", '{"ingest_seq": 1}'
Play = tuple[str, Any, int]


def people(lake: Lake, *plays: Play) -> DataFrame:
    """Users with a column of each odd type: a map, a list, a struct, a wide decimal."""
    rows = [{"user_id": user, "event_date": day, "watch_ms": ms} for user, day, ms in plays]
    return _frame(lake, USERS, users_of(rows))


def by_spark(lake: Lake) -> None:
    lake.append(USERS, people(lake, ("ann", MONDAY, 5), ("bob", MONDAY, 0)), app="a", version=1, metadata=NOTE)
    gone = people(lake, ("bob", MONDAY, 0), ("stranger", MONDAY, 0))
    new = people(lake, ("ann", TUESDAY, 7), ("ann", MONDAY, 5), ("cid", TUESDAY, 1))
    lake.merge(USERS, new, ["user_id"], app="a", version=2, metadata=NOTE, removed=gone)


def by_delta_rs(lake: Lake) -> None:
    lake.append_few(USERS, people(lake, ("ann", MONDAY, 5), ("bob", MONDAY, 0)), app="a", version=1, metadata=NOTE)
    gone = people(lake, ("bob", MONDAY, 0), ("stranger", MONDAY, 0))
    new = people(lake, ("ann", TUESDAY, 7), ("ann", MONDAY, 5), ("cid", TUESDAY, 1))
    lake.merge_few(USERS, new, ["user_id"], app="a", version=2, metadata=NOTE, removed=gone)


def test_both_writers_leave_the_same_rows_notes_and_transactions(toys: Toys, tmp_path: Path) -> None:
    other = make_toys(tmp_path / "other", toys.lake.spark)
    by_spark(toys.lake)
    by_delta_rs(other.lake)
    assert toys.rows(USERS) == other.rows(USERS)
    assert [row[0] for row in toys.rows(USERS)] == ["ann", "cid"]
    for lake in (toys.lake, other.lake):
        delta = DeltaTable(lake.path(USERS))
        assert delta.transaction_version("a") == 2
        assert [commit.get("userMetadata") for commit in delta.history()] == [NOTE, NOTE, None]
        by_delta = lake.spark.read.format("delta").load(lake.path(USERS))
        assert by_delta.columns == lake.read(USERS).columns
        assert sorted(map(str, by_delta.collect())) == sorted(map(str, lake.read(USERS).collect()))


def test_what_was_merged_can_be_filtered_by_its_texts(toys: Toys) -> None:
    by_delta_rs(toys.lake)
    lake, nobody = toys.lake, people(toys.lake, ("nobody", MONDAY, 0))
    lake.merge_few(USERS, people(lake, ("dan", MONDAY, 1)), ["user_id"], app="b", version=1, metadata=NOTE)
    lake.merge_few(USERS, nobody.limit(0), ["user_id"], app="b", version=2, metadata=NOTE, removed=nobody)
    rows = dataset_of(DeltaTable(lake.path(USERS)))
    wanted = [pc.field("user_id") == "cid", pc.field("user_id") > "cid", pc.field("user_id").isin(["ann", "dan"])]
    assert [sorted(rows.to_table(["user_id"], each)["user_id"].to_pylist()) for each in wanted] == [
        ["cid"], ["dan"], ["ann", "dan"],
    ]  # fmt: skip


def test_two_rows_of_one_key_are_not_merged(toys: Toys) -> None:
    by_delta_rs(toys.lake)
    twins = people(toys.lake, ("dan", MONDAY, 1), ("dan", MONDAY, 1)).unionAll(people(toys.lake, ("dan", MONDAY, 2)))
    with pytest.raises(WriteError, match=r"gold.toy_users: two rows of the same user_id cannot be merged"):
        toys.lake.merge_few(USERS, twins, ["user_id"], app="b", version=1, metadata=NOTE)


def test_no_value_of_a_person_gets_into_the_log(toys: Toys) -> None:
    by_delta_rs(toys.lake)
    logs = "".join(file.read_text() for file in Path(toys.lake.path(USERS), "_delta_log").glob("*.json"))
    assert '\\"maxValues\\":{\\"' in logs
    assert not any(name in logs for name in ('"ann"', "'ann'", "bob", "cid"))


def test_a_commit_that_is_there_is_not_made_again(toys: Toys) -> None:
    for _ in range(2):
        by_delta_rs(Lake(toys.settings, toys.lake.spark))
    assert DeltaTable(toys.lake.path(USERS)).version() == 2


def test_a_second_use_of_a_pair_in_one_run_is_refused(toys: Toys) -> None:
    by_delta_rs(toys.lake)
    with pytest.raises(WriteError, match="give each logical write an app of its own"):
        toys.lake.append_few(USERS, people(toys.lake, ("dan", MONDAY, 1)), app="a", version=2, metadata=NOTE)


def test_another_writer_between_only_delays_the_commit(toys: Toys) -> None:
    toys.lake.ensure(USERS)
    path, tries = toys.lake.path(USERS), [0]

    def write(commit: SmallCommit) -> None:
        tries[0] += 1
        if tries[0] == 1:  # somebody replaces everything after this one has looked
            SmallCommit(USERS, DeltaTable(path), "b", 1, NOTE).replace_all(
                people(toys.lake, ("eve", MONDAY, 1)).toArrow()
            )
        commit.merge(people(toys.lake, ("ann", MONDAY, 1)).toArrow(), ["user_id"], None)

    commit_few(USERS, path, "a", 1, NOTE, write)
    assert tries == [2]
    assert [row[0] for row in toys.rows(USERS)] == ["ann", "eve"]


def test_days_are_replaced_and_rows_of_other_days_refused(toys: Toys) -> None:
    def days(*found: tuple[Any, int]) -> pa.Table:
        rows = [{"event_date": day, "play_count": count, "watched_rate": 1.0} for day, count in found]
        return pa.Table.from_pylist(rows, schema=toys.lake.contract(DAYS).arrow_schema())

    def commit(number: int) -> SmallCommit:
        return SmallCommit(DAYS, toys.ledger.open(DAYS), "a", number, NOTE)

    commit(1).append(days((MONDAY, 1), (TUESDAY, 2), (WEDNESDAY, 3)))
    commit(2).replace_slices(days((TUESDAY, 5)), "event_date", [TUESDAY, WEDNESDAY])
    assert [row[:2] for row in toys.rows(DAYS)] == [(MONDAY, 1), (TUESDAY, 5)]
    with pytest.raises(WriteError, match=r"gold.toy_days: rows of 2026-11-16 are not in the slices"):
        commit(3).replace_slices(days((MONDAY, 9)), "event_date", [TUESDAY])
    assert toys.ledger.version(DAYS) == 2


def test_a_null_where_none_is_promised_is_refused(toys: Toys) -> None:
    schema = pa.schema([pa.field("user_id", pa.string()), *toys.lake.contract(USERS).arrow_schema()][1:])
    row = people(toys.lake, ("ann", MONDAY, 1)).toArrow().to_pylist()[0]
    nobody = pa.Table.from_pylist([row | {"user_id": None}], schema=pa.schema([f.with_nullable(True) for f in schema]))
    with pytest.raises(WriteError, match=r"gold.toy_users: rows do not fit the table: .*user_id"):
        SmallCommit(USERS, toys.ledger.open(USERS), "a", 1, NOTE).append(nobody)


@pytest.mark.parametrize(
    ("files", "vectors", "is_plain"), [(200, "false", True), (200, "true", False), (0, "false", False)],
    ids=["a plain table", "deletion vectors", "many files"],
)  # fmt: skip
def test_what_is_more_than_a_few_plain_files_is_left_to_delta(
    toys: Toys, monkeypatch: pytest.MonkeyPatch, files: int, vectors: str, *, is_plain: bool
) -> None:
    by_delta_rs(toys.lake)
    monkeypatch.setattr(plain_scan, "FEW_FILES", files)
    path = toys.lake.path(USERS)
    DeltaTable(path).alter.set_table_properties({"delta.enableDeletionVectors": vectors})
    assert plain_scan.PlainScan(path, DeltaTable(path)).is_safe is is_plain
    assert sorted(row.user_id for row in toys.lake.read(USERS).collect()) == ["ann", "cid"]


def test_columns_keep_their_order_where_a_table_is_partitioned(toys: Toys, tmp_path: Path) -> None:
    rows = pa.table({"event_date": [MONDAY, TUESDAY], "user_id": ["ann", "bob"], "play_count": [1, 2]})
    write_deltalake(tmp_path / "parted", rows, partition_by="event_date")
    found = toys.lake.read_at(str(tmp_path / "parted"))
    assert found.columns == rows.column_names
    assert [tuple(row) for row in found.where("event_date = '2026-11-17'").collect()] == [(TUESDAY, "bob", 2)]


@pytest.mark.parametrize("name", ["../other/part-0.parquet", "/tmp/part-0.parquet", "s3://b/part-0.parquet", "a%20b"])
def test_a_file_that_lies_elsewhere_is_left_to_delta(name: str) -> None:
    assert plain_scan.is_inside("event_date=2026-11-16/part-0.parquet")
    assert not plain_scan.is_inside(name)


def test_an_older_version_is_read_as_it_was(toys: Toys) -> None:
    by_delta_rs(toys.lake)
    assert sorted(row.user_id for row in toys.lake.read(USERS, 1).collect()) == ["ann", "bob"]
    assert toys.lake.read(USERS, 0).count() == 0
    assert toys.lake.read(USERS, 0).schema == toys.lake.read(USERS, 2).schema


def test_a_table_is_opened_as_it_was_before_a_batch(toys: Toys) -> None:
    by_delta_rs(toys.lake)  # batch 1, which noted itself in its last commit
    told = [(table_before(toys.ledger, USERS, app, seq), app, seq) for app, seq in (("a", 3), ("a", 1), ("b", 0))]
    found = [(app, seq, delta.version(), dataset_of(delta).count_rows()) for delta, app, seq in told if delta]
    assert found == [("a", 3, 2, 2), ("a", 1, 1, 2), ("b", 0, 2, 2)]
    assert table_before(toys.ledger, "gold.toy_log", "a", 1) is None


@pytest.mark.filterwarnings("error::DeprecationWarning:jobs")
def test_the_log_is_asked_in_the_way_that_delta_rs_advises(toys: Toys) -> None:
    by_delta_rs(toys.lake)
    assert (toys.lake.version(USERS), toys.lake.txn_version(USERS, "a")) == (2, 2)
