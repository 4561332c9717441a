"""The days that are simulated: a fixed stretch of local days, never taken from a clock."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from jobs.simulate.columns import Ints

LAST_DAY = date(2026, 6, 7)  # the default of --until: the same command makes the same bytes for ever
SECOND, MINUTE, HOUR, DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000  # in microseconds
GRACE = HOUR  # after the end of a day until it is announced complete


def epoch_us(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    since = moment - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


@dataclass(frozen=True)
class Period:
    """`days` local days up to and with `last`; `midnights` are their bounds, one more than there are days."""

    days: int
    last: date
    zone: str

    @property
    def dates(self) -> list[date]:
        """The local days, first to last."""
        return [self.last - timedelta(days=back) for back in reversed(range(self.days))]

    @property
    def midnights(self) -> Ints:
        """Epoch microseconds of each day's start, and of the end of the last."""
        bounds = [*self.dates, self.last + timedelta(days=1)]
        return np.array(
            [epoch_us(datetime.combine(day, time(), ZoneInfo(self.zone))) for day in bounds], dtype=np.int64
        )

    @property
    def start(self) -> int:
        """The first instant."""
        return int(self.midnights[0])

    @property
    def end(self) -> int:
        """The first instant that is no longer simulated."""
        return int(self.midnights[-1])

    def day_of(self, times: Ints) -> Ints:
        """Index of the local day of each instant; -1 before the first."""
        return np.searchsorted(self.midnights, times, side="right") - 1
