"""Events of a file as columns: what is compared as codes, what a `where` asks about as Arrow arrays."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from jobs.definitions.funnel.judged import Ints

KINDS = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR", list: "JSON", dict: "JSON"}
ARROW = {"BOOLEAN": pa.bool_(), "BIGINT": pa.int64(), "DOUBLE": pa.float64()}  # the others are texts
ENVELOPE = ("subject", "event_time", "event_id", "event")  # what every event has; all else are properties
BIGGEST = 2**63 - 1
Column: TypeAlias = Sequence[Any] | pa.Array | pa.ChunkedArray


@dataclass(frozen=True, slots=True)
class Asked:
    """The properties a definition reads: `tested` by its predicates, `compared` for equality (hold, double taps)."""

    tested: frozenset[str] = frozenset()
    compared: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Each of them once."""
        return tuple(sorted({*self.tested, *self.compared}))


@dataclass(frozen=True)
class Property:
    """A property, null where an event lacks it; `kinds`: DuckDB's words for its values → the first line with one.

    `values` mean nothing where kinds are mixed; `codes` are equal where type and value are, -1 for null.
    """

    kinds: dict[str, int]
    values: pa.ChunkedArray
    codes: Ints

    def of(self, rows: Ints) -> Property:
        """The property of some of the events."""
        return Property(
            self.kinds,
            self.values.take(rows) if len(self.values) else self.values,
            self.codes[rows] if self.codes.size else self.codes,
        )


@dataclass(frozen=True)
class EventColumns:
    """Events in the order of the file; arrays of one length.

    `line` is where one stands, `subject` its place in `subjects` (numbers before texts, sorted), `time` epoch µs,
    `event` its place in `names`; ids are texts, or integers that mean their texts. `given` names every property of
    the file, the asked ones are in `properties`.
    """

    line: Ints
    subject: Ints
    subjects: Sequence[str | int]
    time: Ints
    event_id: pa.ChunkedArray
    event: Ints
    names: Sequence[str]
    given: Collection[str]
    properties: Mapping[str, Property]

    def without(self, places: Ints) -> EventColumns:
        """These events less some of them, which repeat others."""
        if places.size == 0:
            return self
        kept = np.delete(np.arange(self.line.size), places)
        return replace(
            self, line=self.line[kept], subject=self.subject[kept], time=self.time[kept], event=self.event[kept],
            event_id=self.event_id.take(kept),
            properties={name: found.of(kept) for name, found in self.properties.items()},
        )  # fmt: skip


class Codes:
    """Numbers from 0 for values as they come; values of another type are other values."""

    def __init__(self) -> None:
        self._next = count()
        self._of: dict[str, defaultdict[Hashable, int]] = {}

    def of(self, column: Column) -> Ints:
        """A number for each value, -1 for null."""
        if isinstance(column, pa.Array | pa.ChunkedArray):
            return self._of_numbers(column) if _is_dense(column) else self._of_arrow(column)
        types = {*map(type, column)} - {type(None)}
        number: Callable[[Any], int] = self._number
        if len(types) == 1 and types <= {str, int, bool}:
            number = self._table(*types).__getitem__
        return np.fromiter(map(number, column), np.int64, len(column))

    def words(self) -> list[Any]:
        """The values by their numbers; of texts and whole numbers only."""
        pairs = [(number, value) for table in self._of.values() for value, number in table.items() if number >= 0]
        return [value for _, value in (pairs if len(self._of) == 1 else sorted(pairs))]

    def _of_numbers(self, column: pa.Array | pa.ChunkedArray) -> Ints:
        """Whole numbers that lie close together, by one table of all between the least and the greatest."""
        values = column.to_numpy()
        least = int(values.min())
        is_there = np.zeros(int(values.max()) - least + 1, np.bool_)
        is_there[values - least] = True
        places = np.flatnonzero(is_there)
        numbers = np.empty(is_there.size, np.int64)
        numbers[places] = self.of((places + least).tolist())
        return numbers[values - least]

    def _of_arrow(self, column: pa.Array | pa.ChunkedArray) -> Ints:
        """Each distinct value is looked up once."""
        encoded = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
        if not pa.types.is_dictionary(encoded.type):
            encoded = encoded.combine_chunks().dictionary_encode()
            encoded = pa.chunked_array([encoded]) if isinstance(encoded, pa.Array) else encoded
        chunks = encoded.unify_dictionaries().chunks
        words = chunks[0].dictionary if chunks else pa.array([], pa.string())
        numbers: Ints = np.append(self.of(words.to_pylist()), -1)
        return _joined([numbers[chunk.indices.fill_null(len(words)).to_numpy()] for chunk in chunks])

    def _table(self, kind: type) -> defaultdict[Hashable, int]:
        if kind.__name__ not in self._of:
            self._of[kind.__name__] = defaultdict(self._next.__next__, {None: -1})
        return self._of[kind.__name__]

    def _number(self, value: Any) -> int:
        if value is None:
            return -1
        is_plain = isinstance(value, str | int)
        return self._table(type(value))[value if is_plain else json.dumps(value, sort_keys=True, default=str)]


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
        kinds = dict(sorted(self.kinds.items(), key=lambda pair: pair[1]))
        kind = "DOUBLE" if set(kinds) == {"BIGINT", "DOUBLE"} else next(iter(kinds), "VARCHAR")
        wanted = ARROW.get(kind, pa.string())
        chunks = [chunk.cast(wanted, safe=False) for chunk in self.values] if len(kinds) < 2 or kind == "DOUBLE" else []
        parts = [part for chunk in chunks for part in (chunk.chunks if isinstance(chunk, pa.ChunkedArray) else [chunk])]
        return Property(kinds, pa.chunked_array(parts, wanted), _joined(self.codes))


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
        subjects, place = _sorted(self._subjects.words())
        codes = _joined(self._subject)
        text = {chunk.type for chunk in self._ids} != {pa.int64()}
        chunks = [chunk.cast(pa.string()) if text else chunk for chunk in self._ids]
        return EventColumns(
            line=_joined(self._lines),
            subject=place[codes] if codes.size else codes,
            subjects=subjects,
            time=_joined(self._times),
            event_id=pa.chunked_array(chunks, pa.string() if text else pa.int64()),
            event=_joined(self._event),
            names=self._events.words(),
            given=self.given - {*ENVELOPE},
            properties={name: gathered.done() for name, gathered in self._properties.items()},
        )


def _is_dense(column: Any) -> bool:
    """Whether a column has whole numbers, all of them, and a table of the range they are from is no longer than it."""
    if column.type != pa.int64() or column.null_count or len(column) == 0:
        return False
    import pyarrow.compute as pc

    ends = pc.min_max(column).as_py()
    return bool(ends["max"] - ends["min"] < len(column))


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
    import pyarrow.compute as pc

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


def _sorted(words: list[Any]) -> tuple[list[Any], Ints]:
    """Words with numbers before texts, each sorted, and the new place of each old one."""
    numbers = [at for at, word in enumerate(words) if isinstance(word, int)]
    texts = [at for at, word in enumerate(words) if isinstance(word, str)]
    order = [*sorted(numbers, key=words.__getitem__), *sorted(texts, key=words.__getitem__)]
    place = np.empty(len(words), np.int64)
    place[order] = np.arange(len(words))
    return [words[at] for at in order], place


def _joined(parts: Sequence[Ints]) -> Ints:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
