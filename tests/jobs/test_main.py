"""The command line ends in one line and an exit code that says whose mistake it was; every command has an example."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from errno import EDQUOT, ENOSPC
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from deltalake.exceptions import DeltaError
from typer.testing import CliRunner

from jobs.__main__ import build_app, known_error, main
from jobs.lake import runner
from jobs.lake.damage import damage_told
from jobs.lake.errors import ContractError, DiskError
from jobs.lake.failures import PAGES
from jobs.lake.ledger import Ledger
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.lake.watch import measuring
from jobs.produce import canaries, lines
from jobs.serve import tables


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


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_fits_80_columns_and_breaks_its_lines_where_the_terminal_ends(name: str) -> None:
    printed = CliRunner().invoke(build_app(), [*name.split(), "--help"], env={"COLUMNS": "80"}).output
    told = [line.strip() for line in printed.split("╭")[0].splitlines()]
    early = [line for line, after in pairwise(told) if line and after and len(f"{line} {after.split()[0]}") < 79]
    assert early == []
    assert re.findall(r"\S+…(?= +│)", printed) == [], "a word was cut"


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
        (tmp_path / "home").mkdir()
        words = ["sql", "SELECT 1", "--format", "csv", "--output", output]
    assert ended(monkeypatch, *words) == 2
    told = capfd.readouterr().err.splitlines()
    assert "Traceback" not in "".join(told)
    assert str(tmp_path) in told[-1]


def test_a_disk_without_room_is_one_line_and_leads_to_its_page(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    words = f"{sys.executable} -m jobs sql 'SELECT range FROM range(9999)' --format csv --output {tmp_path}/x.csv"
    limited = ["bash", "-c", f"ulimit -f 1; {words}"]  # no file over 1 KiB: EFBIG, as EDQUOT and ENOSPC
    environment = {**os.environ, "REELHOUSE_HOME": str(tmp_path / "home")}
    done = subprocess.run(limited, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 5
    assert done.stderr.startswith("DiskError: ")
    assert done.stderr.endswith(
        "no room is left on the disk; free some, then run it again; see docs/runbooks/disk.md\n"
    )


@pytest.mark.parametrize(
    "error",
    [
        OSError(ENOSPC, "full", "x"),
        OSError("Generic LocalFileSystem error: Unable to copy data to file: File too large (os error 27)"),
        RuntimeError("An error occurred while calling o9.save: java.io.IOException: No space left on device u-Canary"),
    ],
)
def test_a_full_disk_is_told_whoever_met_it_and_without_the_words_of_others(error: Exception) -> None:
    kind, told, _ = known_error(error) or (None, "", 0)
    assert kind is DiskError
    assert "Canary" not in told


def test_a_full_disk_is_no_damage_of_a_table_nor_a_wrong_setting(tmp_path: Path) -> None:
    full = DeltaError("Failed to parse parquet: External: Unable to copy data to file: File too large (os error 27)")
    with pytest.raises(DiskError, match="ops.runs: no room"), damage_told("ops.runs"):
        raise full
    with pytest.raises(DiskError, match="ops.runs: no room"), Ledger(Settings(home=tmp_path))._place_told("ops.runs"):
        raise OSError(EDQUOT, "Disk quota exceeded")


@pytest.mark.parametrize("name", ["views", ":x:"])  # words of others are told as they are, and no picture
def test_a_table_nobody_promised_is_refused_before_anything_is_mended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    assert ended(monkeypatch, "repair", "silver.views", name) == 2
    assert f"no table '{name}' is promised; use one of bronze.events, " in capfd.readouterr().err


def test_what_nobody_foresaw_keeps_its_traceback_and_the_last_line_names_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def check(_: Runner) -> None:
        raise ValueError("seventeen")

    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    monkeypatch.setattr(Runner, "check", check)
    assert ended(monkeypatch, "check", "funnels", "--result", str(tmp_path / "result.json")) == 1
    told = capfd.readouterr().err.splitlines()
    assert "Traceback" in told[0]
    assert "ValueError: seventeen" in told
    assert told[-1] == json.loads((tmp_path / "result.json").read_text())["message"]
    assert re.fullmatch(
        r"ValueError at jobs/commands/build\.py:\d+ \(<lambda>\), which .*; see docs/runbooks/red-check\.md", told[-1]
    )


def test_what_nobody_foresaw_outside_a_run_leads_to_all_pages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def doctor(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    monkeypatch.setattr(tables, "list_tables", doctor)
    assert ended(monkeypatch, "tables") == 1
    told = capfd.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"ZeroDivisionError at jobs/commands/serve\.py:\d+ .*; see docs/runbooks/README\.md", told)


@pytest.mark.parametrize(("words", "module"), [("alerts --record", measuring), ("canary --send", canaries)])
def test_what_nobody_foresaw_in_a_watch_is_in_its_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, module: ModuleType
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("u-Canary")

    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "measure" if module is measuring else "send", broken)
    assert ended(monkeypatch, *words.split(), "--result", str(tmp_path / "result.json")) == 1
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["outcome"], result["error"]) == ("failed", "ValueError")
    assert result["message"].endswith(f"; see docs/runbooks/{PAGES[words.split(maxsplit=1)[0]]}")
    assert "Canary" not in result["message"]


def test_a_contract_that_keeps_a_run_from_beginning_leads_to_the_page_of_its_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def runner_of(*_: object) -> None:
        raise ContractError("schemas/gold/funnel_daily.yaml: id: is 'x'")

    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    monkeypatch.setattr(runner, "runner_of", runner_of)
    assert ended(monkeypatch, "build", "funnels") == 2
    assert capfd.readouterr().err.endswith("id: is 'x'; see docs/runbooks/build.md\n")


READING = (
    "tables", "sql SELECT*FROM(VALUES(1))", "books", "quarantine", "quarantine show", "history gold.segment_daily",
    "profile u1", "funnel show shop", "funnel compare shop 1 2", "report", "score", "metrics", "alerts", "canary",
    "backfill status",
)  # fmt: skip


@pytest.mark.parametrize("words", READING)
def test_where_there_is_no_lake_a_reader_is_told_so_and_how_to_make_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str], words: str
) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path / "nowhere"))
    assert ended(monkeypatch, *words.split()) == 2
    told = capfd.readouterr().err
    assert f"there is no lake at {tmp_path / 'nowhere'}; name the place of one by REELHOUSE_HOME" in told
    assert "`make demo`" in told
    assert not (tmp_path / "nowhere").exists()


def test_a_lake_named_by_its_own_address_is_told_by_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("REELHOUSE_LAKE_URI", f"{tmp_path}/elsewhere")
    assert ended(monkeypatch, "tables") == 2
    assert f"no lake at {tmp_path}/elsewhere; name the place of one by REELHOUSE_LAKE_URI" in capfd.readouterr().err


@pytest.mark.parametrize("words", ["tables", "books", "quarantine"])
def test_a_lake_that_holds_nothing_yet_is_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str], words: str
) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    assert ended(monkeypatch, *words.split()) == 0
    assert "there is no lake" not in capfd.readouterr().err


@pytest.mark.parametrize(("good", "code"), [(0, 1), (1, 0)])
def test_what_is_refused_from_the_first_line_to_the_last_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, good: int, code: int
) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    monkeypatch.setattr(lines, "send_lines", lambda *_, **__: lines.Sent(sent=good, refused=2))
    (tmp_path / "likes.jsonl").write_text("")
    assert ended(monkeypatch, "produce", "likes", str(tmp_path / "likes.jsonl")) == code


def test_ingest_that_goes_on_for_ever_takes_the_systems_memory(tmp_path: Path) -> None:
    """Arrow's own pool grows for days (docs/reliability.md); which it is, is settled when Arrow is loaded."""
    program = """
from jobs.__main__ import main
from jobs.lake.settings import Settings

def asked():
    import pyarrow
    print(pyarrow.default_memory_pool().backend_name)
    raise SystemExit

Settings.from_env = asked
main()
"""
    home = os.environ | {"REELHOUSE_HOME": str(tmp_path)}
    pools = [
        subprocess.run(
            [sys.executable, "-c", program, "ingest", *words], env=home, capture_output=True, text=True, check=True
        ).stdout.split()
        for words in (["--continuous"], [])
    ]
    assert pools[0] == ["system"]
    assert pools[1] != ["system"]
