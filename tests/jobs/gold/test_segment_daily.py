"""gold.segment_daily counts who is where on each day and who came from where, and later days change no earlier one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame

from jobs.definitions.segments import SEGMENTS
from jobs.gold.segment_daily import build

MONDAY = date(2026, 3, 2)
LAST = MONDAY + timedelta(days=9)
HALFWAY = MONDAY + timedelta(days=5)
USERS = 150
Row = dict[str, Any]
Told = dict[tuple[date, str, str, str], int]


def life(user: str, chance: np.random.Generator) -> list[Row]:
    """What releases said of a person: on some days nothing new, on some twice, once a bot and once not."""
    rows = []
    for day in sorted(int(n) for n in chance.integers(0, 10, chance.integers(1, 6))):
        spent = int(chance.integers(0, 4))
        paid_at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=int(chance.integers(3)))
        rows.append({
            "user_id": user,
            "as_of_day": MONDAY + timedelta(days=day),
            "known_from": datetime(2026, 4, 1, tzinfo=UTC) + timedelta(hours=len(rows)),
            "generation": str(chance.choice(["gen_z", "silver"])),
            "city_tier": [None, "tier_1", "tier_5"][chance.integers(3)],
            "lifecycle": [None, "new", "active", "lost"][chance.integers(4)],
            "member_tier": [None, "none", "black"][chance.integers(3)],
            "consent": [None, ["sharing"], ["marketing"], ["marketing"]][chance.integers(4)],
            "is_suspected_bot": bool(chance.random() < 0.1),
            "is_minor": [None, False, False, True][chance.integers(4)],
            "order_count": spent,
            "net_gmv_fen": spent * int(chance.integers(1, 3)),
            "last_order_at": paid_at if spent else None,
        })  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def history() -> list[Row]:
    chance = np.random.default_rng(17)
    return [row for n in range(USERS) for row in life(f"k:{n:03d}", chance)]


@pytest.fixture(scope="module")
def told(table: Callable[[str, list[Row]], DataFrame]) -> Callable[[list[Row], date, date], Told]:
    def counted(history: list[Row], first: date, last: date) -> Told:
        rows = build(table("gold.user_profiles_history", history), first=first, last=last).collect()
        found = {(row.as_of_day, row.dimension, row.segment_before, row.segment): row.people_count for row in rows}
        assert len(found) == len(rows)
        return found

    return counted


@pytest.fixture(scope="module")
def whole(history: list[Row], told: Callable[[list[Row], date, date], Told]) -> Told:
    """All days at once."""
    return told(history, MONDAY, LAST)


def segments_on(history: list[Row], day: date) -> dict[tuple[str, str], str]:
    """(user, dimension) → segment, of who counts on the day, in plain Python."""
    known: dict[str, Row] = {}
    for row in sorted(history, key=lambda row: (row["as_of_day"], row["known_from"])):
        if row["as_of_day"] <= day:
            known[row["user_id"]] = row
    people = {user: row for user, row in known.items() if not (row["is_suspected_bot"] or row["is_minor"])}
    tiers = tiers_of([row for row in people.values() if row["order_count"]])
    return {
        (user, name): row.get(name) or (name == "value_tier" and tiers.get(user)) or "(none)"
        for user, row in people.items()
        for name in SEGMENTS
    }


def tiers_of(buyers: list[Row]) -> dict[str, str]:
    """Value tiers of those who agreed, ranked among all buyers."""
    score = Counter[str]()
    for first in (("last_order_at", "order_count", "net_gmv_fen"), ("order_count", "last_order_at", "net_gmv_fen"),
                  ("net_gmv_fen", "order_count", "last_order_at")):  # fmt: skip
        ranked = sorted(buyers, key=lambda row: (*(row[name] for name in first), row["user_id"]))
        size, larger = divmod(len(ranked), 5)
        fifths = [n for n in range(1, 6) for _ in range(size + (n <= larger))]
        score.update({row["user_id"]: fifth for row, fifth in zip(ranked, fifths, strict=True)})
    agreed = [row["user_id"] for row in buyers if "marketing" in (row["consent"] or [])]
    return {user: "high" if score[user] >= 12 else "middle" if score[user] >= 8 else "low" for user in agreed}


def test_movements_are_what_plain_python_counts(history: list[Row], whole: Told) -> None:
    expected = Counter[tuple[date, str, str, str]]()
    for n in range(10):
        day = MONDAY + timedelta(days=n)
        before, now = segments_on(history, day - timedelta(days=1)), segments_on(history, day)
        for user, name in before.keys() | now.keys():
            expected[day, name, before.get((user, name), "(outside)"), now.get((user, name), "(outside)")] += 1
    assert {key: count for key, count in whole.items() if count} == expected
    moved = {(before, now) for (_, name, before, now), count in whole.items() if count and name == "value_tier"}
    tiers = set(SEGMENTS["value_tier"])
    assert any(before != now and {before, now} <= tiers for before, now in moved)
    assert any(before == "(outside)" and now in tiers for before, now in moved)
    assert any(before in tiers and now == "(outside)" for before, now in moved)


def test_every_day_names_every_segment(whole: Told) -> None:
    stays = [(name, word, word) for name, words in SEGMENTS.items() for word in (*words, "(none)")]
    days = [MONDAY + timedelta(days=n) for n in range(10)]
    assert {(day, *stay) for day in days for stay in stays} <= whole.keys()


def test_day_by_day_equals_all_at_once(
    history: list[Row], whole: Told, told: Callable[[list[Row], date, date], Told]
) -> None:
    """Made on the fifth day, then from that day on: what was not known then changes no day before."""
    then = told([row for row in history if row["as_of_day"] <= HALFWAY], MONDAY, HALFWAY)
    later = told(history, HALFWAY, LAST)
    assert {key: count for key, count in then.items() if key[0] < HALFWAY} | later == whole
