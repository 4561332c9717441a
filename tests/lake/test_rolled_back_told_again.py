"""What `ops.publications` is told again of a rollback of all families: what readers see, of all of them or of none."""

from pathlib import Path
from typing import Any

import pytest

from jobs.drills.storage import tear
from jobs.lake.publications import TABLE, latest, publish, releases
from jobs.lake.releasing import renumbered
from jobs.lake.repairing import mend
from jobs.lake.rolling_back import roll_back_all
from jobs.lake.settling import settle
from tests.lake.test_rolling_back import HOURS, OF, RANKS, at, held, release, runners, seen, toys
from tests.lake.toys import FAMILY, NOON, Toys, killed_at

__all__ = ["toys"]
BEFORE, AFTER = {"days": 2, "ranks": 3, "late": 1}, {"days": 1, "ranks": 1, "late": 1}


def lines(toys: Toys) -> list[dict[str, Any]]:
    return sorted(toys.ledger.read(TABLE).to_pylist(), key=lambda line: (line["release_id"], line["table"]))


def told_again(toys: Toys, *, is_newest_lost: bool = False) -> None:
    """Tear a commit of the table, which is then told by its files; perhaps without that of its newest release."""
    ledger, folder = toys.ledger, Path(toys.ledger.path(TABLE))
    if is_newest_lost:
        before = ledger.open(TABLE)
        before.load_as_version(before.version() - 1)
        for file in {*ledger.open(TABLE).file_uris()} - {*before.file_uris()}:
            Path(file).unlink()
    tear(sorted((folder / "_delta_log").glob("*.json"))[-1])
    assert mend(toys.settings, TABLE, "mend") is not None


@pytest.mark.parametrize("point", ["rollback.after_toys", "rollback.before_publications"])
def test_one_that_was_killed_is_told_whole_or_not_at_all(
    point: str, toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(point, monkeypatch):
        roll_back_all(runners(toys), at(0.5))
    told_again(toys)
    is_all_there = point == "rollback.before_publications"
    assert (seen(toys), held(toys)) == ((AFTER, [FAMILY, "ranks"]) if is_all_there else (BEFORE, []))


def test_one_that_the_next_run_of_any_family_has_undone_is_not_told(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at("rollback.before_publications", monkeypatch):
        roll_back_all(runners(toys), at(0.5))
    assert settle(toys.ledger, (RANKS,), latest(toys.ledger, "ranks"))
    told_again(toys)
    assert (seen(toys), held(toys)) == (BEFORE, [])


def test_one_that_readers_saw_is_told_as_it_was(toys: Toys) -> None:
    """Also of a family whose tables had the old files already, so that no commit of its own tells."""
    release(toys, "ranks", 4, 4)
    (last,) = releases(toys.ledger, "late")
    again = renumbered(toys.ledger, runners(toys)[2].staging, last, {}, known_from=NOON + HOURS[4], run_id="run-2")
    publish(toys.ledger, "late", again.number, list(again.tables.values()))
    versions = {table: toys.ledger.version(table) for tables in OF.values() for table in tables}
    roll_back_all(runners(toys), at(3.5))
    moved = {table for table, version in versions.items() if toys.ledger.version(table) > version}
    before = lines(toys)
    assert (moved, seen(toys)["ranks"]) == ({RANKS}, 3)
    told_again(toys, is_newest_lost=True)
    assert lines(toys) == before


def test_one_that_was_killed_and_done_again_is_told_of_the_run_that_did_it(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at("rollback.before_publications", monkeypatch):
        roll_back_all(runners(toys), at(0.5))
    roll_back_all(runners(toys, "again"), at(0.5))
    before = lines(toys)
    told_again(toys, is_newest_lost=True)
    assert lines(toys) == before
