"""Plain sinks beside ours: the drill can show a loss and a doubling, ours has none, and the page is in step."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.drills.beside import page, playing
from jobs.drills.beside.contender import Found, dying, tear_and_remove
from jobs.drills.beside.judging import CONFLICT, REFUSED, REPEAT, TAKEN, Counts, Truth, judge, unaccounted
from jobs.drills.beside.ours import Reelhouse
from jobs.drills.beside.playing import CONTENDERS, FAULTS, HAZARDS, Match, Tournament, are_ours_clean, label, views
from jobs.drills.beside.python_consumer import PythonConsumer
from jobs.drills.corpus import cases
from jobs.lake.errors import UsageError
from jobs.lake.file_topics import Entry, FileTopics
from jobs.lake.ingest import lives
from jobs.lake.ingest.loop import Ingest
from tests.lake.logs import NOON

Patch = pytest.MonkeyPatch
TALE = {"what": "a tale", "sent": 10, "lost": 0, "doubled": 0, "wrong": 0, "unaccounted": 0, "waiting": 0,
        "stopped": None}  # fmt: skip


def sent_twice_then_re_created(match: Match) -> None:
    playing.sent_twice(match)
    match.topics.remake("views")
    match.put(views(range(6, 18)))
    match.run()


@pytest.fixture(scope="module")
def tale(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("beside")
    rows = Tournament(home, spark, print).fault(sent_twice_then_re_created)
    return {row["contender"]: row for row in rows}


@pytest.mark.parametrize("peer", ["plain Spark sink", "Python consumer"])
def test_plain_sinks_double_what_is_sent_twice_and_lose_a_topic_made_anew(tale: dict[str, Any], peer: str) -> None:
    row = tale[peer]
    assert (row["sent"], row["doubled"], row["lost"], row["unaccounted"], row["stopped"]) == (24, 6, 12, 12, None)


def test_ours_doubles_and_loses_nothing_and_says_why_it_stopped(tale: dict[str, Any]) -> None:
    row = tale["Reelhouse"]
    assert [row[name] for name in ("doubled", "lost", "wrong", "unaccounted", "waiting")] == [0, 0, 0, 0, 12]
    assert "was deleted and made anew" in row["stopped"]
    assert are_ours_clean(list(tale.values()))


def test_without_its_remedy_ours_loses_too(tale: dict[str, Any], tmp_path: Path, spark: SparkSession,
                                           monkeypatch: Patch) -> None:  # fmt: skip
    """Nothing is read past the offsets that are known, so the new records are not seen."""
    monkeypatch.setattr(lives, "is_same", lambda brokers, known: True)
    match = Match(Reelhouse(tmp_path, spark.newSession()), tmp_path)
    playing.topic_re_created(match)
    row = playing.row_of(match, "")
    assert (row["lost"], row["unaccounted"], row["stopped"]) == (6, 6, None)
    assert not are_ours_clean([row])


def test_killed_between_write_and_commit_a_consumer_doubles_and_before_the_write_it_does_not(tmp_path: Path) -> None:
    found = {}
    for fault in (playing.killed_after_write, playing.killed_in_the_middle, playing.two_at_once, playing.progress_lost):
        folder = tmp_path / fault.__name__
        folder.mkdir()
        match = Match(PythonConsumer(folder), folder)
        fault(match)
        found[fault.__name__] = playing.row_of(match, "")["doubled"]
    assert found == {"killed_after_write": 6, "killed_in_the_middle": 0, "two_at_once": 6, "progress_lost": 6}


GAP = {"plain Spark sink": (0, 0, 12, True), "Python consumer": (6, 6, 0, False), "Reelhouse": (0, 0, 12, True)}
TORN = {"plain Spark sink": (6, 6, 0, False), "Python consumer": (6, 6, 0, False), "Reelhouse": (0, 0, 0, False)}


@pytest.mark.parametrize(
    ("fault", "wanted"), [(playing.retention_gap, GAP), (playing.commit_torn, TORN)], ids=["gap", "torn"]
)
def test_what_retention_takes_and_what_a_torn_commit_held(
    fault: Callable[[Match], None], wanted: dict[str, tuple[int, int, int, bool]], tmp_path: Path, spark: SparkSession
) -> None:
    rows = list(Tournament(tmp_path, spark, print).fault(fault))
    assert {
        row["contender"]: (row["lost"], row["unaccounted"], row["waiting"], row["stopped"] is not None) for row in rows
    } == wanted
    assert {(row["sent"], row["doubled"], row["wrong"]) for row in rows} == {(18, 0, 0)}


def test_without_a_repair_ours_loses_what_a_torn_commit_held(
    tmp_path: Path, spark: SparkSession, monkeypatch: Patch
) -> None:
    """The commit is taken away, as with the peers, and its batch not done again; ingest sees it and begins nothing."""
    monkeypatch.setattr(Reelhouse, "torn", lambda self: tear_and_remove(Path(self.sandbox.ledger.path("silver.views"))))

    def played(name: str) -> dict[str, Any]:
        match = Match(Reelhouse(tmp_path / name, spark.newSession()), tmp_path / name)
        playing.commit_torn(match)
        return playing.row_of(match, "")

    row = played("with a look")
    assert (row["lost"], row["unaccounted"]) == (0, 0)
    assert row["stopped"].startswith("silver.views: lacks batch 1, of which the books tell")
    monkeypatch.setattr(Ingest, "refuse_gone", lambda self: None)
    row = played("without")
    assert (row["lost"], row["unaccounted"]) == (6, 6)


def test_a_run_that_was_not_killed_is_no_kill() -> None:
    with pytest.raises(RuntimeError, match="in place of being killed"), dying(KeyError):
        pass


def truth(at: int, fate: str, *, hazard: str = "P1", event: str = "") -> Truth:
    return Truth(at, fate, hazard, (event or f"e{at}", at, "v1", 4000) if fate in (TAKEN, REPEAT) else ())


def test_each_way_to_be_off_is_counted_and_only_that() -> None:
    told = [truth(1, TAKEN), truth(2, TAKEN), truth(3, REFUSED), truth(4, REPEAT, event="e1"), truth(5, CONFLICT),
            truth(6, TAKEN, hazard="P2")]  # fmt: skip
    good = [(each.at, each.says) for each in told if each.fate == TAKEN]
    clean = Found(good, frozenset({3, 5}), repeated=1)
    assert judge(told, clean) == Counts(6, 0, 0, 0, 0, 0)
    assert judge(told, Found(good[1:], frozenset({3, 5}), 1)) == Counts(6, 1, 0, 0, 1, 0)
    assert judge(told, Found(good[1:], frozenset({3, 5}), 1), has_stopped=True) == Counts(6, 0, 0, 0, 0, 1)
    assert judge(told, Found([*good, good[0]], clean.aside, 1)) == Counts(6, 0, 1, 0, 0, 0)
    assert judge(told, Found([*good, (4, told[3].says)], clean.aside)) == Counts(6, 0, 1, 0, 0, 0)
    assert judge(told, Found([*good, (5, ("e1", 5, "v1", 1))], frozenset({3}), 1)) == Counts(6, 0, 1, 0, 0, 0)
    assert judge(told, Found([*good, (3, ("e3", 3, "v1", None))], frozenset({5}), 1)) == Counts(6, 0, 0, 1, 0, 0)
    assert judge(told, Found([(1, ("e1", 9, "v1", 4000)), *good[1:]], clean.aside, 1)) == Counts(6, 0, 0, 1, 0, 0)
    assert judge(told, Found(good), hazard="P2") == Counts(1, 0, 0, 0, 0, 0)


def test_repeats_are_told_of_only_by_a_count_that_is_theirs() -> None:
    told = [truth(1, TAKEN), truth(2, REPEAT, event="e1"), truth(3, REPEAT, event="e1")]
    rows = [(1, told[0].says)]
    assert unaccounted(told, Found(rows, repeated=2)) == set()
    assert unaccounted(told, Found(rows, repeated=1)) == {2, 3}


def test_the_page_tells_of_every_hazard_and_fault_and_every_contender() -> None:
    day, _, head, _, *lines = page.made_on()[1].splitlines()
    assert date.fromisoformat(day.removeprefix("Played on ").removesuffix(".")) >= date(2026, 11, 30)
    assert head.split("|")[3:-1] == [f" {name} " for name in CONTENDERS]
    told = [line.split("|")[1].strip() for line in lines]
    assert told == [*(f"{hazard} {name}" for hazard, name in HAZARDS.items()), *map(label, FAULTS)]
    assert {case.hazard for case in cases() if case.record.topic == "views"} == HAZARDS.keys()


def test_the_table_takes_the_place_of_the_one_that_is_there(tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    copy.write_text(f"before\n{page.BEGIN}old\n{page.END}after\n", encoding="utf-8")
    rows = [TALE | {"contender": name, "lost": n, "stopped": n or None} for n, name in enumerate(CONTENDERS)]
    page.written(rows, date(2026, 11, 30), copy)
    assert copy.read_text(encoding="utf-8").splitlines() == [
        "before", page.BEGIN.strip(), "", "Played on 2026-11-30.", "",
        f"| records or fault | sent | {' | '.join(CONTENDERS)} |",
        "| --- | ---: | --- | --- | --- |", "| a tale | 10 | – | 1 lost, stopped | 2 lost, stopped |", "",
        page.END.strip(), "after"]  # fmt: skip
    copy.write_text("nothing", encoding="utf-8")
    with pytest.raises(UsageError, match="no place for the table"):
        page.written(rows, date(2026, 11, 30), copy)


def test_the_command_prints_an_array_and_its_exit_code_tells(monkeypatch: Patch) -> None:
    rows = [TALE | {"contender": name, "doubled": n} for name, n in (("Python consumer", 6), ("Reelhouse", 0))]
    monkeypatch.setattr(playing, "play_all", lambda home, told: rows)
    good = CliRunner().invoke(build_app(), ["drill", "compare", "--format", "json"])
    assert good.exit_code == 0, good.output
    assert [(row["contender"], row["doubled"]) for row in json.loads(good.stdout)] == [
        ("Python consumer", 6), ("Reelhouse", 0)]  # fmt: skip
    rows[1]["unaccounted"] = 1
    bad = CliRunner().invoke(build_app(), ["drill", "compare"])
    assert bad.exit_code == 1
    assert "our ingest is not clean" in bad.stderr


def test_a_topic_in_files_that_is_made_anew_is_another_one(tmp_path: Path) -> None:
    topics, entry = FileTopics(tmp_path), Entry(b"k", b"{}", None, NOON)
    topics.append("views", 0, entry)
    before = topics.ids(["views"])
    topics.remake("views")
    assert topics.ids(["views"]) == {}
    assert topics.append("views", 0, entry) == 0
    assert topics.ids(["views"]).keys() == before.keys() != {}
    assert topics.ids(["views"]) != before
