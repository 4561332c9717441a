"""What `reelhouse funnel evaluate` prints of one small story, letter by letter, in each view and both formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.commands.funnel import app
from jobs.serve.printing import print_columns, print_rows

DEFINITION = """\
name: story
version: 1
window: 60s
zone: UTC
steps:
  - {name: seen, event: A}
  - {name: kept, event: B}
  - {name: paid, event: C}
optional: [kept]
exclusions: [{event: X, between: [seen, paid]}]
"""
EVENTS = """\
{"subject": "w\\"x", "event_time": "1970-01-01T00:00:10Z", "event_id": "w1", "event": "A"}
{"subject": "w\\"x", "event_time": 11000000, "event_id": "w2", "event": "X"}
{"subject": "w\\"x", "event_time": 12000000, "event_id": "w3", "event": "C"}
{"subject": 7, "event_time": 0, "event_id": "s1", "event": "A"}
{"subject": 7, "event_time": 5000000, "event_id": "s2", "event": "A"}
{"subject": 7, "event_time": 9000000, "event_id": "s3", "event": "C"}
{"subject": 7, "event_time": 70000000, "event_id": "s4", "event": "A"}
{"subject": 7, "event_time": 71000000, "event_id": "s5", "event": "B"}
"""
BEST = """\
[
 {
  "subject": 7,
  "reached": 3,
  "converted": true,
  "excluded": false,
  "entry_event_id": "s2",
  "step_event_ids": [
   "s2",
   null,
   "s3"
  ],
  "step_times": [
   5000000,
   null,
   9000000
  ],
  "mature": false
 },
 {
  "subject": "w\\"x",
  "reached": 1,
  "converted": false,
  "excluded": true,
  "entry_event_id": "w1",
  "step_event_ids": [
   "w1"
  ],
  "step_times": [
   10000000
  ],
  "mature": true
 }
]
"""
ATTEMPTS = [
    {"subject": 7, "attempt": 1, "reached": 3, "converted": True, "excluded": False, "entry_event_id": "s2",
     "step_event_ids": ["s2", None, "s3"], "step_times": [5_000_000, None, 9_000_000], "entries": 2,
     "decision_us": 4_000_000, "deliberation_us": 9_000_000, "mature": True},
    {"subject": 7, "attempt": 2, "reached": 2, "converted": False, "excluded": False, "entry_event_id": "s4",
     "step_event_ids": ["s4", "s5"], "step_times": [70_000_000, 71_000_000], "entries": 1,
     "decision_us": None, "deliberation_us": None, "mature": False},
    {"subject": 'w"x', "attempt": 1, "reached": 1, "converted": False, "excluded": True, "entry_event_id": "w1",
     "step_event_ids": ["w1"], "step_times": [10_000_000], "entries": 1,
     "decision_us": None, "deliberation_us": None, "mature": True},
]  # fmt: skip
PERIODS = [
    {"subject": 7, "entry_date": "1970-01-01", "reached": 3, "converted": True, "excluded": False,
     "entry_event_id": "s2", "step_event_ids": ["s2", None, "s3"], "step_times": [5_000_000, None, 9_000_000],
     "attempts": 2, "mature": False},
    {"subject": 'w"x', "entry_date": "1970-01-01", "reached": 1, "converted": False, "excluded": True,
     "entry_event_id": "w1", "step_event_ids": ["w1"], "step_times": [10_000_000], "attempts": 1, "mature": True},
]  # fmt: skip
STEPS = [
    {"step": "seen", "people": 2, "attempts": 3, "mature": 2},
    {"step": "kept", "people": 0, "attempts": 1, "mature": 0},
    {"step": "paid", "people": 1, "attempts": 1, "mature": 1},
]
VIEWS = {"subject_best": json.loads(BEST), "attempts": ATTEMPTS, "subject_period": PERIODS, "steps": STEPS}
TABLES = {
    "steps": """\
 step   people   attempts   mature
 ─────────────────────────────────
 seen        2          3        2
 kept        0          1        0
 paid        1          1        1
""",
    "subject_best": """\
 subject   reached   converted   excluded   entry_event_id   step_event_ids       step_times                 mature
 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────
 7               3   True        False      s2               ["s2", null, "s3"]   [5000000, null, 9000000]   False
 w"x             1   False       True       w1               ["w1"]               [10000000]                 True
""",
}


@pytest.fixture
def printed(tmp_path: Path) -> Any:
    """The output of a view in a format, with the watermark at 71 s or none."""
    (tmp_path / "story.yaml").write_text(DEFINITION)
    (tmp_path / "events.jsonl").write_text(EVENTS)

    def run(view: str, format: str, watermark: str = "71000000") -> str:
        words = ["evaluate", str(tmp_path / "story.yaml"), "--events", str(tmp_path / "events.jsonl"), "--view", view]
        result = CliRunner().invoke(app, [*words, "--format", format, "--watermark", watermark])
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_an_array_is_printed_letter_by_letter(printed: Any) -> None:
    assert printed("subject_best", "json") == BEST


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_has_its_fields_in_order_and_maturity_only_with_a_watermark(view: str, printed: Any) -> None:
    told = json.loads(printed(view, "json"))
    assert [list(row.items()) for row in told] == [list(row.items()) for row in VIEWS[view]]
    without = json.loads(printed(view, "json", ""))
    assert without == [{name: value for name, value in row.items() if name != "mature"} for row in VIEWS[view]]


@pytest.mark.parametrize("view", TABLES)
def test_a_table_is_printed_letter_by_letter(view: str, printed: Any) -> None:
    lines = [line.rstrip() for line in printed(view, "table").splitlines()]
    assert lines == ["", *TABLES[view].splitlines(), ""]


COLUMNS = {"text": ["a", 'q"\\\n\u0001视', None], "n": [1, -(2**62), None], "is": [True, False, None],
           "list": [[], ["x", None], [1, 2]], "mixed": [1, "1", True]}  # fmt: skip


def test_columns_are_printed_as_rows_are(capsys: pytest.CaptureFixture[str]) -> None:
    for size in (3, 0):
        columns = {name: values[:size] for name, values in COLUMNS.items()}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        for shape in ("json", "table"):
            print_columns(columns, shape)
            ours = capsys.readouterr().out
            print_rows(rows, list(columns) if rows else [], shape)
            assert ours == capsys.readouterr().out
