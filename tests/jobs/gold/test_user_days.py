"""gold.user_days counts what a user did on a local day, and the sessions that began on it."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row

from jobs.gold.user_days import build
from tests.jobs.stories import FIRST_DAY, ZONE, read_act

OLD = read_act("view 00:00")[1]["event_time"] - timedelta(days=30)
VIDEO = {"valid_from": OLD, "is_deleted": False, "duration_ms": 20_000}
STORIES = {  # what one user did -> what the first day's (or the named day's) tile says
    "came twice": ("view 10:00, view 10:30:00, view 11:00:01", {"event_count": 3, "session_count": 2}),
    "stayed over midnight": ("view 23:40, like +1d 00:05 video_id=v", {"event_count": 1, "session_count": 1}),
    "and the day after": ("view 23:40, like +1d 00:05 video_id=v", {"day": 1, "event_count": 1, "session_count": 0}),
    "came back after midnight": ("view 23:40, view +1d 00:10:01", {"day": 1, "session_count": 1}),
    "came over after a chain": ("view 23:10, view 23:40, view +1d 00:10", {"day": 1, "session_count": 0}),
    "two things at one instant": ("view 10:00, like 10:00 video_id=v", {"event_count": 2, "session_count": 1}),
    "watched": ("play 10:00 watch_ms=18000 duration_ms=20000", {"valid_view_count": 1, "completed_view_count": 1}),
    "just short of the end": ("play 10:00 watch_ms=17999 duration_ms=20000", {"completed_view_count": 0}),
    "scrolled past": ("play 10:00 watch_ms=2999 duration_ms=20000", {"play_count": 1, "valid_view_count": 0}),
    "a third of a short one": ("play 10:00 watch_ms=1000 duration_ms=3000", {"valid_view_count": 1}),
    "watched an advertisement": ("play 10:00 watch_ms=9000 duration_ms=9000 video_id=ad", {"valid_view_count": 0}),
    "an advertisement no more": ("play +9d 10:00 watch_ms=9000 video_id=ad", {"day": 9, "valid_view_count": 1}),
    "was shown things": ("impression 10:00 watch_ms=9000 duration_ms=9000", {"valid_view_count": 0, "watch_ms": 0}),
    "a counter gone mad": ("play 10:00 watch_ms=9000000000000000000", {"watch_ms": 86_400_000}),
    "sat in a live room": ("live_enter 10:00 watch_ms=60000 scene=live", {"watch_ms": 60_000, "live_event_count": 1}),
    "ordered": ("placed 10:00, paid 10:01, reviewed 12:00", {"event_count": 3, "session_count": 2}),
    "was sent a parcel": ("view 10:00, shipped 18:00, delivered 19:00, refunded 20:00", {"event_count": 1}),
    "took it back": ("like 10:00 video_id=v, unlike 11:00 video_id=v", {"like_count": 1, "unlike_count": 1}),
    "only got a refund": ("refunded 10:00", None),
}


@pytest.fixture(scope="module")
def tiles(told: Callable[..., dict[str, DataFrame]], table: Callable[..., DataFrame]) -> dict[tuple[str, date], Row]:
    """Run all stories in one job."""
    turned = read_act("view +5d 00:00")[1]["event_time"]
    videos = [
        VIDEO | {"video_id": "v", "is_advertisement": False},
        VIDEO | {"video_id": "ad", "event_id": "1", "is_advertisement": True, "valid_to": turned},
        VIDEO | {"video_id": "ad", "event_id": "2", "is_advertisement": False, "valid_from": turned},
    ]
    silver = told({name: story for name, (story, _) in STORIES.items()})
    built = build(**silver, videos=table("silver.videos", videos), zone=str(ZONE)).collect()
    return {(row.user_id, row.day): row for row in built}


@pytest.mark.parametrize("name", STORIES)
def test_a_day_holds_what_was_done_on_it(tiles: dict[tuple[str, date], Row], name: str) -> None:
    expected: dict[str, Any] | None = STORIES[name][1]
    if expected is None:
        assert not [key for key in tiles if key[0] == name]
        return
    tile = tiles[name, FIRST_DAY + timedelta(days=expected.get("day", 0))].asDict()
    assert {key: tile[key] for key in expected if key != "day"} == {k: v for k, v in expected.items() if k != "day"}


def test_hours_are_local(tiles: dict[tuple[str, date], Row]) -> None:
    hours = tiles["came twice", FIRST_DAY].events_by_hour
    assert (hours[10], hours[11], sum(hours)) == (2, 1, 3)
