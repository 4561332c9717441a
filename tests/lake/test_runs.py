"""How a command ended is told to the next program and booked in the ledger."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.errors import QualityError, SliceError, UsageError
from jobs.lake.ledger import Ledger
from jobs.lake.runs import report
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
