"""An analyst's file of events, JSON Lines or Parquet, as rows: each line read, or named with what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from jobs.definitions.funnel.calendar import micros
from jobs.definitions.funnel.on_file import Row
from jobs.lake.errors import UsageError

ENVELOPE = ("subject", "event_time", "event_id", "event")
FURTHEST_US = 2**55  # the year 3111; beyond it a number is seconds of another planet, or nanoseconds
MOST_LISTED = 5


@dataclass
class EventFile:
    """The events of a file, identical repeats dropped, and the lines that are no events with the reason."""

    events: list[Row] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)
    repeats: int = 0


def read_event_file(path: Path, *, skip_bad: bool) -> EventFile:
    """Read a file; UsageError for the first bad line unless `skip_bad`, always for one id with two contents."""
    if not path.is_file():
        raise UsageError(f"{path}: is no file; name a JSON Lines (.jsonl) or Parquet (.parquet) file of events")
    found, seen = EventFile(), dict[str, Row]()
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    for line, row in rows:
        try:
            event = _event(line, row)
        except ValueError as bad:
            if not skip_bad:
                raise UsageError(
                    f"{path}:{line}: {bad}; mend the line, or leave such lines out with --skip-bad"
                ) from bad
            found.bad.append((line, str(bad)))
            continue
        _add(found, seen, event, path)
    return found


def _add(found: EventFile, seen: dict[str, Row], event: Row, path: Path) -> None:
    """Keep the event unless it repeats an earlier one (rule 21)."""
    twin = seen.setdefault(event.event_id, event)
    if twin is event:
        found.events.append(event)
    elif _content(twin) == _content(event):
        found.repeats += 1
    else:
        raise UsageError(
            f"{path}:{event.line}: event_id {event.event_id!r} stands on line {twin.line} with another content; "
            "one id is one event: give it an id of its own"
        )


def _content(event: Row) -> tuple[Any, ...]:
    """What makes two events the same; JSON text keeps 1, 1.0 and true apart."""
    told = json.dumps([event.subject, event.properties], sort_keys=True, default=str)
    return event.time, event.event, told


def _json_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Each line's value, or the error that reading it gave."""
    import orjson

    with path.open("rb") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                yield line, orjson.loads(text)
            except orjson.JSONDecodeError as bad:
                yield line, bad


def _parquet_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Each row of a Parquet file; instants become epoch microseconds."""
    import duckdb

    with duckdb.connect() as duck:
        try:
            described = duck.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        except duckdb.Error as bad:
            raise UsageError(f"{path}: is no Parquet file: {str(bad).splitlines()[0]}") from bad
        kinds = {name: kind for name, kind, *_ in described}
        if kinds.get("event_time", "").startswith("TIMESTAMP") and kinds["event_time"] != "TIMESTAMP WITH TIME ZONE":
            raise UsageError(f"{path}: event_time has no time zone; write UTC instants or integer microseconds")
        is_instant = kinds.get("event_time") == "TIMESTAMP WITH TIME ZONE"
        replaced = "REPLACE (epoch_us(event_time) AS event_time)" if is_instant else ""
        rows = duck.execute(f"SELECT * {replaced} FROM read_parquet(?)", [str(path)])  # noqa: S608 - our own words
        line = 0
        while some := rows.fetchmany(10_000):
            for row in some:
                line += 1
                named = zip(kinds, row, strict=True)
                yield line, {name: value for name, value in named if value is not None or name in ENVELOPE}


def _event(line: int, row: Any) -> Row:
    """A row as an event; ValueError says what is wrong with it."""
    if isinstance(row, Exception):
        raise ValueError(f"is no JSON: {row}")
    if not isinstance(row, dict):
        raise ValueError("is no JSON object")
    missing = [name for name in ENVELOPE if row.get(name) is None]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    subject, event_id, event = row["subject"], row["event_id"], row["event"]
    if isinstance(subject, bool) or not isinstance(subject, str | int) or subject == "":
        raise ValueError(f"subject is {subject!r}, not a text or whole number")
    if isinstance(event_id, bool) or not isinstance(event_id, str | int) or event_id == "":
        raise ValueError(f"event_id is {event_id!r}, not a text")
    if not isinstance(event, str) or not event:
        raise ValueError(f"event is {event!r}, not the name of an event")
    properties = {name: value for name, value in row.items() if name not in ENVELOPE}
    return Row(line, subject, instant(row["event_time"]), str(event_id), event, properties)


def instant(value: Any) -> int:
    """Epoch microseconds of an ISO 8601 time with zone or of integer microseconds; ValueError otherwise."""
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > FURTHEST_US:
            raise ValueError(f"event_time {value} is no time in microseconds")
        return value
    if not isinstance(value, str):
        raise ValueError(f"event_time is {value!r}, neither ISO 8601 with a zone nor integer microseconds")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"event_time {value!r} is no ISO 8601 time") from None
    if moment.tzinfo is None:
        raise ValueError(f"event_time {value!r} has no zone; end it with Z or +08:00")
    return micros(moment)


def listed(bad: list[tuple[int, str]]) -> str:
    """The first bad lines in a sentence."""
    told = "; ".join(f"line {line}: {reason}" for line, reason in bad[:MOST_LISTED])
    return told + (f"; and {len(bad) - MOST_LISTED} more" if len(bad) > MOST_LISTED else "")
