"""Anybody's file, sent line by line: as events that are completed and checked, or as the bytes they are."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from jobs.produce.envelope import id_of
from jobs.produce.producer import Producer
from jobs.produce.records import CONTRACT_VERSION, Record, key, now_us, rfc3339, shared_headers

LATEST_TIME = 253_402_300_800_000_000  # µs: the year 10000
UNSIGNED = ("sent_time", "producer", "event_id")  # what does not make an event the one it is


@dataclass(slots=True)
class Sent:
    """How many lines were sent and how many refused and kept."""

    sent: int = 0
    refused: int = 0


class _RepeatedFieldError(ValueError):
    """An object has the same field twice."""


def send_lines(producer: Producer, topic: str, lines: Iterable[bytes], *, version: int = CONTRACT_VERSION) -> Sent:
    """Send each line as an event, blank lines left out; what its envelope lacks is filled in.

    An event without an id gets one made from its content and time: the same line is the same event, however often.
    """
    count = Sent()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        body, faults = read_body(line)
        if body is None:
            producer.refused.keep(Record(topic, None, line, []), faults, place=f"line {number}")
            count.refused += 1
        elif producer.send(topic, _with_id(topic, body), waiting=True, version=version):
            count.sent += 1
        else:
            count.refused += 1
    return count


def send_raw(producer: Producer, topic: str, lines: Iterable[bytes], *, version: int = CONTRACT_VERSION) -> Sent:
    """Send each line as the bytes it is; key and headers as far as the line tells them (see `raw_record`)."""
    count = producer.send_records(raw_record(topic, producer.source, line, version=version) for line in lines)
    return Sent(sent=count)


def raw_record(
    topic: str, source: str, line: bytes, declared_range: str = "", version: int = CONTRACT_VERSION
) -> Record:
    """A line as a record: key from `user_id` or the entity's id, `ce_id` and `ce_time` from the body, where readable.

    A line that cannot be read has no key; an id that cannot be read is made from the line, a time is left out.
    """
    body = read_body(line)[0] or {}
    event_id, event_time = body.get("event_id"), body.get("event_time")
    name = event_id if type(event_id) is str else id_of(f"{topic}/{line!r}", 0)
    own = [*shared_headers(topic, source, declared_range, version), ("ce_id", name.encode(errors="replace"))]
    if type(event_time) is int and 0 <= event_time < LATEST_TIME:
        own.append(("ce_time", rfc3339(event_time).encode()))
    return Record(topic, key(topic, body), line, own)


def read_body(line: bytes) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """A line as one JSON object, or what is wrong with it (reason → explanation), as quarantine would name it."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, {"invalid_utf8": str(error)}
    try:
        body = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except _RepeatedFieldError as error:
        return None, {f"duplicate_field:{error}": "the same field twice"}
    except RecursionError:
        return None, {"too_deep": "nested deeper than can be read"}
    except ValueError as error:
        return None, {"malformed_json": str(error)}
    if not isinstance(body, dict):
        return None, {"malformed_json": "not an object"}
    return body, {}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedFieldError(next(name for name in names if names.count(name) > 1))
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _with_id(topic: str, body: dict[str, Any]) -> dict[str, Any]:
    if body.get("event_id") is not None:
        return body
    at = body.get("event_time")
    content = json.dumps({name: value for name, value in body.items() if name not in UNSIGNED}, sort_keys=True)
    made_at = at if type(at) is int and 0 <= at < LATEST_TIME else now_us()
    return body | {"event_id": id_of(f"{topic}/{content}", made_at)}


def each_line(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their line feeds; nothing else is taken from them."""
    for line in chunks:
        yield line.removesuffix(b"\n")
