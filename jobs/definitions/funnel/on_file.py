"""A definition over an analyst's own rows: which event matches what, by DuckDB and plain Python, without Spark."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jobs.definitions.funnel.checking import check_predicate, named_events, predicates
from jobs.definitions.funnel.judged import Events
from jobs.definitions.funnel.marked_yaml import MarkedYaml, read_marked
from jobs.definitions.funnel.marked_yaml import Path as Place
from jobs.definitions.funnel.model import Definition, Exclusion, Step
from jobs.definitions.funnel.predicate import duck_type, evaluate, needed, properties_of
from jobs.definitions.funnel.vocabulary import did_you_mean, event_names, properties
from jobs.lake.errors import DefinitionError, UsageError

OBJECTS = ("video_id", "product_id", "live_room_id", "creator_id", "order_id", "query", "object")
KINDS = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR", list: "JSON", dict: "JSON"}
SPARK = {"BOOLEAN": "boolean", "BIGINT": "bigint", "DOUBLE": "double", "VARCHAR": "string", "JSON": "struct<>"}


@dataclass(frozen=True, slots=True)
class Row:
    """One event of a file; `line` is where it stands there, `time` epoch µs."""

    line: int
    subject: str | int
    time: int
    event_id: str
    event: str
    properties: dict[str, Any]


def subjects_of(rows: Sequence[Row]) -> list[str | int]:
    """The distinct subjects, numbers before texts, sorted; a subject's place is its code."""
    return sorted({(isinstance(row.subject, str), row.subject): row.subject for row in rows}.values(), key=_sortable)


def _sortable(value: str | int) -> tuple[bool, str | int]:
    return isinstance(value, str), value


def as_events(definition: Definition, file: str, rows: Sequence[Row], schemas_dir: Path) -> Events:
    """The rows as the engine takes them; DefinitionError for words that neither the file nor a contract knows."""
    refuse_unknown_events(definition, file, rows, schemas_dir)
    passed = _passed(definition, file, rows, schemas_dir)
    code = {(type(subject), subject): place for place, subject in enumerate(subjects_of(rows))}
    opening = set(definition.steps[0].events)
    is_distinct = any(step.distinct for step in definition.steps)
    return Events(
        subject=np.array([code[type(row.subject), row.subject] for row in rows], np.int64),
        time=np.array([row.time for row in rows], np.int64),
        event_id=np.array([row.event_id for row in rows], object),
        mask=_bits(definition.steps, rows, passed),
        xmask=_bits(definition.exclusions, rows, passed),
        in_scope=np.array([row.event in set(definition.scope) for row in rows], np.bool_),
        is_opening=np.array([row.event in opening for row in rows], np.bool_),
        hold=_codes([_key(row, definition.hold) for row in rows]) if definition.hold else None,
        object_key=_codes([(row.event, *_values(row, OBJECTS)) for row in rows]) if is_distinct else None,
    )


def refuse_unknown_events(definition: Definition, file: str, rows: Sequence[Row], schemas_dir: Path) -> None:
    """Refuse a name that is neither ours nor in the file; a file with its own words may be asked about any."""
    ours, theirs = set(event_names(schemas_dir)), {row.event for row in rows}
    named = list(named_events(definition))
    unknown = [(place, name) for place, name in named if name not in ours | theirs]
    has_own_words = not {name for _, name in named} & ours
    if unknown and not (has_own_words and (not theirs or theirs - ours)):
        place, name = unknown[0]
        marked = read_marked(Path(file).read_text(encoding="utf-8"), file)
        raise marked.refuse(place, f"{name!r} is no event, and none in the file; {did_you_mean(name, ours | theirs)}")


def _passed(definition: Definition, file: str, rows: Sequence[Row], schemas_dir: Path) -> dict[str, list[bool]]:
    """For each predicate whether each row passes."""
    if not definition.predicates:
        return {}
    marked = read_marked(Path(file).read_text(encoding="utf-8"), file)
    given = {name for row in rows for name in row.properties}
    known = properties(schemas_dir) | {"event": "string"}
    asked: set[str] = set()
    types: dict[str, str] = {}
    for place, where in predicates(definition):
        names = needed(_asked(marked, place, where))
        for name in names - asked:
            types[name] = _type_of(name, rows, known) if name in given else duck_type(known.get(name, "string"))
        asked |= names
        ours = {name: SPARK.get(types[name], known.get(name, "string")) for name in names if name in given | set(known)}
        check_predicate(marked, place, where, dict.fromkeys(given, "struct<>") | known | ours)
    told = [row.properties | {"event": row.event} for row in rows]
    found = evaluate(definition.predicates, told, types)
    return {where: [row[n] for row in found] for n, where in enumerate(definition.predicates)}


def _asked(marked: MarkedYaml, place: Place, where: str) -> set[str]:
    """The properties a predicate asks about."""
    try:
        return properties_of(where)
    except DefinitionError as bad:
        raise marked.refuse(place, str(bad)) from bad


def _type_of(name: str, rows: Sequence[Row], known: Mapping[str, str]) -> str:
    """DuckDB's type for the values a property has in the file."""
    first: dict[str, int] = {}
    for row in rows:
        value = row.properties.get(name)
        if value is not None:
            first.setdefault(KINDS.get(type(value), "VARCHAR"), row.line)
    if set(first) == {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    if len(first) > 1:
        (one, line), (other, other_line) = list(first.items())[:2]
        raise UsageError(
            f"property {name} is {one} on line {line} and {other} on line {other_line}; a `where` asks about it: "
            "write it the same way everywhere"
        )
    kind = next(iter(first), duck_type(known.get(name, "string")))
    return "TIMESTAMP" if kind == "VARCHAR" and known.get(name) == "timestamp" else kind


def _bits(
    parts: Sequence[Step | Exclusion], rows: Sequence[Row], passed: Mapping[str, list[bool]]
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A bit per step or exclusion that a row matches."""
    bits = np.zeros(len(rows), np.uint64)
    for place, part in enumerate(parts):
        names = set(part.events)
        fits = [row.event in names and (not part.where or passed[part.where][n]) for n, row in enumerate(rows)]
        bits |= np.array(fits, np.uint64) << np.uint64(place)
    return bits.view(np.int64)


def _values(row: Row, names: Sequence[str]) -> tuple[Hashable, ...]:
    """Values that are equal only if their types are; what is nested by its text."""
    values = [row.properties.get(name) for name in names]
    return tuple(
        None if value is None else (type(value).__name__, json.dumps(value, sort_keys=True, default=str))
        for value in values
    )


def _key(row: Row, names: Sequence[str]) -> tuple[Hashable, ...] | None:
    """The hold key of a row, None where a part is missing."""
    values = _values(row, names)
    return None if None in values else values


def _codes(keys: Sequence[Hashable]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A number per distinct key, -1 for None."""
    code: dict[Hashable, int] = {}
    return np.array([-1 if key is None else code.setdefault(key, len(code)) for key in keys], np.int64)
