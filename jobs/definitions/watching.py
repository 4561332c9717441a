"""What counts as having watched: of plays, by the time spent and the length of the video.

The rules are SQL that Spark and DuckDB read alike, so that a lake and an analyst's file are judged by the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

MIN_WATCH_MS = 3_000
COMPLETED_PERCENT = 90
MAX_WATCH_MS = 24 * 3_600_000  # nobody watches one thing for longer; a counter that says so is broken
ASKED = ("watch_ms", "duration_ms", "is_advertisement")  # the properties the rules ask for
# A counter gone wild must not overflow when multiplied.
WATCHED, LENGTH = "CAST(watch_ms AS DECIMAL(20,0))", "CAST(duration_ms AS DECIMAL(20,0))"

# Leaves out what was only scrolled past (under 3 seconds and under a third of the video), and advertisements.
VALID_VIEW = (
    f"(coalesce(watch_ms >= {MIN_WATCH_MS} OR (duration_ms > 0 AND {WATCHED} * 3 >= duration_ms), false)"
    " AND NOT coalesce(is_advertisement, false))"
)
# Watched to nine tenths or more.
COMPLETED_VIEW = f"coalesce(duration_ms > 0 AND {WATCHED} * 100 >= {LENGTH} * {COMPLETED_PERCENT}, false)"


def is_valid_view() -> Column:
    """`VALID_VIEW` of the row."""
    from pyspark.sql import functions as F

    return F.expr(VALID_VIEW)


def is_completed_view() -> Column:
    """`COMPLETED_VIEW` of the row."""
    from pyspark.sql import functions as F

    return F.expr(COMPLETED_VIEW)


def watched_ms() -> Column:
    """Milliseconds a view watched, within 0 and a day: of plays and live rooms; null for views of another kind."""
    from pyspark.sql import functions as F

    watched = F.least(F.greatest(F.coalesce("watch_ms", F.lit(0)), F.lit(0)), F.lit(MAX_WATCH_MS))
    return F.when(F.col("kind").isin("play", "live_enter"), watched)
