"""silver.sessions: acts with no pause over half an hour are one visit, whatever they are and whenever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row

from jobs.silver.sessions import build
from tests.jobs.stories import FIRST_DAY, read_act

STORIES: dict[str, tuple[str, list[dict[str, Any]]]] = {  # what one user did -> their sessions, in order
    "a pause to the second": (
        "view 10:00, view 10:30:00, view 11:00:01",
        [{"event_count": 2, "watch_ms": 20_000}, {"event_count": 1}],
    ),
    "over midnight": (
        "view 23:40, like +1d 00:05 video_id=v",
        [{"session_date": FIRST_DAY, "event_count": 2, "like_count": 1}],
    ),
    "the next night": ("view +1d 00:10", [{"session_date": FIRST_DAY + timedelta(days=1)}]),
    "came in through a friend": (
        "play 10:00 scene=live source=social, search 10:01 scene=search source=search",
        [{"entry_scene": "live", "entry_source": "social", "entry_kind": "play", "search_count": 1}],
    ),
    "two at one instant": (
        "like 10:00 scene=mall event_id=b video_id=v, play 10:00 event_id=a",
        [{"first_event_id": "a", "entry_kind": "play", "entry_scene": "short_video", "event_count": 2}],
    ),
    "watched and was heard of": (
        "play 10:00 watch_ms=9000000000000000000 heartbeats=5, live_enter 10:10 watch_ms=1000 heartbeats=2, "
        "impression 10:11 watch_ms=7000",
        [{"watch_ms": 86_401_000, "heartbeat_count": 7, "play_count": 1, "live_enter_count": 1}],
    ),
    "bought": (
        "product_view 10:00, add_to_cart 10:01 product_id=p, placed 10:02, paid 10:03, shipped 10:20, paid 10:40",
        [{"event_count": 4, "product_view_count": 1, "add_to_cart_count": 1, "placed_count": 1, "paid_count": 1},
         {"event_count": 1, "paid_count": 1}],
    ),
    "only got a parcel": ("shipped 10:00, delivered 10:10, refunded 11:00", []),
}  # fmt: skip


@pytest.fixture(scope="module")
def sessions(told: Callable[..., dict[str, DataFrame]]) -> list[Row]:
    """Run all stories in one job."""
    facts = told({name: story for name, (story, _) in STORIES.items()})
    return sorted(build(**facts).collect(), key=lambda row: (row.user_id, row.started_at))


@pytest.mark.parametrize("name", STORIES)
def test_a_visit_is_acts_without_a_long_pause(sessions: list[Row], name: str) -> None:
    expected = STORIES[name][1]
    found = [row.asDict() for row in sessions if row.user_id == name]
    assert [{key: row[key] for key in told} for row, told in zip(found, expected, strict=True)] == expected


def test_a_visit_lasts_from_its_first_act_to_its_last(sessions: list[Row]) -> None:
    [row] = [row for row in sessions if row.user_id == "over midnight"]
    assert row.ended_at - row.started_at == timedelta(minutes=25)
    assert row.session_date == date(2026, 3, 2)
    began = read_act("view 23:40")[1]["event_time"]
    assert row.started_at == began.replace(tzinfo=None)
