"""What an event's id tells, and what makes two bodies the same content."""

from collections.abc import Iterable
from itertools import chain

from pyspark.sql import Column
from pyspark.sql import functions as F

# The whole text: `$` would let a line's end follow.
UUID_V7 = r"\A[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\z"
BEYOND = "e677d21f-dc00"  # how ids of the year 10000 begin, which no date column holds
SENDING = ("sent_time", "producer")  # differ at each physical send of the same event


def id_date(event_id: Column) -> Column:
    """The UTC date inside a UUIDv7, the same for every repeat of an event however late; null for another text."""
    milliseconds = F.conv(F.concat(event_id.substr(1, 8), event_id.substr(10, 4)), 16, 10).try_cast("bigint")
    return F.when(event_id.rlike(UUID_V7) & (event_id < BEYOND), F.to_date(F.timestamp_millis(milliseconds)))


def content_hash(fields: Iterable[tuple[str, Column]]) -> Column:
    """A 64-bit hash of a body without what differs at each send: repeats agree, other contents do not.

    `fields` are (name, value) in the contract's order; maps are ordered by key first. The position of each field is
    hashed with it, since nulls leave no trace of their own.
    """
    parts = [(F.lit(place), value) for place, (name, value) in enumerate(fields) if name not in SENDING]
    return F.lower(F.hex(F.xxhash64(*chain.from_iterable(parts))))


def in_key_order(entries: Column) -> Column:
    """A map as a list of entries sorted by key, so that two equal maps look equal."""
    return F.sort_array(F.map_entries(entries))
