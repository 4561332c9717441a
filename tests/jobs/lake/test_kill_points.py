"""The points of our writers: each is in the list, none of the list is nowhere, and a name that is none is refused."""

import ast
import re
import sys
from collections.abc import Iterator

import pytest

from jobs.__main__ import main
from jobs.drills.chance.schedule import POINTS as DRAWN
from jobs.drills.chance.schedule import TORN
from jobs.lake.ingest.steps import KILL_POINTS
from jobs.lake.kill_points import POINTS, VARIABLE, is_point, reach
from jobs.lake.settings import ROOT

KIND = re.compile("<.+>")


def passed() -> Iterator[str]:
    """The names of all points in our sources, with <> for what is not the same each time."""
    for file in ROOT.glob("jobs/**/*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == reach.__name__:
                name = call.args[0]
                if isinstance(name, ast.JoinedStr):
                    yield "".join(part.value if isinstance(part, ast.Constant) else "<>" for part in name.values)
                elif isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield name.value


def test_the_list_has_every_point_of_our_writers_and_no_other() -> None:
    assert set(passed()) == {KIND.sub("<>", point) for point in POINTS}


def test_ingest_and_schedules_name_points_that_there_are() -> None:
    drawn = {point for points in DRAWN.values() for point in points} - set(TORN)
    assert [point for point in (*KILL_POINTS, *drawn) if not is_point(point)] == []


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("ingest.after_merchants", True),
        ("release.after_gold.funnel_daily", True),
        ("rollback.after_sessions", True),
        ("ingest.after_veiws", False),
        ("release.after_gold.funnel_dayly", False),
        ("rollback.after_<family>", False),
        ("release.after_", False),
    ],
)
def test_a_name_is_a_point_only_with_a_topic_table_or_family_that_there_is(name: str, is_known: bool) -> None:
    assert is_point(name) is is_known


@pytest.mark.parametrize("name", ["ingest.after_veiws", "raise:ingest.after_veiws"])
def test_a_point_that_nobody_passes_ends_the_command_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, name)
    monkeypatch.setattr(sys, "argv", ["reelhouse", "drill", "list"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "SettingsError: REELHOUSE_KILL_AT 'ingest.after_veiws' is no point of our writers" in said.err


@pytest.mark.parametrize("name", ["", "raise:", "release.after_gold.funnel_daily"])
def test_a_point_that_there_is_or_none_at_all_lets_a_command_run(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, name)
    monkeypatch.setattr(sys, "argv", ["reelhouse", "drill", "list", "--format", "json"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert "kill-after-write" in capsys.readouterr().out
