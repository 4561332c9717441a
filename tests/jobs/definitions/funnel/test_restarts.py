"""Judged again from the day `restarts` names, and as stored before it, attempts are those of all events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.definitions.funnel.in_arrow import Judging
from jobs.definitions.funnel.model import Definition
from jobs.definitions.funnel.restarts import BEGINNING, NEVER, restarts
from tests.jobs.definitions.funnel.drawn import KINDS, MOST_EVENTS, definition, history, local_day
from tests.jobs.definitions.funnel.oracle import Event
from tests.jobs.definitions.funnel.test_batches_change_nothing import outcomes, row

EACH, USERS = 2, 80  # definitions of a kind, and histories of a definition
DAY_US, DAY_ZERO = 86_400_000_000, date(1970, 1, 1)
ACTS = ("walk", "talk")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STORED = (
    "user_id string, funnel string, funnel_version bigint, entry_date date, deliberation_date date, "
    "matures_at timestamp, maturity_times array<timestamp>, set_aside string, zone string"
)
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Crowd:
    """Users of one funnel: what had come in of each, and what has come since."""

    found: Definition
    old: dict[str, list[Event]]
    late: dict[str, list[Event]]

    @property
    def whole(self) -> dict[str, list[Event]]:
        """All events of each."""
        return {user: [*events, *self.late[user]] for user, events in self.old.items()}

    def judged(self, of: dict[str, list[Event]]) -> Rows:
        """The attempts that these events make."""
        rows = [
            row(user, self.found, event) | {"act": sum(map(ord, event.id)) % 3}
            for user, events in sorted(of.items())
            for event in sorted(events, key=lambda event: event.time)
        ]
        return outcomes(Judging((self.found,), ACTS), rows, [])


@pytest.fixture(scope="module")
def crowds() -> list[Crowd]:
    """Definitions of every kind; users who come now and then for weeks, some of whose events are late."""
    draw = Random("restarts")
    return [
        _crowd(draw, replace(definition(draw, kind), name=f"{kind}-{number}"), MOST_EVENTS.get(kind, 8))
        for kind in KINDS
        for number in range(EACH)
    ]


@pytest.fixture(scope="module")
def from_days(crowds: list[Crowd], spark: SparkSession) -> dict[tuple[str, str], int]:
    """By funnel and user the day to restart on (days since 1970), all found at once."""
    stored = [_stored(crowd, one) for crowd in crowds for one in crowd.judged(crowd.old)]
    attempts, openings = (
        spark.createDataFrame([one[1:] for one in stored if one[0] == kind], STORED) for kind in ("tried", "opened")
    )
    first = [
        (f"{crowd.found.name}/{user}", _instant(min(event.time for event in late)))
        for crowd in crowds
        for user, late in crowd.late.items()
    ]
    touched = spark.createDataFrame(first, "user_id string, since timestamp")
    days = restarts(touched, attempts, openings, [crowd.found for crowd in crowds]).collect()
    place = {crowd.found.name: number for number, crowd in enumerate(crowds)}
    named = [(*one["user_id"].split("/"), one["from_days"]) for one in days]
    return {(name, user): (found[place[name]] - DAY_ZERO).days for name, user, found in named}


def test_what_is_stored_and_what_is_judged_again_make_the_whole(
    crowds: list[Crowd], from_days: dict[tuple[str, str], int]
) -> None:
    for crowd in crowds:
        name, zone = crowd.found.name, crowd.found.zone
        kept = [one for one in crowd.judged(crowd.old) if one["entry_day"] < from_days[name, one["user_id"]]]
        recent = {
            user: [event for event in events if local_day(zone, event.time) >= from_days[name, user]]
            for user, events in crowd.whole.items()
        }
        whole = crowd.judged(crowd.whole)
        assert len(whole) >= USERS // 2
        assert _sorted(kept + crowd.judged(recent)) == whole, crowd.found


def test_most_of_what_came_before_is_spared(crowds: list[Crowd], from_days: dict[tuple[str, str], int]) -> None:
    is_spared = [
        local_day(crowd.found.zone, event.time) < from_days[crowd.found.name, user]
        for crowd in crowds
        for user, events in crowd.old.items()
        for event in events
    ]
    assert len(is_spared) // 4 < sum(is_spared) < len(is_spared)
    assert (NEVER - DAY_ZERO).days in from_days.values()


def test_a_funnel_of_distinct_steps_and_one_whose_first_entry_may_fail_restart_at_the_beginning(
    spark: SparkSession,
) -> None:
    plain = definition(Random(1), "plain")
    first = replace(plain.steps[0], where="ok")
    asked = [
        replace(plain, first_entry_only="no"),
        replace(plain, steps=(replace(plain.steps[0], distinct=True), *plain.steps[1:])),
        replace(plain, steps=(first, *plain.steps[1:]), first_entry_only="true"),
    ]
    nobody = spark.createDataFrame([], STORED)
    touched = spark.createDataFrame([("u", datetime(2026, 3, 1, 12, tzinfo=UTC))], "user_id string, since timestamp")
    (found,) = restarts(touched, nobody, nobody, asked).collect()
    assert [day.year for day in found["from_days"]] == [2026, BEGINNING.year, BEGINNING.year]
    assert found["earliest"] == BEGINNING.date()


def _crowd(draw: Random, found: Definition, most: int) -> Crowd:
    old, late = {}, {}
    for number in range(USERS):
        events, user = _visits(draw, found, most), f"u{number:02}"
        late[user] = draw.sample(events, draw.randint(1, 2))
        old[user] = [event for event in events if event not in late[user]]
    return Crowd(found, old, late)


def _visits(draw: Random, found: Definition, most: int) -> list[Event]:
    """Two short histories or more, some a few hours after the one before, some a few days or months."""
    events: list[Event] = []
    for visit in range(draw.randint(2, 4)):
        later = visit * draw.choice((0, 1, 1, 2, 5)) * DAY_US
        more = [replace(e, id=f"{visit}{e.id}", time=e.time + later) for e in history(draw, found, 0, most)]
        events += [replace(event, day=local_day(found.zone, event.time)) for event in more]
    return events


def _stored(crowd: Crowd, one: dict[str, Any]) -> tuple[Any, ...]:
    """An attempt as the tables of the family keep it, for the span of days it takes; before it which of them."""
    matures, opened = _instant(one["matures_at"]), one["reached"] <= 1
    return (
        "opened" if opened else "tried", f"{crowd.found.name}/{one['user_id']}", crowd.found.name, crowd.found.version,
        _day(one["entry_day"]), _day(one["deliberation_day"]), None if opened else matures,
        [matures] if opened and matures else [], one["set_aside"], crowd.found.zone,
    )  # fmt: skip


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else EPOCH + timedelta(microseconds=micros)


def _day(number: int | None) -> date | None:
    return None if number is None else DAY_ZERO + timedelta(days=number)


def _sorted(rows: Rows) -> Rows:
    return sorted(rows, key=lambda one: (one["user_id"], str(one["entry_event_id"]), one["entry_day"]))
