"""What a record is made of: key, CloudEvents headers, and the moment of sending that is written in last."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CONTRACT_VERSION = 1
UNSTAMPED = b'{"sent_time":"now"'  # how a body begins whose time of sending is written in at each physical send
_OPEN = UNSTAMPED[:-1]  # … or `"now-5000000"`: by a clock five seconds slow

KEY_FIELD = {
    "views": "user_id",
    "likes": "user_id",
    "orders": "user_id",
    "users": "user_id",
    "videos": "video_id",
    "products": "product_id",
    "merchants": "merchant_id",
    "control": "source",
}

Headers = list[tuple[str, bytes]]


class Record(NamedTuple):
    """One Kafka record as it will be sent; a null value closes an entity."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def stamped(value: bytes | None, now_us: int) -> bytes | None:
    """The value with its time of sending written in, if it asks for it by beginning like UNSTAMPED."""
    if value is None or not value.startswith(_OPEN):
        return value
    close = value.index(b'"', len(_OPEN))
    return b'{"sent_time":%d%b' % (now_us + int(value[len(_OPEN) : close] or 0), value[close + 1 :])


def now_us() -> int:
    """This machine's clock, epoch microseconds."""
    return time.time_ns() // 1000


def rfc3339(at_us: int) -> str:
    """An instant in epoch microseconds as CloudEvents writes it."""
    return (EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def headers(
    topic: str, source: str, event_id: str, event_time: int, declared_range: str = "", version: int = CONTRACT_VERSION
) -> Headers:
    """CloudEvents headers in Kafka's binary mode; a replay adds the times it speaks about, `<from>/<to>` in µs."""
    own = [("ce_id", event_id.encode()), ("ce_time", rfc3339(event_time).encode())]
    return [*shared_headers(topic, source, declared_range, version), *own]


@cache
def shared_headers(topic: str, source: str, declared_range: str = "", version: int = CONTRACT_VERSION) -> Headers:
    """The headers all events of one topic, source and version of the contract have alike."""
    reach = [("ce_replayrange", declared_range.encode())] if declared_range and topic != "control" else []
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", f"reelhouse.{topic.removesuffix('s')}.v{version}".encode()),
        ("ce_source", source.encode()),
        ("ce_dataschema", f"reelhouse:/schemas/events/{topic}/v{version}.json".encode()),
        ("content-type", b"application/json"),
        *reach,
    ]


def key(topic: str, body: Mapping[str, Any]) -> bytes | None:
    """The key by which a topic is spread and compacted; None when the body has none."""
    value = body.get(KEY_FIELD.get(topic, "user_id"))
    return value.encode(errors="surrogatepass") if isinstance(value, str) and value else None
