"""Event contracts for Spark: the struct a body is parsed into, and the rules a parsed row must keep.

A rule is (reason, condition): the condition is true for a row that breaks it and never null. The rules look at a struct
column `body`; whether a null there means "absent" or "of another type" is for the reader who still has the raw text.
Reasons are explained in `schemas/reasons.yaml`.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import or_
from pathlib import Path
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from jobs.definitions.balanced import joined
from jobs.lake.column_types import parse, to_spark
from jobs.lake.event_contracts import EventContract, EventField, event_contract, reason_of
from jobs.lake.patterns import expression_of

Condition = Callable[[Column], Column]


def event_struct(topic: str, version: int, schemas_dir: Path) -> StructType:
    """The struct that a body is read into: integers as bigint (times in µs), every field nullable."""
    return struct_of(event_contract(topic, version, schemas_dir).fields)


def struct_of(fields: Iterable[EventField]) -> StructType:
    """The struct that holds these fields, under the names that silver has for them."""
    return StructType([StructField(each.column, to_spark(parse(each.ddl()))) for each in fields])


def row_rules(topic: str, version: int, schemas_dir: Path, body: str = "body") -> list[tuple[str, Column]]:
    """Every rule of the contract as (reason, true where broken), over the parsed struct column named `body`.

    A reason comes once, also when a list and its items can both be refused for it. The struct has silver's names for
    the fields, a reason the version's own.
    """
    promised = event_contract(topic, version, schemas_dir)
    whole = F.col(body)
    rules = [
        (reason, broken(whole[each.column])) for each in promised.fields for reason, broken in _rules(each, each.name)
    ]
    rules += [(reason, broken(whole)) for reason, broken in _kind_rules(promised)]
    by_reason: dict[str, list[Column]] = {}
    for reason, broken in rules:
        by_reason.setdefault(reason, []).append(F.coalesce(broken, F.lit(False)))
    return [(reason, joined(or_, conditions)) for reason, conditions in by_reason.items()]


def _kind_rules(promised: EventContract) -> Iterator[tuple[str, Condition]]:
    """What a kind asks for, and that there is an object to act on; a field is named once, whatever asks for it."""
    asked: dict[str, list[str]] = {}
    column_of = promised.column_of
    for need in promised.needs:
        for name in need.fields:
            asked.setdefault(name, []).extend(need.kinds)
    for name, kinds in asked.items():
        yield f"missing:{name}", partial(_lacks, column=column_of[name], kinds=kinds)
    if promised.objects:
        yield "no_object", lambda body: F.coalesce(*(body[column_of[name]] for name in promised.objects)).isNull()


def _lacks(body: Column, *, column: str, kinds: list[str]) -> Column:
    return body["kind"].isin(*kinds) & body[column].isNull()


def _rules(field: EventField, path: str) -> Iterator[tuple[str, Condition]]:
    """The rules of one field at `path`, and of what is inside it, as conditions on the field's value."""
    if field.required:
        yield f"missing:{path}", lambda value: value.isNull()
    for reason, keywords in _limits(field).items():
        yield reason if reason == "bad_event_id" else f"{reason}:{path}", partial(_beyond, limits=keywords)
    for part in field.parts:
        for reason, inner in _rules(part, f"{path}.{part.name}"):
            yield reason, partial(_of_part, name=part.name, inner=inner)
    if field.item:
        if field.kind == "array":
            yield f"wrong_type:{path}", lambda value: F.exists(value, lambda each: each.isNull())
        for reason, inner in _rules(field.item, path):
            yield reason, partial(_of_any_item, inner=inner, is_map=field.kind == "map")


def _of_part(value: Column, *, name: str, inner: Condition) -> Column:
    return value.isNotNull() & inner(value[name])


def _of_any_item(value: Column, *, inner: Condition, is_map: bool) -> Column:
    return F.exists(F.map_values(value) if is_map else value, lambda each: each.isNotNull() & inner(each))


def _limits(field: EventField) -> dict[str, dict[str, Any]]:
    """The field's limits by the reason it is refused for when it goes beyond them."""
    found: dict[str, dict[str, Any]] = {}
    for keyword, bound in field.limits.items():
        found.setdefault(reason_of(keyword, field.name), {})[keyword] = bound
    return found


def _beyond(value: Column, *, limits: dict[str, Any]) -> Column:
    return joined(or_, [BEYOND[keyword](value, bound) for keyword, bound in limits.items()])


BEYOND: dict[str, Callable[[Column, Any], Column]] = {
    "enum": lambda value, allowed: ~value.isin(*allowed),
    "const": lambda value, only: value != only,
    "minimum": lambda value, least: value < least,
    "maximum": lambda value, most: value > most,
    "minLength": lambda value, least: F.length(value) < least,
    "maxLength": lambda value, most: F.length(value) > most,
    "pattern": lambda value, pattern: ~value.rlike(expression_of(pattern)),
    "minItems": lambda value, least: F.size(value) < least,
    "maxItems": lambda value, most: F.size(value) > most,
    # most maps are small: their entries need not be looked at
    "maxProperties": lambda value, most: (
        (F.size(value) > most) & (F.size(F.map_filter(value, lambda _, each: each.isNotNull())) > most)
    ),
}
