"""What is true of every entity table: a history told in any order is one history. Four keys tell it, in four orders."""

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any, ClassVar

from tests.lake.logs import NOON, Record, body_of, micros, record

DAY = timedelta(days=1)
TURNS = range(4)


class EntityStory:
    """A subclass names the topic, its `build`, and a field with three values of its own."""

    topic: ClassVar[str]
    build: ClassVar[Callable[..., Any]]
    field: ClassVar[str]
    values: ClassVar[tuple[str, str, str, str]] = ("first", "late", "between", "corrected")

    @property
    def key(self) -> str:
        return f"{self.topic.removesuffix('s')}_id"

    def said(self, name: str, number: int, days_ago: int, value: str) -> Record:
        """One account of the key, true from so many days ago."""
        at = micros(NOON - days_ago * DAY)
        fields = {self.key: name, self.field: value, "event_time": at}
        return record(self.topic, body_of(self.topic, number, **fields))

    def accounts(self, name: str, number: int) -> list[Record]:
        """First, later, between, and a correction of the later one."""
        first, later, between, corrected = self.values
        told = [(9, first), (3, later), (5, between), (3, corrected)]
        return [self.said(name, number + n, days, value) for n, (days, value) in enumerate(told)]

    def shown(self, rows: list[Any], name: str) -> list[tuple[Any, ...]]:
        """What held when, of one key: (value, from, to, current, superseded)."""
        return [
            (row[self.field], NOON - row.valid_from.replace(tzinfo=UTC),
             row.valid_to and NOON - row.valid_to.replace(tzinfo=UTC), row.is_current, row.is_superseded)
            for row in rows if row[self.key].endswith(name)
        ]  # fmt: skip

    def test_the_history_is_the_same_in_whatever_order_it_comes(self, history: Callable[..., list[Any]]) -> None:
        told = [self.accounts(f"x{turn}", 10 * turn) for turn in TURNS]
        records = [each for turn in TURNS for each in told[turn][turn:] + told[turn][:turn]]
        rows = history(type(self).build, self.topic, [], records)
        first, later, between, corrected = self.values
        whole = [
            (first, 9 * DAY, 5 * DAY, False, False),
            (between, 5 * DAY, 3 * DAY, False, False),
            (later, 3 * DAY, 3 * DAY, False, True),
            (corrected, 3 * DAY, None, True, False),
        ]
        assert {turn: self.shown(rows, f"x{turn}") for turn in TURNS} == dict.fromkeys(TURNS, whole)

    def test_a_late_account_cuts_what_was_known_and_a_tombstone_closes_it(
        self, history: Callable[..., list[Any]]
    ) -> None:
        first, later, between, _ = self.accounts("x1", 1)
        gone = self.accounts("x2", 11)[0]
        tombstone = record(self.topic, body_of(self.topic, 20, **{self.key: "x2"}), value=None)
        rows = history(type(self).build, self.topic, [first, later, gone], [between, tombstone])
        assert self.shown(rows, "x1") == [
            (self.values[0], 9 * DAY, 5 * DAY, False, False),
            (self.values[2], 5 * DAY, 3 * DAY, False, False),
        ]
        closed = [(row.is_deleted, row.is_current) for row in rows if row[self.key].endswith("x2")]
        assert closed == [(False, False), (True, True)]
