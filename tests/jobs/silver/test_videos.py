"""silver.videos: as they were and when; order of arrival changes nothing."""

from datetime import UTC, timedelta

import pytest

from jobs.silver.videos import build
from tests.lake.logs import NOON, body_of, micros, record

DAY = timedelta(days=1)


def said(number, at, **fields):
    """One account of video 1, true from `at`."""
    return record("videos", body_of("videos", number, event_time=micros(at), **fields))


FIRST = said(1, NOON - 9 * DAY, category="tea")
LATER = said(2, NOON - 3 * DAY, category="shoes")
BETWEEN = said(3, NOON - 5 * DAY, category="between")
CORRECTED = said(4, NOON - 3 * DAY, category="corrected")


def told(rows):
    """What held when: (value, from, to, current, superseded)."""
    return [
        (row.category, NOON - row.valid_from.replace(tzinfo=UTC),
         row.valid_to and NOON - row.valid_to.replace(tzinfo=UTC),
         row.is_current, row.is_superseded)
        for row in rows
    ]  # fmt: skip


WHOLE = [
    ("tea", 9 * DAY, 5 * DAY, False, False),
    ("between", 5 * DAY, 3 * DAY, False, False),
    ("shoes", 3 * DAY, 3 * DAY, False, True),
    ("corrected", 3 * DAY, None, True, False),
]


@pytest.mark.parametrize("turn", range(4))
def test_the_history_is_the_same_in_whatever_order_it_comes(history, turn):
    records = [FIRST, LATER, BETWEEN, CORRECTED]
    assert told(history(build, "videos", [], records[turn:] + records[:turn])) == WHOLE


def test_a_late_account_cuts_what_was_known(history):
    rows = history(build, "videos", [FIRST, LATER], [BETWEEN])
    assert told(rows) == [("tea", 9 * DAY, 5 * DAY, False, False), ("between", 5 * DAY, 3 * DAY, False, False)]


def test_a_tombstone_closes_the_history(history):
    rows = history(build, "videos", [FIRST], [record("videos", body_of("videos", 5), value=None)])
    assert [(row.is_deleted, row.is_current) for row in rows] == [(False, False), (True, True)]
    assert {row.video_id for row in rows} == {"v1"}
