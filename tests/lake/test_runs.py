"""How a command ended is told to the next program and booked in the ledger."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.errors import BackfillError, ContractError, DefinitionError, QualityError, SliceError, UsageError
from jobs.lake.failures import PAGES, failed
from jobs.lake.ledger import Ledger
from jobs.lake.runs import TABLE, report
from jobs.lake.settings import Settings


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Settings(home=tmp_path))


def told(ledger: Ledger, file: Path, work: Any) -> dict[str, Any]:
    return report(ledger, "check", "funnels", "run-1", file, work)


def booked(ledger: Ledger) -> list[tuple[str, str, str, str]]:
    rows = ledger.read("ops.runs").to_pylist()
    return [(row["run_id"], row["command"], row["outcome"], row["detail"]) for row in rows]


def test_a_run_that_did_something_is_written_and_booked(ledger, tmp_path):
    told(ledger, tmp_path / "out" / "result.json", lambda: {"outcome": "done", "message": "2 tables", "tables": []})
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (result["command"], result["target"], result["outcome"]) == ("check", "funnels", "done")
    assert booked(ledger) == [("run-1", "check", "done", "2 tables")]


def test_a_run_that_failed_is_written_booked_and_still_fails(ledger, tmp_path):
    def fails() -> Mapping[str, Any]:
        raise QualityError("gold.funnel_daily: too few rows")

    with pytest.raises(QualityError):
        told(ledger, tmp_path / "result.json", fails)
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["outcome"], result["error"]) == ("failed", "QualityError")
    words = "gold.funnel_daily: too few rows; see docs/runbooks/red-check.md"
    assert (result["message"], booked(ledger)) == (words, [("run-1", "check", "failed", words)])


def test_what_nobody_foresaw_is_written_and_booked_by_class_and_place_without_its_words_and_goes_on(ledger, tmp_path):
    with pytest.raises(ValueError, match="u-Canary"):
        told(ledger, tmp_path / "result.json", lambda: {"outcome": int("u-Canary")})
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["outcome"], result["error"]) == ("failed", "ValueError")
    assert re.fullmatch(
        r"ValueError at jobs/lake/lineage/telling\.py:\d+ \(tell\), which nobody foresaw.*docs/runbooks/red-check\.md",
        result["message"],
    )
    assert booked(ledger) == [("run-1", "check", "failed", result["message"])]
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file for file in files if b"Canary" in file.read_bytes()] == []


def test_what_the_system_refuses_is_told_in_the_systems_own_words(ledger, tmp_path):
    with pytest.raises(NotADirectoryError):
        told(ledger, tmp_path / "result.json", lambda: {"outcome": Path("/dev/null/u-Canary").read_text()})
    ((_, _, _, detail),) = booked(ledger)
    assert detail.startswith("NotADirectoryError (Not a directory) at jobs/lake/lineage/telling.py:")
    assert "Canary" not in detail


def test_a_ledger_that_cannot_book_a_failure_does_not_hide_it(ledger, tmp_path, caplog):
    Path(ledger.path(TABLE)).parent.mkdir(parents=True)
    Path(ledger.path(TABLE)).write_text("no folder")
    with pytest.raises(ValueError, match="u-Canary"):
        told(ledger, tmp_path / "result.json", lambda: {"outcome": int("u-Canary")})
    assert json.loads((tmp_path / "result.json").read_text())["error"] == "ValueError"
    assert "ops.runs: the failure is not booked" in caplog.text


@pytest.mark.parametrize("command", PAGES)
@pytest.mark.parametrize("kind", [UsageError, ContractError, DefinitionError])
def test_a_callers_mistake_that_makes_a_run_red_names_the_page_of_its_command(command, kind):
    error = kind("funnels/shop.yaml:3: no such step")
    assert failed(error, command)["message"].endswith(f"no such step; see docs/runbooks/{PAGES[command]}")
    assert error.told.endswith(f"; see docs/runbooks/{PAGES[command]}"), "what is printed"
    named = kind("off; see docs/runbooks/lake.md")
    assert failed(named, command)["message"] == "off; see docs/runbooks/lake.md"
    assert kind("write 2026-11-22").told == "write 2026-11-22", "at the keyboard it is its own remedy"


def test_a_backfill_that_cannot_begin_names_its_page():
    assert BackfillError("r.yaml: is paused").told == "r.yaml: is paused; see docs/runbooks/backfill.md"


def test_a_run_with_nothing_to_do_leaves_the_ledger_alone(ledger, tmp_path):
    told(ledger, tmp_path / "result.json", lambda: {"outcome": "nothing_to_do", "message": "all released"})
    assert json.loads((tmp_path / "result.json").read_text())["outcome"] == "nothing_to_do"
    assert not ledger.exists("ops.runs")


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["build", "nonsense"], UsageError, "'nonsense' is neither a family nor a public table; write one of funnels"),
        (["build", "funnels", "--slice", "tomorrow"], SliceError, "--slice 'tomorrow' is no day; write it as 2026"),
        (["build", "funnels", "--at", "noon"], UsageError, "--at 'noon' is no instant"),
        (["release", "funnels", "--at", "2026-11-23T03:00:00"], UsageError, "has no zone; end it in Z"),
        (["rollback", "funnels"], UsageError, "there is nothing to roll back to"),
        (["rollback"], UsageError, "there is nothing to roll back to: funnels was never released"),
        (["upkeep", "nonsense"], UsageError, "'nonsense' is no group or table; write all, ledger"),
    ],
)
def test_a_wrong_call_is_answered_with_place_and_remedy(arguments, kind, words, tmp_path, monkeypatch):
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    ended = CliRunner().invoke(build_app(), arguments)
    assert isinstance(ended.exception, kind)
    assert words in str(ended.exception)
    assert ended.exception.exit_code == 2


def test_what_is_pending_is_an_array_of_families(tmp_path, monkeypatch):
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    ended = CliRunner().invoke(build_app(), ["pending", "--format", "json"], catch_exceptions=False)
    rows = json.loads(ended.stdout)
    assert [row["family"] for row in rows] == ["funnels", "profiles", "scores", "sessions"]
    assert {(row["is_waiting"], row["last_release"], tuple(row["days"])) for row in rows} == {(False, None, ())}
