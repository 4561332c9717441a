"""What a family published comes back when the commit that published it is torn, or files of its history are hurt."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jobs.commands.repair import mended
from jobs.drills.storage import tear
from jobs.lake import releasing, session
from jobs.lake.ailments import HISTORY, Kind, ailments_of
from jobs.lake.contracts import contract
from jobs.lake.errors import LeaseError, UsageError, WriteError
from jobs.lake.ledger import Ledger
from jobs.lake.lost_commits import lost_commits
from jobs.lake.mending import newest_of_log
from jobs.lake.publications import Publication, families, latest, publish, release_id, releases
from jobs.lake.remaking import from_versions, wounds
from jobs.lake.remaking import released as released_again
from jobs.lake.repairing import mend
from jobs.lake.settings import Settings
from jobs.lake.staging import Staging
from jobs.serve.tables import arrow_of, published_version
from jobs.upkeep.files import vacuum
from tests.lake.small_shop import publish as release
from tests.lake.test_made_anew import rows
from tests.lake.toys import take_over

NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)
ALL_TOLD = sorted((f"k1:{user}", NOON + timedelta(hours=n)) for n in (1, 2, 3) for user in range(n + 1))
FILLED: dict[str, Any] = {"string": "0", "bigint": 0, "int": 0, "boolean": False, "double": 0.0}


@pytest.fixture(scope="module")
def shop(published: Settings, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of the small shop, with a release whose staging is there."""
    home = tmp_path_factory.mktemp("again") / "home"
    shutil.copytree(published.home, home)
    copied = published.model_copy(update={"home": home})
    release(copied, spark, is_anew=True)
    return copied


def torn(settings: Settings) -> Iterator[str]:
    """Tear the newest commit of each table of the family that was made in more than one."""
    ledger = Ledger(settings)
    for table in families(settings.schemas_dir)["funnels"]:
        if ledger.version(table) > 0:
            tear(newest_of_log(ledger, table))
            yield table


def test_a_torn_commit_of_a_release_is_made_again_from_what_was_staged(shop: Settings, spark: SparkSession) -> None:
    before = {table: rows(shop, table) for table in families(shop.schemas_dir)["funnels"]}
    versions = latest(Ledger(shop), "funnels")
    tables = list(torn(shop))
    assert len(tables) > 2
    for table in tables:
        assert [(one.kind, one.remedy) for one in ailments_of(shop, table)] == [
            (Kind.newest_commit, f"run `reelhouse repair {table}`")
        ]
        assert mend(shop, table, "mend", lambda _: spark) is not None
    newest_of_log(Ledger(shop), tables[0]).unlink()  # as where that was killed
    assert [one.table for one in lost_commits(shop)] == [tables[0]]
    assert mend(shop, tables[0], "again", lambda _: spark) is not None
    assert not list(lost_commits(shop))
    assert {table: rows(shop, table) for table in before} == before
    assert latest(Ledger(shop), "funnels") == versions


def test_a_repair_that_stood_still_until_another_run_took_over_commits_nothing(
    shop: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, tables = Ledger(shop), list(torn(shop))
    there = newest_of_log(ledger, tables[0])

    def another(*given: Any) -> Any:
        take_over(ledger, "funnels")
        return releases(*given)

    with monkeypatch.context() as patch:
        patch.setattr(released_again, "releases", another)
        with pytest.raises(LeaseError, match="was lost, another"):
            mend(shop, tables[0], "mend", lambda _: spark)
    assert newest_of_log(ledger, tables[0]) == there
    assert [one.kind for one in ailments_of(shop, tables[0])] == [Kind.newest_commit]
    for table in tables:
        mend(shop, table, "again", lambda _: spark)


def test_what_nothing_holds_any_more_is_left_as_it_is(shop: Settings, spark: SparkSession) -> None:
    last = latest(Ledger(shop), "funnels")
    assert last
    tables, staging = list(torn(shop)), Staging(shop, "funnels")
    some = next(table for table in tables if last.tables[table].rows)  # of no rows no file is needed
    for table in tables:  # as upkeep does where somebody was erased
        vacuum(empty(staging.path(table)), timedelta(0))
    with pytest.raises(WriteError, match="what was staged for that is gone; nothing was changed"):
        mend(shop, some, "mend", lambda _: spark)
    staging.clear()
    with pytest.raises(WriteError, match="what was staged for that is gone; nothing was changed"):
        mend(shop, some, "mend", lambda _: spark)
    assert [one.kind for one in ailments_of(shop, some)] == [Kind.newest_commit]


def empty(path: str) -> DeltaTable:
    """A table once all its rows are deleted."""
    DeltaTable(path).delete()
    return DeltaTable(path)


def known(settings: Settings, user: int, at: datetime) -> dict[str, Any]:
    """What became known of a user."""
    columns = contract(HISTORY, settings.schemas_dir).columns
    row = {column.name: FILLED.get(column.type) for column in columns if column.required}
    return row | {"user_id": f"k1:{user}", "as_of_day": date(2026, 11, 20), "known_from": at, "profile_hash": str(at)}


def released(ledger: Ledger, number: int, at: datetime) -> None:
    """Publish the profiles as they stand."""
    tables = families(ledger.settings.schemas_dir)["profiles"]
    line = Publication(release_id("profiles", number), "profiles", "", 0, (), number, at, "1.0.0", "passed",
                       f"run-{at}", at, 0)  # fmt: skip
    lines = [replace(line, table=table, version=max(ledger.version(table), 0)) for table in tables]
    rows = ledger.open(HISTORY).count()
    publish(ledger, "profiles", number, [replace(each, rows=rows * (each.table == HISTORY)) for each in lines])


@pytest.fixture
def history(tmp_path: Path) -> Ledger:
    """Three releases of the profiles, whose small files of the history were written together since."""
    ledger = Ledger(Settings(home=tmp_path))
    for number in (1, 2, 3):
        at = NOON + timedelta(hours=number)
        ledger.append(HISTORY, [known(ledger.settings, user, at) for user in range(number + 1)])
        if number == 2:
            ledger.open(HISTORY).optimize.compact()
        released(ledger, number, at)
    largest = max(map(Path, DeltaTable(ledger.path(HISTORY)).file_uris()), key=lambda file: file.stat().st_size)
    tear(largest)
    return ledger


def told(ledger: Ledger) -> list[tuple[str, datetime]]:
    """Who became known when, as readers see it."""
    found = arrow_of(ledger.settings, HISTORY, published_version(ledger.settings, HISTORY, None, None))
    return sorted((row["user_id"], row["known_from"]) for row in found.to_pylist())


def test_a_torn_commit_of_upkeep_is_made_again(tmp_path: Path) -> None:
    ledger = Ledger(Settings(home=tmp_path))
    for hour in (1, 2):
        ledger.append(HISTORY, [known(ledger.settings, 1, NOON + timedelta(hours=hour))])
    released(ledger, 1, NOON)
    ledger.open(HISTORY).optimize.compact()
    released(ledger, 2, NOON)
    before = told(ledger)
    tear(newest_of_log(ledger, HISTORY))
    assert mend(ledger.settings, HISTORY, "mend", lambda _: pytest.fail("Spark was opened")) is not None
    assert told(ledger) == before != []
    assert ailments_of(ledger.settings, HISTORY) == []


def test_the_history_comes_back_from_files_that_were_written_together(history: Ledger, spark: SparkSession) -> None:
    assert [one.remedy for one in ailments_of(history.settings, HISTORY)] == [f"run `reelhouse repair {HISTORY}`"]
    done = mend(history.settings, HISTORY, "mend", lambda _: spark)
    assert done is not None
    assert (done.rows, done.note, done.next_step) == (9, "", "")
    assert told(history) == ALL_TOLD


@pytest.mark.parametrize(("place", "step"), [(wounds, "forget"), (from_versions, "republish")])
def test_a_repair_of_the_history_that_was_killed_is_ended_by_the_next(
    history: Ledger, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, place: ModuleType, step: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(place, step, lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            mend(history.settings, HISTORY, "mend", lambda _: spark)
    with pytest.raises(UsageError, match="files of version 4 are gone"):
        told(history)
    assert mend(history.settings, HISTORY, "again", lambda _: spark) is not None
    assert told(history) == ALL_TOLD
    assert mend(history.settings, HISTORY, "once more", lambda _: spark) is None


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_repair_of_the_history_that_stood_still_until_another_run_released_publishes_nothing_over_that(
    history: Ledger, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, is_begun: bool
) -> None:
    last = latest(history, "profiles")

    def another(*given: Any) -> Any:
        take_over(history, "profiles", lambda: released(history, 4, NOON + timedelta(hours=4)))
        return done(*given)

    if is_begun:  # it was killed before, when the rows were back
        monkeypatch.setattr(from_versions, "republish", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            mend(history.settings, HISTORY, "mend", lambda _: spark)
    monkeypatch.undo()
    done = releasing.renumbered
    monkeypatch.setattr(releasing, "renumbered", another)
    with pytest.raises(LeaseError, match="was lost, another"):
        mend(history.settings, HISTORY, "again", lambda _: spark)
    newest = latest(history, "profiles")
    assert last is not None
    assert newest is not None
    assert (last.number, newest.number) == (3, 4)


def test_rows_of_a_release_that_was_rolled_back_are_not_taken_for_those_that_are_lost(
    tmp_path: Path, spark: SparkSession
) -> None:
    ledger = Ledger(Settings(home=tmp_path))
    for number in (1, 2, 3):
        at = NOON + timedelta(hours=number)
        ledger.append(HISTORY, [known(ledger.settings, 1, at)])
        if number == 2:
            ledger.open(HISTORY).restore(1)
        released(ledger, number, at)
    files = map(Path, DeltaTable(ledger.path(HISTORY)).file_uris())
    max(files, key=lambda file: file.stat().st_mtime_ns).unlink()
    lost = "1 rows are lost for good, of what became known from 2026-11-20 07:00"
    with pytest.raises(WriteError, match=lost):
        mend(ledger.settings, HISTORY, "mend", lambda _: spark)


def test_what_became_known_when_is_lost_only_when_that_is_accepted_and_booked(
    history: Ledger, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(history.path(HISTORY))
    named = {Path(file) for file in DeltaTable(folder).file_uris()}
    for file in set(folder.glob("*.parquet")) - named:
        file.unlink()
    lost = "5 rows are lost for good, of what became known from 2026-11-20 05:00 to 2026-11-20 06:00 UTC"
    with pytest.raises(WriteError, match=lost):
        mend(history.settings, HISTORY, "mend", lambda _: spark)
    monkeypatch.setattr(session, "open_session", lambda _: spark)
    done = mended(history.settings, HISTORY, "mend", accept_loss=True)
    assert done is not None
    assert done.note.startswith(f"{HISTORY}: {lost}")
    assert [(row["command"], row["detail"]) for row in history.read("ops.runs").to_pylist()] == [("repair", done.note)]
    assert done.next_step == "reelhouse build profiles --full"
    assert {at for _, at in told(history)} == {NOON + timedelta(hours=3)}
