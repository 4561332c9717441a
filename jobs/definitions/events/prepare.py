"""Compile the kernel that reads bodies ahead of its first use."""

import pyarrow as pa

from jobs.definitions.events.scan import BOOLEAN, INTEGER, OBJECT, OBJECTS, STRING, STRING_MAP, STRINGS
from jobs.definitions.events.scanned import bodies_of
from jobs.definitions.events.shape import Layout, Slot

TOY = Layout(
    fields=(
        Slot("text", STRING, 0),
        Slot("number", INTEGER, 1),
        Slot("flag", BOOLEAN, 2),
        Slot("inside", OBJECT, 3, parts=(Slot("text", STRING, 4),)),
        Slot("texts", STRINGS, 0, 0),
        Slot("map", STRING_MAP, 1, 1),
        Slot("list", OBJECTS, 3, 2, parts=(Slot("text", STRING, 3),)),
    ),
    slots=5,
    item_slots=4,
    groups=3,
)


def compile_kernel() -> None:
    """Read a toy body; what is compiled serves bodies of every contract."""
    bodies_of(pa.array([b'{"text":"a","list":[{"text":"a"}]}'], pa.binary()), TOY)
