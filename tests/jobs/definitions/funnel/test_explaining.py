"""`explain` names the attempts as `--view attempts` numbers them, and the step that was really missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.commands.funnel import app
from jobs.definitions.funnel import explaining, views

HEAD = "name: told\nversion: 1\nwindow: 60s\nzone: UTC\nsteps:\n"
STEPS = HEAD + "".join(f"  - {{name: {name.lower()}, event: {name}}}\n" for name in "ABC")
DEADLINE = "1970-01-01 00:01:0{}.000000+00:00"
DISTINCT = STEPS.replace("event: A", "event: A, distinct: true")
GOT_ON = "entry: got to b (2 of 3), an exclusion kept it from going further; fills a of attempt 1"
STORIES = {  # definition, events in the order of the file (name, second, key) → what is told of each, in order of time
    "keys are tries of their own, numbered by time and not by the file": (
        STEPS + "hold: [p]\n", [("A", 5, 1), ("B", 7, 1), ("A", 1, 2), ("B", 3, 2), ("C", 9, 1)],
        [f"entry: got to b (2 of 3), nothing that fits c by {DEADLINE.format(1)}; fills a of attempt 1",
         "fills b of attempt 1", "entry: got to c (3 of 3); fills a of attempt 2", "fills b of attempt 2",
         "fills c of attempt 2"]),
    "a skipped step stops nobody: what was missing is the step after it": (
        STEPS + "optional: [b]\n", [("A", 0, 1), ("B", 80, 1)],
        [f"entry: got to a (1 of 3), nothing that fits c by {DEADLINE.format(0)}; fills a of attempt 1", "not used"]),
    "a step that was skipped on the way leaves the others in their places": (
        STEPS + "optional: [b]\n", [("A", 0, 1), ("C", 2, 1), ("B", 3, 1)],
        ["entry: got to c (3 of 3); fills a of attempt 1", "fills c of attempt 1", "not used"]),
    "a step that may be skipped and was not": (
        STEPS + "optional: [b]\n", [("A", 0, 1), ("B", 2, 1)],
        [f"entry: got to b (2 of 3), nothing that fits c by {DEADLINE.format(0)}; fills a of attempt 1",
         "fills b of attempt 1"]),
    "without an order the steps that were filled are named": (
        STEPS + "mode: unordered\n", [("C", 0, 1), ("A", 2, 1)],
        [f"entry: got to a and c (2 of 3), nothing that fits b by {DEADLINE.format(0)}; fills c of attempt 1",
         f"entry: got to a (1 of 3), nothing that fits b or c by {DEADLINE.format(2)}; fills a of attempt 1"]),
    "what excluded is named": (
        STEPS + "exclusions: [{event: X, between: [a, c]}]\n", [("A", 0, 1), ("B", 1, 1), ("X", 2, 1), ("C", 3, 1)],
        [GOT_ON, "fills b of attempt 1", "excludes between a and c", "not used"]),
    "without a key nothing opens": (STEPS + "hold: [p]\n", [("A", 0, None)], ["opens nothing, for want of p"]),
    "only the first opens": (
        STEPS + "first_entry_only: true\n", [("A", 0, 1), ("A", 2, 1)],
        [f"entry: got to a (1 of 3), nothing that fits b by {DEADLINE.format(0)}; fills a of attempt 1",
         "opens nothing, it is not the first"]),
    "a double tap opens nothing": (
        DISTINCT, [("A", 0, 1), ("A", 1, 1)],
        [f"entry: got to a (1 of 3), nothing that fits b by {DEADLINE.format(0)}; fills a of attempt 1",
         "opens nothing, it is a double tap"]),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_each_event_is_told_what_it_was_good_for(story: str, tmp_path: Path) -> None:
    definition, events, told = STORIES[story]
    lines = [{"subject": "u", "event_time": second * 1_000_000, "event_id": f"e{second}", "event": name, "p": key}
             for name, second, key in events]  # fmt: skip
    others = [line | {"subject": "another", "event_id": f"x{n}"} for n, line in enumerate(lines)]
    rows = run("explain", definition, [*others, *lines], tmp_path, "--subject", "u")
    assert [row["told"] for row in rows] == told
    attempts = run("evaluate", definition, [*others, *lines], tmp_path, "--view", "attempts")
    filled = {(row["attempt"], event) for row in attempts for event in row["step_event_ids"] if row["subject"] == "u"}
    said = {(int(part.split()[-1]), row["event_id"])
            for row in rows for part in row["told"].split("; ") if part.startswith("fills")}  # fmt: skip
    assert said == {(attempt, event) for attempt, event in filled if event}


def test_attempts_are_numbered_once_however_many_events_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(explaining, "numbered", lambda judged: calls.append(1) or views.numbered(judged))
    lines = [{"subject": "u", "event_time": n, "event_id": f"e{n}", "event": "A"} for n in range(20)]
    assert len(run("explain", STEPS, lines, tmp_path, "--subject", "u")) == 20
    assert len(calls) == 1


def run(command: str, definition: str, lines: list[dict[str, Any]], folder: Path, *more: str) -> list[dict[str, Any]]:
    (folder / "told.yaml").write_text(definition)
    (folder / "events.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    words = [command, str(folder / "told.yaml"), "--events", str(folder / "events.jsonl"), "--format", "json", *more]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows
