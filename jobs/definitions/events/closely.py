"""A close look at a body that is not plain: what it says, and everything that is wrong with it as JSON or as a shape.

Row by row in Python, so only for the few texts that the kernel (`jobs.definitions.events.scan`) does not vouch for. The
answer has reasons (schemas/reasons.yaml); those about the text as a whole stand alone.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.definitions.events.scan import LONGEST

if TYPE_CHECKING:
    from jobs.lake.event_contracts import EventField

DEEPEST = 300  # the reader itself descends to less than a thousand; a fixed number is the same everywhere
BRACKET_OR_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)
WHOLE_NUMBER = re.compile(r"-?\d{1,19}")
INT64 = 2**63
INSIDE = "body"  # a field is there twice in an object inside the body
UNKNOWN = "(unknown field)"  # in place of a name that only the body knows: it could be a person's id


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class Fields(dict[str, Any]):
    """An object, with the names that were there twice."""

    twice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: the promised fields, the others as JSON text, and what is wrong."""

    body: dict[str, Any] | None
    rest: dict[str, str | None] | None
    reasons: tuple[str, ...]

    @property
    def is_unread(self) -> bool:
        """Whether the text could not be read as an object."""
        return self.body is None


def look(raw: bytes, fields: "Iterable[EventField]") -> Look:
    """Read one text as thoroughly as possible."""
    read = _read(raw)
    if isinstance(read, str):
        return Look(None, None, (read,))
    found, repeated = read
    told = [_told(found.get(field.name), field, field.name) for field in fields]
    names = [field.name for field in fields]
    body = {name: value for name, (value, _) in zip(names, told, strict=True)}
    wrong = dict.fromkeys(path for _, paths in told for path in paths)
    rest = {name: as_text(value) for name, value in found.items() if name not in body}
    return Look(body, rest or None, (*_twice(repeated, names), *(f"wrong_type:{path}" for path in wrong)))


def _twice(repeated: Iterable[str], names: list[str]) -> Iterable[str]:
    """A reason for each field that is there twice; a name that no contract has is not told."""
    told = (name if name in names or name == INSIDE else UNKNOWN for name in repeated)
    return dict.fromkeys(f"duplicate_field:{name}" for name in told)


def _read(raw: bytes) -> tuple[Fields, list[str]] | str:
    """The object and the names that are there twice; or the one reason why there is none."""
    if len(raw) > LONGEST:
        return "too_large"
    try:
        text = raw.decode()
        return "too_deep" if _depth(text) > DEEPEST else _parsed(text)
    except UnicodeError:  # bytes that are no UTF-8; or half a character, written as an escape
        return "invalid_utf8"
    except ValueError:
        return "malformed_json"


def _parsed(text: str) -> tuple[Fields, list[str]]:
    """The object and the names that are there twice; ValueError for what is no JSON object."""
    objects: list[Fields] = []

    def noted(pairs: list[tuple[str, Any]]) -> Fields:
        made = Fields(pairs)
        if len(made) < len(pairs):
            made.twice = tuple(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
            objects.append(made)
        return made

    found = json.loads(text, object_pairs_hook=noted, parse_int=Number, parse_float=Number, parse_constant=_refused)
    if not isinstance(found, Fields):
        raise ValueError("no object")
    if "\\u" in text:
        _spelled(found).encode()
    inside = [INSIDE] if any(each is not found for each in objects) else []
    return found, list(found.twice or inside)


def _refused(word: str) -> Any:
    """NaN and Infinity are no JSON."""
    raise ValueError(word)


def _depth(text: str) -> int:
    """How deep objects and lists lie in each other; at most, where there are too few brackets to matter."""
    most = text.count("[") + text.count("{")
    if most <= DEEPEST:
        return most
    depth = deepest = 0
    for found in BRACKET_OR_STRING.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        deepest = max(deepest, depth)
    return deepest


def _told(value: Any, field: "EventField", path: str) -> tuple[Any, list[str]]:
    """The field's value as the contract types it, and the paths where it is of another type; null counts as absent."""
    if value is None:
        return None, []
    if field.kind == "map":
        is_fit = isinstance(value, Fields) and all(part is None or _is_text(part) for part in value.values())
        return (list(value.items()), []) if is_fit else (None, [path])
    if field.kind == "object":
        return _object(value, field.parts, path) if isinstance(value, Fields) else (None, [path])
    if field.kind == "array" and field.item:
        return _items(value, field.item, path)
    return _scalar(value, field.kind, path)


def _scalar(value: Any, kind: str, path: str) -> tuple[Any, list[str]]:
    if kind == "string" and _is_text(value):
        return value, []
    if kind == "boolean" and isinstance(value, bool):
        return value, []
    if kind == "integer" and isinstance(value, Number) and WHOLE_NUMBER.fullmatch(value):
        number = int(value)
        if -INT64 <= number < INT64:
            return number, []
    return None, [path]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _object(value: Fields, parts: "tuple[EventField, ...]", path: str) -> tuple[Any, list[str]]:
    told = {part.name: _told(value.get(part.name), part, f"{path}.{part.name}") for part in parts}
    return {name: part for name, (part, _) in told.items()}, [wrong for _, paths in told.values() for wrong in paths]


def _items(value: Any, item: "EventField", path: str) -> tuple[Any, list[str]]:
    """A list's items, null ones too; one of another kind spoils the list, a part of another type only itself."""
    if not isinstance(value, list):
        return None, [path]
    kinds = [
        isinstance(each, Fields) if item.kind == "object" else _is_text(each) for each in value if each is not None
    ]
    if not all(kinds):
        return None, [path]
    told = [_told(each, item, path) for each in value]
    return [each for each, _ in told], [wrong for _, paths in told for wrong in paths]


def as_text(value: Any) -> str | None:
    """The value of a field that silver has no column for: text as it is, anything else as JSON."""
    return value if value is None or _is_text(value) else _spelled(value)


def _spelled(value: Any) -> str:
    """A value as JSON, numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_spelled(name)}:{_spelled(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_spelled, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
