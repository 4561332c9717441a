"""Every example of docs/funnels.md gives what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from jobs.definitions.funnel.engine import judge
from jobs.definitions.funnel.language import parse_definition
from jobs.definitions.funnel.on_file import Row, as_events, subjects_of
from jobs.definitions.funnel.views import Judged, view

ROOT = Path(__file__).parents[4]
EXAMPLES = re.findall(r"```example\n(.*?)```", (ROOT / "docs" / "funnels.md").read_text(encoding="utf-8"), re.DOTALL)


def definition_of(line: str) -> str:
    """`A B | window: 60s` as YAML."""
    names, *rest = [part.strip() for part in line.split("|")]
    events = names.split()
    repeated = len(set(events)) < len(events)
    steps = [f"  - {{name: {e}{n if repeated else ''}, event: {e}}}" for n, e in enumerate(events)]
    return "\n".join(["name: example", "version: 1", *rest, "steps:", *steps])


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.splitlines()[1] for example in EXAMPLES])
def test_the_page_is_right(example: str, tmp_path: Path) -> None:
    told: dict[str, Any] = dict(line.split(": ", 1) for line in example.strip().splitlines())
    file = tmp_path / "example.yaml"
    file.write_text(definition_of(told["steps"]))
    found = parse_definition(file.read_text(), str(file))
    rows = []
    for line, text in enumerate(told["events"].split(), 1):
        name, second = text.split("@")
        rows.append(Row(line, "u", int(second) * 1_000_000, text, name, {}))
    arrays = as_events(found, str(file), rows, ROOT / "schemas")
    entries, attempts = judge(found, arrays)
    ids, times = [row.event_id for row in rows], [row.time for row in rows]
    judged = Judged(found, entries, attempts, subjects_of(rows), ids, times, arrays.mask.tolist(), None)
    best = view(judged, "subject_best")[0]
    assert best["reached"] == int(told["reached"])
    assert [row["reached"] for row in view(judged, "attempts")] == [int(n) for n in told["attempts"].split()]
    if "chain" in told:
        assert [event or "-" for event in best["step_event_ids"]] == told["chain"].split()
