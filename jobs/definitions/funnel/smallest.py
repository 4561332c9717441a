"""The smallest event ids of a stretch of events, found in the logarithm of its length."""

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled

Ints = NDArray[np.int64]


@compiled
def plant(rank: Ints, mask: Ints, steps: int) -> Ints:
    """By (step, node) of a segment tree over all events the one that fits the step with the smallest rank, or -1."""
    size = rank.size
    tree = np.full((steps, 2 * size), -1, np.int64)
    for step in range(steps):
        for at in range(size):
            if (mask[at] >> step) & 1:
                tree[step, size + at] = at
        for node in range(size - 1, 0, -1):
            tree[step, node] = _smaller(tree[step, 2 * node], tree[step, 2 * node + 1], rank)
    return tree


@compiled
def _smaller(one: int, other: int, rank: Ints) -> int:
    """The event of smaller rank; -1 is none."""
    if one < 0 or (other >= 0 and rank[other] < rank[one]):
        return other
    return one


@compiled
def _smallest(tree: Ints, rank: Ints, begin: int, end: int) -> int:
    """The event of smallest rank among places begin..end of one step's tree, or -1."""
    best, left, right = -1, begin + rank.size, end + rank.size
    while left < right:
        if left & 1:
            best = _smaller(best, tree[left], rank)
            left += 1
        if right & 1:
            right -= 1
            best = _smaller(best, tree[right], rank)
        left, right = left >> 1, right >> 1
    return best


@compiled
def pick_smallest(tree: Ints, rank: Ints, begin: int, end: int, parts: Ints, found: Ints) -> int:
    """Put the events of smallest rank of places begin..end into `found`, as many as it holds; gives how many.

    `parts` is room for a row (begin, end, smallest) per stretch that is left, one more than `found` holds.
    """
    parts[0, 0], parts[0, 1], parts[0, 2] = begin, end, _smallest(tree, rank, begin, end)
    for count in range(found.size):
        least = 0
        for part in range(1, count + 1):
            if _smaller(parts[least, 2], parts[part, 2], rank) != parts[least, 2]:
                least = part
        at, last = parts[least, 2], parts[least, 1]
        if at < 0:
            return count
        found[count] = at
        parts[least, 1], parts[least, 2] = at, _smallest(tree, rank, parts[least, 0], at)
        parts[count + 1, 0], parts[count + 1, 1] = at + 1, last
        parts[count + 1, 2] = _smallest(tree, rank, at + 1, last)
    return int(found.size)
