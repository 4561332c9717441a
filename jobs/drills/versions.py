"""A second version of an event contract, as somebody would write it: one field renamed, one new."""

import json
from pathlib import Path
from typing import Any

from jobs.drills.records import Record, record
from jobs.lake.event_contracts import event_contract

RENAMED = "watched_ms"  # what v2 of a view calls watch_ms


def write_second_version(schemas_dir: Path) -> Path:
    """Write v2 of a view beside v1: `watch_ms` is `watched_ms` and silver's all the same, `mood` silver has not."""
    folder = schemas_dir / "events" / "views"
    schema = json.loads((folder / "v1.json").read_text(encoding="utf-8").replace('"watch_ms"', f'"{RENAMED}"'))
    schema["$id"] = event_contract("views", 1, schemas_dir).data_schema.replace("v1.json", "v2.json")
    schema["properties"][RENAMED]["x-silver"] = "watch_ms"
    schema["properties"]["mood"] = {"type": "string", "enum": ["calm", "loud"]}
    (folder / "v2.json").write_text(json.dumps(schema, indent=2), encoding="utf-8")
    return folder / "v2.json"


def of_version(version: int, body: dict[str, Any], **given: Any) -> Record:
    """A view that says it is of this version of the contract."""
    made = record("views", body, **given)
    told = f"reelhouse.view.v{version}".encode()
    headers = tuple((name, told if name == "ce_type" else value) for name, value in made.headers or ())
    return record("views", body, **given | {"headers": headers})
