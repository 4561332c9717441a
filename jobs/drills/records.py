"""Records as a broker holds them, written by hand: good ones to begin with, and any part of them changed."""

import json
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.lake.topics import ENTITIES, FACTS

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)  # noon in Shanghai
ALL = (*FACTS, *ENTITIES)


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def uuid7(at: datetime, number: int) -> str:
    """A UUIDv7 with the time and a number in it."""
    return str(uuid.UUID(int=(micros(at) // 1000) << 80 | 7 << 76 | 2 << 62 | number))


@dataclass(frozen=True)
class Record:
    """One record as the broker holds it; the offset is given when it is put on the topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] | None
    at: datetime = NOON
    partition: int = 0
    offset: int = -1


def headers_of(topic: str, event_id: str, source: str = "app:test") -> tuple[tuple[str, bytes], ...]:
    """The CloudEvents headers of an event."""
    kind = f"reelhouse.{topic.removesuffix('s')}.v1"
    pairs = {"ce_specversion": "1.0", "ce_id": event_id, "ce_type": kind, "ce_source": source}
    return tuple((name, value.encode()) for name, value in pairs.items())


def body_of(topic: str, number: int, /, at: datetime = NOON, **fields: Any) -> dict[str, Any]:
    """A good body; `fields` replace or add, None leaves out."""
    envelope = {
        "event_id": uuid7(at, number),
        "event_time": micros(at),
        "sent_time": micros(at),
        "producer": {"id": "app-1", "epoch": 1, "seq": number},
    }
    whole = envelope | BODIES[topic] | fields
    return {name: value for name, value in whole.items() if value is not None}


LINE = {"line_id": "l1", "product_id": "p1", "merchant_id": "m1", "quantity": 2, "unit_price_fen": 500}
BODIES: dict[str, dict[str, Any]] = {
    "views": {"kind": "play", "user_id": "u1", "device_id": "d1", "video_id": "v1", "scene": "mall",
              "source": "paid", "watch_ms": 4000},
    "likes": {"kind": "like", "user_id": "u1", "video_id": "v1", "scene": "mall", "source": "paid"},
    "orders": {"kind": "paid", "user_id": "u1", "order_id": "o1", "lines": [LINE]},
    "users": {"kind": "registered", "user_id": "u1", "registered_at": micros(NOON)},
    "videos": {"kind": "published", "video_id": "v1", "creator_id": "c1", "published_at": micros(NOON)},
    "products": {"kind": "listed", "product_id": "p1", "merchant_id": "m1", "list_price_fen": 900},
    "merchants": {"kind": "opened", "merchant_id": "m1", "opened_at": micros(NOON)},
    "control": {"kind": "complete", "source": "app:test", "topic": "views", "complete_until": micros(NOON),
                "is_final": False, "offsets": []},
}  # fmt: skip


def record(topic: str, body: dict[str, Any], *, at: datetime = NOON, partition: int = 0, **changed: Any) -> Record:
    """A body as a record; `changed` replaces key, value or headers."""
    key_field = {"control": "source"} | dict.fromkeys(FACTS, "user_id")
    key = body.get(key_field.get(topic, f"{topic.removesuffix('s')}_id"), "")
    value = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    made = Record(topic, str(key).encode(), value, headers_of(topic, str(body.get("event_id"))), at, partition)
    return replace(made, **changed)
