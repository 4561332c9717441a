"""Schedules of faults: some of them on one lake, the truth about each record, and a driver that can fail."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.drills.chance import campaign
from jobs.drills.chance.campaign import RESULTS, Campaign
from jobs.drills.chance.campaign import Played as Outcome
from jobs.drills.chance.code import Code, code_of
from jobs.drills.chance.fates import ACCEPTED, CONFLICT, DUPLICATE, Sent, fates, tally
from jobs.drills.chance.playing import Play, changes
from jobs.drills.chance.sandbox import Sandbox
from jobs.drills.chance.schedule import FAMILIES, INGEST, PRODUCER, Schedule, draw, parse
from jobs.drills.chance.shrinking import shrink
from jobs.drills.chance.sums import added_up, faults, missed
from jobs.drills.chance.verdict import Counts, compare, judge, settle_up
from jobs.drills.report import Report
from jobs.lake.errors import UsageError
from jobs.lake.file_topics import Entry, FileTopics
from jobs.lake.kill_points import reach
from jobs.lake.settings import ROOT
from jobs.lake.tables import Lake
from tests.lake.logs import NOON

Patch = pytest.MonkeyPatch

# Played in this order on one lake, so that each finds what the ones before it left.
FIXED = {
    "killed before and after bronze": (
        "send=6~1 send=3~4 send=2~6 send=4~7 ingest@ingest.before_bronze ingest@ingest.after_bronze"
    ),
    "killed between the tables of a batch": (
        "again=3~2 ingest@ingest.after_views ingest@ingest.after_likes ingest@ingest.after_orders "
        "ingest@ingest.after_users ingest"
    ),
    "killed in the ledger": (
        "poison=5~3 ingest@ingest.after_quarantine ingest@ingest.after_touched ingest@ingest.after_watermarks "
        "ingest@ingest.before_books ingest@ingest.after_book_hours ingest@ingest.after_books"
    ),
    "a process truly killed": "send=4~1 other=3~1 sigkill@ingest.after_views",
    "the engine is killed in the middle": "send=3~8 skew=2~5 starved@ingest.after_views",
    "stands still until another did its work": "gap=3~1 send=3~2 stalled@ingest.after_views",
    "released, and killed on the way": "publish late=2~9 ingest publish@release.before_publications",
    "a build truly killed": "earlier=3~5 ingest sigkill@build.staged",
    "overtaken by another run": (
        "skew=2~77 respool=3~2 second@ingest.after_bronze overtaken@release.before "
        "send=2~8 ingest overtaken@release.after_lease"
    ),
    "the broker falls silent": "send=4~2 silent=2~1 silent=2~3 ingest",
    "tasks of Airflow's are tried again, one of them twice at once": (
        "retried@check.done send=2~4 ingest zombie@release.before_publications"
    ),
    "the books are lost, then files are tidied": "earlier=3~8 ingest no-books unbooked upkeep",
    "the log of a table is torn": "send=2~3 ingest torn@silver.views",
}
# Their batches are read as those of more than fifty thousand records are.
AS_LARGE = ("killed between the tables of a batch", "killed in the ledger", "the books are lost, then files are tidied")


@dataclass(frozen=True)
class Played:
    """What became of the schedules."""

    sandbox: Sandbox
    reports: dict[str, Report]
    plays: dict[str, Play]
    counts: Counts
    truth: Report
    clean: Report


@pytest.fixture(scope="module")
def played(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Played:
    sandbox, reports, plays = Sandbox(tmp_path_factory.mktemp("chance"), spark), {}, {}
    truth, clean = Report("truth", print), Report("clean", print)
    for name, words in FIXED.items():
        reports[name] = Report(name, print)
        with pytest.MonkeyPatch.context() as patch:
            if name in AS_LARGE:
                patch.setattr("jobs.lake.ingest.batch.SMALL", 0)
            plays[name] = Play(sandbox, reports[name])
            plays[name].all(parse(words))
    settle_up(sandbox)
    counts = judge(sandbox, truth)
    compare(sandbox, clean)
    return Played(sandbox, reports, plays, counts, truth, clean)


def unmet(report: Report) -> list[tuple[str, str]]:
    return [(finding.expected, finding.found) for finding in report.findings if not finding.is_met]


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.timeout(1800)
def test_what_must_be_true_right_after_a_fault_is(played: Played, name: str) -> None:
    assert unmet(played.reports[name]) == []


@pytest.mark.parametrize("name", FIXED)
def test_a_schedule_was_killed_where_it_says(played: Played, name: str) -> None:
    """A point that no run comes by would prove nothing."""
    wanted = [step.at for step in parse(FIXED[name]).steps if step.kind in ("ingest", "publish", "retried") and step.at]
    assert [
        said.removeprefix("killed at ") for said in played.reports[name].done if said.startswith("killed")
    ] == wanted


@pytest.mark.parametrize("name", FIXED)
def test_all_that_a_schedule_draws_happened(played: Played, name: str) -> None:
    assert (played.plays[name].happened, dict(played.plays[name].missed)) == (Counter(parse(FIXED[name]).faults), {})


def test_what_finds_nothing_to_hurt_came_to_nothing_and_did_not_happen(tmp_path: Path, spark: SparkSession) -> None:
    """The lake is empty, or its only records are views, which nobody repeats or publishes; silence is silence."""
    words = (
        "again=2 earlier=2 rollback unbooked no-books torn@silver.views upkeep silent=9~1 cleared full "
        "starved@ingest.after_views publish@release.before zombie@check.done stalled@ingest.after_books "
        "send=2~1 silent=9~1 ingest@ingest.after_likes silent=9~1 second@ingest.after_bronze gap=1 late=1"
    )
    report = Report("nothing", print)
    play = Play(Sandbox(tmp_path, spark), report)
    play.all(parse(words))
    assert play.happened == {"gap": 1, "late": 1, "silent": 3}
    assert play.missed == Counter(parse(words).faults) - play.happened
    assert report.done.count("which came to nothing") == play.missed.total() > 10
    assert unmet(report) == []


def test_the_engine_was_killed_in_the_middle_of_a_batch(played: Played) -> None:
    assert "the engine was killed at ingest.after_views" in played.reports["the engine is killed in the middle"].done


def test_the_broker_fell_silent_before_a_run_and_in_the_middle_of_a_batch(played: Played) -> None:
    told = played.reports["the broker falls silent"]
    assert [said for said in told.done if said.startswith("ended")] == ["ended: the broker is silent"] * 2
    assert len(told.findings) == 2


@pytest.mark.parametrize(
    "name",
    [
        "stands still until another did its work",
        "overtaken by another run",
        "tasks of Airflow's are tried again, one of them twice at once",
    ],
)
def test_whoever_lost_its_lease_was_stopped(played: Played, name: str) -> None:
    assert [said for said in played.reports[name].done if said.startswith("stopped:") and "was lost" in said] != []


def test_each_record_has_the_fate_the_truth_says(played: Played) -> None:
    assert unmet(played.truth) == []
    assert (played.counts.lost, played.counts.doubled, played.counts.unaccounted) == (0, 0, 0)
    assert played.counts.sent == len(played.sandbox.producers.sent) > 40


def test_silver_and_what_is_published_are_as_undisturbed(played: Played) -> None:
    assert unmet(played.clean) == []
    assert played.sandbox.seen()["silver.sessions"]


def test_books_count_records_where_offsets_have_gaps(played: Played) -> None:
    lines = [line for line in played.sandbox.ledger.read("ops.books").to_pylist() if line["topic"] == "views"]
    offsets = sum(line["offset_to"] - line["offset_from"] for line in lines)
    assert offsets - sum(line["received"] for line in lines) == 3  # the gaps of one schedule


def write_under_fresh_names(patch: Patch) -> None:
    """Neither writer can tell that a killed batch has written to this table before."""
    numbers = count()
    for writer in ("append", "append_few"):
        write = getattr(Lake, writer)

        def forgetful(self, table, frame, *, app, write=write, **given):
            fresh = f"{app}-{next(numbers)}" if table == "silver.views" else app
            write(self, table, frame, app=fresh, **given)

        patch.setattr(Lake, writer, forgetful)


def test_without_a_remedy_the_driver_is_red_and_finds_the_steps(
    spark: SparkSession, tmp_path: Path, monkeypatch: Patch
) -> None:
    write_under_fresh_names(monkeypatch)
    monkeypatch.setattr(campaign, "shrink", lambda failing, fails: shrink(failing, fails, tries=1))
    said: list[str] = []
    row = Campaign(tmp_path, spark, said.append, Code("d")).one(parse("send=3~1 ingest@ingest.after_views again=2~1"))
    assert not row["is_passed"]
    assert row["smallest"] == "send=3~1 ingest@ingest.after_views"
    assert said[-1].endswith("random --family sessions --steps 'send=3~1 ingest@ingest.after_views'")


def test_what_fails_meanwhile_is_raised_though_the_run_in_whose_middle_it_happens_goes_on(
    tmp_path: Path, spark: SparkSession
) -> None:
    """A small run leaves to Spark what fails in it; what is not its own would look as if it had lost its lease."""

    def goes_on() -> None:
        with suppress(KeyError):
            reach("ingest.before_books")

    def fails() -> None:
        raise KeyError("of another")

    box = Sandbox(tmp_path, spark)
    with pytest.raises(KeyError, match="of another"):
        box.at("ingest.before_books", fails, goes_on)
    assert box.at("ingest.before_books", lambda: None, goes_on)
    assert not box.at("ingest.after_books", fails, goes_on)


def test_a_seed_is_a_schedule_and_its_words_are_too() -> None:
    drawn = [draw(seed) for seed in range(300)]
    assert drawn == [draw(seed) for seed in range(300)]
    assert [parse(str(each), each.family) for each in drawn] == drawn
    kinds = {step.kind for each in drawn for step in each.steps}
    assert set(PRODUCER) < kinds
    assert {each.family for each in drawn} == set(FAMILIES)
    assert {step.at for each in drawn for step in each.steps if step.kind == "ingest"} == {"", *INGEST}
    acts = {kind.replace("-", "_") for kind in kinds - set(PRODUCER)}
    assert [act for act in acts if not callable(getattr(Play, act, None))] == []


@pytest.mark.parametrize("words", ["sned=3", "send=x", "ingest@", "SEND=3"])
def test_a_word_that_is_no_step_is_named(words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse(f"send=1 {words}")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("ingest@ingest.after_veiws", "write ingest@POINT with a point of ingest.before_bronze, "),
        ("publish@release.nowhere", "write publish@POINT with a point of build.staged, .*, release.after_publications"),
        ("twice@release.after_publications", "a point of .*, release.after_lease$"),
        ("torn@gold.funnel_daily", "a point of silver.views, silver.quarantine, ops.books"),
        ("stalled", "'stalled': write stalled@POINT"),
        ("sigkill", "'sigkill': write sigkill@POINT"),
        ("send=1@ingest.after_views", "send happens at no point"),
        ("rollback@release.before", "rollback happens at no point"),
    ],
)
def test_a_point_that_no_run_of_the_step_comes_by_is_refused(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(f"send=1 {word}")


def test_the_steps_that_the_documents_name_can_be_played() -> None:
    pages = [*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]
    words = [each for page in pages for each in re.findall("--steps '([^'…]+)'", page.read_text(encoding="utf-8"))]
    assert len([parse(each) for each in words]) > 1


def test_a_family_that_drills_do_not_publish_is_named() -> None:
    with pytest.raises(UsageError, match="'scores' is none"):
        parse("send=1", "scores")


def test_shrinking_keeps_only_what_fails_and_is_bounded() -> None:
    schedule, tried = parse("send=1 again=1 upkeep ingest@ingest.after_views late=2 publish ingest"), []

    def fails(fewer: Schedule) -> bool:
        tried.append(str(fewer))
        return {"send=1", "ingest@ingest.after_views"} <= set(str(fewer).split())

    assert str(shrink(schedule, fails)) == "send=1 ingest@ingest.after_views"
    tried.clear()
    assert str(shrink(schedule, fails, tries=2)) == "send=1 again=1 upkeep ingest@ingest.after_views"
    assert len(tried) == 2


def test_steps_that_only_break_without_the_others_are_not_taken_for_the_failure(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    def played(self: Campaign, schedule: Schedule, told: Any) -> Outcome:
        report = Report("random", told)
        report.equal("what is found", "good", "bad")
        is_judged = schedule.steps[-1].kind == "upkeep"
        return Outcome(report, Counts(1, 0, 0, 0) if is_judged else None, Counter(), Counter())

    monkeypatch.setattr(Campaign, "played", played)
    row = Campaign(tmp_path, None, lambda words: None, Code("d")).one(parse("send=1 ingest upkeep"))  # type: ignore[arg-type]
    assert (row["is_judged"], row["smallest"]) == (True, "upkeep")


def sent(offset: int, event: str, says: str, minute: int = 0, partition: int = 0, **more: Any) -> Sent:
    return Sent(("views", partition, offset), NOON + timedelta(minutes=minute), event, says, **more)


def test_the_first_arrival_is_accepted_its_like_repeat_it_and_others_are_conflicts() -> None:
    told = [
        sent(0, "a", "x", 1), sent(1, "a", "x", 2), sent(2, "a", "y", 2), sent(3, "b", "x", 1),
        sent(4, "b", "z", 0, partition=1), sent(5, "", "", reasons=("malformed_json",)),
    ]  # fmt: skip
    found = {place[2]: fate for place, fate in fates(told).items()}
    assert found == {0: ACCEPTED, 1: DUPLICATE, 2: CONFLICT, 3: CONFLICT, 4: ACCEPTED, 5: ("malformed_json",)}
    assert tally(fates(told)) == Counter(
        {("views", 0, "received"): 5, ("views", 0, "accepted"): 1, ("views", 0, "duplicate"): 1,
         ("views", 0, "quarantined"): 3, ("views", 1, "received"): 1, ("views", 1, "accepted"): 1}
    )  # fmt: skip


def test_rows_that_came_went_or_are_there_twice_are_changes() -> None:
    before = {"a": ["1", "2"], "b": ["1"], "c": ["1"]}
    assert changes(before, {"a": ["1", "3"], "b": ["1"], "c": ["1", "1"]}) == {"a": (1, 1), "c": (0, 0)}


def test_topics_in_files_hold_what_was_put_there_and_gaps(tmp_path: Path) -> None:
    topics = FileTopics(tmp_path)
    odd = Entry(None, b"\xff\x00", (("a", b""), ("a", b"\x01")), NOON)
    bare = Entry(b"k", None, None, NOON + timedelta(microseconds=1))
    assert [topics.append("views", 1, each) for each in (odd, None, bare)] == [0, 1, 2]
    assert topics.ends(["views", "likes"]) == {"views": {1: 3}}
    assert topics.begins(["views"]) == {"views": {1: 0}}
    assert list(topics.ids(["views", "likes"])) == ["views"]
    assert list(topics.rows({"views": {1: (0, 3)}})) == [
        (None, b"\xff\x00", "views", 1, 0, odd.at, odd.headers),
        (b"k", None, "views", 1, 2, bare.at, None),
    ]
    assert list(topics.rows({"views": {1: (1, 2)}})) == []


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: Patch) -> Campaign:
    """A campaign in which only seed 2 fails, and nothing is really played."""
    bad = str(draw(2))

    def played(self: Campaign, schedule: Schedule, told: Any) -> Outcome:
        report, drawn = Report("random", told), Counter(schedule.faults)
        report.equal("the seed", True, str(schedule) != bad)
        nothing = Counter(schedule.faults[:1])
        return Outcome(report, Counts(10, 0, 0, 0), drawn - nothing, nothing)

    monkeypatch.setattr(Campaign, "played", played)
    monkeypatch.setattr(campaign, "warm", lambda home: None)
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    home = tmp_path / "drills"
    home.mkdir()
    return Campaign(home, None, lambda words: None, Code("now", "c0ffee"))  # type: ignore[arg-type]


def command(*words: str) -> Any:
    return CliRunner().invoke(build_app(), ["drill", "random", *words])


def test_the_command_adds_up_its_results_and_its_exit_code_tells(seeds: Campaign) -> None:
    good = command("--seed", "3", "--runs", "2", "--format", "json")
    assert good.exit_code == 0, good.output
    rows = json.loads(good.stdout)
    assert [(row["seed"], row["is_passed"], row["is_judged"], row["sent"]) for row in rows] == [
        (3, True, True, 10), (4, True, True, 10)]  # fmt: skip
    assert [Counter(row["drawn"]) for row in rows] == [
        Counter(row["happened"]) + Counter(row["missed"]) for row in rows
    ]
    assert {(row["code"], row["family"]) for row in rows} == {(code_of().digest, "sessions")}
    bad = command("--seed", "1", "--runs", "4")
    assert bad.exit_code == 1
    assert f"--steps '{draw(2)}'" in bad.stdout
    assert "came to nothing" in bad.stdout
    assert "failed: 1 of 4 schedules, 0 of them not judged" in bad.stderr


def test_a_schedule_that_breaks_is_not_judged_and_its_records_count_nowhere(
    seeds: Campaign, monkeypatch: Patch
) -> None:
    def breaks(self: Play, schedule: Schedule) -> None:
        self.happened["late"] += 1
        raise KeyError("torn in the middle")

    monkeypatch.undo()
    monkeypatch.setattr(Play, "all", breaks)
    monkeypatch.setattr(campaign, "shrink", lambda failing, fails: failing)
    row = seeds.one(draw(1))
    assert (row["is_passed"], row["is_judged"], row["sent"], row["lost"]) == (False, False, None, None)
    assert row["happened"] == {"late": 1}
    assert "torn in the middle" in row["unmet"][0]["found"]
    monkeypatch.setenv("REELHOUSE_HOME", str(seeds.home.parent))
    monkeypatch.setattr(campaign, "warm", lambda home: None)
    said = command("--runs", "1")
    assert said.exit_code == 1
    assert "seed 1: NOT JUDGED" in said.stdout
    assert "failed: 1 of 1 schedules, 1 of them not judged" in said.stderr


def test_what_breaks_after_the_records_were_counted_has_failed_and_they_count(
    seeds: Campaign, monkeypatch: Patch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(Play, "all", lambda self, schedule: None)
    monkeypatch.setattr(campaign, "settle_up", lambda sandbox: None)
    monkeypatch.setattr(campaign, "judge", lambda sandbox, report: Counts(7, 1, 0, 0))
    monkeypatch.setattr(campaign, "compare", lambda sandbox, report: {}["gone"])
    monkeypatch.setattr(campaign, "shrink", lambda failing, fails: failing)
    row = seeds.one(draw(1))
    assert (row["is_passed"], row["is_judged"], row["sent"], row["lost"]) == (False, True, 7, 1)


def unplayed(patch: Patch) -> None:
    patch.setattr(Campaign, "played", lambda self, schedule, told: pytest.fail(f"played {schedule}"))


def test_seeds_that_passed_are_not_played_again_and_failed_ones_are(seeds: Campaign, monkeypatch: Patch) -> None:
    first = list(seeds.run(range(1, 4)))
    unplayed(monkeypatch)
    assert list(seeds.run([1, 3])) == [first[0], first[2]]
    with pytest.raises(pytest.fail.Exception, match="played"):
        list(seeds.run([2]))
    assert len((seeds.home / RESULTS).read_text().splitlines()) == 3


def test_results_of_other_code_count_only_for_who_says_so(seeds: Campaign, monkeypatch: Patch) -> None:
    first, said = list(seeds.run([1, 3])), []
    later = replace(seeds, code=Code("later"), told=said.append)
    again = list(later.run([1]))
    assert [(row["code"], row["commit"]) for row in (*first, *again)] == [("now", "c0ffee")] * 2 + [("later", "")]
    assert "1 have results of other code, 1 of them are played again (--of-any-code)" in said
    unplayed(monkeypatch)
    assert list(later.run([1])) == again
    with pytest.raises(pytest.fail.Exception, match="played"):
        list(later.run([3]))
    assert list(replace(later, is_of_any_code=True).run([1, 3])) == [again[0], first[1]]


def test_results_of_another_family_or_another_schedule_or_of_unknown_code_do_not_count(
    seeds: Campaign, monkeypatch: Patch
) -> None:
    (row,) = seeds.run([1])
    nobodys = {name: value for name, value in row.items() if name not in ("code", "commit")}
    unplayed(monkeypatch)
    for other in (row | {"family": "funnels"}, row | {"schedule": "send=1"}, nobodys):
        (seeds.home / RESULTS).write_text(json.dumps(other) + "\n")
        with pytest.raises(pytest.fail.Exception, match="played"):
            list(replace(seeds, is_of_any_code=True).run([1]))


def test_code_is_what_its_sources_are_whatever_lies_beside_them(tmp_path: Path) -> None:
    (tmp_path / "jobs" / "lake").mkdir(parents=True)
    source, page = tmp_path / "jobs" / "lake" / "a.py", tmp_path / "README.md"
    source.write_text("a = 1")
    before = code_of(tmp_path)
    assert before.commit == ""
    page.write_text("of no consequence")
    assert code_of(tmp_path) == before
    source.write_text("a = 2")
    assert code_of(tmp_path).digest != before.digest
    source.rename(source.with_name("b.py")).write_text("a = 1")
    assert code_of(tmp_path).digest != before.digest


def test_code_names_its_commit_and_says_if_it_differs(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=n", "-c", "user.email=e", *words], check=True)

    (tmp_path / "jobs").mkdir()
    source = tmp_path / "jobs" / "a.py"
    source.write_text("a = 1")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    commit = code_of(tmp_path).commit
    assert re.fullmatch("[0-9a-f]{12}", commit)
    (tmp_path / "README.md").write_text("of no consequence")
    assert code_of(tmp_path).commit == commit
    source.write_text("a = 2")
    assert code_of(tmp_path).commit == f"{commit}+"


def test_a_campaign_is_added_up_and_what_was_not_judged_is_counted_apart() -> None:
    row = {"sent": 5, "lost": 0, "doubled": 1, "unaccounted": 0, "seconds": 1.4, "is_passed": False, "is_judged": True,
           "code": "a", "drawn": {"again": 2, "torn@ops.books": 1, "torn@silver.views": 1},
           "happened": {"again": 2, "torn@ops.books": 1}, "missed": {"torn@silver.views": 1}}  # fmt: skip
    broken = row | {"is_judged": False, "sent": None, "lost": None, "doubled": None, "unaccounted": None,
                    "drawn": {"full": 1, "again": 1}, "happened": {}, "missed": {"again": 1}}  # fmt: skip
    rows = [row, row | {"is_passed": True, "code": "b"}, broken]
    assert added_up(rows) == {
        "runs": 3, "passed": 1, "failed": 1, "not_judged": 1, "codes": 2, "sent": 10, "lost": 0, "doubled": 2,
        "unaccounted": 0, "drawn": 10, "happened": 6, "seconds": 4}  # fmt: skip
    assert faults(rows) == [
        {"fault": "again", "drawn": 5, "happened": 4},
        {"fault": "full", "drawn": 1, "happened": 0},
        {"fault": "torn", "drawn": 4, "happened": 2},
    ]
    assert missed(rows) == [
        {"fault": "torn@silver.views", "missed": 2, "happened": 0},
        {"fault": "again", "missed": 1, "happened": 4},
    ]
