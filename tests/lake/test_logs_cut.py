"""Logs that are long are cut: what is needed stays readable, one hurt checkpoint is still mended, no plan is lost."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from jobs.drills.records import body_of, record
from jobs.drills.storage import tear
from jobs.lake import kill_points
from jobs.lake.ailments import ailments_of, checkpointed
from jobs.lake.clock import now
from jobs.lake.doctor import Finding, examine_lake
from jobs.lake.errors import DamageError, UsageError, WriteError
from jobs.lake.ingest import landings
from jobs.lake.ingest.counting import begun_at, landed_plan
from jobs.lake.ingest.landings import TABLE as LANDINGS
from jobs.lake.ingest.landings import in_log, keep, kept
from jobs.lake.ingest.progress import BOOKS, BRONZE, SEQUENCES, progress
from jobs.lake.kill_points import Killed
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.lost_commits import lost_commits
from jobs.lake.mending import newest_of_log
from jobs.lake.remaking import booked_again, from_books
from jobs.lake.remaking.from_arrivals import due
from jobs.lake.remaking.plans import remembered
from jobs.lake.repairing import mend
from jobs.lake.scanning import LOG
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from jobs.upkeep.files import KEEP_DAYS
from jobs.upkeep.logs import cut, first_needed
from jobs.upkeep.rounds import Round
from tests.lake.logs import Log
from tests.lake.test_small_batches import ingest, none_here, some

RUNS = "ops.runs"
EVERY = 20  # commits a checkpoint
MANY = 5  # batches


@dataclass(frozen=True)
class Busy:
    """A lake with a table that is written all day: version n is n hours younger than version 0."""

    ledger: Ledger
    began: datetime

    @property
    def log(self) -> Path:
        return Path(self.ledger.path(RUNS)) / LOG

    def versions(self) -> set[int]:
        return {int(file.stem) for file in self.log.glob("*.json")}

    def at(self, version: float) -> datetime:
        return self.began + timedelta(hours=version)

    def rows(self, version: int | None = None) -> list[str]:
        rows = pa.table(DeltaTable(self.ledger.path(RUNS), version=version).to_pyarrow_table())
        return sorted(rows["run_id"].to_pylist())


def run_of(number: int) -> dict[str, Any]:
    return {"run_id": f"r{number:03}", "command": "c", "started_at": now()}


def busy(home: Path, commits: int) -> Busy:
    """So many versions beside the first, which is empty."""
    ledger, began = Ledger(Settings(home=home)), now() - timedelta(hours=commits)
    for number in range(commits):
        ledger.append(RUNS, [run_of(number)])
    made = Busy(ledger, began)
    aged(made.log, made.at)
    return made


def aged(log: Path, at: Callable[[int], datetime]) -> None:
    """Give the files of a log the times of their versions."""
    for file in log.iterdir():
        if file.name[:20].isdigit():
            when = at(int(file.name[:20])).timestamp()
            os.utime(file, (when, when))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Busy:
    return busy(tmp_path_factory.mktemp("busy"), 4 * EVERY + 5)


@pytest.fixture
def table(made: Busy, tmp_path: Path) -> Busy:
    return copied(made, tmp_path / "home")


def copied(made: Busy, home: Path) -> Busy:
    shutil.copytree(made.ledger.settings.home, home)
    return Busy(Ledger(Settings(home=home)), made.began)


@tried(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(hours=st.floats(-1, 4 * EVERY + 6), again=st.floats(-1, 4 * EVERY + 6))
def test_every_version_since_then_is_read_as_before(
    made: Busy, hours: float, again: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    busy = copied(made, tmp_path_factory.mktemp("cut") / "home")
    for time in (hours, again):
        cut(busy.ledger, RUNS, busy.at(time), worth=1)
        newest = 4 * EVERY + 5
        least = max(0, min(newest, int(max(hours, again))))
        for version in {least, min(least + 1, newest), (least + newest) // 2, newest}:
            assert len(busy.rows(version)) == version
        kept_on = {version for version in checkpointed(busy.log) if version >= min(busy.versions())}
        assert len(kept_on) >= 3 or min(busy.versions()) == 0, "the one it begins with, and two younger"
    assert busy.ledger.append(RUNS, [run_of(newest)])


def test_what_nobody_needs_is_gone_and_the_rows_stay(table: Busy) -> None:
    before = table.rows()
    assert cut(table.ledger, RUNS, table.at(50)) == 0, "fewer files than are worth it"
    assert cut(table.ledger, RUNS, table.at(50), worth=1) == 2 * EVERY, "39 commits, and the checkpoint of 19"
    assert min(table.versions()) == 2 * EVERY - 1
    assert table.rows() == before
    with pytest.raises(DeltaError):
        table.rows(30)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_any_one_checkpoint_may_then_be_hurt(which: int, table: Busy) -> None:
    before = table.rows()
    assert cut(table.ledger, RUNS, now(), worth=1)
    files = sorted(table.log.glob("*.checkpoint.parquet"))
    assert len(files) == 3
    tear(files[which])
    done = mend(table.ledger.settings, RUNS, "test", lambda _: pytest.fail("Spark was opened"))
    assert done is not None
    assert table.rows() == before
    assert ailments_of(table.ledger.settings, RUNS) == []


def gone(table: Busy) -> None:
    """A data file is set aside, as a repair does that was killed."""
    Path(DeltaTable(table.ledger.path(RUNS)).file_uris()[0]).unlink()


def torn(table: Busy) -> None:
    tear(table.log / f"{2 * EVERY - 1:020}.checkpoint.parquet")


def few(table: Busy) -> None:
    for version in sorted(checkpointed(table.log))[-2:]:
        (table.log / f"{version:020}.checkpoint.parquet").unlink()


@pytest.mark.parametrize("how", [gone, torn, few])
def test_nothing_goes_while_it_may_be_needed(how: Callable[[Busy], None], table: Busy) -> None:
    how(table)
    before = table.versions()
    assert cut(table.ledger, RUNS, table.at(50), worth=1) == 0
    assert table.versions() == before


def turn_of(settings: Settings, at: datetime, kept_for: timedelta | None = timedelta(0)) -> Round:
    return Round(settings, "upkeep", timedelta(days=KEEP_DAYS), at, print, log_kept=kept_for, log_from=1)


def test_a_run_at_work_reads_what_was_there_when_it_began(table: Busy) -> None:
    leases = Leases(table.ledger, lambda: table.at(30), seconds=timedelta(days=2).total_seconds())
    with leases.held("family:others", "a build"):
        turn_of(table.ledger.settings, table.at(60)).compact_held(RUNS)
        assert min(table.versions()) == EVERY - 1
    turn_of(table.ledger.settings, table.at(60), None).compact_held(RUNS)
    assert min(table.versions()) == 2 * EVERY - 1, "two younger checkpoints, and two hours"


@dataclass(frozen=True)
class Landed:
    """A lake of small batches, a commit each, whose logs have a checkpoint at every commit."""

    settings: Settings
    log: Log

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.settings)

    def put(self, number: int) -> None:
        self.log.put([record("views", body_of("views", 2_000 + 10 * number + n), partition=n % 2) for n in range(3)])

    def batch(self, number: int) -> None:
        self.put(number)
        ingest(self.settings, self.log, none_here)
        for table in (BRONZE, BOOKS, "silver.views"):
            self.ledger.open(table).create_checkpoint()

    def cut(self) -> None:
        with Leases(self.ledger).held("ingest", "the service"):
            for table in turn_of(self.settings, now()).of_held_ingest():
                turn_of(self.settings, now()).compact_held(table)

    def mend(self, table: str, spark: SparkSession) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            self.log.installed(patch)
            return mend(self.settings, table, f"mend-{now():%H%M%S%f}", lambda _: spark)

    def rows(self, table: str) -> list[str]:
        return sorted(map(str, self.ledger.read(table).to_pylist()))

    def copy(self, home: Path) -> Landed:
        shutil.copytree(self.settings.home, home)
        log = Log(deepcopy(self.log.parts), {}, dict(self.log.ids))
        return Landed(self.settings.model_copy(update={"home": home}), log)


@pytest.fixture(scope="module")
def taken_in(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    """Five batches."""
    made = Landed(Settings(home=tmp_path_factory.mktemp("taken"), spark_remote="", spark_master=""), some(4))
    for number in range(MANY):
        made.batch(number)
    return made


@pytest.fixture
def lake(taken_in: Landed, tmp_path: Path) -> Landed:
    return taken_in.copy(tmp_path / "home")


def test_the_plans_of_batches_outlive_bronzes_log(lake: Landed) -> None:
    plans = in_log(lake.ledger)
    lake.cut()
    left = in_log(lake.ledger)
    assert sorted(plans) == list(range(MANY))
    assert 0 not in left
    assert kept(lake.ledger) == plans, "with those that are left: put by before anything goes"
    assert {number: landed_plan(lake.ledger, number) for number in plans} == plans
    with pytest.raises(DamageError, match=f"{BRONZE}: neither its log nor {LANDINGS} has the plan of batch 99"):
        landed_plan(lake.ledger, 99)
    rows = lake.rows(LANDINGS)
    lake.cut()
    assert lake.rows(LANDINGS) == rows


def test_killed_before_it_cuts_it_has_lost_nothing_and_ends_the_next_time(
    lake: Landed, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = in_log(lake.ledger)
    monkeypatch.setenv(kill_points.VARIABLE, "raise:upkeep.before_cut")
    with pytest.raises(Killed):
        lake.cut()
    monkeypatch.delenv(kill_points.VARIABLE)
    lake.cut()
    assert kept(lake.ledger) == plans
    assert 0 not in in_log(lake.ledger)


def test_a_batch_that_is_begun_finds_what_was_there_before_it(lake: Landed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kill_points.VARIABLE, "raise:ingest.after_views")
    with pytest.raises(Killed):
        lake.batch(MANY)
    monkeypatch.delenv(kill_points.VARIABLE)
    began = begun_at(lake.ledger)
    assert began is not None
    before = {table: min(versions(lake, table)) for table in (BRONZE, BOOKS)}
    for table in ("silver.views", BRONZE, BOOKS):
        aged(Path(lake.ledger.path(table)) / LOG, lambda _: began + timedelta(seconds=1))
        turn_of(lake.settings, began + timedelta(days=3)).compact_held(table)
    assert {table: min(versions(lake, table)) for table in (BRONZE, BOOKS)} == before
    ingest(lake.settings, lake.log, none_here)
    assert len(lake.ledger.read(BOOKS, filter=[[("ingest_seq", "=", MANY), ("topic", "=", "views")]])) == 2


def versions(lake: Landed, table: str) -> Iterator[int]:
    yield from (int(file.stem) for file in (Path(lake.ledger.path(table)) / LOG).glob("*.json"))


def test_books_older_than_bronzes_log_are_told_again(lake: Landed, spark: SparkSession) -> None:
    lake.cut()
    before = lake.rows(BOOKS)
    assert 0 not in in_log(lake.ledger)
    for uri in lake.ledger.open(BOOKS).file_uris():
        Path(uri).unlink()
    assert sorted(remembered(Lake(lake.settings, spark)).plans) == list(range(MANY))
    lake.mend(BOOKS, spark)
    assert lake.rows(BOOKS) == before


def test_books_that_are_all_gone_are_written_again_though_no_batch_could_be_done_again(
    lake: Landed, spark: SparkSession
) -> None:
    lake.cut()
    before = lake.rows(BOOKS)
    shutil.rmtree(lake.ledger.path(BOOKS))
    lake.put(MANY)
    with pytest.raises(DamageError, match=f"batch 0 is to be done again, .* `reelhouse repair {BOOKS}` writes down"):
        ingest(lake.settings, lake.log, none_here)
    (found,) = lost_commits(lake.settings)
    assert (found.table, found.remedy) == (BOOKS, f"run `reelhouse repair {BOOKS}`")
    assert lake.mend(BOOKS, spark).next_step == ""
    assert lake.rows(BOOKS) == before
    assert lake.mend(BOOKS, spark) is None
    ingest(lake.settings, lake.log, none_here)
    assert [row for row in lake.rows(BOOKS) if row in before] == before
    assert lake.ledger.open(BOOKS).transaction_version("ingest") == MANY


def test_a_batch_of_which_a_table_lacks_rows_is_not_booked_by_a_repair(lake: Landed, spark: SparkSession) -> None:
    """Its costs are noted, so it had ended once; then the newest commit of a table was torn."""
    before = {table: lake.rows(table) for table in (BOOKS, "silver.views")}
    lake.ledger.open(BOOKS).optimize.compact()
    tear(newest_of_log(lake.ledger, "silver.views"))
    assert lake.mend("silver.views", spark).next_step == "reelhouse ingest", "a compaction of the books is undone, too"
    done = lake.mend(BOOKS, spark)
    assert (done.next_step, progress(lake.ledger).complete) == ("reelhouse ingest", MANY - 2)
    ingest(lake.settings, lake.log, none_here)
    assert lake.rows("silver.views") == before["silver.views"]
    assert told(lake.rows(BOOKS)) == told(before[BOOKS])


def test_a_repair_of_the_books_counts_the_numbers_of_a_batch_that_was_killed_before_them(
    lake: Landed, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the lines, as ingest does: where it is killed there, ingest ends the batch and counts nothing twice."""
    monkeypatch.setenv(kill_points.VARIABLE, "raise:ingest.after_watermarks")
    with pytest.raises(Killed):
        lake.batch(MANY)
    monkeypatch.delenv(kill_points.VARIABLE)
    killed: list[Landed] = []

    def write(*told: Any) -> None:
        killed.append(lake.copy(lake.settings.home.with_name("killed")))
        booked_again_write(*told)

    booked_again_write = booked_again.write
    monkeypatch.setattr(booked_again, "write", write)
    assert lake.mend(BOOKS, spark).next_step == ""
    (other,) = killed
    other.ledger.open("ops.leases").delete()
    ingest(other.settings, other.log, none_here)
    assert (progress(lake.ledger).complete, progress(other.ledger).complete) == (MANY, MANY)
    assert (due(lake.ledger), due(other.ledger)) == ([], [])
    assert told(lake.rows(SEQUENCES)) == told(other.rows(SEQUENCES))


def test_batches_whose_numbers_are_not_counted_are_told_with_what_counts_them(
    lake: Landed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.lake.doctor.topics_read", lambda settings: [])  # here is no broker to ask
    assert numbers_told(lake) == []
    lake.ledger.open(SEQUENCES).delete("ingest_seq IN (1, 3)")
    (found,) = numbers_told(lake)
    assert found.found == "producers' numbers of 2 batches (1–3) are not counted"
    assert found.remedy == "run `reelhouse repair ops.sequences`"


def numbers_told(lake: Landed) -> list[Finding]:
    """What `reelhouse doctor --lake` says of producers' numbers."""
    return [each for each in examine_lake(lake.settings) if each.subject == SEQUENCES]


def test_books_are_not_guessed_where_tables_have_other_rows(lake: Landed, spark: SparkSession) -> None:
    shutil.rmtree(lake.ledger.path(BOOKS))
    lake.ledger.open("silver.views").delete("ingest_seq = 2")
    with pytest.raises(WriteError, match=f"{BOOKS}: silver.views have other rows of batches .* nothing was changed"):
        lake.mend(BOOKS, spark)
    assert progress(lake.ledger).complete == -1


def told(rows: list[str]) -> list[str]:
    """Without who booked it and when."""
    return sorted(re.sub(r"'(run_id|recorded_at)': [^}]*?(?=, '|})", "", row) for row in rows)


def test_a_plan_is_kept_once_its_batch_is_booked_and_a_gap_is_filled(
    lake: Landed, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before this table was made, plans may have left the log; a batch that is begun may be planned anew."""
    plans = in_log(lake.ledger)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landings, "in_log", lambda _: {number: plan for number, plan in plans.items() if number > 1})
        keep(lake.ledger)
    assert sorted(kept(lake.ledger)) == list(range(2, MANY))
    monkeypatch.setenv(kill_points.VARIABLE, "raise:ingest.after_bronze")
    with pytest.raises(Killed):
        lake.batch(MANY)
    monkeypatch.delenv(kill_points.VARIABLE)
    keep(lake.ledger)
    assert MANY in in_log(lake.ledger)
    assert sorted(kept(lake.ledger)) == list(range(MANY))
    ledger = lake.ledger
    ledger.open(LANDINGS).delete("ingest_seq = 1")
    for uri in ledger.open(LANDINGS).file_uris():
        Path(uri).unlink()
    lake.mend(LANDINGS, spark)
    assert kept(lake.ledger) == plans


def without_contracts(rows: list[str]) -> list[str]:
    """Plans without the versions of event contracts by which their batches were judged: the books do not tell them."""
    return [re.sub(r'"contracts":(null|\{\}),', "", row) for row in rows]


def test_hurt_plans_are_told_by_the_books(lake: Landed, spark: SparkSession) -> None:
    lake.cut()
    before = lake.rows(LANDINGS)
    tear(newest_of_log(lake.ledger, LANDINGS))
    lake.mend(LANDINGS, spark)
    assert without_contracts(lake.rows(LANDINGS)) == without_contracts(before)
    (file,) = map(Path, lake.ledger.open(LANDINGS).file_uris())
    file.unlink()
    lake.mend(LANDINGS, spark)
    assert without_contracts(lake.rows(LANDINGS)) == without_contracts(before)
    file = Path(lake.ledger.open(LANDINGS).file_uris()[0])
    tear(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(from_books, "booked_plans", lambda lines: {})
        with pytest.raises(WriteError, match=r"held \d plans, and \d are told elsewhere; nothing was changed"):
            lake.mend(LANDINGS, spark)
    assert file.exists()


def test_plans_and_books_that_are_both_hurt_are_not_guessed(lake: Landed, spark: SparkSession) -> None:
    lake.cut()
    for table in (LANDINGS, BOOKS):
        for uri in lake.ledger.open(table).file_uris():
            Path(uri).unlink()
    with pytest.raises(UsageError, match=f"{LANDINGS}: is made again from {BOOKS}, which is hurt itself"):
        lake.mend(LANDINGS, spark)


def test_a_spark_that_read_the_table_before_reads_and_writes_it_after(table: Busy, spark: SparkSession) -> None:
    path = table.ledger.path(RUNS)
    frame = spark.read.format("delta").load(path)
    assert frame.count() == 4 * EVERY + 5
    for number in range(2 * EVERY):
        table.ledger.append(RUNS, [run_of(100 + number)])
    assert cut(table.ledger, RUNS, now(), worth=1)
    assert first_needed(table.log, now()) is not None
    assert min(table.versions()) > 2 * EVERY
    again = spark.read.format("delta").load(path)
    assert again.count() == 6 * EVERY + 5
    again.limit(1).write.format("delta").mode("append").save(path)
    assert len(table.rows()) == 6 * EVERY + 6
