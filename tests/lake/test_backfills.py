"""A backfill is built slice by slice beside the live run, and published by one swap or not at all."""

from datetime import timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.backfills.journal import Journal, Standing
from jobs.lake.backfills.planning import affected, planned
from jobs.lake.backfills.request import ByDays, Request
from jobs.lake.backfills.running import Backfill
from jobs.lake.errors import LeaseError, QualityError, UsageError
from jobs.lake.holds import Hold, hold
from jobs.lake.leases import Leases
from jobs.lake.publications import latest, published, releases
from jobs.lake.runner import Runner
from jobs.lake.staging import Verdict
from jobs.lake.work import pending
from tests.lake import toys as toy_family
from tests.lake.toys import FAMILY, MONDAY, NOON, TUESDAY, WEDNESDAY, Toys, killed_at

Patch = pytest.MonkeyPatch
TABLE = "gold.toy_days"


def request(last: Any = WEDNESDAY, name: str = "toys_again") -> Request:
    slices = ByDays.model_validate({"by": "days", "from": MONDAY, "to": last})
    return Request(name=name, table=TABLE, reason="for a test", owner="tests", slices=slices)


class Told(list[str]):
    """What a backfill said about its slices."""

    @property
    def slices(self) -> list[str]:
        return [words.split(": ")[1].split(",")[0] for words in self if words.startswith("slice")]


def backfill(toys: Toys, asked: Request | None = None, told: list[str] | None = None) -> Backfill:
    runner = Runner(toys.settings, FAMILY, "backfill-run", session=lambda _: toys.lake.spark)
    return Backfill(asked or request(), "toys_again.yaml", runner, (Told() if told is None else told).append)


def live_run(toys: Toys, run_id: str, **asked: Any) -> None:
    """What a DAG does, less the seconds of Great Expectations."""
    runner = Runner(toys.settings, FAMILY, run_id, session=lambda _: toys.lake.spark)
    runner.build(NOON + timedelta(minutes=len(releases(toys.ledger))), **asked)
    manifest = runner.staging.manifest()
    assert manifest is not None
    runner.staging.put(Verdict(fingerprint=manifest.fingerprint, verdict="passed"))
    runner.release()


def counts(toys: Toys) -> dict[object, object]:
    """Plays by day, as readers see them."""
    return {row[0]: row[1] for row in toys.rows(TABLE, published(toys.ledger)[TABLE].version)}


def standing(toys: Toys) -> Standing:
    found = Journal(toys.ledger, "").newest("toys_again")
    assert found is not None
    return found


def area(toys: Toys) -> Path:
    return Path(toys.settings.lake_root) / "staging" / "backfills" / standing(toys).backfill_id


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Path:
    """The home of a lake whose release counts a play too many on each of three days."""
    home, right = tmp_path_factory.mktemp("wrong"), toy_family.days_of
    with pytest.MonkeyPatch.context() as patch, toy_family.installed():
        toys = toy_family.toys(home, spark)
        toys.ingest(("ann", MONDAY, 5), ("ann", TUESDAY, 5), ("bob", TUESDAY, 7), ("ann", WEDNESDAY, 1))
        patch.setattr(
            toy_family, "days_of", lambda plays: [r | {"play_count": 1 + r["play_count"]} for r in right(plays)]
        )
        live_run(toys, "wrong")
    return home


@pytest.fixture
def wrong(template: Path, toys: Toys, monkeypatch: Patch) -> Toys:
    """A copy of that lake; what is built from now on is right."""
    monkeypatch.setattr(
        Runner, "_judge", lambda self, manifest, counted: []
    )  # to spare the seconds of Great Expectations
    copytree(template / "lake", toys.settings.lake_root)
    toys.seq, toys.offset = 1, 4  # as the template's ingest left them
    return toys


def test_slices_become_visible_together_by_one_release_and_leave_nothing_behind(wrong: Toys) -> None:
    assert counts(wrong) == {MONDAY: 2, TUESDAY: 3, WEDNESDAY: 2}
    told = Told()
    done = backfill(wrong, told=told).run(NOON)
    assert (done.outcome, told.slices) == ("done", [str(MONDAY), str(TUESDAY), str(WEDNESDAY)])
    assert counts(wrong) == {MONDAY: 1, TUESDAY: 2, WEDNESDAY: 1}
    release = latest(wrong.ledger, FAMILY)
    assert release is not None
    assert (release.number, release.facts.run_id) == (2, "toys_again-000001")
    assert release.tables[TABLE].slices == (MONDAY, TUESDAY, WEDNESDAY)
    assert (standing(wrong).state, area(wrong).exists()) == ("released", False)


def test_a_killed_one_goes_on_and_what_the_live_run_released_meanwhile_is_not_lost(
    wrong: Toys, monkeypatch: Patch
) -> None:
    with killed_at("backfill.after_slice", monkeypatch):
        backfill(wrong).run(NOON)
    wrong.ingest(("eve", MONDAY, 1), ("eve", WEDNESDAY, 2))
    live_run(wrong, "live")
    assert counts(wrong) == {MONDAY: 2, TUESDAY: 3, WEDNESDAY: 2}, "the live run went on, on days of the backfill too"
    wrong.ingest(("bob", TUESDAY, 1), ("bob", TUESDAY, 2))  # complete, and not released when the swap comes
    with killed_at("backfill.before_booking", monkeypatch):
        backfill(wrong).run(NOON)
    told = Told()
    assert backfill(wrong, told=told).run(NOON).outcome == "done"
    assert told.slices == [str(TUESDAY), str(WEDNESDAY)]
    assert counts(wrong) == {MONDAY: 2, TUESDAY: 4, WEDNESDAY: 2}
    plays = toy_family.days_of(wrong.ledger.read("silver.plays").to_pylist())
    assert wrong.rows(TABLE) == sorted((tuple(row.values()) for row in plays), key=repr)
    assert pending(wrong.ledger, wrong.settings, FAMILY).reasons == ()


def test_a_slice_from_before_an_erasure_is_built_again(wrong: Toys, monkeypatch: Patch) -> None:
    """It would bring the person back: what names them to gold may be forgotten by the time of the swap."""
    with killed_at("backfill.after_slice", monkeypatch):
        backfill(wrong).run(NOON)
    said = {"marks": ["k1:0"], "erased_at": NOON, "is_later_refused": False, "asked_by": "tests", "why": "for a test"}
    counts_of = {"record_counts": {"views/0": 1}, "row_counts": {"silver.views": 1}}
    wrong.ledger.append("ops.erasures", [{"ingest_seq": 2, **said, **counts_of, "run_id": "r", "recorded_at": NOON}])
    told = Told()
    backfill(wrong, told=told).run(NOON)
    assert told.slices == [str(MONDAY), str(TUESDAY), str(WEDNESDAY)]


def test_a_swap_that_is_killed_is_not_seen_or_whole_and_ends_once(wrong: Toys, monkeypatch: Patch) -> None:
    with killed_at("release.before_publications", monkeypatch):
        backfill(wrong).run(NOON)
    assert counts(wrong) == {MONDAY: 2, TUESDAY: 3, WEDNESDAY: 2}
    with killed_at("backfill.after_release", monkeypatch):
        backfill(wrong).run(NOON)
    assert counts(wrong) == {MONDAY: 1, TUESDAY: 2, WEDNESDAY: 1}
    told = Told()
    assert backfill(wrong, told=told).run(NOON).message == "toys_again-000001 is released"
    assert (told, standing(wrong).state) == ([], "released")
    assert [each.facts.run_id for each in releases(wrong.ledger, FAMILY)] == ["wrong", "toys_again-000001"]


def test_the_second_of_two_at_once_is_told_who_is_at_work(wrong: Toys) -> None:
    with (
        Leases(wrong.ledger).held(f"backfill:{FAMILY}", "the first"),
        pytest.raises(LeaseError, match="backfill:toys is held by the first"),
    ):
        backfill(wrong, request(name="another")).run(NOON)


def test_paused_it_ends_before_the_next_slice_and_goes_on_where_it_was(wrong: Toys) -> None:
    told = Told()
    at_work = backfill(wrong, told=told)
    at_work.told = lambda words: (told.append(words), backfill(wrong).pause() if "slice 1" in words else None)  # type: ignore[assignment, func-returns-value]
    ended = at_work.run(NOON)
    assert (ended.outcome, "resume toys_again.yaml" in ended.message) == ("nothing_to_do", True)
    assert backfill(wrong, told=told).run(NOON).outcome == "nothing_to_do"
    assert told.slices == [str(MONDAY)]
    assert counts(wrong) == {MONDAY: 2, TUESDAY: 3, WEDNESDAY: 2}
    assert backfill(wrong, told=told).resume(NOON).outcome == "done"
    assert told.slices == [str(MONDAY), str(TUESDAY), str(WEDNESDAY)]
    with pytest.raises(UsageError, match="toys_again-000001 is released, not open"):
        backfill(wrong).pause()


@pytest.mark.parametrize("when", ["between slices", "while the swap is checked"])
def test_cancelled_it_leaves_public_tables_as_they_were(wrong: Toys, monkeypatch: Patch, when: str) -> None:
    before = wrong.ledger.version(TABLE), counts(wrong)
    if when == "between slices":
        with killed_at("backfill.after_slice", monkeypatch):
            backfill(wrong).run(NOON)
        assert "nothing of it was published" in backfill(wrong).cancel()
    else:
        said: list[str] = []
        monkeypatch.setattr(Runner, "_judge", lambda *_: said.append(backfill(wrong).cancel()) or [])  # type: ignore[func-returns-value]
        ended = backfill(wrong).run(NOON)
        assert (ended.outcome, "was cancelled" in ended.message) == ("nothing_to_do", True)
        assert "is at work and ends" in said[0]
        assert backfill(wrong).runner.staging.manifest() is None
    assert (wrong.ledger.version(TABLE), counts(wrong)) == before
    assert (standing(wrong).state, area(wrong).exists()) == ("cancelled", False)


def test_a_file_that_changed_under_way_is_refused_until_it_is_cancelled(wrong: Toys, monkeypatch: Patch) -> None:
    with killed_at("backfill.after_slice", monkeypatch):
        backfill(wrong).run(NOON)
    with pytest.raises(UsageError, match="was changed since toys_again-000001 began.*backfill cancel"):
        backfill(wrong, request(last=TUESDAY)).run(NOON)


def test_a_family_that_is_held_is_told_what_comes_first(wrong: Toys) -> None:
    hold(wrong.ledger, "oops", {FAMILY: [Hold(TABLE, "no_capitals", None, 1, "1.0.0", NOON)]})
    with pytest.raises(QualityError, match="toys is held by .* `reelhouse release toys --retry`"):
        backfill(wrong).run(NOON)


def test_a_plan_has_the_facts_of_each_slice_and_the_seconds_of_earlier_ones(wrong: Toys) -> None:
    def told() -> list[tuple[Any, ...]]:
        return [(row["slice"], row["input_rows"], row["seconds"]) for row in planned(wrong.ledger, request())]

    assert told() == [(str(MONDAY), 4, None), (str(TUESDAY), 4, None), (str(WEDNESDAY), 4, None)]
    journal, asked = Journal(wrong.ledger, "run"), request()
    for day, rows, seconds in ((MONDAY, 2, 3.0), (TUESDAY, 8, 20.0)):
        facts = {"slice_name": str(day), "input_rows": rows, "seconds": seconds}
        journal.write(asked, "toys_again-000001", "built", NOON, **facts)
    assert [seconds for _, _, seconds in told()] == [10.0, 10.0, 10.0]
    assert "2026-11-17 of toys_again-000001: 20.0 s for 8 facts" in planned(wrong.ledger, asked)[0]["estimated_from"]
    assert affected(wrong.ledger, asked) == [TABLE, "gold.toy_log", "gold.toy_users"]


def test_a_plan_tells_a_long_run_id_once_and_guesses_no_work_for_slices_without_facts(
    wrong: Toys, tmp_path: Path, monkeypatch: Patch
) -> None:
    run_id = "scheduled__2026-11-16T00:00:00+00:00_of_a_dag_with_a_long_name"
    journal, asked = Journal(wrong.ledger, "run"), request(WEDNESDAY + timedelta(days=2))
    journal.write(asked, run_id, "built", NOON, slice_name=str(MONDAY), input_rows=2, seconds=43.8)
    monkeypatch.setattr("jobs.commands.backfill.Settings.from_env", lambda: wrong.settings)
    monkeypatch.setattr("jobs.lake.backfills.request.read_request", lambda *_: asked)
    said = CliRunner().invoke(build_app(), ["backfill", "plan", str(tmp_path)])
    assert said.output.count(run_id) == 1
    assert "about 263 s" in said.output
    assert [row["seconds"] for row in planned(wrong.ledger, asked)] == [87.6, 87.6, 87.6, None, None]
    assert "seconds: no slice without facts is on record" in said.output
    assert max(map(len, said.stdout.splitlines())) < 40
    journal.write(asked, run_id, "built", NOON, slice_name=str(TUESDAY), input_rows=0, seconds=1.5)
    assert [row["seconds"] for row in planned(wrong.ledger, asked)] == [87.6, 87.6, 87.6, 1.5, 1.5]
