"""Bodies as bytes → readings: the kernel of `scan` over Arrow batches, and a close look at what it leaves."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.definitions.events.closely import look
from jobs.definitions.events.scan import (
    ABSENT,
    BOOLEAN,
    ESCAPED,
    INTEGER,
    OBJECT,
    OBJECTS,
    STRING_MAP,
    Bytes,
    Flags,
    Found,
    Ints,
    copied,
    scan,
)
from jobs.definitions.events.shape import Layout, Slot, layout_of, shape_of
from jobs.definitions.workers import settle

if TYPE_CHECKING:
    from jobs.lake.event_contracts import EventField

REASONS, REST = pa.list_(pa.string()), pa.map_(pa.string(), pa.string())
ITEMS_A_ROW = 4  # room for items at first; doubled until it is enough
MOST_BYTES = 64 * 2**20  # of bodies that are read at once
READING = ("body", "torn", "is_unread", "rest")


@dataclass(frozen=True)
class Reading:
    """For `mapInArrow`: batches with a column `value`, bodies as bytes, in; the same with the columns of READING out.

    `torn` is null for a plain body, else all that is wrong with it, which may be nothing; `rest` are unpromised fields.
    A step of its own, not a function of a column: an engine that puts such a function wherever its result is named
    would read each body many times.
    """

    fields: "tuple[EventField, ...]"

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """One batch out for each in, or more, none of them too large."""
        layout = layout_of(self.fields)
        for batch in (piece for each in batches for piece in pieces(each)):
            found = self.found(batch, layout)
            columns = {name: batch.column(name) for name in batch.schema.names} | {
                name: pc.struct_field(found, name) for name in READING
            }
            columns["is_unread"] = pc.fill_null(columns["is_unread"], fill_value=False)
            yield pa.RecordBatch.from_pydict(columns)
        settle("readings")

    def found(self, batch: pa.RecordBatch, layout: Layout) -> pa.Array:
        """What the batch's bodies say, as READING structs."""
        return readings_of(batch.column("value"), layout, self.fields)


def pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch, cut where it holds much: it is counted in rows, and a body may have a megabyte.

    No piece has more than MOST_BYTES of bodies and one body.
    """
    sizes = pc.fill_null(pc.binary_length(batch.column("value")), 0).cast(pa.int64())
    full = np.cumsum(sizes.to_numpy(zero_copy_only=False)) // MOST_BYTES
    cuts = [0, *(np.flatnonzero(np.diff(full)) + 1).tolist(), batch.num_rows]
    yield from (batch.slice(start, end - start) for start, end in pairwise(cuts) if end > start)


def columns_told(body: str) -> str:
    """READING with its types, where a body has this one."""
    return f"body {body}, torn array<string>, is_unread boolean, rest map<string,string>"


def readings_of(values: pa.Array, layout: Layout, fields: "tuple[EventField, ...]") -> pa.Array:
    """Values as bytes → READING structs; all null for a null."""
    plain = bodies_of(values, layout)
    odd = np.flatnonzero(np.asarray(pc.and_(values.is_valid(), plain.is_null())))
    looks = [look(raw, fields) for raw in values.take(pa.array(odd)).to_pylist()]
    bodies = _together(plain, _null_inside(pa.array([each.body for each in looks], plain.type)), odd)
    reasons = _together(pa.nulls(len(values), REASONS), pa.array([each.reasons for each in looks], REASONS), odd)
    unread = _together(pa.nulls(len(values), pa.bool_()), pa.array([each.is_unread for each in looks], pa.bool_()), odd)
    told = [None if each.rest is None else list(each.rest.items()) for each in looks]
    rest = _together(pa.nulls(len(values), REST), pa.array(told, REST), odd)
    return pa.StructArray.from_arrays([bodies, reasons, unread, rest], ["body", "torn", "is_unread", "rest"])


def _together(plain: pa.Array, closely: pa.Array, odd: Ints) -> pa.Array:
    """The plain ones, with those that were looked at closely in their places."""
    if odd.size == 0:
        return plain
    places = np.arange(len(plain))
    places[odd] = len(plain) + np.arange(odd.size)
    return pa.concat_arrays([plain, closely]).take(pa.array(places))


def _null_inside(found: pa.Array) -> pa.Array:
    """The same, with nulls for the fields of what is null: Arrow has zeros there, which Sail takes for values."""
    if pa.types.is_struct(found.type):
        parts = [_null_inside(part) for part in found.flatten()]
        return pa.StructArray.from_arrays(parts, fields=[*found.type], mask=found.is_null())
    if pa.types.is_list(found.type):
        return pa.ListArray.from_arrays(found.offsets, _null_inside(found.values), found.type, mask=found.is_null())
    return found


def bodies_of(values: pa.Array, layout: Layout) -> pa.Array:
    """Values as bytes → bodies as structs, in the order of the layout's fields; null for one that is not plain."""
    texts = values.cast(pa.large_binary())
    starts = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    text = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    found, plain = _scanned(text, starts, layout)
    arrays = [_array(text, field, found) for field in layout.fields]
    return pa.StructArray.from_arrays(arrays, [field.name for field in layout.fields], mask=pa.array(~plain))


def _scanned(text: Bytes, starts: Ints, layout: Layout) -> tuple[Found, Flags]:
    """What the kernel finds, given room enough."""
    shape, rows = shape_of(layout), starts.size - 1
    plain, room = np.zeros(rows, np.bool_), ITEMS_A_ROW * rows
    while True:
        found = Found(
            values=np.zeros((layout.slots, rows), np.int64),
            sizes=np.full((layout.slots, rows), ABSENT),
            item_values=np.zeros((layout.item_slots, room), np.int64),
            item_sizes=np.full((layout.item_slots, room), ABSENT),
            counts=np.full((layout.groups, rows), ABSENT),
            filled=np.zeros(layout.groups, np.int64),
            seen=np.zeros(shape.kind.size, np.int64),
            stamps=np.zeros(1, np.int64),
        )
        if scan(text, starts, shape, found, plain):
            return found, plain
        room *= 2


def _array(text: Bytes, field: Slot, found: Found) -> pa.Array:
    """The values of one of the body's fields."""
    if field.kind == OBJECT:
        is_there = found.sizes[field.slot] != ABSENT
        parts = [_scalars(text, part, found.values, found.sizes, None) for part in field.parts]
        return pa.StructArray.from_arrays(parts, [part.name for part in field.parts], mask=pa.array(~is_there))
    if field.group < 0:
        return _scalars(text, field, found.values, found.sizes, None)
    return _list(text, field, found)


def _list(text: Bytes, field: Slot, found: Found) -> pa.Array:
    """A list or map by row."""
    counts, filled = found.counts[field.group], int(found.filled[field.group])
    places = np.concatenate([[0], np.cumsum(np.maximum(counts, 0))]).astype(np.int32)
    offsets = pa.array(places, mask=np.append(counts == ABSENT, False))
    values, sizes = found.item_values, found.item_sizes
    if field.kind == OBJECTS:
        parts = [_scalars(text, part, values, sizes, filled) for part in field.parts]
        return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(parts, [part.name for part in field.parts]))
    items = _strings(text, values[field.slot, :filled], sizes[field.slot, :filled])
    if field.kind == STRING_MAP:
        told = _strings(text, values[field.slot + 1, :filled], sizes[field.slot + 1, :filled])
        return pa.MapArray.from_arrays(offsets, items, told)
    return pa.ListArray.from_arrays(offsets, items)


def _scalars(text: Bytes, field: Slot, values: Ints, sizes: Ints, filled: int | None) -> pa.Array:
    """The first `filled` values of one slot (all for None)."""
    numbers, lengths = values[field.slot, :filled], sizes[field.slot, :filled]
    if field.kind == INTEGER:
        return pa.array(numbers, mask=lengths == ABSENT)
    if field.kind == BOOLEAN:
        return pa.array(numbers != 0, mask=lengths == ABSENT)
    return _strings(text, numbers, lengths)


def _strings(text: Bytes, starts: Ints, sizes: Ints) -> pa.Array:
    """Strings copied out of the text."""
    is_there = sizes != ABSENT
    most = int(np.sum(np.where(sizes >= ESCAPED, sizes - ESCAPED, sizes), where=is_there))
    copy, ends = np.empty(most, np.uint8), np.zeros(starts.size + 1, np.int32)
    copied(text, starts, sizes, copy, ends)
    buffers: list[Any] = [
        pa.py_buffer(np.packbits(is_there, bitorder="little")),
        pa.py_buffer(ends),
        pa.py_buffer(copy),
    ]
    return pa.Array.from_buffers(pa.string(), starts.size, buffers)
