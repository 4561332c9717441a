"""Edges of random devices: what plain Python says, and the same in any number of parts, in any order, twice over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.definitions.identity import ties
from jobs.lake.families.identity_refresh import Edges, added_to, made_anew
from jobs.lake.tables import Lake
from jobs.silver.identity_edges import build

TableMaker = Callable[[str, list[dict[str, Any]]], DataFrame]
DEVICES, SEED, PARTS = 2_000, 5, (0, 1, 2)
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def views(table: TableMaker) -> DataFrame:
    """On each device up to six acts of up to three users, anonymous ones among them, in three parts."""
    chance = np.random.default_rng(SEED)
    rows = [
        {
            "event_id": f"{chance.integers(10**6):06d}-{device}-{act}",
            "user_id": (f"k:d{device}", "k:ann", f"k:u{device}", f"k:u{device}", "k:bea")[chance.integers(0, 5)],
            "device_id": f"k:d{device}",
            "event_time": NOON + timedelta(minutes=int(chance.integers(0, 9))),
            "ingest_seq": int(chance.integers(0, len(PARTS))),
        }
        for device in range(DEVICES)
        for act in range(chance.integers(0, 7))
    ]
    return table("silver.views", rows).persist()


@pytest.fixture(scope="module")
def steps(views: DataFrame, table: TableMaker) -> list[Edges]:
    """The edges after each part, the last part first, and the parts before brought along again."""
    nothing = [table(f"silver.{name}", []) for name in ("likes", "orders")]
    found: list[Edges] = []
    known = table("silver.identity_edges", [])
    for part in reversed(PARTS):
        new = views.where(F.col("ingest_seq") >= part)
        found.append(added_to(known, (new, nothing[0], nothing[1]), Lake.keep))
        known = Lake.keep(found[-1].now)
    return found


def test_in_parts_is_as_at_once(views: DataFrame, steps: list[Edges], table: TableMaker) -> None:
    at_once = build(views, table("silver.likes", []), table("silver.orders", [])).collect()
    assert len(at_once) > DEVICES
    assert sorted(steps[-1].now.select(*at_once[0].__fields__).collect()) == sorted(at_once)


def test_edges_say_what_plain_python_counts(views: DataFrame, steps: list[Edges]) -> None:
    told: dict[tuple[str, str], list[tuple[datetime, str]]] = {}
    for row in views.where("user_id <> device_id").collect():
        told.setdefault((row.user_id, row.device_id), []).append((row.event_time, row.event_id))
    users = Counter(device for _, device in told)
    for row in steps[-1].now.collect():
        acts = sorted(told.pop((row.user_id, row.device_id)))
        assert (row.first_seen_at, row.evidence_event_id, row.last_seen_at) == (*acts[0], acts[-1][0])
        assert row.device_user_count == users[row.device_id]
        assert row.is_shared == (users[row.device_id] > 1)
    assert told == {}


def test_a_run_says_which_ties_it_won_and_lost(steps: list[Edges]) -> None:
    """Those that hold after it and did not before, and the other way round; of all devices, not only those it met."""
    for before, after in pairwise(steps):
        old, new = ({tuple(row) for row in ties(edges.now).collect()} for edges in (before, after))
        assert {tuple(row) for row in after.retied().collect()} == old ^ new
        assert {row.device_id for row in after.staged().frame.collect()} >= {device for device, *_ in old ^ new}
        assert len(old - new) > DEVICES / 20


def test_made_anew_is_without_what_is_gone(views: DataFrame, steps: list[Edges], table: TableMaker) -> None:
    """An earlier arrival displaced a fact: adding cannot know, so all edges are made again, and the rest removed."""
    left = views.where("user_id <> 'k:ann'")
    facts = (left, table("silver.likes", []), table("silver.orders", []))
    staged = made_anew(facts, steps[-1].now, Lake.keep).staged()
    assert staged.removed
    assert {row.user_id for row in staged.removed.collect()} == {"k:ann"}
    assert staged.frame.where("user_id = 'k:ann' OR device_user_count > 2").isEmpty()
