"""What each scope of consent opens, and what goes empty from the moment it is withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.definitions.as_of import as_of
from jobs.definitions.local_time import last_instant
from jobs.gold import user_interests, user_profiles, user_scores
from jobs.lake.contracts import contract
from jobs.lake.settings import Settings

DAY, ZONE = date(2026, 3, 2), "Asia/Shanghai"
LAST_MOMENT = last_instant(DAY, ZONE)
MIDNIGHT = LAST_MOMENT + timedelta(microseconds=1)
OPENS = {  # scope -> what is empty without it; "interests" are rows of gold.user_interests
    "personalisation": {"preferred_scene", "habit_hour", "preferred_categories", "preferred_price_band",
                        "top_interests", "interests"},
    "marketing": {"recency_score", "frequency_score", "monetary_score", "value_tier", "alive_ppm",
                  "expected_purchases_7d_ppm", "expected_purchases_30d_ppm", "expected_purchases_90d_ppm",
                  "expected_purchase_fen", "expected_value_90d_fen"},
    "sharing": set(),
}  # fmt: skip
EVERYTHING = sorted(OPENS)
CASES = {  # who -> [(consent without the scope or with it, from when)], agreed as of the day
    "always agreed": ([(True, DAY)], True),
    "never agreed": ([(False, DAY)], False),
    "never said": ([(None, DAY)], False),
    "agreed in the day's last moment": ([(False, DAY), (True, LAST_MOMENT)], True),
    "agreed at midnight": ([(False, DAY), (True, MIDNIGHT)], False),
    "withdrew in the day's last moment": ([(True, DAY), (False, LAST_MOMENT)], False),
    "withdrew at midnight": ([(True, DAY), (False, MIDNIGHT)], True),
}
Emptied = dict[tuple[str, str], set[str]]


def versions(scope: str, case: str) -> list[dict[str, Any]]:
    """Rows of silver.users: all scopes are agreed to but the one that the case is about."""
    told = [
        (with_scope, at if isinstance(at, datetime) else last_instant(at, ZONE) - timedelta(hours=1))
        for with_scope, at in CASES[case][0]
    ]
    ends = [*(at for _, at in told[1:]), None]
    return [
        {
            "user_id": f"{scope}/{case}",
            "consent": None if agreed is None else [s for s in EVERYTHING if agreed or s != scope],
            "valid_from": at,
            "valid_to": until,
            "is_deleted": False,
        }
        for (agreed, at), until in zip(told, ends, strict=True)
    ]


@pytest.fixture(scope="module")
def emptied(table: Callable[[str, list[dict[str, Any]]], DataFrame], settings: Settings) -> Emptied:
    """(scope, case) → what is empty of a person of whom everything could be said."""
    rows = [row for scope in OPENS for case in CASES for row in versions(scope, case)]
    people = as_of(table("silver.users", rows), LAST_MOMENT)
    tile = {"topic_kind": "tag", "topic_name": "t", "day": DAY, "fact": "views", "weight": 7}
    tiles = table(
        "gold.user_interest_days", [tile | {"user_id": row["user_id"]} for row in rows if not row["valid_to"]]
    )
    liking = user_interests.build(tiles, people, day=DAY).select("user_id", F.lit(1).alias("interests"))
    known = people.select("user_id", "consent")
    for name in ("gold.user_profiles", "gold.user_scores"):
        columns = set(contract(name, settings.schemas_dir).names) - set(known.columns)
        known = known.select("*", *[F.lit("told").alias(column) for column in sorted(columns)])
    shown = known.transform(user_profiles.with_consent).transform(user_scores.with_consent)
    found = shown.join(liking, on=["user_id"], how="left").drop("consent").collect()
    return {
        tuple(row.user_id.split("/")): {name for name, value in row.asDict().items() if value is None} for row in found
    }


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("scope", OPENS)
def test_a_scope_opens_its_columns_and_no_others(emptied: Emptied, scope: str, case: str) -> None:
    agreed, never_said = CASES[case][1], case == "never said"
    everything = set().union(*OPENS.values()) if never_said else OPENS[scope]
    assert emptied[scope, case] == (set() if agreed else everything)
