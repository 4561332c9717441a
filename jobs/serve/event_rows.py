"""One row of an analyst's file as an event, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from json import JSONDecodeError
from typing import Any

from jobs.definitions.funnel.calendar import micros
from jobs.definitions.funnel.columns import ENVELOPE
from jobs.definitions.funnel.on_file import Row

FURTHEST_US = 2**55  # the year 3111; beyond it a number is seconds of another planet, or nanoseconds
BadLines = list[tuple[int, str]]


def good_and_bad(rows: Iterable[tuple[int, Any]], *, skip_bad: bool) -> tuple[list[Row], BadLines]:
    """The events among rows (line, value or the error that reading it gave), and what is wrong with the others.

    Without `skip_bad` it ends at the first bad one.
    """
    good: list[Row] = []
    bad: BadLines = []
    for line, row in rows:
        try:
            good.append(event_of(line, row))
        except ValueError as wrong:
            bad.append((line, str(wrong)))
            if not skip_bad:
                break
    return good, bad


def event_of(line: int, row: Any) -> Row:
    """A row as an event; ValueError says what is wrong with it."""
    if isinstance(row, JSONDecodeError):
        raise ValueError(f"is no JSON: {row.msg} (column {row.colno})")
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
    time = instant(row["event_time"])
    if abs(time) > FURTHEST_US:
        raise ValueError(f"event_time {row['event_time']!r} is not within the years 829 to 3111")
    return Row(line, subject, time, str(event_id), event, properties)


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
