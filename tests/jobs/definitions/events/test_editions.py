"""Bodies of several versions are each read by their own, whatever lies beside them, and held under silver's names."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jobs.definitions.events.editions import ReadingByVersion
from jobs.definitions.events.form import Edition
from jobs.definitions.events.scanned import READING, Reading
from jobs.drills.records import body_of
from jobs.drills.versions import write_second_version
from jobs.lake.event_contracts import event_contract
from jobs.lake.event_versions import held_fields
from jobs.lake.settings import ROOT

V1, V2 = "reelhouse.view.v1", "reelhouse.view.v2"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> ReadingByVersion:
    """Views of two versions; of the second's new fields silver has none."""
    schemas = Path(shutil.copytree(ROOT / "schemas" / "events", tmp_path_factory.mktemp("s") / "schemas" / "events"))
    write_second_version(schemas.parent)
    promised = [event_contract("views", version, schemas.parent) for version in (1, 2)]
    editions = (Edition(1, V1, promised[0].fields), Edition(2, V2, promised[1].fields, ("mood",)))
    return ReadingByVersion(held_fields(promised), editions)


def read(reading: Reading, *told: tuple[str | None, bytes | None]) -> list[dict[str, Any]]:
    """What is read of these types and values."""
    types, values = zip(*told, strict=True)
    batch = pa.RecordBatch.from_pydict(
        {"value": pa.array(values, pa.binary()), "ce_type": pa.array(types, pa.string())}
    )
    return [row for each in reading(iter([batch])) for row in each.select(list(READING)).to_pylist()]


def body(number: int = 0, **fields: Any) -> bytes:
    return json.dumps(body_of("views", number, **fields)).encode()


def second(**fields: Any) -> bytes:
    return body(watch_ms=None, **{"watched_ms": 7} | fields)


def test_each_is_read_by_its_own_version_in_its_place(both: ReadingByVersion) -> None:
    rows = read(both, (V2, second(mood="calm")), (V1, body(mood="calm")), (None, second()), (V1, None), (V2, b"{"),
                (V1, body(watched_ms=9, mood=5)), (V2, second(watched_ms="x", flag=[1])), ("v9", second()))  # fmt: skip
    told = [(row["body"] or {}).get("watch_ms") for row in rows]
    assert told == [7, 4000, 7, None, None, 4000, None, 7]
    assert [(row["body"] or {}).get("mood") for row in rows] == ["calm", *[None] * 7], "v1 knows of no mood"
    assert [dict(row["rest"] or ()) for row in rows] == [
        {"mood": "calm"}, {"mood": "calm"}, {}, {}, {}, {"watched_ms": "9", "mood": "5"}, {"flag": "[1]"}, {},
    ]  # fmt: skip
    assert [row["torn"] for row in rows] == [
        None, [], None, None, ["malformed_json"], [], ["wrong_type:watched_ms"], None,
    ]  # fmt: skip
    assert [row["is_unread"] for row in rows] == [False] * 4 + [True] + [False] * 3


def test_where_all_are_of_one_version_they_are_read_as_if_there_were_no_other(both: ReadingByVersion) -> None:
    first = Reading(both.editions[0].fields)
    values = [(V1, body(n, mood="calm")) for n in range(3)] + [(V1, b"x")]
    ours, plain = read(both, *values), read(first, *values)
    for one, other in zip(ours, plain, strict=True):
        assert one["body"] is other["body"] is None or one["body"] == other["body"] | {"mood": None}
        assert [one[name] for name in READING[1:]] == [other[name] for name in READING[1:]]


def test_what_silver_has_no_column_for_is_text_as_an_unknown_field_is(tmp_path: Path) -> None:
    """So the same event tells the same, read by a version that knows its fields or by one that does not."""
    schemas = Path(shutil.copytree(ROOT / "schemas" / "events", tmp_path / "schemas" / "events")).parent
    file = write_second_version(schemas)
    schema = json.loads(file.read_text())
    text = {"type": "string"}
    news = {
        "words": {"type": "array", "items": text},
        "by_name": {"type": "object", "additionalProperties": text},
        "place": {"type": "object", "properties": {"at": {"type": "integer"}, "of": text}},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"is_odd": {"type": "boolean"}}}},
        "amount": {"type": "integer"},
        "flag": {"type": "boolean"},
    }
    schema["properties"] |= news
    file.write_text(json.dumps(schema))
    event_contract.cache_clear()
    promised = [event_contract("views", version, schemas) for version in (1, 2)]
    editions = (Edition(1, V1, promised[0].fields), Edition(2, V2, promised[1].fields, tuple(news)))
    told = {"words": ["a", 'b"'], "by_name": {"x": "y"}, "place": {"at": 5}, "parts": [{"is_odd": True}], "amount": -3,
            "flag": False}  # fmt: skip
    value = second(**told)
    newer, older = read(ReadingByVersion(held_fields(promised), editions), (V2, value), (V1, value))
    assert sorted(newer["rest"]) == sorted(pair for pair in older["rest"] if pair[0] != "watched_ms")
