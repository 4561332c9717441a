"""Bodies of several versions of a contract → readings: each is read once, by the version that its `ce_type` names."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.definitions.events.closely import as_text
from jobs.definitions.events.form import Edition, Form
from jobs.definitions.events.scanned import READING, REST, Reading, bodies_of, readings_of
from jobs.definitions.events.shape import Layout, layout_of

if TYPE_CHECKING:
    from jobs.lake.event_contracts import EventField


def reading_of(form: Form) -> Reading:
    """How a topic's bodies are read; the plain way where there is one version."""
    return Reading(form.fields) if len(form.editions) == 1 else ReadingByVersion(form.fields, form.editions)


@dataclass(frozen=True)
class ReadingByVersion(Reading):
    """The same for records of several versions; one of an unknown type is read by the newest.

    `fields` are what bodies of all versions hold.
    """

    editions: tuple[Edition, ...]

    def found(self, batch: pa.RecordBatch, layout: Layout) -> pa.Array:
        """What the batch's bodies say, those of each version read together."""
        values, owner = batch.column("value"), self._owners(batch.column("ce_type"))
        order, parts = np.argsort(owner, kind="stable"), []
        for number, edition in enumerate(self.editions):
            mine = np.flatnonzero(owner == number)
            if mine.size:
                bodies = values if mine.size == len(values) else values.take(pa.array(mine))
                read = readings_of(bodies, layout_of(edition.fields), edition.fields)
                parts.append(as_held(read, edition, self.fields))
        if len(parts) == 1:
            return parts[0]
        back = np.empty_like(order)
        back[order] = np.arange(order.size)
        return pa.concat_arrays(parts).take(pa.array(back))

    def _owners(self, types: pa.Array) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """By record the number of the edition that reads it."""
        owner = np.full(len(types), len(self.editions) - 1, np.int64)
        for number, edition in enumerate(self.editions):
            owner[np.asarray(pc.fill_null(pc.equal(types, edition.type_name), False))] = number
        return owner


def as_held(found: pa.Array, edition: "Edition", fields: "tuple[EventField, ...]") -> pa.Array:
    """Readings of one version as those of all: its fields in the places of silver's, null for those it has not.

    What silver has no column for is in `rest` too.
    """
    bodies, torn, unread, rest = (found.field(name) for name in READING)
    place = {field.column: number for number, field in enumerate(edition.fields)}
    types = {field.name: field for field in fields}
    parts = [
        bodies.field(place[name]) if name in place else pa.nulls(len(found), _type_of(types[name])) for name in types
    ]
    held = pa.StructArray.from_arrays(parts, list(types), mask=bodies.is_null())
    columns = [held, torn, unread, _with_unpromised(rest, bodies, edition)]
    return pa.StructArray.from_arrays(columns, list(READING), mask=found.is_null())


def _type_of(field: "EventField") -> pa.DataType:
    """The type of a field's values as they are read."""
    layout = layout_of((field,))
    return bodies_of(pa.array([b"{}"], pa.binary()), layout).type.field(0).type


def _with_unpromised(rest: pa.Array, bodies: pa.Array, edition: "Edition") -> pa.Array:
    """The unknown fields, and as text those of the version that silver has no column for."""
    if not edition.unpromised:
        return rest
    told = [dict(entries or ()) for entries in rest.to_pylist()]
    for field in edition.fields:
        if field.name not in edition.unpromised:
            continue
        for row, value in enumerate(bodies.field(bodies.type.get_field_index(field.name)).to_pylist()):
            if value is not None:
                told[row][field.name] = as_text(_plain(value, field))
    return pa.array([list(each.items()) or None for each in told], REST)


def _plain(value: Any, field: "EventField") -> Any:
    """A value out of Arrow as JSON would have it; parts that are not there left out."""
    if field.kind == "map":
        return dict(value)
    if isinstance(value, list):
        return [_plain(each, field.item) if field.item else each for each in value]
    return {name: part for name, part in value.items() if part is not None} if isinstance(value, dict) else value
