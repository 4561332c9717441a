"""Columns of events that grow by pieces of a file, whatever kinds of values come."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.definitions.funnel.codes import Codes, Column, in_order, joined
from jobs.definitions.funnel.columns import ENVELOPE, Asked, EventColumns, Property
from jobs.definitions.funnel.judged import Ints

KINDS = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR", list: "JSON", dict: "JSON"}
ARROW = {"BOOLEAN": pa.bool_(), "BIGINT": pa.int64(), "DOUBLE": pa.float64()}  # the others are texts
BIGGEST = 2**63 - 1


@dataclass
class _Gathered:
    """A property while its column grows."""

    kinds: dict[str, int] = field(default_factory=dict)
    values: list[pa.Array | pa.ChunkedArray] = field(default_factory=list)
    codes: list[Ints] = field(default_factory=list)
    seen: Codes = field(default_factory=Codes)

    def note_kinds(self, column: Column, lines: Ints) -> set[str]:
        """The kinds of these values; the line of one that is new is kept."""
        first = _first_in_arrow(column) if _is_arrow(column) else _first_in_list(column)
        for kind, place in first.items():
            self.kinds[kind] = min(self.kinds.get(kind, int(lines[place])), int(lines[place]))
        return {*first}

    def done(self) -> Property:
        """The whole column."""
        kinds = dict(sorted(self.kinds.items(), key=lambda pair: pair[1]))
        kind = "DOUBLE" if set(kinds) == {"BIGINT", "DOUBLE"} else next(iter(kinds), "VARCHAR")
        wanted = ARROW.get(kind, pa.string())
        chunks = [chunk.cast(wanted, safe=False) for chunk in self.values] if len(kinds) < 2 or kind == "DOUBLE" else []
        parts = [part for chunk in chunks for part in (chunk.chunks if isinstance(chunk, pa.ChunkedArray) else [chunk])]
        return Property(kinds, pa.chunked_array(parts, wanted), joined(self.codes))


class Gatherer:
    """Columns that grow by pieces of a file."""

    def __init__(self, asked: Asked) -> None:
        self.given: set[str] = set()
        self._asked = asked
        self._lines: list[Ints] = []
        self._subjects, self._events = Codes(), Codes()
        self._subject: list[Ints] = []
        self._event: list[Ints] = []
        self._times: list[Ints] = []
        self._ids: list[pa.Array] = []
        self._properties = {name: _Gathered() for name in asked.names}

    def add(self, lines: Ints, subjects: Column, times: Ints, ids: Column, events: Column) -> None:
        """Append events; columns are Python's values or Arrow's, without nulls."""
        self._lines.append(lines)
        self._subject.append(self._subjects.of(subjects))
        self._times.append(times)
        self._event.append(self._events.of(events))
        flat = ids if isinstance(ids, pa.ChunkedArray) else pa.chunked_array([pa.array(ids)])
        self._ids += flat.chunks

    def add_property(self, name: str, column: Column, lines: Ints) -> None:
        """Append what the same events have of an asked property."""
        into = self._properties[name]
        kinds = into.note_kinds(column, lines)
        if name in self._asked.tested:
            into.values.append(column if _is_arrow(column) else _as_array(column, kinds))
        if name in self._asked.compared:
            into.codes.append(into.seen.of(column))

    def done(self) -> EventColumns:
        """All that was added."""
        subjects, place = in_order(self._subjects.words())
        codes = joined(self._subject)
        text = {chunk.type for chunk in self._ids} != {pa.int64()}
        chunks = [chunk.cast(pa.string()) if text else chunk for chunk in self._ids]
        return EventColumns(
            line=joined(self._lines),
            subject=codes if place is None or not codes.size else place[codes],
            subjects=subjects,
            time=joined(self._times),
            event_id=pa.chunked_array(chunks, pa.string() if text else pa.int64()),
            event=joined(self._event),
            names=self._events.words(),
            given=self.given - {*ENVELOPE},
            properties={name: gathered.done() for name, gathered in self._properties.items()},
        )


def _is_arrow(column: Column) -> bool:
    return isinstance(column, pa.Array | pa.ChunkedArray)


def _first_in_list(column: Sequence[Any]) -> dict[str, int]:
    """The kinds of some values, and where each comes first."""
    found: dict[str, int] = {}
    for kind in {*map(type, column)} - {type(None)}:
        place = next(place for place, value in enumerate(column) if type(value) is kind)
        name = KINDS.get(kind, "VARCHAR")
        found[name] = min(found.get(name, place), place)
    return found


def _first_in_arrow(column: Any) -> dict[str, int]:
    """The kind of a column's values, and where the first is."""
    if column.null_count == len(column):
        return {}
    kind = next((kind for kind, arrow in ARROW.items() if arrow == column.type), "VARCHAR")
    return {kind: pc.index(pc.is_valid(column), True).as_py()}


def _as_array(column: Sequence[Any], kinds: set[str]) -> pa.Array:
    """Values as Arrow has them; what is nested or of no kind as text, a number beyond 64 bits as null."""
    if not kinds:
        return pa.nulls(len(column))
    if kinds == {"BIGINT"}:
        return pa.array([value if _is_64_bits(value) else None for value in column], pa.int64())
    if kinds <= {"BIGINT", "DOUBLE"}:
        return pa.array([None if value is None else float(value) for value in column], pa.float64())
    if kinds == {"BOOLEAN"}:
        return pa.array(column, pa.bool_())
    told: Callable[[Any], str] = _as_json if kinds == {"JSON"} else str
    return pa.array([None if value is None else told(value) for value in column], pa.string())


def _is_64_bits(value: int | None) -> bool:
    return value is not None and -BIGGEST - 1 <= value <= BIGGEST


def _as_json(value: Any) -> str:
    return json.dumps(value, default=str)
