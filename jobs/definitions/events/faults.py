"""A close look at a body's text: everything that is wrong with it as JSON or as the promised shape.

Costs several times what reading does, so only texts that are not plain (`jobs.definitions.events.text`) pay for it.
The result is a list of reasons (schemas/reasons.yaml); those about the text as a whole stand alone.
"""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.definitions.events.text import CORRUPT, is_whole

if TYPE_CHECKING:
    from jobs.lake.event_contracts import EventField

DEEPEST = 1000  # what Spark's reader descends to
LARGEST = 20_000_000  # bytes; Spark's reader takes no longer string
LONGEST_NUMBER = 1000  # digits that Spark's reader takes
EMPTY_OBJECT = r"^\s*\{\s*\}$"
ESCAPED_BACKSLASH = r"\\\\"
SURROGATE_PAIR = r"(?i)\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}"
LONE_SURROGATE = r"(?i)\\ud[89a-f][0-9a-f]{2}"
ENDLESS_NUMBER = r'"([A-Za-z0-9_]{1,64})"\s*:\s*-?[0-9.]{' + str(LONGEST_NUMBER) + ",}"
SHAPES = {"string": "STRING", "integer": "BIGINT", "boolean": "BOOLEAN"}


def faults(text: Column, body: Column, fields: "Iterable[EventField]") -> Column:
    """Why the text cannot be taken as it is, a list of reasons: empty when it can."""
    return (
        F.when(~F.is_valid_utf8(text), F.array(F.lit("invalid_utf8")))
        .when(is_unread(text, body), F.array(unread_because(text)))
        .when(F.octet_length(text) > LARGEST, F.array(F.lit("too_large")))  # some readers take it, others do not
        .when(has_lone_surrogate(text), F.array(F.lit("invalid_utf8")))
        .otherwise(F.concat(repeated(text), mistyped(text, body, tuple(fields))))
    )


def is_unread(text: Column, body: Column) -> Column:
    """Whether the text is not one readable object, so that there are no fields to judge."""
    return ~F.is_valid_utf8(text) | (~is_whole(text, body) & ~text.rlike(EMPTY_OBJECT))


def unread_because(text: Column) -> Column:
    """The one reason why a text is not read as an object."""
    field = F.regexp_extract(text, ENDLESS_NUMBER, 1)
    brackets = F.length(text) - F.length(F.translate(text, "[{", ""))
    return (
        F.when(F.octet_length(text) > LARGEST, F.lit("too_large"))
        .when(F.coalesce(brackets, F.lit(0)) > DEEPEST, F.lit("too_deep"))
        .when(F.coalesce(field, F.lit("")) != "", F.concat(F.lit("wrong_type:"), field))
        .otherwise(F.lit("malformed_json"))
    )


def has_lone_surrogate(text: Column) -> Column:
    """Whether an escape names half a character."""
    plain = F.regexp_replace(F.regexp_replace(text, ESCAPED_BACKSLASH, ""), SURROGATE_PAIR, "")
    return F.coalesce(plain.rlike(LONE_SURROGATE), F.lit(False))


def repeated(text: Column) -> Column:
    """A reason for each field that is there twice; `body` for one that is twice inside another."""
    keys = F.coalesce(F.json_object_keys(text), F.array().cast("array<string>"))
    twice = F.filter(F.array_distinct(keys), lambda key: F.size(F.filter(keys, lambda other: other == key)) > 1)
    named = F.transform(twice, lambda key: F.concat(F.lit("duplicate_field:"), key))
    inside = F.array(F.lit("duplicate_field:body"))
    # the variant reader refuses any object that has a key twice
    return F.when(F.size(named) > 0, named).when(F.try_parse_json(text).isNull(), inside).otherwise(named)


def mistyped(text: Column, body: Column, fields: "tuple[EventField, ...]") -> Column:
    """A reason for each field whose JSON type is not the promised one; null counts as absent."""
    whole = F.try_parse_json(text)
    found = [
        F.when(shape.rlike(pattern), F.lit(f"wrong_type:{path}"))
        for field in fields
        for shape in [F.schema_of_variant(F.try_variant_get(whole, f"$.{field.name}", "variant"))]
        for path, pattern in wrong_shapes(field)
    ]
    named = F.array_compact(F.array(*found))
    unnamed = (F.size(named) == 0) & body[CORRUPT].isNotNull() & ~text.rlike(EMPTY_OBJECT)
    nothing = F.array().cast("array<string>")
    return F.when(unnamed, F.array(F.lit("wrong_type:body"))).otherwise(F.coalesce(named, nothing))


def wrong_shapes(field: "EventField") -> Iterator[tuple[str, str]]:
    """(path, pattern) pairs: the shape of the field's value, as Spark writes it, matches a pattern when it is wrong."""
    if field.kind in SHAPES:
        yield field.name, f"^(?!(?:{SHAPES[field.kind]}|VOID)$)"
    elif field.kind == "map":
        yield field.name, r"^(?!OBJECT<|VOID$)|: (?!STRING|VOID)"
    elif field.kind == "object":
        yield field.name, "^(?!OBJECT<|VOID$)"
        yield from parts_of(field.name, field.parts)
    elif field.item and field.item.kind == "object":
        yield field.name, r"^(?!ARRAY<(?:OBJECT<.*>|VOID)>$|VOID$)"
        yield from parts_of(field.name, field.item.parts)
    elif field.item:
        yield field.name, f"^(?!ARRAY<(?:{SHAPES[field.item.kind]}|VOID)>$|VOID$)"


def parts_of(path: str, parts: "tuple[EventField, ...]") -> Iterator[tuple[str, str]]:
    """The pairs for the scalar fields inside an object, or inside the objects of a list."""
    for part in parts:
        yield f"{path}.{part.name}", rf"(?:<|, )`?{re.escape(part.name)}`?: (?!(?:{SHAPES[part.kind]}|VOID)(?:,|>))"
