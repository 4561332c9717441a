"""ops.freshness counts how long something has waited, not how old events are."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.ops.freshness import Seen, build

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "seconds"),
    [
        (None, 0),
        (AT - timedelta(minutes=2, milliseconds=900), 120),
        (AT + timedelta(seconds=3), 0),  # the broker's clock is ahead of ours
    ],
)
def test_waiting_is_whole_seconds_and_never_below_zero(since, seconds):
    (row,) = build([Seen("silver.views", waiting_since=since)], at=AT, run_id="r")
    assert (row["waiting_since"], row["waiting_seconds"]) == (since, seconds)


def test_a_log_of_last_year_that_was_read_whole_waits_for_nothing():
    (row,) = build([Seen("silver.views", newest_event_at=AT - timedelta(days=365))], at=AT, run_id="r")
    assert row["waiting_seconds"] == 0
