"""A contract's fields as the tables that the scanning kernel reads, and the Arrow arrays made of what it found."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from jobs.definitions.events.scan import BOOLEAN, INTEGER, OBJECT, OBJECTS, STRING, STRING_MAP, STRINGS, Shape

if TYPE_CHECKING:
    from jobs.lake.event_contracts import EventField

SCALARS = {"string": STRING, "integer": INTEGER, "boolean": BOOLEAN}


@dataclass(frozen=True)
class Slot:
    """A field and where its values are found: see `scan.Shape`; `parts` are the fields of the object inside."""

    name: str
    kind: int
    slot: int
    group: int = -1
    parts: "tuple[Slot, ...]" = ()


@dataclass(frozen=True)
class Layout:
    """The body's fields, and how many slots and groups they take."""

    fields: tuple[Slot, ...]
    slots: int
    item_slots: int
    groups: int


def layout_of(fields: "Iterable[EventField]") -> Layout:
    """Give every field its place."""
    layout = Layout((), 0, 0, 0)
    for field in fields:
        layout = _placed(layout, field)
    return layout


def _placed(layout: Layout, field: "EventField") -> Layout:
    """The layout with one field more."""
    slots, items, group = layout.slots, layout.item_slots, layout.groups
    if field.kind in SCALARS:
        slot, after = Slot(field.name, SCALARS[field.kind], slots), replace(layout, slots=slots + 1)
    elif field.kind == "object":
        parts = _parts(field.parts, slots + 1)
        slot, after = Slot(field.name, OBJECT, slots, parts=parts), replace(layout, slots=slots + 1 + len(parts))
    elif field.kind == "map":
        slot = Slot(field.name, STRING_MAP, items, group)
        after = replace(layout, item_slots=items + 2, groups=group + 1)
    elif field.item and field.item.kind == "object":
        parts = _parts(field.item.parts, items)
        slot = Slot(field.name, OBJECTS, items, group, parts)
        after = replace(layout, item_slots=items + len(parts), groups=group + 1)
    else:
        slot = Slot(field.name, STRINGS, items, group)
        after = replace(layout, item_slots=items + 1, groups=group + 1)
    return replace(after, fields=(*layout.fields, slot))


def _parts(fields: "Sequence[EventField]", first_slot: int) -> tuple[Slot, ...]:
    """Scalars, one slot each."""
    return tuple(Slot(part.name, SCALARS[part.kind], first_slot + n) for n, part in enumerate(fields))


def shape_of(layout: Layout) -> Shape:
    """The layout as the kernel's tables: the body's fields first, then those of each object inside."""
    objects = [layout.fields, *(field.parts for field in layout.fields if field.parts)]
    inside = {field.name: number for number, field in enumerate(_with_parts(layout), 1)}
    fields = [field for parts in objects for field in parts]
    names = [field.name.encode() for field in fields]
    body = len(layout.fields)
    return Shape(
        names=np.frombuffer(b"".join(names), np.uint8),
        name_at=_numbers([0, *accumulate(len(name) for name in names)]),
        kind=_numbers(field.kind for field in fields),
        slot=_numbers(field.slot for field in fields),
        part=_numbers(inside.get(field.name, -1) if n < body else -1 for n, field in enumerate(fields)),
        group=_numbers(field.group for field in fields),
        first=_numbers([0, *accumulate(len(parts) for parts in objects)]),
    )


def _with_parts(layout: Layout) -> "Iterator[Slot]":
    return (field for field in layout.fields if field.parts)


def _numbers(values: "Iterable[int]") -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.fromiter(values, np.int64)
