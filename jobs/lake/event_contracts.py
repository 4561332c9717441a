"""Event contracts: what a message's body may hold, read from `schemas/events/<topic>/v<N>.json` (JSON Schema 2020-12).

One reading, three users: the struct and row rules for Spark (`event_rules`), the producer's validator
(`event_validator`) and the check that silver promises every field. Only keywords that all of them keep are allowed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jobs.lake.errors import ContractError

ENVELOPE = "envelope"
LIMITS = {  # keyword -> the reason for which a value beyond it is refused
    "enum": "not_allowed", "const": "not_allowed", "minimum": "out_of_range", "maximum": "out_of_range",
    "minLength": "empty", "maxLength": "too_long", "pattern": "bad_format", "minItems": "empty", "maxItems": "too_long",
    "maxProperties": "too_long",
}  # fmt: skip
NOTES = ("$schema", "$id", "title", "description", "format", "x-pseudonym", "x-silver", "$defs")
SHAPE = ("type", "properties", "required", "items", "additionalProperties", "allOf", "anyOf")
TYPES = ("string", "integer", "boolean", "array", "object")


@dataclass(frozen=True, slots=True)
class EventField:
    """One field of a body; `kind` is string, integer, boolean, array, map or object.

    `parts` are an object's fields, `item` what an array or map holds; a time is integer microseconds since 1970 UTC.
    `silver_name` is silver's word for it, where a version calls it something else (`x-silver`).
    """

    name: str
    kind: str
    required: bool = False
    limits: dict[str, Any] = field(default_factory=dict)
    parts: tuple[EventField, ...] = ()
    item: EventField | None = None
    is_time: bool = False
    is_pseudonym: bool = False
    description: str = ""
    silver_name: str = ""

    @property
    def column(self) -> str:
        """What silver calls it."""
        return self.silver_name or self.name

    def ddl(self, *, silver: bool = False) -> str:
        """The field's Spark type as parsed, or as silver promises it (`silver=True`: times are timestamps)."""
        match self.kind:
            case "array" if self.item:
                return f"array<{self.item.ddl(silver=silver)}>"
            case "map" if self.item:
                return f"map<string,{self.item.ddl(silver=silver)}>"
            case "object":
                return "struct<" + ",".join(f"{part.name}:{part.ddl(silver=silver)}" for part in self.parts) + ">"
        if silver and self.is_time:
            return "timestamp"
        return {"integer": "bigint"}.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True)
class Need:
    """Fields that a body of one of these kinds must have."""

    kinds: tuple[str, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventContract:
    """One version of one topic's body; `objects` are fields of which at least one must be there."""

    topic: str
    version: int
    fields: tuple[EventField, ...]
    needs: tuple[Need, ...]
    objects: tuple[str, ...]
    envelope: tuple[str, ...]
    schema: dict[str, Any]
    path: Path

    @property
    def own_fields(self) -> tuple[EventField, ...]:
        """The topic's own fields, without those every event carries."""
        return tuple(each for each in self.fields if each.name not in self.envelope)

    @property
    def column_of(self) -> dict[str, str]:
        """Silver's word for each field, by the word of this version."""
        return {each.name: each.column for each in self.fields}

    @property
    def data_schema(self) -> str:
        """The address of this contract, as the header `ce_dataschema` carries it."""
        return f"reelhouse:/schemas/events/{self.topic}/v{self.version}.json"

    @property
    def type_name(self) -> str:
        """The event's type, as the header `ce_type` carries it: `reelhouse.view.v1`."""
        return f"reelhouse.{self.topic.removesuffix('s')}.v{self.version}"


def reason_of(keyword: str, field_name: str) -> str:
    """Why a value beyond this keyword is refused, without the field's path; a bad event id has a reason of its own."""
    return "bad_event_id" if field_name == "event_id" else LIMITS[keyword]


def all_topics(schemas_dir: Path) -> list[str]:
    """Every topic that has a contract, sorted."""
    found = (path.parent.name for path in (schemas_dir / "events").glob("*/v*.json"))
    return sorted(set(found) - {ENVELOPE})


def versions(topic: str, schemas_dir: Path) -> list[int]:
    """The versions of a topic's contract, oldest first."""
    return sorted(int(path.stem[1:]) for path in (schemas_dir / "events" / topic).glob("v*.json"))


@cache
def event_contract(topic: str, version: int, schemas_dir: Path) -> EventContract:
    """One topic's contract; ContractError names file, place and remedy."""
    path = schemas_dir / "events" / topic / f"v{version}.json"
    if not path.is_file():
        raise ContractError(f"no contract for {topic} version {version}; write {path}")
    schema = _resolved(_read(path), path)
    whole = _flattened(schema, str(path))
    shared = _flattened(_resolved(_read(path.parent.parent / ENVELOPE / "v1.json"), path), str(path))
    fields = _fields(whole, str(path))
    _refuse_odd_names(fields, tuple(shared["properties"]), str(path))
    return EventContract(
        topic=topic,
        version=version,
        fields=fields,
        needs=tuple(_need(part, str(path)) for part in schema.get("allOf", []) if "if" in part),
        objects=tuple(option["required"][0] for option in schema.get("anyOf", [])),
        envelope=tuple(shared["properties"]),
        schema=schema,
        path=path,
    )


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as missing:
        raise ContractError(f"{path}: no such file; correct the $ref that names it") from missing
    except ValueError as bad:
        raise ContractError(f"{path}: not JSON: {bad}; correct that line") from bad


def _resolved(node: Any, file: Path, root: Any = None) -> Any:
    """The node with every `$ref` replaced by what it points to; keywords beside a `$ref` win."""
    root = node if root is None else root
    if isinstance(node, list):
        return [_resolved(part, file, root) for part in node]
    if not isinstance(node, dict):
        return node
    beside = {key: _resolved(part, file, root) for key, part in node.items() if key not in ("$ref", "$defs")}
    if "$ref" not in node:
        return beside
    name, _, pointer = node["$ref"].partition("#")
    target = (file.parent / name).resolve() if name else file
    found = other = _read(target) if name else root
    for step in filter(None, pointer.split("/")):
        if step not in found:
            raise ContractError(f"{file}: $ref {node['$ref']!r} points to nothing; correct it")
        found = found[step]
    # a part that named its own dialect would be judged by the standard's rules instead of the stricter ones of ours
    taken = {key: part for key, part in _resolved(found, target, other).items() if key not in ("$schema", "$id")}
    return {**taken, **beside}


def _flattened(schema: dict[str, Any], where: str) -> dict[str, Any]:
    """The schema with the parts it takes whole (`allOf` without `if`) joined in: properties and required."""
    for unknown in sorted(set(schema) - {*NOTES, *SHAPE}):
        raise ContractError(f"{where}: keyword {unknown!r} is not kept by every reader; see schemas/README.md")
    properties: dict[str, Any] = {}
    required: list[str] = []
    for part in [*(p for p in schema.get("allOf", []) if "if" not in p), schema]:
        properties |= part.get("properties", {})
        required += part.get("required", [])
    return {"properties": properties, "required": required}


def _fields(node: dict[str, Any], where: str) -> tuple[EventField, ...]:
    required = node.get("required", [])
    stray = [name for name in required if name not in node["properties"]]
    if stray:
        raise ContractError(f"{where}: required names {stray[0]!r}, which is no property; add it, or correct the name")
    return tuple(_field(name, part, name in required, where) for name, part in node["properties"].items())


def _field(name: str, node: dict[str, Any], required: bool, where: str) -> EventField:
    """Read one property; ContractError for a keyword or type that not every reader keeps."""
    unknown = set(node) - {*LIMITS, *NOTES, *SHAPE[:5]}
    if unknown or node.get("type") not in TYPES:
        odd = sorted(unknown)[0] if unknown else f"type: {node.get('type')}"
        raise ContractError(f"{where}: {name}: {odd!r} is not kept by every reader; see schemas/README.md")
    values = node.get("additionalProperties")
    inside = node.get("items") or (values if isinstance(values, dict) else None)
    return EventField(
        name=name,
        kind="map" if node["type"] == "object" and "properties" not in node else node["type"],
        required=required,
        limits={key: node[key] for key in LIMITS if key in node},
        parts=_fields(node, f"{where}: {name}") if "properties" in node else (),
        item=_field(name, inside, False, where) if inside else None,
        is_time=node.get("format") == "epoch-us",
        is_pseudonym=bool(node.get("x-pseudonym")),
        description=node.get("description", ""),
        silver_name=node.get("x-silver", ""),
    )


def _refuse_odd_names(fields: tuple[EventField, ...], envelope: tuple[str, ...], where: str) -> None:
    """ContractError for a field under another name than silver's that cannot have one, or a name for two of them."""
    for each in fields:
        inside = (*each.parts, *(each.item.parts if each.item else ()))
        if any(part.silver_name for part in inside):
            raise ContractError(f"{where}: {each.name}: x-silver inside it; only a body's own fields have columns")
        if each.silver_name and (each.is_pseudonym or each.name in envelope or each.silver_name in envelope):
            raise ContractError(
                f"{where}: {each.name}: x-silver: the envelope and ids of people are found by their names in raw "
                "records; keep the name"
            )
    columns = [each.column for each in fields]
    for twice in sorted({name for name in columns if columns.count(name) > 1}):
        raise ContractError(f"{where}: {twice}: is x-silver of one field and another's too; keep one of them")


def _need(part: dict[str, Any], where: str) -> Need:
    """Read `if kind is one of … then required …`."""
    try:
        return Need(tuple(part["if"]["properties"]["kind"]["enum"]), tuple(part["then"]["required"]))
    except KeyError as missing:
        raise ContractError(f"{where}: allOf: if/then without {missing}; only kinds may require fields") from missing


def producer_field(schemas_dir: Path) -> EventField:
    """What every event's body says of who sent it, whatever its topic."""
    newest = event_contract("control", versions("control", schemas_dir)[-1], schemas_dir)
    return next(field for field in newest.fields if field.name == "producer")
