"""Small array moves that the world is made with: a frame here is a dict of equally long NumPy columns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Columns = dict[str, NDArray[Any]]

NONE = -1  # stands for "no value" in columns of codes, ids and counts


def dice(seed: int, *names: str | int) -> np.random.Generator:
    """A stream of chance of its own for each purpose, so that one part of the world does not shake another."""
    words = [name if isinstance(name, int) else crc32(name.encode()) for name in names]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))


def height(frame: Mapping[str, NDArray[Any]]) -> int:
    """Rows of a frame."""
    return len(next(iter(frame.values())))


def take(frame: Mapping[str, NDArray[Any]], rows: NDArray[Any]) -> Columns:
    """The rows chosen by index or by mask."""
    return {name: column[rows] for name, column in frame.items()}


def stack(parts: Sequence[Mapping[str, NDArray[Any]]], columns: Iterable[str]) -> Columns:
    """One frame under another; a column that a part does not know is `NONE` there."""
    return {
        name: np.concatenate([part[name] if name in part else np.full(height(part), NONE) for part in parts])
        for name in columns
    }


def pick(chance: np.random.Generator, weights: Sequence[float] | Floats, size: int) -> Ints:
    """Codes drawn by weight."""
    ladder = np.cumsum(np.asarray(weights, dtype=np.float64))
    codes: Ints = np.minimum(np.searchsorted(ladder / ladder[-1], chance.random(size), side="right"), len(ladder) - 1)
    return codes


def pick_by_row(chance: np.random.Generator, ladders: Floats, rows: Ints) -> Ints:
    """A code for each entry of `rows`, by the ladder (cumulated weights) of that row."""
    drawn = chance.random(len(rows))[:, None]
    codes: Ints = np.minimum((ladders[rows] < drawn).sum(axis=1), ladders.shape[1] - 1)
    return codes


def count_before(groups: Ints) -> Ints:
    """How many earlier rows have the same group."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    is_first = np.r_[True, ordered[1:] != ordered[:-1]] if len(ordered) else np.empty(0, dtype=bool)
    places = np.arange(len(ordered))
    before = np.empty(len(ordered), dtype=np.int64)
    before[order] = places - np.maximum.accumulate(np.where(is_first, places, 0))
    return before


def running_sum(values: Ints, starts: Ints) -> Ints:
    """Sum of the values before each row since its group's start; `starts` is the group's first row, per row."""
    total = np.concatenate([[0], np.cumsum(values)])
    before: Ints = total[:-1] - total[starts]
    return before
