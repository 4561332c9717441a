"""Business days are local; the day of a watermark is the last that has a complete instant."""

from datetime import UTC, date, datetime, timedelta

import pytest

from jobs.definitions.local_time import last_complete_day, last_instant

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "UTC")


@pytest.mark.parametrize("zone", ZONES)
def test_a_day_ends_a_microsecond_before_the_next(zone: str) -> None:
    for day in (date(2026, 3, 29), date(2026, 6, 7), date(2026, 10, 25), date(2026, 12, 31)):  # clock changes too
        end = last_instant(day, zone)
        assert last_complete_day(end, zone) == day
        assert last_complete_day(end + timedelta(microseconds=1), zone) == day  # midnight sharp: the day is complete
        assert last_complete_day(end + timedelta(microseconds=2), zone) == day + timedelta(days=1)


def test_shanghai_is_eight_hours_ahead() -> None:
    assert last_instant(date(2026, 6, 7), "Asia/Shanghai") == datetime(2026, 6, 7, 15, 59, 59, 999_999, UTC)
