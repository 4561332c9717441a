"""Of runs of producers' numbers (ops.sequences): which numbers between them no batch received, and which came again.

A gap is as new as the first record beyond it: until that came nobody could know of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

RUN = ("producer_id", "producer_epoch", "first_seq", "last_seq", "record_count", "recorded_at")


@dataclass(frozen=True)
class Numbers:
    """What records since some moment tell: numbers they had first, and again, and those lost before any of them.

    `producers` are whose numbers are lost, of so many `epochs`; `bare` counts the records without a number, by topic.
    """

    received: int = 0
    repeated: int = 0
    lost: int = 0
    epochs: int = 0
    producers: tuple[str, ...] = ()
    bare: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Gaps:
    """Gaps, each with its size, and the row of the run beyond it; `covered` numbers lie in runs."""

    sizes: NDArray[np.int64]
    beyond: NDArray[np.int64]
    covered: int


def numbers_of(runs: pa.Table, since: datetime, bare: Mapping[str, int]) -> Numbers:
    """What the runs (RUN) that were recorded after `since` tell, beside those of before."""
    moment = pa.scalar(since, pa.timestamp("us", "UTC"))
    is_new = pc.greater(runs["recorded_at"], moment)
    found = gaps(runs)
    received = found.covered - gaps(runs.filter(pc.invert(is_new))).covered
    records = pc.sum(runs.filter(is_new)["record_count"]).as_py() or 0
    is_told = np.asarray(is_new)[found.beyond] if len(found.beyond) else np.zeros(0, bool)
    whose = runs.take(pa.array(found.beyond[is_told])).group_by(["producer_id", "producer_epoch"]).aggregate([])
    names = tuple(sorted(set(whose["producer_id"].to_pylist())))
    return Numbers(received, records - received, int(found.sizes[is_told].sum()), whose.num_rows, names, bare)


def gaps(runs: pa.Table) -> Gaps:
    """Where numbers of a producer and epoch lie in no run; runs may overlap, and stand in any order."""
    if not runs.num_rows:
        return Gaps(np.zeros(0, np.int64), np.zeros(0, np.int64), 0)
    ids = np.asarray(runs["producer_id"].combine_chunks().dictionary_encode().indices)
    epochs, firsts, lasts = (np.asarray(runs[name]) for name in RUN[1:4])
    order = np.lexsort((np.asarray(runs["recorded_at"].cast(pa.int64())), firsts, epochs, ids))
    ids, epochs, firsts, lasts = ids[order], epochs[order], firsts[order], lasts[order]
    is_other = np.concatenate([[True], (np.diff(ids) != 0) | (np.diff(epochs) != 0)])
    reach = reached(lasts, np.cumsum(is_other) - 1)
    missing = firsts[1:] - reach[:-1] - 1
    at = np.flatnonzero(~is_other[1:] & (missing > 0))
    whole = reach[np.append(np.flatnonzero(is_other)[1:] - 1, len(reach) - 1)] - firsts[is_other] + 1
    return Gaps(missing[at], order[at + 1], int(whole.sum() - missing[at].sum()))


def reached(lasts: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The greatest of each row and the rows before it in its group; groups stand in order.

    By ranks, for a number may have 53 bits, and a group's own beside them would have no room.
    """
    ends, ranks = np.unique(lasts, return_inverse=True)
    reach: NDArray[np.int64] = ends[np.maximum.accumulate(groups * len(ends) + ranks) % len(ends)]
    return reach
