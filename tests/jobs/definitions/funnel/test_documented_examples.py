"""Every example of docs/funnels.md gives what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.definitions.funnel.language import read_definition
from jobs.definitions.funnel.views import Judged, view
from jobs.lake.errors import UsageError
from jobs.serve.event_file import EventFile
from jobs.serve.funnel_on_file import judged_columns, read_for

ROOT = Path(__file__).parents[4]
EXAMPLES = re.findall(r"```example\n(.*?)```", (ROOT / "docs" / "funnels.md").read_text(encoding="utf-8"), re.DOTALL)


SECOND = 1_000_000


def definition_of(line: str) -> str:
    """`A B/C D[ok] E* | window: 60s` as YAML: B or C fits the second step, D where ok, E only if no double tap."""
    words, *rest = [part.strip() for part in line.split(" | ")]
    steps = [re.fullmatch(r"([\w/]+)(?:\[(.+)\])?(\*?)", word) for word in words.split()]
    events = [step[1].split("/") for step in steps if step]
    repeated = len({names[0] for names in events}) < len(events)
    lines = [
        f"  - {{name: {names[0]}{n if repeated else ''}, event: [{', '.join(names)}], distinct: {bool(step[3])}"
        f"{f', where: {step[2]}' if step[2] else ''}}}"
        for n, (step, names) in enumerate(zip(filter(None, steps), events, strict=True))
    ]
    return "\n".join(["name: example", "version: 1", *rest, "steps:", *lines])


def line_of(text: str) -> str:
    """`A@5{p=1}` as a line of a file: event A at second 5, of which p is 1; known by what stands before the brace."""
    name, second, told = re.fullmatch(r"(\w+)@(\d+)(?:\{(.+)\})?", text).groups()  # type: ignore[union-attr]
    properties = dict(pair.split("=") for pair in told.split(",")) if told else {}
    values = {key: yaml.safe_load(value) for key, value in properties.items()}
    envelope = {"subject": "u", "event_time": int(second) * SECOND, "event_id": f"{name}@{second}", "event": name}
    return json.dumps(envelope | values)


def judged_example(told: dict[str, str], folder: Path) -> tuple[EventFile, Judged]:
    """The example as an analyst would ask it: a definition's file, a file of events."""
    file, events = folder / "example.yaml", folder / "events.jsonl"
    file.write_text(definition_of(told["steps"]))
    events.write_text("\n".join(line_of(text) for text in told["events"].split()))
    found = read_definition(file)
    read = read_for(found, events, skip_bad=False)
    watermark = int(told["watermark"]) * SECOND if "watermark" in told else None
    return read, judged_columns(found, file, read.events, ROOT / "schemas", watermark)


def seconds(rows: list[dict[str, Any]], name: str) -> str:
    """A length of time of each attempt."""
    return " ".join("-" if row[name] is None else str(row[name] // SECOND) for row in rows)


SAYS = {  # what an example may say, and how it is worked out
    "reached": lambda one: str(view(one, "subject_best")[0]["reached"]),
    "chain": lambda one: " ".join(event or "-" for event in view(one, "subject_best")[0]["step_event_ids"]),
    "excluded": lambda one: "yes" if view(one, "subject_best")[0]["excluded"] else "no",
    "mature": lambda one: "yes" if view(one, "subject_best")[0]["mature"] else "no",
    "attempts": lambda one: " ".join(str(row["reached"]) for row in view(one, "attempts")),
    "entries": lambda one: " ".join(str(row["entries"]) for row in view(one, "attempts")),
    "decision": lambda one: seconds(view(one, "attempts"), "decision_us"),
    "deliberation": lambda one: seconds(view(one, "attempts"), "deliberation_us"),
    "days": lambda one: " ".join(str(row["reached"]) for row in view(one, "subject_period")),
    "counts": lambda one: " ".join(str(row["attempts"]) for row in view(one, "steps")),
    "people": lambda one: " ".join(str(row["people"]) for row in view(one, "steps")),
}
GIVEN = {"steps", "events", "watermark"}


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"{n}: {one.splitlines()[1]}" for n, one in enumerate(EXAMPLES)])
def test_the_page_is_right(example: str, tmp_path: Path) -> None:
    told: dict[str, str] = dict(line.split(": ", 1) for line in example.strip().splitlines())
    said = {key: value for key, value in told.items() if key not in GIVEN}
    assert said
    if "refused" in said:
        with pytest.raises(UsageError, match=re.escape(said["refused"])):
            judged_example(told, tmp_path)
        return
    read, judged = judged_example(told, tmp_path)
    repeats = {"repeats": str(read.repeats)} if read.repeats else {}
    assert {key: SAYS[key](judged) for key in said if key not in repeats} | repeats == said
