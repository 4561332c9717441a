"""Whoever writes a table that is looked up leaves small groups of rows, each with a filter of the values in it."""

from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame

from jobs.lake import look_ups
from jobs.lake.contracts import contract
from jobs.lake.look_ups import spark_conf
from jobs.lake.settings import ROOT
from jobs.lake.tables import Lake
from jobs.serve.labelled import HISTORY
from jobs.serve.profile_card import INTERESTS, NEWEST
from jobs.serve.profile_more import ASKED
from jobs.upkeep.files import compact
from tests.lake.toys import MONDAY, Toys, _frame, users_of

USERS, LOG, GROUP, PEOPLE = "gold.toy_users", "gold.toy_log", 3, 8


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_ups, "GROUP_ROWS", GROUP)


def groups_of(toys: Toys, table: str = USERS) -> list[tuple[int, bool, str]]:
    """Rows of each group of the newest version, whether it has a filter of users, and how they are compressed."""
    files = DeltaTable(toys.lake.path(table)).file_uris()
    told = "row_group_num_rows, bloom_filter_offset IS NOT NULL, compression"
    query = f"SELECT {told} FROM parquet_metadata(?) WHERE path_in_schema = 'user_id'"
    return duckdb.execute(query, [files]).fetchall()


def people() -> list[dict[str, Any]]:
    return users_of([{"user_id": f"u{n}", "event_date": MONDAY, "watch_ms": n} for n in range(PEOPLE)])


WRITERS: dict[str, Callable[[Lake, DataFrame], None]] = {
    "added by Spark": lambda lake, rows: lake.append(USERS, rows, app="a", version=1),
    "replaced by Spark": lambda lake, rows: lake.replace_all(USERS, rows, app="a", version=1),
    "merged by Spark": lambda lake, rows: lake.merge(USERS, rows, ["user_id"], app="a", version=1),
    "added by delta-rs": lambda lake, rows: lake.append_few(USERS, rows, app="a", version=1, metadata=""),
    "merged by delta-rs": lambda lake, rows: lake.merge_few(USERS, rows, ["user_id"], app="a", version=1, metadata=""),
}


@pytest.mark.parametrize("how", WRITERS)
def test_every_writer_leaves_small_groups_with_a_filter(toys: Toys, how: str) -> None:
    WRITERS[how](toys.lake, _frame(toys.lake, USERS, people()))
    groups = groups_of(toys)
    assert sum(rows for rows, *_ in groups) == PEOPLE
    assert {(rows <= GROUP, *others) for rows, *others in groups} == {(True, True, "SNAPPY")}
    settings = spark_conf(toys.lake.contract(USERS))
    assert {toys.lake.spark.conf.get(key, "as it was") for key in settings} == {"as it was"}


def test_small_files_written_together_have_them_too_and_what_nobody_looks_up_does_not(toys: Toys) -> None:
    for row in people():
        toys.ledger.append(USERS, [row])
        toys.ledger.append(LOG, [{"user_id": row["user_id"], "play_count": 1, "known_from": row["last_seen_at"]}])
    for table in (USERS, LOG):
        assert compact(toys.ledger, table) == PEOPLE
    assert {(rows <= GROUP, *others) for rows, *others in groups_of(toys)} == {(True, True, "SNAPPY")}
    assert [(rows, filtered) for rows, filtered, _ in groups_of(toys, LOG)] == [(PEOPLE, False)]


def test_what_a_profile_is_put_together_from_is_looked_up_by_user() -> None:
    tables = (NEWEST, INTERESTS, HISTORY, *(table for table, _ in ASKED.values()))
    assert {contract(table, ROOT / "schemas").looked_up_by for table in tables} == {"user_id"}
