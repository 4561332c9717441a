"""Lengths of time as definitions write them and as people read them."""

import re
from typing import Any

LONGEST_DAYS = 3660
UNIT_US = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
WORDS = {"d": "day", "h": "hour", "m": "minute", "s": "second", "ms": "millisecond", "us": "microsecond"}
DURATION = re.compile(r"(-?[0-9]{1,18})\s*(us|ms|s|m|h|d)")


def read_duration(value: Any) -> int:
    """Microseconds of a text such as 90s, 30m, 24h, 7d; ValueError says what to write instead."""
    match = DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"is {value!r}; write a whole number and a unit: 90s, 30m, 24h or 7d")
    length = int(match[1]) * UNIT_US[match[2]]
    if not 0 < length <= LONGEST_DAYS * UNIT_US["d"]:
        raise ValueError(f"is {value!r}; write more than zero and at most {LONGEST_DAYS}d")
    return length


def told_duration(microseconds: int) -> str:
    """A length of time in words, in the largest unit that divides it."""
    unit = next(unit for unit in WORDS if microseconds % UNIT_US[unit] == 0)
    count = microseconds // UNIT_US[unit]
    return f"{count} {WORDS[unit]}{'s' * (count > 1)}"
