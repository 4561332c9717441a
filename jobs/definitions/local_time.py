"""Business days and hours: what the local calendar says of an instant; the zone is a value handed in."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pyspark.sql import Column
from pyspark.sql import functions as F


def local_date(at: Column, zone: str) -> Column:
    """The business day an instant (UTC) falls into."""
    return F.to_date(F.from_utc_timestamp(at, zone))


def local_hour(at: Column, zone: str) -> Column:
    """The hour of the local day, 0 to 23."""
    return F.hour(F.from_utc_timestamp(at, zone))


def last_complete_day(watermark: datetime, zone: str) -> date:
    """The business day of the last instant below the watermark: at midnight sharp, the day that just ended."""
    return (watermark - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date()


def last_instant(day: date, zone: str) -> datetime:
    """The last microsecond of a business day, UTC: entities are seen "as of the day" at this instant."""
    midnight = datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(zone))
    return midnight.astimezone(UTC) - timedelta(microseconds=1)
