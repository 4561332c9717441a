"""Reading a body's text once, and knowing that nothing was lost in the reading.

Spark's JSON reader is fast and forgiving: it stops at the end of the first document, turns numbers into strings where
strings are promised, keeps the last of two equal fields, and says nothing of any of it. So one number is added to
the text as its last field (`closed`): only a text that is one object to its last character brings it back. And the
text's marks are counted (`is_plain`): when there are exactly as many keys and quotes as the parsed fields account for,
there was no further field, no null, no repeated field and no number in the place of a string. The few texts for which
that cannot be said this way are looked at closely (`jobs.definitions.events.faults`).
"""

from operator import add
from typing import TYPE_CHECKING

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

from jobs.definitions.balanced import joined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobs.lake.event_contracts import EventField

CLOSING = "z__"
CORRUPT = "_corrupt_record"
STRICT = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false", "mode": "PERMISSIVE"}
WHITE = " \t\r\n"
# In a text without these, a quote begins or ends a string and a key is followed by its colon at once.
HARD_TO_COUNT = ('\\"', "\\u", '" ', "\n", "\t", "\r")


def trimmed(value: Column) -> Column:
    """The bytes as text without the white space that JSON allows around a document."""
    return F.rtrim(value.cast("string"), F.lit(WHITE))


def closed(text: Column) -> Column:
    """The text with its own length as the object's last field; null for a text that does not end an object."""
    body = F.substring(text, F.lit(1), F.length(text) - 1)
    marked = F.concat(body, F.lit(f',"{CLOSING}":'), F.octet_length(text).cast("string"), F.lit("}"))
    return F.when(text.endswith("}"), marked)


def parsed(text: Column, struct: StructType) -> Column:
    """The body as a struct, with the closing number and the reader's complaint as further fields."""
    fields = [*struct.fields, StructField(CLOSING, LongType()), StructField(CORRUPT, StringType())]
    return F.from_json(closed(text), StructType(fields), STRICT)


def is_whole(text: Column, body: Column) -> Column:
    """Whether the text is one JSON object from its first character to its last."""
    return F.coalesce(body[CLOSING] == F.octet_length(text), F.lit(False))


def is_plain(text: Column, body: Column, fields: "Iterable[EventField]") -> Column:
    """Whether the text proves that the parsed fields are all it says, each of its promised type."""
    fields = tuple(fields)
    keys, strings = keys_in(body, fields), strings_in(body, fields)
    sure = is_whole(text, body) & body[CORRUPT].isNull() & F.is_valid_utf8(text)
    for mark in HARD_TO_COUNT:
        sure &= ~F.contains(text, F.lit(mark))
    counted = (occurrences(text, '":') == keys) & (occurrences(text, '"') == (keys + strings) * 2)
    counted &= occurrences(text, "[") == total(body[each.name].isNotNull().cast("int") for each in lists(fields))
    return F.coalesce(sure & counted, F.lit(False))


def lists(fields: "Iterable[EventField]") -> "list[EventField]":
    """The fields that hold lists; no contract nests one list in another."""
    return [field for field in fields if field.kind == "array"]


def occurrences(text: Column, mark: str) -> Column:
    """How often a mark occurs in a text, as a whole number; marks do not overlap."""
    less = F.octet_length(text) - F.octet_length(F.replace(text, F.lit(mark), F.lit("")))
    return less if len(mark) == 1 else F.shiftright(less, 1)


def keys_in(value: Column, fields: "Iterable[EventField]") -> Column:
    """How many keys a struct's non-null fields account for, at all levels."""
    return total(count(value[field.name], field, keys=True) for field in fields)


def strings_in(value: Column, fields: "Iterable[EventField]") -> Column:
    """How many string values a struct's fields account for, at all levels."""
    return total(count(value[field.name], field, keys=False) for field in fields)


def count(value: Column, field: "EventField", *, keys: bool) -> Column:
    """What one field accounts for: keys (its own included), or string values."""
    present = value.isNotNull().cast("int")
    own = present if keys else F.lit(0)
    if field.kind == "object":
        inner = keys_in(value, field.parts) if keys else strings_in(value, field.parts)
        return own + F.coalesce(F.when(value.isNotNull(), inner), F.lit(0))
    if field.kind in ("array", "map") and field.item:
        return own + F.coalesce(F.when(value.isNotNull(), count_items(value, field, keys=keys)), F.lit(0))
    return own if keys else (present if field.kind == "string" else F.lit(0))


def count_items(value: Column, field: "EventField", *, keys: bool) -> Column:
    """What the items of a list or map account for; lists hold strings or objects, maps hold strings."""
    item = field.item
    if item is not None and item.kind == "object":
        inner = keys_in if keys else strings_in
        return F.aggregate(value, F.lit(0), lambda sum_, each: sum_ + inner(each, item.parts))
    if field.kind == "array":
        return F.lit(0) if keys else F.size(value)
    return F.size(value)


def total(counts: "Iterable[Column]") -> Column:
    """The sum of counts, zero for none."""
    return joined(add, [F.lit(0), *counts])
