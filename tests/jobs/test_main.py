"""The command line ends in one line and an exit code that says whose mistake it was; every command has an example."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from jobs.__main__ import build_app, main


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command by its words; a group that does something by itself is one."""
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))
    if path and (not hasattr(group, "commands") or group.invoke_without_command):
        yield " ".join(path), group


COMMANDS = dict(commands(typer.main.get_command(build_app())))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_how_it_is_called(name: str) -> None:
    example = re.search(rf"Example: reelhouse {name}\b", COMMANDS[name].help or "")
    assert example, COMMANDS[name].help


def ended(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["reelhouse", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.mark.parametrize("place", ["", "file/x.csv", "file"])
def test_a_place_that_cannot_be_written_is_one_line_and_the_callers_mistake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str], place: str
) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path / "home"))
    (tmp_path / "file").touch()
    output = str(tmp_path / place)
    if place == "file":
        monkeypatch.setenv("REELHOUSE_HOME", output)
        words = ["rollback", "funnels"]
    else:
        words = ["sql", "SELECT 1", "--format", "csv", "--output", output]
    assert ended(monkeypatch, *words) == 2
    told = capfd.readouterr().err.splitlines()
    assert "Traceback" not in "".join(told)
    assert str(tmp_path) in told[-1]


def test_a_table_nobody_promised_is_refused_before_anything_is_mended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    assert ended(monkeypatch, "repair", "silver.views", "views") == 2
    assert "no table 'views' is promised; use one of bronze.events, " in capfd.readouterr().err
