"""Records read by kafka-python: exactly what is planned, in order; nothing counts as a gap that nobody called one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.errors import UnsupportedCodecError

from jobs.lake import topics
from jobs.lake.errors import TooMuchError
from jobs.lake.settings import Settings
from jobs.lake.topics import records_of

SETTINGS = Settings(home=Path("/nowhere"))
# by place the offsets that hold a record; all others below the end are gaps
Held = dict[tuple[str, int], frozenset[int]]


@dataclass
class Broker:
    """A consumer over topics in memory, as kafka-python's: gaps move its position, records come in pieces."""

    held: Held
    ends: dict[tuple[str, int], int]
    pieces: Iterator[int]
    silent_from: int | None = None
    pauses: int = 0  # polls that bring nothing, after each that does
    polls: int = 0
    at: dict[TopicPartition, int] = field(default_factory=dict)
    paused: set[TopicPartition] = field(default_factory=set)

    def assign(self, places: list[TopicPartition]) -> None:
        """Read these."""
        self.at = dict.fromkeys(places, -1)

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go on from there."""
        self.at[place] = offset

    def pause(self, place: TopicPartition) -> None:
        """Read no more of it."""
        self.paused.add(place)

    def position(self, place: TopicPartition) -> int:
        """The next offset."""
        return self.at[place]

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        """Some of what comes next of each, beyond what was planned too."""
        self.polls += 1
        if self.polls % (1 + self.pauses):
            return {}
        found = defaultdict(list)
        for place, start in self.at.items():
            if place in self.paused:
                continue
            end = min(start + next(self.pieces), self.ends[tuple(place)], self.silent_from or 10**9)
            found[place] = [record(place, offset) for offset in range(start, end) if offset in self.held[tuple(place)]]
            self.at[place] = max(start, end)
        return {place: records for place, records in found.items() if records}


def record(place: TopicPartition, offset: int) -> Any:
    """One record as kafka-python gives it."""
    return SimpleNamespace(
        topic=place.topic, partition=place.partition, offset=offset, timestamp=offset, key=b"k", value=b"v", headers=[]
    )


@contextmanager
def installed(broker: Broker) -> Iterator[None]:
    """Every consumer is this one."""

    @contextmanager
    def consumer(_: Settings, **how: Any) -> Iterator[Broker]:
        assert how["isolation_level"] == "read_committed", "what was aborted must not come"
        assert how["auto_offset_reset"] == "none", "what is gone must not be passed over"
        yield broker

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topics, "_consumer", consumer)
        yield


@given(
    offsets=st.lists(st.frozensets(st.integers(0, 40)), min_size=1, max_size=3),
    bounds=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=3, max_size=3),
    pieces=st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_what_is_planned_comes_once_and_in_order(
    offsets: list[frozenset[int]], bounds: list[tuple[int, int]], pieces: list[int]
) -> None:
    held = {("views", number): some for number, some in enumerate(offsets)}
    ranges = {number: (min(bounds[number]), max(bounds[number])) for number in range(len(offsets))}
    broker = Broker(held, dict.fromkeys(held, 50), iter(pieces * 1000))
    with installed(broker):
        rows = list(records_of(SETTINGS, {"views": ranges}))
    for number, (start, end) in ranges.items():
        mine = [row[4] for row in rows if row[3] == number]
        assert mine == [offset for offset in range(start, end) if offset in held["views", number]]


def test_a_silent_broker_is_no_gap() -> None:
    held = {("views", 0): frozenset(range(10))}
    with (
        installed(Broker(held, {("views", 0): 10}, iter([5] * 1000), silent_from=4)),
        pytest.raises(TooMuchError, match="says nothing of views/0 for 5 s"),
    ):
        list(records_of(SETTINGS, {"views": {0: (0, 10)}}))


def test_a_broker_that_takes_its_time_is_waited_for() -> None:
    held = {("views", 0): frozenset(range(10))}
    with installed(Broker(held, {("views", 0): 10}, iter([5] * 1000), pauses=topics.SILENT_STEPS - 1)):
        rows = list(records_of(SETTINGS, {"views": {0: (0, 10)}}))
    assert [row[4] for row in rows] == list(range(10))


def test_what_this_client_cannot_read_is_left_to_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker({("views", 0): frozenset(range(10))}, {("views", 0): 10}, iter([5] * 9))

    def poll(timeout_ms: int) -> None:
        raise UnsupportedCodecError("Libraries for snappy compression codec not found")

    monkeypatch.setattr(broker, "poll", poll)
    with installed(broker), pytest.raises(TooMuchError, match="UnsupportedCodecError"):
        list(records_of(SETTINGS, {"views": {0: (0, 10)}}))


def test_no_more_than_a_process_should_hold_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "MOST_BYTES", 10)
    broker = Broker({("views", 0): frozenset(range(10))}, {("views", 0): 10}, iter([6] * 9))
    with installed(broker), pytest.raises(TooMuchError, match="more than 10 bytes"):
        list(records_of(SETTINGS, {"views": {0: (0, 10)}}))


def test_a_record_looks_as_spark_tells_it() -> None:
    with installed(Broker({("views", 0): frozenset([7])}, {("views", 0): 8}, iter([9] * 9))):
        [row] = records_of(SETTINGS, {"views": {0: (7, 8)}})
    assert row == (b"k", b"v", "views", 0, 7, datetime(1970, 1, 1, 0, 0, 0, 7000, tzinfo=UTC), None)
