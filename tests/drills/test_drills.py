"""Each drill passes, and would not without the remedy it is about; the rest of them by `reelhouse drill run --all`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.drills import catalogue
from jobs.drills.broker import Broker
from jobs.drills.catalogue import DRILLS, chosen
from jobs.drills.report import Report
from jobs.lake import leases
from jobs.lake.errors import ServiceError, UsageError
from jobs.lake.ingest import lives
from jobs.lake.ingest.control import Statement
from tests.drills.conftest import Rehearsal

# test_chance.py kills at every point already.
REHEARSED = ("hour-missing", "topic-re-created", "two-ingests-at-once")
Patch = pytest.MonkeyPatch


# Drill → how its remedy is switched off, and the expectation that then is not met.
SWITCHES: dict[str, tuple[Callable[[Patch], None], str]] = {
    "hour-missing": (
        lambda patch: patch.setattr(Statement, "is_reached", lambda self, read_to: True),
        "views are complete until the missing hour",
    ),
    "topic-re-created": (
        lambda patch: patch.setattr(lives, "is_same", lambda brokers, known: True),
        "exit code of ingest",
    ),
    "two-ingests-at-once": (
        lambda patch: patch.setattr(leases, "is_held", lambda lease, moment: False),
        "exit code of the second",
    ),
}


def played(name: str, stage: Rehearsal) -> Report:
    report = Report(name, lambda words: None)
    DRILLS[name].play(stage, report)  # type: ignore[arg-type]
    return report


@pytest.mark.parametrize("name", REHEARSED)
def test_nothing_is_lost_or_doubled(name: str, stage: Rehearsal) -> None:
    report = played(name, stage)
    assert [finding for finding in report.findings if not finding.is_met] == []
    assert report.is_passed
    assert report.books


@pytest.mark.parametrize("name", SWITCHES)
def test_without_its_remedy_a_drill_is_red(name: str, stage: Rehearsal, monkeypatch: Patch) -> None:
    switch_off, unmet = SWITCHES[name]
    switch_off(monkeypatch)
    found = [finding.expected for finding in played(name, stage).findings if not finding.is_met]
    assert any(expected.startswith(unmet) for expected in found), found


def test_there_are_twelve_for_users_and_each_says_what_happens() -> None:
    assert len(DRILLS) >= 12
    assert all(drill.story and drill.hazards for drill in DRILLS.values())


def test_a_drill_that_expects_nothing_or_cannot_go_on_has_failed() -> None:
    report = Report("empty", lambda words: None)
    assert not report.is_passed
    report.equal("one", 1, 1)
    report.failed(ServiceError("no broker"))
    assert not report.is_passed


@pytest.fixture
def command(monkeypatch: Patch) -> CliRunner:
    """The command with drills that need no services: `good` passes, `bad` does not."""

    def play_all(drills, home, told) -> Iterator[dict[str, object]]:
        for drill in drills:
            report = Report(drill.name, told)
            drill.play(None, report)
            yield report.row(1.0, "" if report.is_passed else "there")

    known = {
        name: catalogue.Drill(name, "R1", lambda stage, report, name=name: report.equal("its name", "good", name))
        for name in ("good", "bad")
    }
    monkeypatch.setattr(catalogue, "DRILLS", known)
    monkeypatch.setattr(catalogue, "play_all", play_all)
    return CliRunner()


def test_the_exit_code_tells_and_json_is_an_array(command: CliRunner) -> None:
    good = command.invoke(build_app(), ["drill", "run", "good", "--format", "json"])
    assert good.exit_code == 0, good.output
    assert [(row["drill"], row["is_passed"]) for row in json.loads(good.stdout)] == [("good", True)]
    both = command.invoke(build_app(), ["drill", "run", "--all"])
    assert both.exit_code == 1
    assert "FOUND     bad" in both.stdout
    assert "bad: FAILED; its lake stays at there" in both.stdout
    assert "failed: bad" in both.stderr


def test_json_tells_of_the_drills_that_were_played_before_the_run_broke(command: CliRunner, monkeypatch: Patch) -> None:
    def breaks(drills, home, told) -> Iterator[dict[str, object]]:
        yield Report("good", told).row(1.0, "")
        raise ServiceError("Spark is gone")

    monkeypatch.setattr(catalogue, "play_all", breaks)
    said = command.invoke(build_app(), ["drill", "run", "--all", "--format", "json"])
    assert isinstance(said.exception, ServiceError)
    assert [row["drill"] for row in json.loads(said.stdout)] == ["good"]


@pytest.fixture
def without_services(monkeypatch: Patch, tmp_path: Path) -> list[str]:
    """No Spark, and a broker that starts for the first drill never and for the second at once; what it was told."""
    told: list[str] = []

    @contextmanager
    def warm_spark(folder: Path) -> Iterator[object]:
        yield type("Server", (), {"address": "sc://nowhere"})()

    def up(self: Broker) -> None:
        told.append(f"up {self.settings.home.name}")
        if self.settings.home.name == "first":
            raise ServiceError("kafka did not come up within 60 s")

    monkeypatch.setattr(catalogue, "warm_spark", warm_spark)
    monkeypatch.setattr(Broker, "up", up)
    monkeypatch.setattr(Broker, "down", lambda self: told.append(f"down {self.settings.home.name}"))
    drills = {
        name: catalogue.Drill(name, "R1", lambda stage, report: report.equal("it", 1, 1))
        for name in ("first", "second")
    }
    monkeypatch.setattr(catalogue, "DRILLS", drills)
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    return told


def test_a_broker_that_does_not_start_is_a_finding_of_its_drill_and_the_rest_is_played(
    without_services: list[str],
) -> None:
    said = CliRunner().invoke(build_app(), ["drill", "run", "--all", "--format", "json"])
    first, second = json.loads(said.stdout)
    assert (first["drill"], first["is_passed"], second["drill"], second["is_passed"]) == (
        "first",
        False,
        "second",
        True,
    )
    assert [finding["found"] for finding in first["findings"]] == ["ServiceError: kafka did not come up within 60 s"]
    assert without_services == ["up first", "down first", "up second", "down second"]
    assert said.exit_code == 1
    assert "failed: first" in said.stderr


@pytest.mark.parametrize("words", [[], ["kill-after-write", "--all"]])
def test_names_or_all_and_not_both(words: list[str]) -> None:
    said = CliRunner().invoke(build_app(), ["drill", "run", *words])
    assert isinstance(said.exception, UsageError)


def test_a_misspelt_drill_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match="no drill called 'kil'; there are kill-after-write, "):
        chosen(["kil"])
