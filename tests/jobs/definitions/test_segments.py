"""The one list of segments knows every word that can be said of a person."""

import json

import pytest

from jobs.definitions.funnel.vocabulary import FROM_USERS
from jobs.definitions.segments import IN_PROFILES, SEGMENTS, VALUE, in_order
from jobs.lake.contracts import contract
from jobs.lake.settings import ROOT

USERS = json.loads((ROOT / "schemas" / "events" / "users" / "v1.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["city_tier", "member_tier"])
def test_words_of_the_app_are_those_of_its_event_contract(name: str) -> None:
    assert sorted(SEGMENTS[name]) == sorted(USERS["properties"][name]["enum"])


def test_dimensions_are_columns_of_the_profiles_and_the_scores() -> None:
    profiles, scores = (contract(f"gold.user_{name}", ROOT / "schemas").names for name in ("profiles", "scores"))
    assert set(IN_PROFILES) <= set(profiles)
    assert VALUE in scores


def test_funnels_break_down_by_segments_only() -> None:
    assert set(FROM_USERS) <= set(SEGMENTS)


def test_segments_are_listed_as_they_are_defined_and_other_words_after_them() -> None:
    assert in_order("value_tier", ["low", "(none)", "high", "middle", "low"]) == ["high", "middle", "low", "(none)"]
    assert in_order("scene", ["mall", "live"]) == ["live", "mall"]
