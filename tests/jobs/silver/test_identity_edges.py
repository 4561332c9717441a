"""silver.identity_edges: own acts tie users to devices, one user to a device; a device of two users is shared."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pyspark.sql import DataFrame, Row

from jobs.definitions.identity import of_people, ties
from jobs.silver.identity_edges import build
from tests.jobs.stories import read_act

STORIES = {  # what one user did
    "ann": "view 10:00 device_id=phone event_id=b, like 10:00 device_id=phone event_id=a video_id=v, "
    "view +1d 09:00 device_id=phone, view 09:00",
    "bea": "view 10:00 device_id=tablet, paid 11:00 device_id=tablet",
    "cleo": "add_to_cart 10:30 device_id=tablet product_id=p",
    "dora": "placed 10:00 device_id=old, view +1d 10:00 device_id=new",
    "ella": "view 12:00 device_id=hers, shipped 13:00 device_id=depot, refunded 13:00 device_id=depot",
    "phone": "view 09:59:59 device_id=phone, like 08:00 device_id=phone video_id=v, view 10:00 device_id=phone",
    "tablet": "view 09:00 device_id=tablet",
    "lent": "view 09:00 device_id=lent",
    "new": "view +1d 09:00 device_id=new, view +1d 11:00 device_id=new",
    "fay": "view +31d 10:00 device_id=kept",
    "kept": "view +1d 10:00 device_id=kept, view +1d 09:59:59 device_id=kept",
    "gus": "view 10:00 device_id=7",
    "7": "view 09:00 device_id=laptop",
}
EDGES = {  # (user, device) -> users of the device, whether it is shared
    ("ann", "phone"): (1, False),
    ("bea", "tablet"): (2, True),
    ("cleo", "tablet"): (2, True),
    ("dora", "old"): (1, False),
    ("dora", "new"): (1, False),
    ("ella", "hers"): (1, False),
    ("fay", "kept"): (1, False),
    ("gus", "7"): (1, False),
    ("7", "laptop"): (1, False),
}
VIEWS = {  # whoever has views in the end -> how many, anonymous ones of before the log-in among them
    "ann": 4,  # not the one at the instant of the log-in
    "bea": 1,
    "dora": 2,  # not what came after she had logged in: whose it was nobody knows
    "ella": 1,
    "fay": 2,  # thirty days back, and not a second more
    "gus": 1,
    "7": 1,  # a user whose name is a device's is no device
}


@pytest.fixture(scope="module")
def facts(told: Callable[..., dict[str, DataFrame]]) -> dict[str, DataFrame]:
    return {name: rows.persist() for name, rows in told(STORIES).items()}


@pytest.fixture(scope="module")
def edges(facts: dict[str, DataFrame]) -> DataFrame:
    return build(**facts).persist()


@pytest.fixture(scope="module")
def rows(edges: DataFrame) -> dict[tuple[str, str], Row]:
    return {(row.user_id, row.device_id): row for row in edges.collect()}


def test_own_acts_tie_and_what_happens_to_somebody_does_not(rows: dict[tuple[str, str], Row]) -> None:
    assert {key: (row.device_user_count, row.is_shared) for key, row in rows.items()} == EDGES


def test_the_first_act_is_the_evidence(rows: dict[tuple[str, str], Row]) -> None:
    """Of two at one instant that with the least id."""
    edge, (_, first), (_, last) = rows["ann", "phone"], read_act("view 10:00"), read_act("view +1d 09:00")
    assert edge.evidence_event_id == "a"
    assert (edge.first_seen_at, edge.last_seen_at) == tuple(
        act["event_time"].replace(tzinfo=None) for act in (first, last)
    )


def test_what_was_done_anonymously_before_the_log_in_is_the_users(
    edges: DataFrame, facts: dict[str, DataFrame]
) -> None:
    found = of_people(facts["views"], ties(edges)).groupBy("user_id").count().collect()
    assert {row["user_id"]: row["count"] for row in found} == VIEWS
