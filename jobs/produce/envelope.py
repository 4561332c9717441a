"""What an event's sender may leave out, and how a body is written."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import orjson
import uuid_utils

from jobs.produce.records import UNSTAMPED, now_us

VERSION_7 = 0x7 << 76
VARIANT = 0b10 << 62


def completed(body: Mapping[str, Any], next_position: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The body with the time of sending, the sender's place, a fresh id and the present time, where it has none."""
    whole = {"sent_time": now_us(), "producer": None, **body}
    if whole["producer"] is None:
        whole["producer"] = next_position()
    if whole.get("event_id") is None:
        whole["event_id"] = str(uuid_utils.uuid7())
    if whole.get("event_time") is None:
        whole["event_time"] = whole["sent_time"]
    return whole


def encoded(body: Mapping[str, Any], *, is_stamped_late: bool) -> bytes:
    """The body as JSON; its first field `sent_time` left open if it is to be written at each physical send.

    TypeError for what JSON cannot hold: lone surrogates, integers beyond 64 bits.
    """
    value = orjson.dumps(body)
    return UNSTAMPED + value[value.index(b",") :] if is_stamped_late else value


def id_of(identity: str, at_us: int) -> str:
    """A UUIDv7 made from the event itself: its time, then a hash of what makes it that event and no other."""
    digest = int.from_bytes(hashlib.blake2b(identity.encode(errors="surrogatepass"), digest_size=10).digest())
    random_a, random_b = (digest >> 62) & 0xFFF, digest & ((1 << 62) - 1)
    return str(UUID(int=(at_us // 1000) << 80 | VERSION_7 | random_a << 64 | VARIANT | random_b))
