"""A family is released whole or not at all, once, and only what has passed its checks."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from jobs.lake import filling
from jobs.lake.errors import BooksError, DamageError, LeaseError, QualityError, UsageError, WriteError
from jobs.lake.kill_points import heard
from jobs.lake.leases import Leases
from jobs.lake.mending import newest_of_log
from jobs.lake.publications import latest, published, releases
from jobs.lake.publications import publish as publish_lines
from jobs.lake.restating import booking
from jobs.lake.runner import Runner, lease_name
from jobs.lake.settings import ROOT
from jobs.lake.settling import settle
from jobs.lake.staging import Verdict
from jobs.lake.work import pending
from tests.lake.toys import FAMILY, MONDAY, NOON, TABLES, TUESDAY, WEDNESDAY, Toys, killed_at, run_out

KILL_POINTS = [
    "build.staged",
    "release.before",
    *(f"release.after_{table}" for table in ("gold.toy_days", "gold.toy_users", "gold.toy_log")),
    "release.before_publications",
    "release.after_lease",
    "release.after_publications",
]


def runner(toys: Toys, run_id: str = "run-1") -> Runner:
    return Runner(toys.settings, FAMILY, run_id, session=lambda _: toys.lake.spark)


def build(toys: Toys, run_id: str, **asked: object) -> Runner:
    made = runner(toys, run_id)
    made.build(NOON, **asked)  # type: ignore[arg-type]
    return made


def approve(made: Runner) -> Runner:
    """Say that the staging has passed, to spare a test the seconds of Great Expectations."""
    manifest = made.staging.manifest()
    assert manifest is not None
    made.staging.put(Verdict(fingerprint=manifest.fingerprint, verdict="passed"))
    return made


def publish(toys: Toys, run_id: str, **asked: object) -> None:
    approve(build(toys, run_id, **asked)).release()


def seen(toys: Toys) -> dict[str, list[tuple[object, ...]]]:
    """What readers see: every table at its published version."""
    return {table: toys.rows(table, line.version) for table, line in published(toys.ledger).items()}


def counts(toys: Toys, table: str) -> dict[object, object]:
    """Plays by day, or by user, as readers see them."""
    return {row[0]: row[1] for row in seen(toys)[table]}


@pytest.fixture
def released(toys: Toys) -> Toys:
    """A lake with one release: Ann and Bob on Monday."""
    toys.ingest(("ann", MONDAY, 5), ("bob", MONDAY, 7))
    publish(toys, "run-1")
    return toys


def test_a_release_publishes_every_table_of_the_family_under_one_number(released):
    release = latest(released.ledger, FAMILY)
    assert release is not None
    assert (release.number, sorted(release.tables)) == (1, list(TABLES))
    assert {line.ingest_seq for line in release.tables.values()} == {1}
    assert [row[:2] for row in seen(released)["gold.toy_days"]] == [(MONDAY, 2)]
    (cost,) = released.ledger.read("ops.costs").to_pylist()
    assert (cost["run_id"], cost["work"], cost["family"], cost["ingest_seq"]) == ("run-1", "build", FAMILY, 1)
    assert (cost["rows"], cost["files"]) == (5, 3)  # a day; two users, and their two lines of the log
    assert cost["milliseconds"] > 0 < cost["bytes"]


def test_released_twice_is_released_once(released):
    versions = {table: released.ledger.version(table) for table in TABLES}
    assert "released before, as toys-000001" in runner(released, "run-1").release().message
    assert runner(released, "run-2").build(NOON).outcome == "nothing_to_do"
    assert {table: released.ledger.version(table) for table in TABLES} == versions
    assert len(releases(released.ledger)) == 1


def test_only_touched_days_and_users_are_done_again(released):
    released.ingest(("ann", TUESDAY, 1))
    publish(released, "run-2")
    release = latest(released.ledger, FAMILY)
    assert release is not None
    assert release.tables["gold.toy_days"].slices == (TUESDAY,)
    assert [row[:2] for row in seen(released)["gold.toy_days"]] == [(MONDAY, 2), (TUESDAY, 1)]
    assert [(row[0], row[1]) for row in seen(released)["gold.toy_users"]] == [("ann", 2), ("bob", 1)]
    assert len(seen(released)["gold.toy_log"]) == 3


def test_few_rows_are_staged_as_many_are_but_without_spark(toys, monkeypatch):
    """Decimals of 38 digits, lists, maps and structs: the same from either writer."""
    toys.ingest(("ann", MONDAY, 5), ("ann", TUESDAY, 0), ("bob", MONDAY, 7))
    staged = []
    for few in (filling.FEW_ROWS, 2):
        monkeypatch.setattr(filling, "FEW_ROWS", few)
        delta = DeltaTable(build(toys, "run-1").staging.path("gold.toy_users"))
        rows = sorted(delta.to_pyarrow_table().to_pylist(), key=repr)
        staged.append((rows, "/rows-" in str(delta.file_uris())))  # a folder of Spark's
    (few_rows, few_by_spark), (many_rows, many_by_spark) = staged
    assert len(few_rows) == 2
    assert few_rows == many_rows
    assert (few_by_spark, many_by_spark) == (False, True)


@pytest.mark.timeout(1200)
def test_killed_anywhere_readers_see_the_old_or_the_new_and_a_rerun_ends_in_the_new(toys, monkeypatch):
    """And what each release changed of the days before is booked once."""
    monkeypatch.setattr(booking, "RESTATED", ("gold.toy_days",))
    monkeypatch.setattr(booking, "_explain", lambda _: lambda lake, step, changes: {})
    for number, point in enumerate(KILL_POINTS, start=1):
        before, at = seen(toys), NOON + timedelta(hours=number)
        toys.ingest((f"user-{number}", MONDAY, number), ("ann", TUESDAY, number))
        with killed_at(point, monkeypatch):
            runner(toys, f"run-{number}").build(at)
            approve(runner(toys, f"run-{number}")).release()
        assert seen(toys) == before or point == "release.after_publications", point
        again = runner(toys, f"run-{number}")
        if again.staging.manifest() is None or number % 2:  # the scheduler may begin again at the build, or not
            again.build(at)
        approve(again).release()
        assert counts(toys, "gold.toy_days") == {MONDAY: number, TUESDAY: number}, point
        assert counts(toys, "gold.toy_users") == {"ann": number} | {f"user-{n}": 1 for n in range(1, number + 1)}, point
        assert len(seen(toys)["gold.toy_log"]) == 2 * number, point
    booked = toys.ledger.read("ops.restatements", ["row_key", "old_value", "new_value"]).to_pylist()
    assert sorted(tuple(line.values()) for line in booked) == [
        (f'{{"event_date":"{day}"}}', n, n + 1) for day in (MONDAY, TUESDAY) for n in range(1, len(KILL_POINTS))
    ]


def test_what_a_killed_release_left_is_undone_before_the_next_build_reads_it(released, monkeypatch):
    before = seen(released)
    released.ingest(("ann", TUESDAY, 1), ("eve", WEDNESDAY, 1))
    made = approve(build(released, "run-2"))
    with killed_at("release.before_publications", monkeypatch):
        made.release()
    assert released.rows("gold.toy_users") != before["gold.toy_users"]
    runner(released, "run-3").build(NOON, days=(MONDAY,))
    assert {table: released.rows(table) for table in TABLES} == before
    approve(runner(released, "run-3")).release()
    assert [row[:2] for row in seen(released)["gold.toy_days"]] == [(MONDAY, 2)]


@pytest.mark.parametrize("of_the_other", ["build.staged", "release.after_gold.toy_days"])
def test_a_release_that_stands_still_after_its_last_look_at_the_lease_publishes_its_own_rows_and_all_of_them(
    released, monkeypatch, of_the_other
):
    """Whatever another run has brought the tables to by then, which nobody may see."""
    released.ingest(("ann", TUESDAY, 1))
    late = approve(build(released, "run-2"))

    def another(point: str) -> None:
        if point == "release.after_lease":
            run_out(released.ledger, lease_name(FAMILY))
            with killed_at(of_the_other, monkeypatch):
                publish(released, "run-3")

    with heard(another):
        assert "released as toys-000002" in late.release().message
    assert counts(released, "gold.toy_days") == {MONDAY: 2, TUESDAY: 1}
    assert counts(released, "gold.toy_users") == {"ann": 2, "bob": 1}
    assert [line.rows for line in published(released.ledger).values()] == [2, 3, 2]
    with pytest.raises(WriteError, match="another release came between"):
        approve(runner(released, "run-3")).release()
    assert build(released, "run-3").release().message == "nothing is staged"
    released.ingest(("eve", WEDNESDAY, 1))
    publish(released, "run-4")
    assert counts(released, "gold.toy_days") == {MONDAY: 2, TUESDAY: 1, WEDNESDAY: 1}
    assert counts(released, "gold.toy_users") == {"ann": 2, "bob": 1, "eve": 1}


def test_a_release_that_another_came_before_says_so(released):
    released.ingest(("ann", TUESDAY, 1))
    late = approve(build(released, "run-2"))

    def another(point: str) -> None:
        if point == "release.after_lease":
            run_out(released.ledger, lease_name(FAMILY))
            publish(released, "run-3")

    with heard(another), pytest.raises(WriteError, match="toys-000002: another run published toys-000003 meanwhile"):
        late.release()
    assert [release.number for release in releases(released.ledger)] == [1, 3]


def test_what_was_published_under_the_number_of_a_killed_release_is_not_taken_for_it(released, monkeypatch):
    released.ingest(("ann", TUESDAY, 1))
    late = approve(build(released, "run-2"))
    with killed_at("release.before", monkeypatch):
        late.release()
    last = latest(released.ledger, FAMILY)
    assert last is not None
    lines = [replace(line, release_id="toys-000002", run_id="another") for line in last.tables.values()]
    publish_lines(released.ledger, FAMILY, 2, lines)
    with pytest.raises(WriteError, match="another release came between"):
        late.release()


@pytest.mark.parametrize("again", ["release", "build"])
def test_what_a_release_brought_that_was_killed_right_after_it_was_out_is_held_no_longer(released, monkeypatch, again):
    released.ingest(("ann", TUESDAY, 1))
    failed = {"run_id": "a", "family": FAMILY, "table": "gold.toy_days", "check": "unlucky_day", "severity": "critical"}
    facts = {"success": False, "slice": TUESDAY, "ingest_seq": 2, "contract_version": "1.0.0", "recorded_at": NOON}
    released.ledger.append("ops.check_results", [failed | facts])
    made = approve(build(released, "run-2", days=(TUESDAY,)))
    with killed_at("release.after_publications", monkeypatch):
        made.release()
    assert pending(released.ledger, released.settings, FAMILY).held == (TUESDAY,)
    if again == "release":
        assert "released before, as toys-000002" in made.release().message
    else:
        released.ingest(("eve", WEDNESDAY, 1))
        build(released, "run-3")
    assert pending(released.ledger, released.settings, FAMILY).held == ()


def test_settling_a_settled_lake_commits_nothing(released, monkeypatch):
    released.ingest(("ann", TUESDAY, 1))
    made = approve(build(released, "run-2"))
    with killed_at("release.after_gold.toy_days", monkeypatch):
        made.release()
    last = latest(released.ledger, FAMILY)
    assert settle(released.ledger, TABLES, last) == ["gold.toy_days"]
    assert settle(released.ledger, TABLES, last) == []


def test_books_that_do_not_balance_stop_check_and_release_and_every_line_is_named(released):
    before = seen(released)
    released.ingest(("ann", TUESDAY, 7), accepted=0)
    released.ingest(("bob", TUESDAY, 7), offset_from=4, offset_to=5)
    made = build(released, "run-2")
    words = re.escape(
        "ops.books: views/0 offsets 2–3 (batch 2): received 1, but accepted + duplicate + quarantined + erased + "
        "canary is 0 | views/0 offsets 4–5 (batch 3): begins at 4, but the range before ended at 3. Nothing was "
        "released"
    )
    with pytest.raises(BooksError, match=words):
        made.check()
    with pytest.raises(BooksError, match=words):
        approve(made).release()
    assert seen(released) == before


def test_a_staging_that_was_not_checked_is_not_released(toys):
    toys.ingest(("ann", MONDAY, 5))
    build(toys, "run-1")
    with pytest.raises(QualityError, match="toys: the staging has not passed.*reelhouse check toys"):
        runner(toys).release()


def test_a_verdict_is_only_good_for_the_staging_it_was_given_for(toys):
    toys.ingest(("ann", MONDAY, 5))
    passed = approve(build(toys, "run-1")).staging.verdict()
    made = build(toys, "run-1")
    assert passed is not None
    made.staging.put(passed)
    with pytest.raises(QualityError, match="has not passed"):
        made.release()


def test_a_staging_built_before_another_release_is_refused(released):
    released.ingest(("ann", TUESDAY, 5))
    stale = approve(build(released, "run-2")).staging
    papers = [stale.manifest(), stale.verdict()]
    publish(released, "run-3")
    for paper in papers:
        assert paper is not None
        stale.put(paper)
    with pytest.raises(WriteError, match="another release came between"):
        runner(released, "run-2").release()


def test_a_commit_of_another_writer_stops_the_release(released, monkeypatch):
    released.ingest(("ann", TUESDAY, 5))
    made = approve(build(released, "run-2"))
    with killed_at("release.before", monkeypatch):
        made.release()
    stranger = released.lake.read("gold.toy_days").where("play_count > 0")
    released.lake.append("gold.toy_days", stranger, app="stranger", version=1)
    with pytest.raises(WriteError, match="gold.toy_days: another writer"):
        made.release()
    assert [row[:2] for row in seen(released)["gold.toy_days"]] == [(MONDAY, 2)]


def test_two_runs_of_one_family_at_once_are_one(released):
    released.ingest(("ann", TUESDAY, 5))
    with (
        Leases(released.ledger).held(lease_name(FAMILY), "the first"),
        pytest.raises(LeaseError, match="family:toys is held by the first"),
    ):
        runner(released, "the second").build(NOON)


def test_days_by_hand_are_released_and_leave_the_rest_to_do(released):
    released.ingest(("ann", TUESDAY, 1), ("eve", WEDNESDAY, 1))
    publish(released, "run-2", days=(MONDAY,))
    left = pending(released.ledger, released.settings, FAMILY)
    assert left.is_waiting
    assert left.days == (TUESDAY, WEDNESDAY)


def test_a_full_rebuild_equals_what_was_built_bit_by_bit(released):
    released.ingest(("ann", TUESDAY, 1), ("bob", MONDAY, 9))
    publish(released, "run-2")
    incremental = seen(released)
    publish(released, "run-3", full=True)
    assert seen(released)["gold.toy_days"] == incremental["gold.toy_days"]
    assert seen(released)["gold.toy_users"] == incremental["gold.toy_users"]


def test_a_batch_whose_books_are_not_written_is_not_there_yet(released):
    touched = {"ingest_seq": 2, "table": "silver.plays", "day": TUESDAY, "cause": "new_facts", "rows": 1}
    released.ledger.append("ops.touched", [{**touched, "recorded_at": NOON}])
    assert not pending(released.ledger, released.settings, FAMILY).is_waiting


def test_a_rollback_brings_the_old_rows_back_and_keeps_them(released):
    before = seen(released)
    released.ingest(("ann", TUESDAY, 1))
    publish(released, "run-2")
    assert "toys-000001 is back, as toys-000003" in runner(released, "oops").rollback("").message
    assert seen(released) == before
    left = pending(released.ledger, released.settings, FAMILY)
    assert (left.is_held, left.is_waiting) == (True, False)
    released.ingest(("eve", WEDNESDAY, 1))
    publish(released, "run-4")
    assert [row[:2] for row in seen(released)["gold.toy_days"]] == [(MONDAY, 2), (TUESDAY, 1), (WEDNESDAY, 1)]


def test_a_rollback_that_was_killed_holds_nothing_and_the_next_run_goes_on_from_what_readers_see(released, monkeypatch):
    released.ingest(("ann", TUESDAY, 1))
    publish(released, "run-2")
    released.ingest(("eve", WEDNESDAY, 1))
    with killed_at("release.before", monkeypatch):
        publish(released, "run-3")
    with killed_at("rollback.before_publications", monkeypatch):
        runner(released, "oops").rollback("")
    assert [row[:2] for row in released.rows("gold.toy_days")] == [(MONDAY, 2)]
    assert runner(released, "run-3").release().outcome == "nothing_to_do"  # its staging is of what is no more
    left = pending(released.ledger, released.settings, FAMILY)
    assert (left.is_held, left.days) == (False, (WEDNESDAY,))
    publish(released, "run-4")
    assert [row[:2] for row in seen(released)["gold.toy_days"]] == [(MONDAY, 2), (TUESDAY, 1), (WEDNESDAY, 1)]


def test_there_is_nothing_to_roll_back_to_before_the_second_release(released):
    with pytest.raises(UsageError, match="nothing to roll back to"):
        runner(released).rollback("")
    with pytest.raises(UsageError, match="no release 'toys-000009'; the newest are toys-000001"):
        runner(released).rollback("toys-000009")


def test_the_release_that_readers_see_is_not_put_back(released):
    with pytest.raises(UsageError, match="toys-000001 is what readers see; name an older release"):
        runner(released).rollback("toys-000001")
    assert not pending(released.ledger, released.settings, FAMILY).is_held


def test_a_public_table_that_lost_its_newest_commit_is_told_by_the_release(released):
    released.ingest(("ann", TUESDAY, 1))
    made = approve(build(released, "run-2"))
    table = "gold.toy_days"
    released.ledger.open(table).create_checkpoint()
    newest_of_log(released.ledger, table).unlink()
    with pytest.raises(DamageError, match=f"{table}: its log cannot be read .*doctor --lake. names the file"):
        made.release()


def test_the_commits_of_a_release_say_by_whom_and_with_what_verdict(released):
    history = released.ledger.open("gold.toy_days").history(1)[0]
    assert '"run_id": "run-1"' in str(history["userMetadata"])
    assert '"verdict": "passed"' in str(history["userMetadata"])


def test_nothing_to_do_is_said_without_starting_spark(tmp_path: Path):
    code = (
        "import sys; from jobs.__main__ import build_app\n"
        "try: build_app()(['build', 'funnels'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pyspark', 'great_expectations', 'duckdb', 'numba'} & set(sys.modules); print(sorted(heavy))"
    )
    environment = {**os.environ, "REELHOUSE_HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "every touched day is released" in ended.stderr
    assert ended.stdout.strip() == "[]"
