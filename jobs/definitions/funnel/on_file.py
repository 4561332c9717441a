"""A definition over an analyst's own events: which event matches what, by DuckDB and columns, without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.definitions.funnel.checking import check_predicate, named_events, predicates
from jobs.definitions.funnel.columns import Asked, EventColumns
from jobs.definitions.funnel.gathering import Gatherer
from jobs.definitions.funnel.judged import Events, Ints
from jobs.definitions.funnel.marked_yaml import MarkedYaml, read_marked
from jobs.definitions.funnel.marked_yaml import Path as Place
from jobs.definitions.funnel.model import Definition, Exclusion, Step
from jobs.definitions.funnel.predicate import duck_type, evaluate, needed, properties_of
from jobs.definitions.funnel.vocabulary import did_you_mean, event_names, properties
from jobs.lake.errors import DefinitionError, UsageError

OBJECTS = ("video_id", "product_id", "live_room_id", "creator_id", "order_id", "query", "object")
SPARK = {
    "BOOLEAN": "boolean", "BIGINT": "bigint", "DOUBLE": "double", "VARCHAR": "string", "JSON": "struct<>",
    '"NULL"': "void",
}  # fmt: skip
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Row:
    """One event of a file; `line` is where it stands there, `time` epoch µs."""

    line: int
    subject: str | int
    time: int
    event_id: str
    event: str
    properties: dict[str, Any]


def asked_of(definition: Definition) -> Asked:
    """The properties to read for a definition; a `where` that is none asks for nothing, and is refused later."""
    tested: set[str] = set()
    for where in definition.predicates:
        try:
            tested |= needed(properties_of(where))
        except DefinitionError:
            continue
    objects = OBJECTS if any(step.distinct for step in definition.steps) else ()
    return Asked(frozenset(tested), tuple(dict.fromkeys([*definition.hold, *objects])))


def gather(into: Gatherer, rows: Sequence[Row], asked: Asked) -> None:
    """Append rows to columns."""
    lines = np.array([row.line for row in rows], np.int64)
    into.add(
        lines,
        [row.subject for row in rows],
        np.array([row.time for row in rows], np.int64),
        pa.array([row.event_id for row in rows], pa.string()),
        [row.event for row in rows],
    )
    for name in asked.names:
        into.add_property(name, [row.properties.get(name) for row in rows], lines)
    into.given.update(*(row.properties for row in rows))


def as_columns(rows: Sequence[Row], asked: Asked) -> EventColumns:
    """Rows as columns, with the properties asked for."""
    gathered = Gatherer(asked)
    gather(gathered, rows, asked)
    return gathered.done()


def events_of(definition: Definition, file: str, told: EventColumns, schemas_dir: Path) -> Events:
    """Columns as the engine takes them; DefinitionError for words that neither the file nor a contract knows."""
    refuse_unknown_events(definition, file, told.names, schemas_dir)
    passed = _passed(definition, file, told, schemas_dir)
    is_distinct = any(step.distinct for step in definition.steps)
    return Events(
        subject=told.subject,
        time=told.time,
        event_id=told.event_id,
        mask=_bits(definition.steps, told, passed),
        xmask=_bits(definition.exclusions, told, passed) if definition.exclusions else None,
        in_scope=_is_one_of(told, definition.scope) if definition.scope else None,
        is_opening=_is_one_of(told, definition.steps[0].events) if definition.first_entry_only == "true" else None,
        hold=_hold_codes(told, definition.hold) if definition.hold else None,
        object_key=_object_codes(told) if is_distinct else None,
    )


def refuse_unknown_events(definition: Definition, file: str, names: Sequence[str], schemas_dir: Path) -> None:
    """Refuse a name that is neither ours nor in the file; a file with its own words may be asked about any."""
    ours, theirs = set(event_names(schemas_dir)), set(names)
    named = list(named_events(definition))
    unknown = [(place, name) for place, name in named if name not in ours | theirs]
    has_own_words = not {name for _, name in named} & ours
    if unknown and not (has_own_words and (not theirs or theirs - ours)):
        place, name = unknown[0]
        marked = read_marked(Path(file).read_text(encoding="utf-8"), file)
        raise marked.refuse(place, f"{name!r} is no event, and none in the file; {did_you_mean(name, ours | theirs)}")


def _passed(definition: Definition, file: str, told: EventColumns, schemas_dir: Path) -> dict[str, Flags]:
    """For each predicate whether each event passes."""
    if not definition.predicates:
        return {}
    marked = read_marked(Path(file).read_text(encoding="utf-8"), file)
    known = properties(schemas_dir) | {"event": "string"}
    types: dict[str, str] = {}
    for place, where in predicates(definition):
        names = needed(_asked(marked, place, where))
        for name in names - set(types):
            types[name] = _type_of(name, told, known) if name in told.given else duck_type(known.get(name, "string"))
        is_known = {*told.given, *known}
        ours = {name: SPARK.get(types[name], known.get(name, "string")) for name in names if name in is_known}
        check_predicate(marked, place, where, dict.fromkeys(told.given, "struct<>") | known | ours)
    columns: dict[str, Any] = {name: found.values for name, found in told.properties.items() if name in types}
    if "event" in types:
        columns["event"] = pa.array(told.names, pa.string()).take(pa.array(told.event))
    if "event_time" in types:
        columns["event_time"] = pa.array(told.time, pa.timestamp("us"))
    try:
        found = evaluate(definition.predicates, columns, types, told.line.size)
    except DefinitionError:
        for place, where in predicates(definition):
            _evaluated(marked, place, where, columns, types, told.line.size)
        raise
    return dict(zip(definition.predicates, found, strict=True))


def _evaluated(
    marked: MarkedYaml, place: Place, where: str, columns: Mapping[str, Any], types: Mapping[str, str], size: int
) -> None:
    """Evaluate one predicate, to name the place of one that cannot be."""
    try:
        evaluate([where], columns, types, size)
    except DefinitionError as bad:
        raise marked.refuse(place, str(bad)) from bad


def _asked(marked: MarkedYaml, place: Place, where: str) -> set[str]:
    """The properties a predicate asks about."""
    try:
        return properties_of(where)
    except DefinitionError as bad:
        raise marked.refuse(place, str(bad)) from bad


def _type_of(name: str, told: EventColumns, known: Mapping[str, str]) -> str:
    """DuckDB's type for the values a property has in the file."""
    kinds = told.properties[name].kinds
    if set(kinds) == {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    if len(kinds) > 1:
        (one, line), (other, other_line) = list(kinds.items())[:2]
        raise UsageError(
            f"property {name} is {one} on line {line} and {other} on line {other_line}; a `where` asks about it: "
            "write it the same way everywhere"
        )
    kind = next(iter(kinds), duck_type(known.get(name, "void")))
    return "TIMESTAMP" if kind == "VARCHAR" and known.get(name) == "timestamp" else kind


def _is_one_of(told: EventColumns, names: Sequence[str]) -> Flags:
    """Whether each event has one of these names."""
    return np.array([name in names for name in told.names], np.bool_)[told.event]


def _bits(parts: Sequence[Step | Exclusion], told: EventColumns, passed: Mapping[str, Flags]) -> Ints:
    """A bit per step or exclusion that an event matches."""
    untested = [(place, part.events) for place, part in enumerate(parts) if not part.where]
    by_name = [sum(1 << place for place, events in untested if name in events) for name in told.names]
    bits = np.array(by_name, np.uint64)[told.event]
    for place, part in enumerate(parts):
        if part.where:
            fits = _is_one_of(told, part.events) & passed[part.where]
            bits |= fits.astype(np.uint64) << np.uint64(place)
    return bits.view(np.int64)


def _hold_codes(told: EventColumns, names: Sequence[str]) -> Ints:
    """A number per hold key, -1 where a part is missing."""
    parts = [told.properties[name].codes for name in names]
    return np.where(np.min(parts, axis=0) < 0, -1, reduce(_together, parts))


def _object_codes(told: EventColumns) -> Ints:
    """A number per event name and what the event is about."""
    return reduce(_together, [told.properties[name].codes for name in OBJECTS], told.event)


def _together(one: Ints, other: Ints) -> Ints:
    """A number per pair of numbers."""
    width = int(other.max(initial=0)) + 2
    together: Ints = np.unique(one * width + other + 1, return_inverse=True)[1].astype(np.int64)
    return together
