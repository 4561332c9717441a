"""Local days of a zone as instants: vectorised, exact across clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = EPOCH.date().toordinal()
_MICROSECOND = timedelta(microseconds=1)


def is_zone(name: str) -> bool:
    """Whether there is a time zone of that IANA name; a folder such as `Asia` is none, and shows it only when asked."""
    try:
        return ZoneInfo(name).key == name
    except (OSError, ValueError, LookupError):
        return False


def micros(instant: datetime) -> int:
    """Epoch microseconds of an instant with a zone, exact."""
    return (instant - EPOCH) // _MICROSECOND


def day_starts(zone: str, first: int, last: int) -> tuple[int, Ints]:
    """A day (since 1970) before `first`, and the µs at which it and each later day up to that after `last` begins."""
    place = ZoneInfo(zone)
    begin = (EPOCH + timedelta(microseconds=first)).astimezone(place).date() - timedelta(days=1)
    end = (EPOCH + timedelta(microseconds=last)).astimezone(place).date() + timedelta(days=2)
    days = [date.fromordinal(day) for day in range(begin.toordinal(), end.toordinal() + 1)]
    starts = [micros(datetime.combine(day, time.min, place).astimezone(UTC)) for day in days]
    return begin.toordinal() - EPOCH_DAY, np.array(starts, np.int64)


def local_days(instants: Ints, zone: str) -> tuple[Ints, Ints]:
    """The local day (days since 1970) of each instant, and the last microsecond of that day."""
    if instants.size == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    begin, starts = day_starts(zone, int(instants.min()), int(instants.max()))
    place = np.searchsorted(starts, instants, side="right") - 1
    return place + begin, starts[place + 1] - 1
