"""Ids and texts of fixed width, made for whole columns at once: UUIDv7, digits, RFC 3339."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.simulate.columns import Ints

Text = NDArray[np.uint8]  # rows x width, ASCII
UUID_WIDTH, TIME_WIDTH, DIGITS = 36, 27, 16
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_PAIRS = np.stack([_HEX[np.arange(256) >> 4], _HEX[np.arange(256) & 15]], axis=1)
# where each group of digits stands, and its first digit
_GROUPS = ((0, 8, 0), (9, 13, 8), (14, 18, 12), (19, 23, 16), (24, 36, 20))


def uuid7(times: Ints, chance: np.random.Generator) -> Text:
    """UUIDv7 texts: the milliseconds of `times` (epoch microseconds), then chance."""
    raw = chance.integers(0, 256, (len(times), 16), dtype=np.uint8)
    stamp = (times // 1000).astype(">i8").view(np.uint8).reshape(-1, 8)
    raw[:, :6] = stamp[:, 2:]
    raw[:, 6] = 0x70 | (raw[:, 6] & 0x0F)
    raw[:, 8] = 0x80 | (raw[:, 8] & 0x3F)
    digits = _PAIRS[raw].reshape(-1, 32)
    text = np.full((len(times), UUID_WIDTH), ord("-"), dtype=np.uint8)
    for start, end, first in _GROUPS:
        text[:, start:end] = digits[:, first : first + end - start]
    return text


def strings(text: Text) -> pa.Array:
    """The same rows as an Arrow string array."""
    size, width = text.shape
    offsets = np.arange(size + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(size, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text)))


def digits(numbers: Ints) -> Text:
    """Decimal digits, 16 wide: enough for epoch microseconds from 2001 on."""
    text = np.empty((len(numbers), DIGITS), dtype=np.uint8)
    rest = numbers.copy()
    for place in reversed(range(DIGITS)):
        rest, digit = np.divmod(rest, 10)
        text[:, place] = digit + ord("0")
    return text


def rfc3339(times: Ints) -> Text:
    """Instants as `2026-06-07T00:00:00.123456Z`."""
    days, within = np.divmod(times, 86_400_000_000)
    seen, place = np.unique(days, return_inverse=True)
    dates = np.array([str(day) for day in seen.astype("M8[D]")], dtype="S10")
    text = np.empty((len(times), TIME_WIDTH), dtype=np.uint8)
    text[:, :10] = dates.view(np.uint8).reshape(-1, 10)[place]
    text[:, (10, 13, 16, 19, 26)] = np.frombuffer(b"T::.Z", dtype=np.uint8)
    seconds, micros = np.divmod(within, 1_000_000)
    for first, value in ((11, seconds // 3600), (14, seconds // 60 % 60), (17, seconds % 60)):
        text[:, first], text[:, first + 1] = value // 10 + ord("0"), value % 10 + ord("0")
    for place_of_digit in range(6):
        text[:, 25 - place_of_digit] = micros // 10**place_of_digit % 10 + ord("0")
    return text


def numbered(prefix: str, first: int, size: int) -> pa.Array:
    """`u00000000`, `u00000001`, …: the names of a run of things."""
    return pa.array([f"{prefix}{number:08d}" for number in range(first, first + size)], pa.string())
