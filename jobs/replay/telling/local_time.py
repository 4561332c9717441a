"""A log's own clock: local times to instants, and the move of a whole log to other days at the same time of day."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import polars as pl

SECOND = 1_000_000
DAY = 86_400 * SECOND


def instant(local: pl.Expr, zone: str) -> pl.Expr:
    """A local time (naive datetime) as µs since 1970 UTC; in a repeated hour the first, in a missing hour the next."""
    exact = _zoned(local, zone)
    after_gap = _zoned(local + pl.duration(hours=1), zone)
    return pl.coalesce(exact, after_gap).dt.epoch("us")


def _zoned(local: pl.Expr, zone: str) -> pl.Expr:
    return local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")


def moved(at_us: pl.Expr, days: int, zone: str) -> pl.Expr:
    """An instant (µs) so many local days later, at the same local time of day."""
    if not days:
        return at_us
    local = at_us.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return instant(local + pl.duration(days=days), zone)


def days_to(last_us: int, shift_to: date | None, zone: str) -> int:
    """How many days the log must move for its last row to fall on that local day."""
    if shift_to is None:
        return 0
    return (shift_to - datetime.fromtimestamp(last_us / SECOND, UTC).astimezone(ZoneInfo(zone)).date()).days


def start_of_day(at_us: int, zone: str) -> int:
    """The local midnight (µs) at or before an instant: by then a log's entities are taken to exist."""
    local = datetime.fromtimestamp(at_us / SECOND, UTC).astimezone(ZoneInfo(zone))
    return int(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) * SECOND
