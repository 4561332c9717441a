"""The ways in which a single record is broken, each with the reasons a careful reader must give.

A breakage changes the finished record (key, value, headers), or only the event's claimed time (`clock`): then what is
said is well formed but unbelievable, and the reasons follow from the times. Broken records are
few: one at a time is fine.
"""

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from jobs.simulate.period import DAY, HOUR

Headers = list[tuple[str, bytes]]
Parts = tuple[bytes | None, bytes | None, Headers]  # key, value, headers
DEEP = b'{"a":' * 1_001 + b"1" + b"}" * 1_001


@dataclass(frozen=True)
class Breakage:
    """One way to break a record; `clock` is microseconds ahead of the moment of sending, for those that only lie."""

    name: str
    reasons: tuple[str, ...]
    change: Callable[[Parts], Parts] = lambda parts: parts
    clock: int | None = None
    facts_only: bool = False


def _value(change: Callable[[bytes], bytes]) -> Callable[[Parts], Parts]:
    return lambda parts: (parts[0], change(parts[1] or b""), parts[2])


def _field(name: str, content: object) -> Callable[[Parts], Parts]:
    """Put something else into a field; `...` takes the field out."""

    def change(value: bytes) -> bytes:
        body = orjson.loads(value)
        if content is ...:
            del body[name]
        else:
            body[name] = content
        return orjson.dumps(body)

    return _value(change)


def _raw_field(name: str, content: bytes) -> Callable[[Parts], Parts]:
    """Put bytes into a field that no JSON writer would make."""

    def change(value: bytes) -> bytes:
        body = orjson.loads(value)
        body.pop(name, None)
        return orjson.dumps(body)[:-1] + b',"' + name.encode() + b'":' + content + b"}"

    return _value(change)


def _header(name: str, content: bytes | None) -> Callable[[Parts], Parts]:
    """Another content for a header; None takes it out."""

    def change(parts: Parts) -> Parts:
        others = [header for header in parts[2] if header[0] != name]
        return parts[0], parts[1], others if content is None else [*others, (name, content)]

    return change


def _with(name: str, suffix: bytes) -> Callable[[Parts], Parts]:
    return lambda parts: (*parts[:2], [(n, c.rsplit(b".v", 1)[0] + suffix if n == name else c) for n, c in parts[2]])


def _twice_kind(value: bytes) -> bytes:
    return value[:-1] + b',"kind":' + orjson.dumps(orjson.loads(value)["kind"]) + b"}"


JSON, TYPE, UTF8 = ("malformed_json",), "wrong_type:", ("invalid_utf8",)
BREAKAGES = (
    Breakage("empty_value", JSON, _value(lambda value: b"")),
    Breakage("white_space", JSON, _value(lambda value: b" \t\n ")),
    Breakage("truncated", JSON, _value(lambda value: value[: len(value) * 2 // 3])),
    Breakage("trailing_garbage", JSON, _value(lambda value: value + b"]x")),
    Breakage("two_documents", JSON, _value(lambda value: value + value)),
    Breakage("byte_order_mark", JSON, _value(lambda value: b"\xef\xbb\xbf" + value)),
    Breakage("not_an_object", JSON, _value(lambda value: b"[" + value + b"]")),
    Breakage("not_a_number", JSON, _raw_field("sent_time", b"NaN")),
    Breakage("repeated_field", ("duplicate_field:kind",), _value(_twice_kind)),
    Breakage("bad_utf8", UTF8, _raw_field("region", b'"\xff\xfe"')),
    Breakage("lone_surrogate", UTF8, _raw_field("region", b'"\\ud800"')),
    Breakage("text_for_number", (TYPE + "event_time",), _field("event_time", "yesterday")),
    Breakage("number_for_text", (TYPE + "kind",), _field("kind", 42)),
    Breakage("object_for_number", (TYPE + "sent_time",), _field("sent_time", {"$numberLong": "1"})),
    Breakage("fraction", (TYPE + "event_time",), _raw_field("event_time", b"1780000000000000.5")),
    Breakage("overflow", (TYPE + "event_time",), _raw_field("event_time", b"9223372036854775808")),
    Breakage("beyond_double", (TYPE + "event_time",), _raw_field("event_time", b"1e309")),
    Breakage("two_thousand_digits", (TYPE + "event_time",), _raw_field("event_time", b"7" * 2_000)),
    Breakage(
        "negative_count", ("out_of_range:producer.epoch",), _field("producer", {"id": "odd", "epoch": -1, "seq": 0})
    ),
    Breakage("without_time", ("missing:event_time",), _field("event_time", ...)),
    Breakage("null_kind", ("missing:kind",), _field("kind", None)),
    Breakage("without_user", ("missing:user_id",), _field("user_id", ...), facts_only=True),
    Breakage("unknown_kind", ("not_allowed:kind",), _field("kind", "levitate")),
    Breakage("unknown_scene", ("not_allowed:scene",), _field("scene", "dream"), facts_only=True),
    Breakage("foreign_id", ("bad_event_id",)),  # the id was made as a UUIDv4, in header and body
    Breakage("too_deep", ("too_deep",), _raw_field("rest", DEEP)),
    Breakage("unknown_version", ("unknown_version",), _with("ce_type", b".v99")),
    Breakage("unknown_type", ("unknown_type",), _header("ce_type", b"reelhouse.dream.v1")),
    Breakage("no_headers", ("no_headers",), lambda parts: (*parts[:2], [])),
    Breakage("no_declared_range", ("bad_header:ce_replayrange",), _header("ce_replayrange", None)),
    Breakage("null_key", ("empty_key",), lambda parts: (None, *parts[1:])),
    Breakage("tombstone", ("tombstone",), lambda parts: (parts[0], None, parts[2]), facts_only=True),
    Breakage("clock_next_day", (), clock=26 * HOUR, facts_only=True),
    Breakage("clock_next_hour", (), clock=HOUR, facts_only=True),
    Breakage("clock_2099", (), clock=73 * 365 * DAY, facts_only=True),
    Breakage("clock_years_past", (), clock=-9 * 365 * DAY, facts_only=True),
)
FOREIGN_ID = next(number for number, breakage in enumerate(BREAKAGES) if breakage.name == "foreign_id")
FOR_ALL = tuple(number for number, breakage in enumerate(BREAKAGES) if not breakage.facts_only)
