"""What canaries tell of each partition: that its records come through, that it is silent, or that it is broken.

A canary is a record that stands for nothing but itself. One that was sent and is not read tells that records would not
be either; where it was read and nothing else came, nobody had anything to say.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

PATIENCE = timedelta(minutes=15)  # with a canary that is not read, in a topic whose table promises no latency
Place = tuple[str, str, int]  # topic, topic id, partition
Row = Mapping[str, Any]


class State(StrEnum):
    """How a partition is."""

    untold = "untold"  # no canary was sent to it within a day
    waiting = "waiting"  # its first canary is on its way
    flowing = "flowing"
    silent = "silent"
    broken = "broken"


@dataclass(frozen=True)
class Heard:
    """What is known of one partition; times are UTC, null for what did not happen within a day."""

    state: State = State.untold
    sent_at: datetime | None = None  # the newest canary
    read_at: datetime | None = None  # when the newest canary that was read was booked
    record_at: datetime | None = None  # when the newest record that is no canary was booked
    why: str = ""


def heard(
    canaries: Iterable[Row], booked: Iterable[Row], records: Mapping[Place, datetime],
    reached: Mapping[Place, int], patience: Mapping[str, timedelta], at: datetime,
) -> dict[Place, Heard]:  # fmt: skip
    """By partition what its canaries of a day tell.

    `canaries` are rows of ops.canaries, `booked` lines of ops.books that count some; `records` has when the newest
    other record of a partition was booked, `reached` the offset that ingest reads next, `patience` is by topic.
    """
    sent, lines = _by_place(canaries), _by_place(booked)
    return {
        place: _of_place(
            sorted(mine, key=lambda row: int(row["kafka_offset"])), lines.get(place, []), records.get(place),
            reached.get(place, 0), at - patience.get(place[0], PATIENCE),
        )
        for place, mine in sent.items()
    }  # fmt: skip


def _by_place(rows: Iterable[Row]) -> dict[Place, list[Row]]:
    found: dict[Place, list[Row]] = {}
    for row in rows:
        found.setdefault((row["topic"], row["topic_id"], row["partition"]), []).append(row)
    return found


def _of_place(sent: list[Row], lines: list[Row], record_at: datetime | None, next_offset: int, due: datetime) -> Heard:
    """`sent` in the order of offsets; what was sent before `due` has to be read."""
    read_at = {row["kafka_offset"]: _booked_at(row["kafka_offset"], lines) for row in sent}
    read = [row for row in sent if read_at[row["kafka_offset"]]]
    lost = [row for row in sent if row["kafka_offset"] < next_offset and not read_at[row["kafka_offset"]]]
    late = [row for row in sent if row["kafka_offset"] >= next_offset and row["canary_sent_at"] < due]
    why = ""
    if lost:
        why = f"the canary at offset {lost[-1]['kafka_offset']} was passed over, and is in no books"
    elif late:
        why = f"the canary of {late[0]['canary_sent_at']:%Y-%m-%d %H:%M:%S} UTC is not read"
    return Heard(
        _state(read, record_at, is_broken=bool(why)),
        sent[-1]["canary_sent_at"],
        read_at[read[-1]["kafka_offset"]] if read else None,
        record_at,
        why,
    )


def _booked_at(offset: int, lines: Iterable[Row]) -> datetime | None:
    """When the batch was booked that has the canary at an offset."""
    return next((line["recorded_at"] for line in lines if line["offset_from"] <= offset < line["offset_to"]), None)


def _state(read: list[Row], record_at: datetime | None, *, is_broken: bool) -> State:
    """Silent is what had no record since the canary before the newest: records need not come with every one."""
    if is_broken:
        return State.broken
    if not read:
        return State.waiting
    since = read[-2:][0]["canary_sent_at"]
    return State.flowing if record_at is not None and record_at >= since else State.silent
