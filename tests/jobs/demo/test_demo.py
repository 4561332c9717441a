"""The demo tells what it does, names what failed, and leaves alone what is done."""

import json
import re
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from rich.console import Console

from jobs.demo import run
from jobs.demo.follow import AFTERWARDS, DAGS, FAMILIES, WATCH, Follower
from jobs.demo.run import Stage, run_demo, send_events
from jobs.demo.show import QUARANTINE, show_parts
from jobs.demo.state import Sent
from jobs.demo.steps import Steps
from jobs.lake.errors import ServiceError, UsageError
from jobs.lake.settings import Settings

MADE = Sent("simulator", 150, 7)


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=400)


@pytest.fixture
def steps(console: Console, tmp_path: Path) -> Steps:
    return Steps(console, tmp_path / "demo")


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@dataclass
class FakeAirflow:
    """Runs by DAG, newest first, each with the states of its tasks; a look at the DAGs brings the next state."""

    course: list[dict[str, list[tuple[str, str, dict[str, str]]]]]
    url: str = "http://airflow"
    unpaused: list[str] = field(default_factory=list)
    triggered: list[str] = field(default_factory=list)
    looks: int = -1

    @property
    def now(self) -> dict[str, list[tuple[str, str, dict[str, str]]]]:
        return self.course[min(max(self.looks, 0), len(self.course) - 1)]

    def unpause(self, dag: str) -> None:
        self.unpaused.append(dag)

    def trigger(self, dag: str) -> str:
        self.triggered.append(dag)
        return f"{dag}-by-hand"

    def runs(self, dag: str) -> list[dict[str, str]]:
        self.looks += dag == DAGS[0]
        return [{"dag_run_id": name, "state": state} for name, state, _ in self.now.get(dag, [])]

    def tasks(self, dag: str, run_id: str) -> dict[str, str]:
        return next(tasks for name, _, tasks in self.now[dag] if name == run_id)


OLD = ("ingest-old", "failed", {"ingest": "failed"})


def by_hand(state: str) -> tuple[str, str, dict[str, str]]:
    return ("ingest-by-hand", state, {"ingest": state})


@pytest.fixture
def follower(console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jobs.demo.follow.SECONDS_BETWEEN_LOOKS", 0)

    def make(*course: dict[str, list[tuple[str, str, dict[str, str]]]]) -> Follower:
        return Follower(FakeAirflow([{"ingest": [OLD]}, *course]), console, tmp_path)  # type: ignore[arg-type]

    return make


def test_every_change_of_a_task_is_told_once_and_older_runs_never(follower, console):
    built = {"funnels.build": "success", "funnels.check": "waiting"}
    followed = follower(
        {"ingest": [by_hand("running"), OLD]},
        {"ingest": [by_hand("running"), OLD]},
        {"ingest": [by_hand("success"), OLD], "gold_funnels": [("f", "running", built)]},
        {"ingest": [by_hand("success"), OLD], "gold_funnels": [("f", "success", built | {"funnels.check": "success"})]},
    )
    followed.until_released([followed.begin()], lambda: False, minutes=1)
    told = [re.sub(r" +", " ", line.strip()) for line in printed(console).splitlines()]
    assert told == [
        "ingest ingest running",
        "ingest ingest success",
        "gold_funnels funnels.build success",
        "gold_funnels funnels.check success",
    ]
    assert sorted(followed.airflow.unpaused) == sorted(DAGS)


def test_the_rest_starts_afterwards_and_is_waited_for(follower, console):
    """Awake and begun: an asset event that came while a DAG slept starts nothing."""
    of_rest = {dag: [(f"{dag}-by-hand", state, {dag: state})] for dag in AFTERWARDS for state in ("success",)}
    busy = of_rest | {AFTERWARDS[0]: [(f"{AFTERWARDS[0]}-by-hand", "running", {AFTERWARDS[0]: "running"})]}
    course = [{"ingest": [by_hand("success")]}] * 2 + [{"ingest": [by_hand("success")]} | busy] * 2
    followed = follower(*course, {"ingest": [by_hand("success")]} | of_rest)
    followed.until_released([followed.begin()], lambda: False, minutes=1)
    before = list(followed.airflow.unpaused)
    rest = followed.begin_the_rest()
    assert followed.airflow.unpaused == [*before, *AFTERWARDS, WATCH]
    assert followed.airflow.triggered == ["ingest", *AFTERWARDS]
    followed.until_released(rest, lambda: False, minutes=1, dags=(*DAGS, *AFTERWARDS))
    told = [line.split() for line in printed(console).splitlines()]
    assert [line for line in told if line[0] == AFTERWARDS[0]] == [
        [AFTERWARDS[0]] * 2 + [state] for state in ("running", "success")
    ]


def test_a_demo_shows_funnels_and_profiles_as_soon_as_they_are_there_and_ends_with_the_rest(steps, monkeypatch):
    def said(family: str) -> None:
        rows = [
            {"family": name, "is_waiting": name == family} for name in ("funnels", "profiles", "scores", "sessions")
        ]
        process = SimpleNamespace(communicate=lambda: (json.dumps(rows), ""), returncode=0)
        monkeypatch.setattr(Steps, "start", lambda *given: SimpleNamespace(process=process))

    waited = {}
    for family in ("funnels", "profiles", "scores", "sessions"):
        said(family)
        waited[family] = (run.is_unreleased(steps, FAMILIES), run.is_unreleased(steps))
    assert waited == {
        "funnels": (True, True),
        "profiles": (True, True),
        "scores": (False, True),
        "sessions": (False, True),
    }


def test_a_red_task_is_named_with_its_log_and_its_page(follower, tmp_path):
    red = {"funnels.build": "success", "funnels.check": "failed", "funnels.release": "upstream_failed"}
    followed = follower({"ingest": [by_hand("success")], "gold_funnels": [("f", "failed", red)]})
    with pytest.raises(ServiceError) as failure:
        followed.until_released([followed.begin()], lambda: True, minutes=1)
    assert "gold_funnels failed at funnels.check (run f)" in str(failure.value)
    assert f"{tmp_path}/dag_id=gold_funnels" in str(failure.value)
    assert "http://airflow/dags/gold_funnels" in str(failure.value)


def test_what_is_never_released_is_not_waited_for_for_ever(follower):
    followed = follower({"ingest": [by_hand("success")]})
    with pytest.raises(ServiceError, match="not released everything within 0 minutes; look at http://airflow"):
        followed.until_released([followed.begin()], lambda: True, minutes=0)


def test_a_failed_step_names_itself_its_last_words_its_log_and_the_remedy(steps):
    with pytest.raises(ServiceError) as failure:
        steps.run("events of nobody", "replay", "no-such-log", "nowhere", remedy="choose another")
    said = str(failure.value)
    assert "step 'events of nobody' ended with code 2" in said
    assert "no-such-log" in said
    assert f"Log: {steps.folder / 'events-of-nobody.log'}. Remedy: choose another" in said


def test_a_step_beside_ends_with_what_failed_meanwhile(steps, monkeypatch):
    started = []
    start = Steps.start
    monkeypatch.setattr(Steps, "start", lambda *given: started.append(start(*given)) or started[-1])
    with pytest.raises(UsageError), steps.beside("services", "--help", remedy="none"):
        raise UsageError("meanwhile")
    assert started[0].process.wait(20) is not None


def test_a_log_that_is_not_there_is_named_before_anything_starts(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere is not there; name .* rees46 log with --path"):
        run_demo(Settings(home=tmp_path), Sent("rees46", 0, 0), days=7, path=tmp_path / "nowhere", minutes=1)


def test_events_are_sent_once_for_each_source(steps, console, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(Steps, "run", lambda self, name, *arguments, **_: calls.append(arguments[:2]) or "")
    stage = Stage(Settings(home=tmp_path), console, steps)
    log = Sent("rees46", 0, 0)
    assert [send_events(stage, MADE, 7, None) for _ in range(2)] == [True, False]
    assert send_events(stage, log, 7, tmp_path / "2019-Oct.csv")
    assert calls == [("simulate", "--users"), ("replay", "rees46")]
    assert "the events of simulator were sent by an earlier demo" in printed(console)


def test_parts_are_printed_in_order_though_the_next_runs_already(steps, console):
    show_parts(steps, [("one", "doctor", "--help"), ("two", "sql", "--help"), ("three", "tables", "--help")])
    said = printed(console)
    places = [
        said.index(word)
        for word in ("─ one ─", "Say what this machine", "─ two ─", "Ask the published", "─ three ─", "List the public")
    ]
    assert places == sorted(places)


def test_a_part_that_fails_ends_the_one_that_runs_already(steps, monkeypatch):
    started = []
    start = Steps.start
    monkeypatch.setattr(Steps, "start", lambda *given: started.append(start(*given)) or started[-1])
    with pytest.raises(ServiceError, match="ended with code 2"):
        show_parts(steps, [("one", "sql"), ("two", "--help")])
    assert [one.process.wait(20) is not None for one in started] == [True, True]


def test_topics_of_a_reason_stand_in_their_order():
    topics = ["views", "products", "likes", "users", "orders"]
    with duckdb.connect() as lake:
        lake.execute("CREATE SCHEMA silver; CREATE TABLE silver.quarantine (topic VARCHAR, reasons VARCHAR[])")
        lake.executemany("INSERT INTO silver.quarantine VALUES (?, ['conflict'])", [[topic] for topic in topics * 2])
        assert lake.execute(QUARANTINE).fetchall() == [("conflict", 10, ", ".join(sorted(topics)))]


ALL_OF_IT = ["publish", "begin the rest", "show", "wait for the ['run']"]


@pytest.fixture
def course(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a demo does beside its steps, which do nothing here."""
    done: list[str] = []
    monkeypatch.setattr(Steps, "run", lambda *given, **_: "[]")
    monkeypatch.setattr(Steps, "finish", lambda *given, **_: "[]")
    monkeypatch.setattr(Steps, "start", lambda *given: None)
    follower = SimpleNamespace(
        begin_the_rest=lambda: done.append("begin the rest") or ["run"],
        until_released=lambda begun, *given, **named: done.append(f"wait for the {begun}"),
    )
    monkeypatch.setattr(run, "publish", lambda *given: done.append("publish") or follower)
    monkeypatch.setattr(run, "show", lambda *given: done.append("show"))
    return done


@pytest.mark.parametrize(
    ("noted", "unread", "unreleased", "expected"),
    [
        (False, True, True, ALL_OF_IT),
        (True, False, False, ["show"]),
        (True, True, False, ALL_OF_IT),
        (True, False, True, ALL_OF_IT),
    ],
)
def test_airflow_is_troubled_only_when_something_is_left_to_do(
    course, tmp_path, monkeypatch, noted, unread, unreleased, expected
):
    monkeypatch.setattr(run, "is_unread", lambda settings: unread)
    monkeypatch.setattr(run, "is_unreleased", lambda steps: unreleased)
    if noted:
        MADE.note(tmp_path / "demo" / "sent.json")
    run_demo(Settings(home=tmp_path), MADE, days=7, path=None, minutes=1)
    assert course == expected
