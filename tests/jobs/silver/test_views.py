"""silver.views: what people watched, with the times their clocks should have told."""

from datetime import UTC, date, datetime, timedelta

import pytest

from jobs.silver.views import build
from tests.lake.logs import NOON, micros

AHEAD = timedelta(hours=3)
EVENING = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)  # half past midnight in Shanghai
BODIES = {
    1: {},
    2: {"event_time": micros(NOON + AHEAD), "sent_time": micros(NOON + AHEAD)},
    3: {"event_time": micros(NOON - timedelta(days=20))},
    4: {"mood": "curious"},
    5: {"watch_ms": "4000"},
    6: {"device_id": None, "experiments": {"price": "b"}, "features": ["ar_try_on"]},
}


@pytest.fixture(scope="module")
def views(facts):
    return facts(build, "views", BODIES)


def test_a_good_view_is_one_row_with_pseudonyms(views):
    row = views[1]
    assert (row.user_id, row.device_id, row.video_id, row.watch_ms) == ("k1:u1", "k1:d1", "v1", 4000)
    assert (row.event_time.replace(tzinfo=UTC), row.event_date) == (NOON, date(2026, 11, 20))
    assert (row.kafka_offset, row.ingest_seq, row.schema_version) == (0, 7, 1)


def test_a_clock_three_hours_ahead_is_set_right(views):
    assert views[2].event_time.replace(tzinfo=UTC) == NOON
    assert views[2].skew_ms == -AHEAD / timedelta(milliseconds=1)


def test_a_late_view_keeps_its_own_day(views):
    assert (views[3].event_date, views[3].skew_ms) == (date(2026, 10, 31), 0)


def test_an_unknown_field_is_kept_in_rest(views):
    assert views[4].rest == {"mood": "curious"}
    assert views[1].rest is None


def test_a_wrong_type_never_becomes_a_silent_null(views):
    assert 5 not in views


def test_absent_fields_are_null_and_lists_and_maps_are_kept(views):
    assert views[6].device_id is None
    assert (views[6].experiments, views[6].features) == ({"price": "b"}, ["ar_try_on"])


def test_content_is_the_same_whoever_sent_it_whenever(facts):
    again = facts(build, "views", {1: {}, 2: {"sent_time": micros(NOON) + 5}, 3: {"watch_ms": 4001}})
    ids = {number: row.content_hash for number, row in again.items()}
    assert len(set(ids.values())) == 3  # their ids differ, and an id is part of the content
