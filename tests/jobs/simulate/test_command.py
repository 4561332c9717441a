"""`reelhouse simulate` and `reelhouse score` say in one line what is wrong with what was asked."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.errors import UsageError

runner = CliRunner()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    return tmp_path


def run(*words: str) -> str:
    result = runner.invoke(build_app(), list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["simulate", "--misbehave", "naughty"], "none, mild, wild"),
        (["simulate", "--until", "yesterday"], "2026-06-07"),
        (["simulate", "--until", "9999-12-31"], "--until 9999-12-31: write a day of the years 1980 to 2200"),
        (["simulate", "--until", "0001-01-01"], "--until 0001-01-01: write a day of the years 1980 to 2200"),
        (["simulate", "--no-send", "--to", "there"], "exclude each other"),
        (["score"], "reelhouse simulate"),
    ],
)
def test_a_wish_that_cannot_be_met_is_told_with_its_remedy(words: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        runner.invoke(build_app(), words, catch_exceptions=False)


def test_counts_are_printed_as_an_array_of_objects(home: Path) -> None:
    rows = json.loads(run("simulate", "--users", "40", "--days", "1", "--seed", "3", "--no-send", "--format", "json"))
    assert {row["topic"] for row in rows} >= {"views", "likes", "users"}
    assert sum(row["records"] for row in rows) > 500
    assert (home / "unsent" / "3" / "world.json").is_file()
    assert not (home / "truth").exists(), "a measurement is no truth of what was sent"


def test_records_and_truth_go_where_they_are_told(home: Path) -> None:
    run("simulate", "--users", "40", "--days", "1", "--to", str(home / "there"), "--truth", str(home / "told"))
    names = sorted(path.name for path in (home / "there").iterdir())
    assert names[0].endswith("-users.parquet")
    assert names[-1].endswith("-control.parquet")
    assert (home / "told" / "books").is_dir()
