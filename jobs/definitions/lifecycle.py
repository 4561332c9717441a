"""Where a person stands with us: new, active, waking, dormant or lost."""

from pyspark.sql import Column
from pyspark.sql import functions as F

NEW_DAYS = 7  # since registration or first sight, whichever was earlier
RECENT_DAYS = 7  # a return counts as waking this long
DORMANT_AFTER_DAYS = 14  # without a sign of life
LOST_AFTER_DAYS = 60

STATES = ("new", "active", "waking", "dormant", "lost")


def lifecycle(known_days: Column, absent_days: Column, gap_days: Column) -> Column:
    """The state, from whole days.

    `known_days` since we first knew the person, `absent_days` since the last sign of life (registration, if none),
    `gap_days` the silence before the person's first day within the last 7 (null when there was nothing before).
    """
    return (
        F.when(absent_days >= LOST_AFTER_DAYS, "lost")
        .when(absent_days >= DORMANT_AFTER_DAYS, "dormant")
        .when(known_days < NEW_DAYS, "new")
        .when((absent_days < RECENT_DAYS) & (gap_days >= DORMANT_AFTER_DAYS), "waking")
        .otherwise("active")
    )
