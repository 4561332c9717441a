"""Sessions of random histories: what plain Python says, and the same whether built at once or piece by piece."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.gold import user_days
from jobs.lake.families.session_refresh import Facts, rebuild, refresh
from jobs.lake.work import Staged
from tests.jobs.lake.profile_histories import STEPS, Histories
from tests.jobs.lake.profile_oracle import OWN_STEPS, by_user
from tests.jobs.stories import FIRST_DAY, ZONE

TableMaker = Callable[[str, list[dict[str, Any]]], DataFrame]
Row = dict[str, Any]
COUNT, SEED = 1_500, 3
PAUSE = timedelta(minutes=30)


@pytest.fixture(scope="module")
def histories() -> Histories:
    return Histories(COUNT, SEED)


@pytest.fixture(scope="module")
def at_once(histories: Histories, table: TableMaker) -> list[Row]:
    return _written([], rebuild(_facts(table, histories, STEPS[-1])))


@pytest.fixture(scope="module")
def piece_by_piece(histories: Histories, table: TableMaker) -> list[Row]:
    """Built whole once, then refreshed with what each step brings, late acts among it."""
    rows = _written([], rebuild(_facts(table, histories, STEPS[0])))
    for step in STEPS[1:]:
        facts = _facts(table, histories, step)
        new = facts.where(F.col("ingest_seq") == step)
        rows = _written(rows, refresh(facts, new, table("silver.sessions", rows), str(ZONE)))
    return rows


def test_piece_by_piece_equals_at_once(at_once: list[Row], piece_by_piece: list[Row]) -> None:
    assert len(at_once) > COUNT
    assert _by_key(piece_by_piece) == _by_key(at_once)


def test_a_late_act_joins_sessions(histories: Histories, at_once: list[Row], table: TableMaker) -> None:
    """The histories try it: of the sessions known at first, some are one in the end."""
    first = _written([], rebuild(_facts(table, histories, STEPS[0])))
    ends = {(row["user_id"], row["started_at"]) for row in at_once}
    assert sum((row["user_id"], row["started_at"]) not in ends for row in first) > COUNT / 20


def test_a_late_act_before_midnight_takes_the_next_days_session_to_its_own_day(
    told: Callable[[dict[str, str]], dict[str, DataFrame]],
) -> None:
    """Both days are written anew, and no other: on the next day nothing is left, on the day after nothing happened."""
    facts = Facts(**told({"ann": "view 23:40 ingest_seq=2, view +1d 00:05, view +2d 12:00"}))
    is_new = F.col("ingest_seq") == 2
    known = facts.where(~is_new).sessions().persist()
    [staged] = refresh(facts, facts.where(is_new), known, str(ZONE))
    assert staged.slices == (FIRST_DAY, FIRST_DAY + timedelta(days=1))
    assert [(row.session_date, row.event_count) for row in staged.frame.collect()] == [(FIRST_DAY, 2)]


def test_nothing_is_written_for_what_others_did(told: Callable[[dict[str, str]], dict[str, DataFrame]]) -> None:
    """A parcel under way makes nobody present."""
    facts = Facts(**told({"ann": "view 12:00, shipped 12:10 ingest_seq=2"}))
    is_new = F.col("ingest_seq") == 2
    assert list(refresh(facts, facts.where(is_new), facts.where(~is_new).sessions(), str(ZONE))) == []


def test_sessions_are_what_plain_python_finds(histories: Histories, at_once: list[Row]) -> None:
    found = {(row["user_id"], row["started_at"]): row for row in at_once}
    told = {(row["user_id"], row["started_at"]): row for row in _told(histories.silver(STEPS[-1]))}
    assert found.keys() == told.keys()
    assert {key: {name: found[key][name] for name in row} for key, row in told.items()} == told


def test_sessions_and_days_count_alike(histories: Histories, at_once: list[Row], table: TableMaker) -> None:
    """gold.user_days counts the sessions that began on a day, by a code path of its own."""
    facts = _facts(table, histories, STEPS[-1])
    tiles = user_days.build(facts.views, facts.likes, facts.orders, table("silver.videos", []), zone=str(ZONE))
    counted = {(row.user_id, row.day): row.session_count for row in tiles.collect() if row.session_count}
    assert counted == Counter((row["user_id"], row["session_date"]) for row in at_once)


def _told(silver: dict[str, list[Row]]) -> Iterable[Row]:
    own = silver["views"] + silver["likes"] + [row for row in silver["orders"] if row["kind"] in OWN_STEPS]
    for user, acts in by_user(own).items():
        acts.sort(key=lambda act: (act["event_time"], act["event_id"]))
        visits: list[list[Row]] = []
        for act in acts:
            if visits and act["event_time"] - visits[-1][-1]["event_time"] <= PAUSE:
                visits[-1].append(act)
            else:
                visits.append([act])
        for visit in visits:
            yield {
                "user_id": user,
                "started_at": visit[0]["event_time"],
                "ended_at": visit[-1]["event_time"],
                "session_date": visit[0]["event_date"],
                "first_event_id": visit[0]["event_id"],
                "entry_scene": visit[0]["scene"],
                "entry_kind": visit[0]["kind"],
                "event_count": len(visit),
                "watch_ms": sum(_watched(act) for act in visit),
                "paid_count": sum(act["kind"] == "paid" for act in visit),
            }


def _watched(act: Row) -> int:
    return min(act["watch_ms"] or 0, 86_400_000) if act["kind"] in ("play", "live_enter") else 0


def _facts(table: TableMaker, histories: Histories, step: int) -> Facts:
    rows = histories.silver(step)
    return Facts(*(table(f"silver.{name}", rows[name]).persist() for name in ("views", "likes", "orders")))


def _written(old: list[Row], staged: Iterable[Staged]) -> list[Row]:
    """The rows after writing what was staged, as a release would."""
    for part in staged:
        fresh = [{name: _aware(value) for name, value in row.asDict().items()} for row in part.frame.collect()]
        if part.mode == "replace_slices":
            assert {row["session_date"] for row in fresh} <= set(part.slices)
            old = [row for row in old if row["session_date"] not in part.slices]
        old = fresh if part.mode == "replace_all" else old + fresh
    return old


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _by_key(rows: list[Row]) -> dict[tuple[str, datetime], Row]:
    found = {(row["user_id"], row["started_at"]): row for row in rows}
    assert len(found) == len(rows)
    return found
