"""Rule 2: events in the order that decides between equals, subject by subject."""

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled

Ints = NDArray[np.int64]


@compiled
def by_group_and_time(group: Ints, groups: int, time: Ints) -> tuple[Ints, Ints]:
    """Row numbers by (group, time), rows of one instant as they came; and where each group starts (groups + 1)."""
    starts = np.zeros(groups + 1, np.int64)
    for row in range(group.size):
        starts[group[row] + 1] += 1
    for number in range(groups):
        starts[number + 1] += starts[number]
    place = starts[:-1].copy()
    order = np.empty(group.size, np.int64)
    for row in range(group.size):
        order[place[group[row]]] = row
        place[group[row]] += 1
    for number in range(groups):
        first, last = starts[number], starts[number + 1]
        for at in range(first + 1, last):
            if time[order[at]] < time[order[at - 1]]:
                rows = order[first:last].copy()
                order[first:last] = rows[np.argsort(time[rows], kind="mergesort")]
                break
    return order, starts


@compiled
def tied(order: Ints, starts: Ints, time: Ints) -> NDArray[np.bool_]:
    """Whether the row at each place of `order` shares its instant with a neighbour of its group."""
    found = np.zeros(order.size, np.bool_)
    for number in range(starts.size - 1):
        for at in range(starts[number] + 1, starts[number + 1]):
            if time[order[at]] == time[order[at - 1]]:
                found[at] = True
                found[at - 1] = True
    return found


@compiled
def settle_ties(order: Ints, starts: Ints, time: Ints, low: Ints, rank: Ints) -> None:
    """Put rows of one instant in order of (lowest step, event id), in place."""
    for number in range(starts.size - 1):
        at, last = starts[number], starts[number + 1]
        while at < last:
            end = at + 1
            while end < last and time[order[end]] == time[order[at]]:
                end += 1
            if end - at > 1:
                rows = order[at:end].copy()
                rows = rows[np.argsort(rank[rows], kind="mergesort")]
                order[at:end] = rows[np.argsort(low[rows], kind="mergesort")]
            at = end


@compiled
def lowest_step(mask: Ints) -> Ints:
    """The lowest step (from 0) each event matches; 64 for none, which sorts last."""
    low = np.full(mask.size, 64, np.int64)
    for row in range(mask.size):
        if mask[row] != 0:
            step = 0
            while (mask[row] >> step) & 1 == 0:
                step += 1
            low[row] = step
    return low


@compiled
def first_of_each(order: Ints, starts: Ints, time: Ints, rank: Ints, counts: NDArray[np.bool_]) -> Ints:
    """Per group the first row that counts, by (time, event id), or -1."""
    first = np.full(starts.size - 1, -1, np.int64)
    for number in range(starts.size - 1):
        for at in range(starts[number], starts[number + 1]):
            row, best = order[at], first[number]
            if best >= 0 and time[row] > time[best]:
                break
            if counts[row] and (best < 0 or rank[row] < rank[best]):
                first[number] = row
    return first
