"""What was published is told again when `ops.publications` is hurt or gone: by its own files, or by commits' notes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.drills.storage import tear
from jobs.lake import release_notes
from jobs.lake.ailments import ailments
from jobs.lake.clock import now
from jobs.lake.errors import DamageError, LeaseError, WriteError
from jobs.lake.kill_points import VARIABLE, Killed
from jobs.lake.lost_commits import lost_commits
from jobs.lake.publications import TABLE, latest, publish
from jobs.lake.release_notes import Noted, numbers_in, ranges_of
from jobs.lake.releasing import renumbered
from jobs.lake.remaking import from_notes, from_releases
from jobs.lake.repairing import mend
from jobs.lake.settings import Settings
from jobs.upkeep.rounds import Round
from tests.lake.test_runner import approve, build, runner, seen
from tests.lake.test_runner import publish as release
from tests.lake.toys import FAMILY, MONDAY, TABLES, TUESDAY, WEDNESDAY, Toys, installed, killed_at, take_over
from tests.lake.toys import toys as make_toys


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[Toys]:
    with installed():
        toys = make_toys(tmp_path_factory.mktemp("told") / "home", spark)
        tell(toys)
        yield toys


def tell(toys: Toys) -> None:
    """Two releases, a rollback, upkeep, a release; one that was killed, and never came out; one in its place."""
    toys.ingest(("ann", MONDAY, 1), ("bob", TUESDAY, 1))
    release(toys, "run-1")
    toys.ingest(("ann", TUESDAY, 2))
    release(toys, "run-2")
    runner(toys, "oops").rollback("1")
    toys.ingest(("eve", WEDNESDAY, 1))
    release(toys, "run-4")
    Round(toys.settings, "upkeep", timedelta(days=7), now(), print, many=2).tidy(TABLES)
    toys.ingest(("eve", MONDAY, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "raise:release.before_publications")
        with pytest.raises(Killed):
            release(toys, "run-6")
    toys.ingest(("bob", MONDAY, 1))
    release(toys, "run-7", full=True)


@pytest.fixture
def toys(story: Toys, tmp_path: Path) -> Toys:
    """A copy, for a test to hurt."""
    shutil.copytree(story.settings.home, tmp_path / "home", symlinks=True)
    settings = story.settings.model_copy(update={"home": tmp_path / "home"})
    return replace(story, settings=settings, lake=type(story.lake)(settings, story.lake.spark))


def lines(toys: Toys) -> list[dict[str, Any]]:
    return sorted(toys.ledger.read(TABLE).to_pylist(), key=lambda line: (line["release_id"], line["table"]))


def folder(toys: Toys) -> Path:
    return Path(toys.ledger.path(TABLE))


def named(settings: Settings) -> set[tuple[str, str]]:
    """As doctor does."""
    return {(one.table, one.remedy) for one in ailments(settings) or lost_commits(settings)}


def lose(toys: Toys) -> None:
    shutil.rmtree(folder(toys))


def lose_files(toys: Toys) -> None:
    for file in folder(toys).glob("*.parquet"):
        file.unlink()


def flip_files(toys: Toys) -> None:
    for file in folder(toys).glob("*.parquet"):
        file.write_bytes(b"\0" * file.stat().st_size)


def tear_commit(number: int) -> Callable[[Toys], None]:
    return lambda toys: tear(sorted((folder(toys) / "_delta_log").glob("*.json"))[number])


def forget_notes(patch: pytest.MonkeyPatch) -> None:
    """As in a lake from before commits had any."""
    for module in (release_notes, from_notes, from_releases):
        patch.setattr(module, "notes", lambda *_: [])


HURTS = {
    "all of it is gone": lose,
    "its files are gone": lose_files,
    "its files are flipped": flip_files,
    "the newest commit is torn": tear_commit(-1),
    "an older commit is torn": tear_commit(2),
}


def test_the_story_has_what_may_go_wrong(story: Toys) -> None:
    told = sorted({(line["release_id"], line["run_id"]) for line in lines(story)})
    assert [run for _, run in told] == ["run-1", "run-2", "oops", "run-4", "run-4", "run-7"]
    assert [number[-1] for number, _ in told] == ["1", "2", "3", "4", "5", "7"]


@pytest.mark.parametrize("name", HURTS)
def test_it_is_told_again_as_it_was_and_publishing_goes_on(name: str, toys: Toys) -> None:
    before, read = lines(toys), seen(toys)
    HURTS[name](toys)
    assert named(toys.settings) == {(TABLE, f"run `reelhouse repair {TABLE}`")}
    done = mend(toys.settings, TABLE, "mend")
    assert done is not None
    assert (done.rows, done.note, bool(done.set_aside)) == (len(before), "", name != "all of it is gone")
    assert lines(toys) == before
    assert seen(toys) == read
    assert named(toys.settings) == set()
    assert mend(toys.settings, TABLE, "again") is None
    if name == "all of it is gone":
        toys.ingest(("ann", WEDNESDAY, 1))
        release(toys, "run-8")
        assert latest(toys.ledger, FAMILY).number == 8  # type: ignore[union-attr]


def test_nothing_is_built_on_a_family_that_is_forgotten(toys: Toys) -> None:
    """Its tables would be brought back to what they were before their first release."""
    lose(toys)
    toys.ingest(("ann", WEDNESDAY, 1))
    with pytest.raises(DamageError, match=f"reelhouse repair {TABLE}"):
        approve(build(toys, "run-8")).release()
    assert [toys.ledger.version(table) > 0 for table in TABLES] == [True] * 3


def test_an_older_lake_that_is_forgotten_is_not_emptied_until_its_loss_is_accepted(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A family that is new to the lake does not make the table again either, for the others to be emptied."""
    forget_notes(monkeypatch)
    before, staged = {table: toys.rows(table) for table in TABLES}, runner(toys).staging.manifest()
    lose(toys)
    toys.ingest(("ann", WEDNESDAY, 1))
    for publications in ("gone", "made by another family"):
        with pytest.raises(DamageError, match=f"{TABLE} has no release of toys.*`reelhouse repair {TABLE}`"):
            build(toys, "run-8")
        assert {table: toys.rows(table) for table in TABLES} == before, publications
        assert runner(toys).staging.manifest() == staged  # what is begun can still be ended
        assert named(toys.settings) == {(TABLE, f"run `reelhouse repair {TABLE}`")}
        toys.ledger.open(TABLE)
    assert mend(toys.settings, TABLE, "mend", accept_loss=True) is not None
    assert named(toys.settings) == set()
    release(toys, "run-8")
    days = {row[0]: row[1] for row in seen(toys)["gold.toy_days"]}
    assert days == {MONDAY: 3, TUESDAY: 2, WEDNESDAY: 2}


def test_a_first_release_that_was_killed_is_no_loss(toys: Toys, tmp_path: Path) -> None:
    new = make_toys(tmp_path / "new", toys.lake.spark)
    new.ingest(("ann", MONDAY, 1))
    for run, point in (("run-1", "release.after_gold.toy_days"), ("run-2", "release.after_gold.toy_users")):
        with pytest.MonkeyPatch.context() as patch, killed_at(point, patch):
            release(new, run)
        assert named(new.settings) == set()
    tear_commit(-1)(new)
    assert mend(new.settings, TABLE, "mend") is not None
    release(new, "run-3")
    assert [row[:2] for row in seen(new)["gold.toy_days"]] == [(MONDAY, 1)]
    lose(new)
    assert named(new.settings) == {(TABLE, f"run `reelhouse repair {TABLE}`")}  # its one release is in no other's note
    assert mend(new.settings, TABLE, "mend") is not None
    assert [row[:2] for row in seen(new)["gold.toy_days"]] == [(MONDAY, 1)]


def test_a_release_that_no_commit_tells_of_is_named_and_left_out_only_when_that_is_accepted(toys: Toys) -> None:
    last = latest(toys.ledger, FAMILY)
    assert last is not None
    again = renumbered(toys.ledger, runner(toys).staging, last, {}, run_id="said nothing")
    publish(toys.ledger, again.family, again.number, list(again.tables.values()))
    toys.ingest(("ann", WEDNESDAY, 1))
    release(toys, "run-9")
    before = [line for line in lines(toys) if line["run_id"] != "said nothing"]
    lose(toys)
    with pytest.raises(WriteError, match="releases toys-000008 are told nowhere any more; nothing was changed"):
        mend(toys.settings, TABLE, "mend")
    assert not folder(toys).exists()
    done = mend(toys.settings, TABLE, "mend", accept_loss=True)
    assert done is not None
    assert "toys-000008" in done.note
    assert lines(toys) == before


def test_of_older_lakes_its_own_files_tell(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_notes(monkeypatch)
    before = lines(toys)
    tear_commit(2)(toys)
    assert mend(toys.settings, TABLE, "mend") is not None
    assert lines(toys) == before
    lose(toys)
    assert named(toys.settings) == {(TABLE, f"run `reelhouse repair {TABLE}`")}
    with pytest.raises(WriteError, match="all releases of toys are told nowhere any more"):
        mend(toys.settings, TABLE, "mend")


def test_a_line_whose_rows_are_not_there_is_no_proof(toys: Toys) -> None:
    last = latest(toys.ledger, FAMILY)
    assert last is not None
    wrong = [replace(line, release_id="toys-000008", rows=line.rows + 1) for line in last.tables.values()]
    publish(toys.ledger, FAMILY, 8, wrong)
    tear_commit(1)(toys)
    with pytest.raises(WriteError, match="toys-000008 names version .* rows, which has"):
        mend(toys.settings, TABLE, "mend")


def test_one_that_is_killed_between_its_moves_goes_on(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_notes(monkeypatch)
    before = lines(toys)
    tear_commit(2)(toys)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed_at_the_last)
        with pytest.raises(OSError, match="killed"):
            mend(toys.settings, TABLE, "mend")
    assert not folder(toys).exists()
    shutil.rmtree(toys.settings.home / "aside")
    assert named(toys.settings) == {(TABLE, f"run `reelhouse repair {TABLE}`")}
    assert mend(toys.settings, TABLE, "again") is not None
    assert lines(toys) == before


def test_one_that_stood_still_until_another_run_took_over_changes_nothing(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another run released meanwhile would be told nowhere."""
    tear_commit(2)(toys)
    torn, write = sorted(folder(toys).rglob("*")), from_releases.write

    def another(*given: Any) -> None:
        write(*given)
        take_over(toys.ledger, FAMILY)

    monkeypatch.setattr(from_releases, "write", another)
    with pytest.raises(LeaseError, match="was lost, another"):
        mend(toys.settings, TABLE, "mend")
    assert sorted(folder(toys).rglob("*")) == torn
    monkeypatch.undo()
    assert mend(toys.settings, TABLE, "again") is not None


def killed_at_the_last(place: Path, to: Path) -> None:
    if place.name == from_releases.MADE:
        raise OSError("killed")
    shutil.move(place, to)


def test_notes_of_a_killed_rollback_are_not_those_of_the_release_that_took_its_number() -> None:
    """It had brought another table back, too."""
    killed, made = {"rows_of": 1, "run_id": "killed"}, {"written": ["gold.one"], "slices": ["2026-11-16"]}
    told = [Noted(8, table, 5, 1, "killed", killed) for table in ("gold.one", "gold.two")]
    found = from_notes.last_of("family", [*told, Noted(8, "gold.one", 6, 2, "run", made)])
    assert {table: note.version for table, note in found.commits.items()} == {"gold.one": 6}


def test_numbers_are_told_as_ranges() -> None:
    for numbers, told in (([], ""), ([3], "3"), ([1, 2, 3, 5, 7, 8], "1-3,5,7-8")):
        assert ranges_of(numbers) == told
        assert numbers_in(told) == numbers
