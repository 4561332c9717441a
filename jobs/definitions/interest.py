"""How much an act says about a person's taste, and how fast that fades: integers only, so every sum is exact."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

# What one act weighs; a play weighs up to WHOLE_PLAY by the share of the video that was watched.
WHOLE_PLAY = 10
PURCHASE = "purchase"
WEIGHTS = {
    "live_enter": 5,
    "product_view": 5,
    "like": 20,
    "comment": 25,
    "favourite": 30,
    "share": 40,
    "add_to_cart": 50,
    "follow": 60,
    PURCHASE: 100,
    "not_interested": -40,
    "report": -60,
}
TAKE_BACKS = {  # what undoes what
    "unlike": "like",
    "unfavourite": "favourite",
    "unfollow": "follow",
    "remove_from_cart": "add_to_cart",
}

HALF_LIFE_DAYS = {"category": 30, "creator": 14, "tag": 7, "price_band": 60}
HALF_LIVES_KEPT = 20  # an act older than that is gone
TOP_TOPICS = 3  # of each kind, in the profile

_BITS = 20  # the table of one half-life is scaled by 2^20; whole half-lives are shifts, hence exactly half


@cache
def fade_table(half_life: int) -> tuple[int, ...]:
    """2^20 × 2^(−n / half_life) for n = 0 … half_life − 1 days, each to the nearest integer, by integer arithmetic."""
    return tuple(_nearest_root(1 << (_BITS * half_life - n), half_life) for n in range(half_life))


def fade(age_days: int, half_life: int) -> int:
    """What is left of a weight of 1 after so many days, scaled by 2^40: half a life apart is exactly half."""
    lives, days = divmod(age_days, half_life)
    return fade_table(half_life)[days] << (HALF_LIVES_KEPT - lives) if age_days <= last_age(half_life) else 0


def last_age(half_life: int) -> int:
    """The last day of age at which anything is left."""
    return half_life * HALF_LIVES_KEPT


def faded(topic_kind: Column, age_days: Column) -> Column:
    """`fade` by kind of topic, as a column; null for an age below zero, one that is gone, or an unknown kind."""
    from pyspark.sql import functions as F

    value = F.lit(None).cast("bigint")
    for kind, half_life in HALF_LIFE_DAYS.items():
        kept = (topic_kind == kind) & age_days.between(0, last_age(half_life))
        value = F.when(kept, _faded(age_days, half_life)).otherwise(value)
    return value


def play_weight(watch_ms: Column, duration_ms: Column) -> Column:
    """A play by the share of the video watched: 0 to WHOLE_PLAY, rounded down; a video of no length weighs nothing."""
    from pyspark.sql import functions as F

    watched = F.least(F.greatest(watch_ms, F.lit(0)), duration_ms)
    # Longer than 64 bits can multiply is no video.
    weight = F.call_function("div", F.try_multiply(watched, F.lit(WHOLE_PLAY)), duration_ms)
    return F.when(duration_ms > 0, F.coalesce(weight, F.lit(0))).otherwise(0)


def _faded(age_days: Column, half_life: int) -> Column:
    from pyspark.sql import functions as F

    table = F.array(*[F.lit(value).cast("bigint") for value in fade_table(half_life)])
    lives = F.call_function("div", age_days, F.lit(half_life)).cast("int")
    return F.call_function("shiftleft", F.get(table, F.pmod(age_days, F.lit(half_life))), HALF_LIVES_KEPT - lives)


def _nearest_root(value: int, degree: int) -> int:
    """The integer nearest to the degree-th root of value."""
    low, high = 0, 1 << (_BITS + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle)
    return low if (2 * low + 1) ** degree > value << degree else low + 1
