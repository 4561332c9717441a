"""A table that is kept open is what one is that is opened anew, whatever became of its log meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake
from deltalake.exceptions import DeltaError
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.drills.storage import tear
from jobs.lake import opened as keeping
from jobs.lake.errors import DamageError
from jobs.lake.ledger import Ledger
from jobs.lake.opened import KEPT, asked
from jobs.lake.settings import Settings

COSTS = "ops.costs"


def add(table: Path) -> None:
    """A commit by others, who say which it is of theirs."""
    number = DeltaTable(table).version() + 1 if (table / "_delta_log").is_dir() else 0
    said = CommitProperties(app_transactions=[Transaction("others", number)])
    write_deltalake(table, pa.table({"number": [number]}), mode="append", schema_mode="merge", commit_properties=said)


def put_in_place(table: Path) -> None:
    write_deltalake(table, pa.table({"number": [-1]}), mode="overwrite", schema_mode="overwrite")


def forget_newest(table: Path) -> None:
    """As a repair does that takes a torn commit away."""
    commits = sorted((table / "_delta_log").glob("*.json"))
    if len(commits) > 1 and not list((table / "_delta_log").glob("*.checkpoint.parquet")):
        commits[-1].unlink()


def make_anew(table: Path) -> None:
    shutil.rmtree(table)
    for _ in range(2):
        add(table)


def bring_back(table: Path) -> None:
    """A copy from elsewhere in its place, with the times of the copied."""
    copy = table.with_name("copy")
    shutil.copytree(table, copy)
    shutil.rmtree(table)
    shutil.copytree(copy, table)
    shutil.rmtree(copy)


def check_point(table: Path) -> None:
    DeltaTable(table).create_checkpoint()


def cut(table: Path) -> None:
    """Of the log only its newest version and the checkpoint of that stay."""
    DeltaTable(table).create_checkpoint()
    for commit in sorted((table / "_delta_log").glob("*.json"))[:-1]:
        commit.unlink()


def widen(table: Path) -> None:
    """As a contract gives an older table a column."""
    delta = DeltaTable(table)
    name = f"more_{delta.version()}"
    delta.alter.add_columns(Schema.from_arrow(pa.schema([(name, pa.string())])).fields)


def add_twice(table: Path) -> None:
    for _ in range(2):
        add(table)


def write_together(table: Path) -> None:
    DeltaTable(table).optimize.compact()


def put_an_older_one_back(table: Path) -> None:
    """A commit under its old name, with other words in it."""
    oldest = min((table / "_delta_log").glob("*.json"))
    told = oldest.read_text()
    oldest.unlink()
    oldest.write_text(told.replace('"version":0}', '"version":9}') + "\n")


EVENTS = (
    add,
    add_twice,
    widen,
    write_together,
    put_an_older_one_back,
    put_in_place,
    forget_newest,
    make_anew,
    bring_back,
    check_point,
    cut,
)


def said(delta: DeltaTable) -> tuple[object, ...]:
    rows = sorted(delta.to_pyarrow_table()["number"].to_pylist())
    names = [field.name for field in delta.schema().fields]
    return (
        delta.version(),
        sorted(delta.file_uris()),
        delta.transaction_version("others"),
        names,
        delta.metadata().id,
        rows,
    )


@given(st.lists(st.sampled_from(EVENTS), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_it_tells_what_one_does_that_is_opened_anew(events: list[Callable[[Path], None]]) -> None:
    with TemporaryDirectory() as home:
        table = Path(home) / "table"
        add(table)
        for event in events:
            asked(str(table), said)
            event(table)
            assert asked(str(table), said) == said(DeltaTable(table)), event.__name__


def test_a_log_is_read_once_while_nothing_is_new_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, reads = tmp_path / "table", list[str]()
    add(table)

    class Counted(DeltaTable):
        def __init__(self, uri: str) -> None:
            reads.append("whole")
            super().__init__(uri)

        def update_incremental(self) -> None:
            reads.append("what is new")
            super().update_incremental()

    monkeypatch.setattr("deltalake.DeltaTable", Counted)
    for event in (lambda _: None, add, lambda _: None, forget_newest):
        event(table)
        asked(str(table), said)
    assert reads == ["whole", "what is new", "whole"]


def test_a_torn_commit_is_told_by_each_look_and_forgotten_when_it_is_mended(tmp_path: Path) -> None:
    ledger = Ledger(Settings(home=tmp_path))
    for number in range(2):
        ledger.append(COSTS, [], app="others", version=number)
    assert ledger.txn_version(COSTS, "others") == 1
    ledger.append(COSTS, [], app="others", version=2)
    newest = sorted((Path(ledger.path(COSTS)) / "_delta_log").glob("*.json"))[-1]
    whole = newest.read_bytes()
    tear(newest)
    for _ in range(2):
        with pytest.raises(DamageError, match="ops.costs: its log cannot be read"):
            ledger.txn_version(COSTS, "others")
    newest.write_bytes(whole)
    assert ledger.txn_version(COSTS, "others") == 2


def test_of_one_that_is_gone_nothing_is_told_any_more(tmp_path: Path) -> None:
    ledger = Ledger(Settings(home=tmp_path))
    ledger.append(COSTS, [], app="others", version=7)
    assert (ledger.version(COSTS), ledger.txn_version(COSTS, "others")) == (1, 7)
    shutil.rmtree(ledger.path(COSTS))
    assert (ledger.version(COSTS), ledger.txn_version(COSTS, "others")) == (-1, None)
    assert ledger.read(COSTS).num_rows == 0


def test_many_may_look_while_others_write(tmp_path: Path) -> None:
    """Each sees what was there when it looked, or more."""
    table = tmp_path / "table"
    add(table)

    def look(_: int) -> bool:
        before = DeltaTable(table).version()
        return asked(str(table), lambda delta: int(delta.version())) >= before

    with ThreadPoolExecutor(6) as pool:
        seen = [pool.submit(look, number) for number in range(60)]
        for _ in range(10):
            add(table)
        assert all(each.result() for each in seen)


def test_no_more_are_kept_than_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MOST_KEPT", 3)
    for number in range(5):
        add(tmp_path / f"table-{number}")
        asked(str(tmp_path / f"table-{number}"), said)
    assert [*KEPT] == [str(tmp_path / f"table-{number}") for number in (2, 3, 4)]


def test_of_a_store_elsewhere_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltalake.DeltaTable", lambda uri: uri)
    assert asked("s3a://bucket/lake/ops/costs", lambda table: table) == "s3a://bucket/lake/ops/costs"
    assert "s3a://bucket/lake/ops/costs" not in KEPT


def test_one_that_fails_for_what_was_kept_is_opened_anew_and_asked_once_more(tmp_path: Path) -> None:
    add(tmp_path / "table")
    seen = list[DeltaTable]()

    def question(delta: DeltaTable) -> int:
        seen.append(delta)
        if len(seen) != 3:
            raise DeltaError("File not found")
        return 7

    with pytest.raises(DeltaError):
        asked(str(tmp_path / "table"), question)
    asked(str(tmp_path / "table"), said)
    assert asked(str(tmp_path / "table"), question) == 7
    assert seen[1] is not seen[2]
