"""A file of events read by columns says what its lines say, one by one; and a predicate judges it by the same words."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.definitions.funnel.columns import Asked, EventColumns
from jobs.definitions.funnel.predicate import _duck, evaluate
from jobs.lake.errors import UsageError
from jobs.serve import event_json
from jobs.serve.event_file import read_event_file

Line = dict[str, Any]
ASKED = Asked(frozenset({"n", "word", "flag", "nest", "odd", "none"}), ("word", "n", "any", "nest"))
TIMES = [0, -5, 1_700_000_000_000_000, "2026-11-28T10:00:00Z", "2026-11-28T10:00:00.123456+08:00",
         "2026-11-28T10:00:00.5Z", "20261128T100000+0530", "1969-12-31T23:59:59.999Z", "2026-11-28 10:00Z"]  # fmt: skip
VALUES: dict[str, list[Any]] = {  # of each property, one kind; those of `any` are all different
    "n": [0, 1, -1, 2**63 - 1, -(2**63)],
    "word": ["", "a", "A", "ä", "视频", 'a"b\\c', "\u0000", "1", "line\nend"],
    "flag": [True, False],
    "nest": [{"a": 1}, {"a": [1, None]}, [1, 2.5], {"b": 1, "a": "x"}, {"a": "x", "b": 1}],
    "odd": [0.5, -2.0, 3, 1e300],
    "any": [1, "1", 1.0, True, [1], {"1": 1}, "true", 0, False, ""],
}


def lines_of(seed: int, count: int) -> list[Line]:
    """Events of which no two have one id; a property is missing, null or has a value."""
    draw = Random(seed)
    rows = []
    for number in range(count):
        row = {"subject": draw.choice(["u", "v", "7", 7, 2**63, "视"]), "event_time": draw.choice(TIMES),
               "event_id": draw.choice([f"e{number}", number]), "event": draw.choice(["play", "like"])}  # fmt: skip
        for name, values in VALUES.items():
            row |= draw.choice([{}, {name: None}, {name: draw.choice(values)}, {name: draw.choice(values)}])
        rows.append(row)
    return rows


def written(path: Path, rows: list[Line]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=n % 2 == 0) for n, row in enumerate(rows)) + "\n")
    return path


def micros(value: int | str) -> int:
    """The instant, told apart from our own calendar."""
    if isinstance(value, int):
        return value
    moment = datetime.fromisoformat(value)
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond


@pytest.mark.parametrize("bytes_at_once", [1, 700, 1 << 20])
@pytest.mark.parametrize("spoilt", [False, True])
def test_every_event_is_what_its_line_says(
    bytes_at_once: int, spoilt: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_json, "BYTES_AT_ONCE", bytes_at_once)
    rows = lines_of(5, 300)
    file = written(tmp_path / "events.jsonl", rows)
    lines = list(range(1, 301))
    if spoilt:  # what is not plainly right is read line by line: so are its neighbours
        file.write_text("\n" + file.read_text() + '[{"subject": "u"}]\n')
        lines = [line + 1 for line in lines]
    read = read_event_file(file, ASKED, skip_bad=True)
    assert read.bad == ([(302, "is no JSON object")] if spoilt else [])
    told = read.events
    assert told.line.tolist() == lines
    assert [told.subjects[code] for code in told.subject] == [row["subject"] for row in rows]
    assert told.subjects == [7, 2**63, "7", "u", "v", "视"]
    assert told.time.tolist() == [micros(row["event_time"]) for row in rows]
    assert told.event_id.cast("string").to_pylist() == [str(row["event_id"]) for row in rows]
    assert [told.names[code] for code in told.event] == [row["event"] for row in rows]
    assert set(told.given) == set(VALUES)
    compare_properties(told, rows)


def compare_properties(told: EventColumns, rows: list[Line]) -> None:
    for name in ("n", "word", "flag", "odd"):
        assert told.properties[name].values.to_pylist() == [row.get(name) for row in rows]
    nested = [None if text is None else json.loads(text) for text in told.properties["nest"].values.to_pylist()]
    assert nested == [row.get("nest") for row in rows]
    assert [*told.properties["odd"].kinds] in (["DOUBLE", "BIGINT"], ["BIGINT", "DOUBLE"])
    for name in ASKED.compared:
        exact = [None if row.get(name) is None else (type(row[name]), json.dumps(row[name], sort_keys=True))
                 for row in rows]  # fmt: skip
        codes = told.properties[name].codes.tolist()
        assert [code < 0 for code in codes] == [value is None for value in exact]
        pairs = {*zip(codes, exact, strict=True)}
        assert len(pairs) == len({*codes}) == len({*exact})  # equal where type and value are, and only there


@pytest.mark.parametrize("bytes_at_once", [1, 1 << 20])
def test_kinds_that_mix_are_told_by_their_first_lines(
    bytes_at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_json, "BYTES_AT_ONCE", bytes_at_once)
    values = [None, 1, "x", 2, [1], "y", True]
    rows = [{"subject": "u", "event_time": 1, "event_id": n, "event": "e", "p": p} for n, p in enumerate(values)]
    told = read_event_file(written(tmp_path / "events.jsonl", rows), Asked(frozenset({"p"})), skip_bad=False).events
    assert list(told.properties["p"].kinds.items()) == [("BIGINT", 2), ("VARCHAR", 3), ("JSON", 5), ("BOOLEAN", 7)]


WHERES = {  # predicate → types of what it asks about
    "n > 0": {"n": "BIGINT"},
    "word = 'a' OR word > 'b'": {"word": "VARCHAR"},
    "flag": {"flag": "BOOLEAN"},
    "odd * 2 < n": {"n": "BIGINT", "odd": "DOUBLE"},
    "nest->>'a' = 'x' AND NOT flag": {"nest": "JSON", "flag": "BOOLEAN"},
    "nest = '{\"a\":[1,null]}'": {"nest": "JSON"},
    "none IS NULL": {"none": "MAP(VARCHAR, VARCHAR)"},
    "cast(word AS VARCHAR) || n = 'a1'": {"word": "VARCHAR", "n": "BIGINT"},
    "1 = 1": {},
}


def one_by_one(where: str, rows: list[Line], types: dict[str, str]) -> list[bool]:
    """The predicate over JSON, as DuckDB makes values of it."""
    shape = json.dumps([types or {"nothing": "BOOLEAN"}])
    values = json.dumps([{name: row.get(name) for name in types} for row in rows])
    source = f"(SELECT unnest(from_json(?::JSON, '{shape}')) AS one)"
    found = _duck().execute(f"SELECT coalesce(({where}), false) FROM (SELECT one.* FROM {source})", [values])
    return [row[0] for row in found.fetchall()]


@pytest.mark.parametrize("where", WHERES)
def test_a_predicate_over_columns_is_the_predicate_over_json(where: str, tmp_path: Path) -> None:
    rows, types = lines_of(8, 300), WHERES[where]
    told = read_event_file(written(tmp_path / "events.jsonl", rows), ASKED, skip_bad=False).events
    columns = {name: found.values for name, found in told.properties.items() if found.kinds}
    (found,) = evaluate([where], columns, types, len(rows))
    assert found.tolist() == one_by_one(where, rows, types)
    assert where == "1 = 1" or where.startswith("none") or 0 < found.sum() < len(rows)


INSTANTS = ["2026-01-01T00:00:00+08:00", "2026-01-01", "never", "2026-01-01 00:00:00.123456Z", "", "20260101"]


def test_a_text_is_an_instant_only_if_json_has_it_so() -> None:
    rows = [{"seen_at": text} for text in INSTANTS]
    column = pa.array(INSTANTS)
    for where in ("seen_at IS NULL", "seen_at >= TIMESTAMP '2026-01-01'", "epoch_us(seen_at) % 1000000 = 123456"):
        (found,) = evaluate([where], {"seen_at": column}, {"seen_at": "TIMESTAMP"}, len(rows))
        assert found.tolist() == one_by_one(where, rows, {"seen_at": "TIMESTAMP"})


def whole(value: int | str | None) -> str | None:
    return None if value is None else str(value)


SPOIL: dict[str, Callable[[Line], Line]] = {  # types that Parquet may have → the same as JSON has it
    "plain": lambda row: row,
    "an odd kind of number": lambda row: row | {"n": None if row.get("n") is None else Decimal(row["n"] % 1000)},
    "a null subject": lambda row: row | {"subject": None if row["event_id"] in ("3", "e3") else row["subject"]},
}


@pytest.mark.parametrize("name", SPOIL)
def test_parquet_says_what_json_lines_say(name: str, tmp_path: Path) -> None:
    rows = [SPOIL[name](row | {"subject": str(row["subject"]), "event_id": str(row["event_id"]),
                               "event_time": micros(row["event_time"])}) for row in lines_of(9, 200)]  # fmt: skip
    for row in rows:
        row |= {"n": row.get("n"), "word": row.get("word"), "flag": row.get("flag"), "any": whole(row.get("any"))}
        row["odd"] = None if row.get("odd") is None else float(row["odd"])
        row["nest"] = [1] if row.get("nest") else None
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "events.parquet")
    lines = tmp_path / "events.jsonl"
    lines.write_text("\n".join(json.dumps(row, default=str) for row in rows))
    one, other = (read_event_file(file, ASKED, skip_bad=True) for file in (tmp_path / "events.parquet", lines))
    assert one.bad == other.bad
    assert len(one.bad) == (name == "a null subject")
    for column in ("line", "subject", "time"):
        assert getattr(one.events, column).tolist() == getattr(other.events, column).tolist()
    assert one.events.subjects == other.events.subjects
    assert one.events.event_id.cast("string").to_pylist() == other.events.event_id.to_pylist()
    assert [one.events.names[n] for n in one.events.event] == [other.events.names[n] for n in other.events.event]
    assert set(one.events.given) == set(other.events.given)
    for asked in ASKED.names:
        mine, theirs = (file.events.properties[asked] for file in (one, other))
        assert mine.kinds == theirs.kinds
        assert mine.values.cast("string").to_pylist() == theirs.values.cast("string").to_pylist()
        codes = [*zip(mine.codes.tolist(), theirs.codes.tolist(), strict=True)]
        assert len({*codes}) == len({one for one, _ in codes}) == len({other for _, other in codes})


REPEATED: list[tuple[Line, str | None]] = [  # what the fourth line has instead of the second's → what is wrong with it
    ({}, None), ({"event_id": "5"}, None), ({"event_id": 6, "subject": 2}, None), ({"p": 2}, "another content"),
    ({"subject": "1"}, "another content"), ({"p": 1.0}, "another content"), ({"event": "f"}, "another content"),
]  # fmt: skip
FIRST: Line = {"subject": 1, "event_time": 1, "event_id": 5, "event": "e", "p": 1}
IN_PARQUET = [case for case in REPEATED if all(type(FIRST[name]) is type(value) for name, value in case[0].items())]


@pytest.mark.parametrize(
    ("ending", "change", "wrong"),
    [("jsonl", *case) for case in REPEATED] + [("parquet", *case) for case in IN_PARQUET],
)
def test_a_repeat_is_dropped_and_one_id_with_two_contents_is_refused(
    ending: str, change: Line, wrong: str | None, tmp_path: Path
) -> None:
    file, rows = (
        tmp_path / f"events.{ending}",
        [FIRST | {"event_id": 4}, FIRST, FIRST | {"event_id": 7}, FIRST | change],
    )
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        written(file, rows)
    asked = Asked(frozenset({"p"}), ("p",))
    if wrong:
        with pytest.raises(UsageError, match=f":4: event_id '5' stands on line 2 with {wrong}"):
            read_event_file(file, asked, skip_bad=True)
        return
    read = read_event_file(file, asked, skip_bad=False)
    assert read.repeats == (str(rows[3]["event_id"]) == "5")
    assert read.events.line.tolist() == [1, 2, 3, 4][: 4 - read.repeats]
    assert read.events.properties["p"].values.to_pylist() == [1] * (4 - read.repeats)


def test_what_is_wrong_first_is_told_first(tmp_path: Path) -> None:
    first = {"subject": 1, "event_time": 1, "event_id": 5, "event": "e"}
    file = written(tmp_path / "events.jsonl", [first, first | {"event_time": 2}, {}, first])
    with pytest.raises(UsageError, match=":2: event_id '5' stands on line 1"):
        read_event_file(file, ASKED, skip_bad=False)
    file = written(file, [first, {}, first | {"event_time": 2}])
    with pytest.raises(UsageError, match=":2: subject is missing"):
        read_event_file(file, ASKED, skip_bad=False)
