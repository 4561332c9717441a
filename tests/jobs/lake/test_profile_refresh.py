"""Profiles of random histories: what plain Python says, and the same whether built at once or piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.definitions.identity import ties
from jobs.lake.backfills.slices import UsersSlice
from jobs.lake.contracts import contract
from jobs.lake.families.backfilled import Backfilled
from jobs.lake.families.identity_refresh import TABLE as EDGES
from jobs.lake.families.identity_refresh import added_to, days_of
from jobs.lake.families.profile_backfill import news_of, remade, swap
from jobs.lake.families.profile_refresh import AsOf, Gold, Keep, Silver, Touched, rebuild, refresh, tables
from jobs.lake.families.profile_touched import (
    first_redescribed_day,
    retied_pairs,
    touched_acts,
    touched_pairs,
    touched_users,
)
from jobs.lake.settings import Settings
from jobs.lake.small_engine import small_lake
from jobs.lake.tables import Lake
from jobs.lake.work import Staged
from jobs.silver import identity_edges
from tests.jobs.conftest import maker
from tests.jobs.lake import profile_oracle as oracle
from tests.jobs.lake.profile_histories import AS_OF, STEPS, Histories
from tests.jobs.lake.profiles_in_sql import KEYS as KEYS_IN_SQL
from tests.jobs.lake.profiles_in_sql import differences, recomputed

TableMaker = Callable[[str, list[dict[str, Any]]], DataFrame]
State = dict[str, list[dict[str, Any]]]
COUNT, SEED = 2_000, 7
ZONE = "Asia/Shanghai"
BEGIN = datetime(2026, 9, 1, tzinfo=UTC)
KEYS = {
    "silver.identity_edges": ("user_id", "device_id"),
    "gold.user_days": ("user_id", "day"),
    "gold.user_interest_days": ("user_id", "topic_kind", "topic_name", "day", "fact"),
    "gold.user_interests": ("user_id", "topic_kind", "topic_name"),
    "gold.user_profiles": ("user_id",),
}


@pytest.fixture(scope="module")
def histories() -> Histories:
    return Histories(COUNT, SEED)


@pytest.fixture(scope="module")
def at_once(histories: Histories, table: TableMaker) -> State:
    """Everything built from the finished silver."""
    silver = _silver(table, histories, STEPS[-1])
    return _applied({}, rebuild(silver, _gold(table, {}).user_profiles_history, _as_of(STEPS[-1]), Lake.keep))


@pytest.fixture(scope="module")
def refreshed(histories: Histories, table: TableMaker, settings: Settings) -> list[tuple[State, set[str]]]:
    """The state after each step, and whom its facts, knowledge and ties touched.

    Built whole once by Spark, then refreshed by the engine of small runs.
    """
    first = rebuild(_silver(table, histories, 1), _gold(table, {}).user_profiles_history, _as_of(1), Lake.keep)
    begun = (_applied({}, first), set(histories.users))
    with small_lake(settings) as lake:
        return [begun, *_steps(histories, maker(lake.spark, settings), begun, lake.keep)]


def _steps(
    histories: Histories, table: TableMaker, begun: tuple[State, set[str]], keep: Keep
) -> list[tuple[State, set[str]]]:
    after = [begun]
    for step in STEPS[1:]:
        state, _ = after[-1]
        silver, gold = _silver(table, histories, step), _gold(table, state)
        is_new_day = AS_OF[step] != AS_OF[step - 1]
        touched = _touched(silver, step - 1, table(EDGES, state[EDGES]), keep)
        staged = refresh(silver, gold, touched, _as_of(step), is_new_day=is_new_day, keep=keep)
        after.append((_applied(state, staged), {row["user_id"] for row in touched.users.collect()}))
    return after[1:]


@pytest.fixture(scope="module")
def piece_by_piece(refreshed: list[tuple[State, set[str]]]) -> list[State]:
    """The state after each step."""
    return [state for state, _ in refreshed]


@pytest.mark.parametrize("name", KEYS)
def test_piece_by_piece_equals_at_once(name: str, at_once: State, piece_by_piece: list[State]) -> None:
    """Late, taken back, refunded, corrected, deleted, consent withdrawn, days gone by: bit for bit the same."""
    built, refreshed = _by_key(name, at_once), _by_key(name, piece_by_piece[-1])
    assert len(built) > COUNT / 2
    assert {key: row for key, row in refreshed.items() if built.get(key) != row} == {}
    assert built.keys() - refreshed.keys() == set()


def test_a_backfill_of_what_was_known_at_first_equals_at_once(at_once: State, table: TableMaker) -> None:
    """Slices of the first step; then some log in on phones of people of whom nothing else is new."""
    told = Histories(COUNT, SEED)
    for fact in told.facts:  # of every second person, and of phones, nothing comes later
        fact["ingest_seq"] = 1 if fact["user_id"][-1] in "02468" or fact["user_id"][0] == "d" else fact["ingest_seq"]
    silver = _silver(table, told, STEPS[-1])
    first = replace(
        _silver(table, told, 1), videos=silver.videos, products=silver.products
    )  # nor is a thing redescribed
    made = {one: remade(first, one, ZONE) for one in (UsersSlice(1, 2), UsersSlice(2, 2))}
    done = [Backfilled(one, {staged.table: Lake.keep(staged.frame) for staged in tiles}) for one, tiles in made.items()]
    edges = Lake.keep(identity_edges.build(silver.views, silver.likes, silver.orders))
    users = Lake.keep(news_of(silver, edges, 1, ZONE, redescribed_from=None))
    assert COUNT / 4 < users.count() < COUNT
    swapped = _applied({}, swap(silver, _gold(table, {}), edges, users, _as_of(STEPS[-1]), done, Lake.keep))
    for name in KEYS:
        assert _by_key(name, swapped) == _by_key(name, at_once), name


def test_what_users_do_is_what_plain_python_counts(histories: Histories, at_once: State) -> None:
    told = oracle.activity(oracle.of_people(histories.silver(STEPS[-1])), AS_OF[STEPS[-1]])
    profiles = {row["user_id"]: row for row in at_once["gold.user_profiles"]}
    wrong = {}
    for user, expected in told.items():
        if "personalisation" not in (profiles[user]["consent"] or []):
            expected["habit_hour"] = None
        wrong |= _differences(user, expected, profiles[user])
    assert wrong == {}


def test_what_users_buy_is_what_plain_python_counts(histories: Histories, at_once: State) -> None:
    told = oracle.money(histories.silver(STEPS[-1]), AS_OF[STEPS[-1]])
    profiles = {row["user_id"]: row for row in at_once["gold.user_profiles"]}
    nobody = {"order_count": 0, "gross_gmv_fen": 0}
    wrong = {}
    for user, expected in told.items():
        wrong |= _differences(
            user,
            expected,
            profiles.get(user, nobody | dict.fromkeys(expected, 0)) if any(expected.values()) else expected,
        )
    assert wrong == {}


def test_interests_are_the_decayed_sums_of_plain_python(histories: Histories, at_once: State) -> None:
    """Exactly the same topics of those who agreed; the values but for the rounding of the table of fades."""
    consent = {row["user_id"]: row["consent"] or [] for row in at_once["gold.user_profiles"]}
    told = oracle.interests(oracle.of_people(histories.silver(STEPS[-1])), AS_OF[STEPS[-1]])
    agreed = {key: value for key, value in told.items() if "personalisation" in consent.get(key[0], [])}
    built = {(r["user_id"], r["topic_kind"], r["topic_name"]): r["interest"] for r in at_once["gold.user_interests"]}
    assert len(built) > COUNT / 2
    assert {key for key in agreed if abs(agreed[key]) > Fraction(1, 1000)} ^ built.keys() <= _nearly_nothing(agreed)
    for key, interest in built.items():
        assert abs(Fraction(interest) / 2**40 - agreed[key]) < Fraction(1, 1000), key


def test_a_device_ties_the_one_user_who_acted_on_it(histories: Histories, piece_by_piece: list[State]) -> None:
    """Ties come late, and are lost to a second user: what was done anonymously comes and goes with them."""
    told = [oracle.of_people(histories.silver(step)) for step in STEPS]
    joined = [
        {row["event_id"] for name in ("views", "likes") for row in silver[name] if row.get("was_anonymous")}
        for silver in told
    ]
    assert len(joined[1] - joined[0]) > 10
    assert len(joined[0] - joined[2]) > 1
    for state, silver in zip(piece_by_piece, (histories.silver(step) for step in STEPS), strict=True):
        assert {
            (row["user_id"], row["device_id"]): (row["first_seen_at"], row["device_user_count"], row["is_shared"])
            for row in state[EDGES]
        } == oracle.edges(silver)


def test_the_history_ends_with_what_the_profiles_say(piece_by_piece: list[State]) -> None:
    """And every step added only what differs from the step before."""
    for before, after in pairwise(piece_by_piece):
        assert (
            after["gold.user_profiles_history"][: len(before["gold.user_profiles_history"])]
            == before["gold.user_profiles_history"]
        )
    latest: dict[str, dict[str, Any]] = {}
    for row in piece_by_piece[-1]["gold.user_profiles_history"]:
        same = latest.get(row["user_id"], {}).get("profile_hash") == row["profile_hash"]
        assert not same, row["user_id"]
        latest[row["user_id"]] = row
    for profile in piece_by_piece[-1]["gold.user_profiles"]:
        known = latest[profile["user_id"]]
        assert {name: known[name] for name in profile if name != "as_of_day"} == {
            n: v for n, v in profile.items() if n != "as_of_day"
        }


def test_who_is_touched_by_the_passing_of_days_alone_equals_a_rebuild(
    refreshed: list[tuple[State, set[str]]], at_once: State
) -> None:
    """Before the last step seven days pass: acts leave windows, interests fade, people fall asleep."""
    (before, _), (after, touched) = refreshed[-2:]
    aged = set()
    for name in ("gold.user_profiles", "gold.user_interests"):
        was, now, built = (_by_key(name, state) for state in (before, after, at_once))
        aged |= {
            key[0] for key, row in was.items() if key[0] not in touched and _undated(row) != _undated(now.get(key))
        }
        assert {key: row for key, row in now.items() if key[0] in aged and built[key] != row} == {}
    assert len(aged) >= 10


@pytest.mark.parametrize("what", KEYS_IN_SQL)
def test_every_number_is_what_sql_over_silver_counts(
    what: str, histories: Histories, table: TableMaker, settings: Settings, at_once: State
) -> None:
    """Nonsense included: overflowing money and times, tombstones, consent withdrawn, take-backs before their acts."""
    day, name = AS_OF[STEPS[-1]], f"gold.user_{what}"
    silver = {part: table(f"silver.{part}", rows).toArrow() for part, rows in histories.silver(STEPS[-1]).items()}
    built = pa.Table.from_pylist(at_once[name], contract(name, settings.schemas_dir).arrow_schema())
    assert differences(recomputed(silver, day, ZONE), what, built) == {}


def _differences(user: str, expected: dict[str, Any], row: dict[str, Any]) -> dict[tuple[str, str], tuple[Any, Any]]:
    shown = {name: _aware(row[name]) for name in expected}
    return {(user, name): (expected[name], shown[name]) for name in expected if expected[name] != shown[name]}


def _nearly_nothing(told: dict[tuple[str, str, str], Fraction]) -> set[tuple[str, str, str]]:
    return {key for key, value in told.items() if abs(value) <= Fraction(1, 1000)}


def _undated(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """A row but for the day it is as of; that day alone is no news."""
    return row and row | {"as_of_day": None}


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _as_of(step: int) -> AsOf:
    return AsOf(AS_OF[step], ZONE, BEGIN + timedelta(hours=step))


def _silver(table: TableMaker, histories: Histories, step: int) -> Silver:
    rows = histories.silver(step)
    return Silver(*(table(name, rows[name.split(".")[1]]).persist() for name in tables(Silver)))


def _gold(table: TableMaker, state: State) -> Gold:
    return Gold(*(table(name, state.get(name, [])).persist() for name in tables(Gold)))


def _touched(silver: Silver, since: int, known: DataFrame, keep: Keep) -> Touched:
    """What the family `profiles` would find touched: new facts, things known otherwise, ties won and lost."""
    new = F.col("ingest_seq") > since
    edges = added_to(known, (silver.views.where(new), silver.likes.where(new), silver.orders.where(new)), keep)
    row = first_redescribed_day(silver, since, ZONE).first()
    acts = touched_acts(silver, since, redescribed_from=row[0] if row else None)
    retied = keep(edges.retied())
    first, last = days_of(retied, ZONE).first() or (None, None)
    assert first
    assert last
    pairs = touched_pairs(acts, ties(edges.now), ZONE).union(retied_pairs(silver, retied, first, last, ZONE))
    pairs = keep(pairs.distinct())
    days = tuple(sorted(found["day"] for found in pairs.select("day").distinct().collect()))
    users = keep(touched_users(silver, pairs, since))
    tied = keep(ties(edges.now).join(users, on=["user_id"], how="left_semi"))
    return Touched(pairs, users, days, edges, tied)


def _applied(state: State, staged: Any) -> State:
    """The state after writing what was staged, as a release would."""
    after = dict(state)
    for part in staged:
        after[part.table] = _written(state.get(part.table, []), part)
    return after


def _written(old: list[dict[str, Any]], part: Staged) -> list[dict[str, Any]]:
    fresh = [_plain(row.asDict()) for row in part.frame.collect()]
    if part.mode == "append":
        return old + fresh
    if part.mode == "replace_all":
        return fresh
    assert part.removed is not None
    keys = KEYS[part.table]
    gone = {tuple(row) for row in part.removed.select(*keys).collect()}
    news = {tuple(row[key] for key in keys) for row in fresh}
    assert not gone & news
    assert len(news) == len(fresh)
    replaced = gone | news
    return [row for row in old if tuple(row[key] for key in keys) not in replaced] + fresh


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Spark hands back naive timestamps of the session's zone; rows put in again need to say UTC."""
    return {name: _aware(value) for name, value in row.items()}


def _by_key(name: str, state: State) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = {tuple(row[key] for key in KEYS[name]): row for row in state[name]}
    assert len(rows) == len(state[name])
    return rows


def test_sums_stay_integers(at_once: State) -> None:
    assert all(
        isinstance(row["interest"], Decimal) and row["interest"] % 1 == 0 for row in at_once["gold.user_interests"]
    )
