"""What counts as having watched: of plays, by the time spent and the length of the video."""

from pyspark.sql import Column
from pyspark.sql import functions as F

MIN_WATCH_MS = 3_000
COMPLETED_PERCENT = 90


def is_valid_view() -> Column:
    """Leave out what was only scrolled past: under 3 seconds and under a third of the video; and advertisements."""
    watched, length = F.col("watch_ms").cast("decimal(20,0)"), F.col("duration_ms")
    long_enough = (watched >= MIN_WATCH_MS) | ((length > 0) & (watched * 3 >= length))
    return F.coalesce(long_enough, F.lit(False)) & ~F.coalesce("is_advertisement", F.lit(False))


def is_completed_view() -> Column:
    """Watched to nine tenths or more."""
    watched, length = (F.col(name).cast("decimal(20,0)") for name in ("watch_ms", "duration_ms"))
    return F.coalesce((length > 0) & (watched * 100 >= length * COMPLETED_PERCENT), F.lit(False))
