"""How people stood when the business day of an entry began: what the profile of the day before says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.definitions.funnel import standing
from jobs.definitions.funnel.language import parse_definition
from jobs.gold import funnel_attempts
from jobs.gold.funnel_attempts import Eve
from tests.jobs.gold.funnel_stories import entity

ZONE = "Asia/Shanghai"
ENTRY = "search +100d 00:30, like +100d 00:31"  # a search opens; day 0 is 2 March in Shanghai
BEFORE = {  # lifecycle → what was done before the entry, and the day of registration (null: not registered)
    "the day before": ("active", "play +90d 10:00, play +99d 23:59", None),
    "half an hour before, another day": ("new", "play +99d 23:59", None),
    "that very day only": ("(none)", "play +100d 00:01", None),
    "known for seven days": ("active", "", 92),
    "known for six days": ("new", "", 93),
    "registered the day before": ("new", "", 99),
    "registered that very day": ("(none)", "", 100),
    "silent for two weeks": ("dormant", "play +85d 10:00", None),
    "silent for a day less": ("active", "play +86d 10:00", None),
    "silent for sixty days": ("lost", "play +39d 10:00", None),
    "back after a while": ("waking", "play +50d 10:00, play +98d 10:00", None),
    "back for a week": ("active", "play +50d 10:00, play +92d 10:00, play +98d 10:00", None),
    "of whom an order came": ("lost", "play +20d 10:00, shipped +98d 10:00 order_id=o", None),
}
FUNNEL = """
name: asked
version: 1
window: 1h
steps:
  - {name: searched, event: search}
  - {name: liked,    event: like}
"""
PROFILE = parse_definition(
    FUNNEL + "breakdowns: [lifecycle, city_tier, generation, member_tier]\nbreakdown_at: profile\n", "asked.yaml"
)
ENTERED = parse_definition(FUNNEL.replace("asked", "entered") + "breakdowns: [scene, lifecycle, city_tier]\n", "e.yaml")
MOVED = {"birth_year": 1990, "city_tier": "tier_1", "member_tier": "plus"}


@pytest.fixture(scope="module")
def rows(told, table):  # type: ignore[no-untyped-def]
    stories = {name: ", ".join(part for part in (before, ENTRY) if part) for name, (_, before, _) in BEFORE.items()}
    silver = told(stories)
    facts = (silver["views"], silver["likes"], silver["orders"])
    midnight = datetime(2026, 3, 1, 16, tzinfo=UTC)
    since = {name: midnight + timedelta(days=day, hours=1) for name, (_, _, day) in BEFORE.items() if day is not None}
    users = [entity("user_id", name, registered_at=at, valid_from=at) for name, at in since.items()]
    moved = midnight + timedelta(days=100)  # at the first instant of the entry's day
    users += [
        entity("user_id", "the day before", valid_to=moved, is_current=False, **MOVED),
        entity("user_id", "the day before", valid_from=moved, **(MOVED | {"city_tier": "tier_5"})),
    ]
    eve = Eve(standing.signs_of_life(*facts), ZONE)
    judged = funnel_attempts.judge(
        *facts, table("silver.videos", []), table("silver.users", users), [PROFILE, ENTERED], eve=eve
    )
    return {(row.funnel, row.user_id): row.breakdowns for row in judged.collect()}


def test_the_lifecycle_is_that_of_the_day_before_the_entry(rows):
    expected = {name: state for name, (state, _, _) in BEFORE.items()}
    for funnel in ("asked", "entered"):
        assert {name: rows[funnel, name]["lifecycle"] for name in BEFORE} == expected, funnel


def test_a_profile_tells_where_people_lived_before_the_day_and_an_entry_where_they_live_by_then(rows):
    assert rows["asked", "the day before"] == {
        "lifecycle": "active", "city_tier": "tier_1", "generation": "millennial", "member_tier": "plus",
    }  # fmt: skip
    assert rows["entered", "the day before"]["city_tier"] == "tier_5"
