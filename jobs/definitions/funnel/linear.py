"""The fast kernel: steps that share no event, nothing between them but their order.

Each event points to the first event of the next step that may follow it; an entry's chain is the walk along the
pointers until the entry's deadline. No later choice can be better: the walk is the furthest and earliest chain at once.
"""

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@compiled
def _meet(first: Ints, level: Ints, begin: int, end: int) -> None:
    """Note for each step the first event of the instant (places begin..end) that matches it."""
    for at in range(end - 1, begin - 1, -1):
        if level[at] >= 0:
            first[level[at]] = at


@compiled
def _point_ahead(starts: Ints, time: Ints, level: Ints, levels: int, forbid: bool) -> Ints:
    """For each event the first event of the next step at its instant or later (`forbid`: later), or -1."""
    ahead = np.full(time.size, -1, np.int64)
    first = np.empty(levels, np.int64)
    for group in range(starts.size - 1):
        first[:] = -1
        end = starts[group + 1]
        while end > starts[group]:
            begin = end - 1
            while begin > starts[group] and time[begin - 1] == time[end - 1]:
                begin -= 1
            if not forbid:
                _meet(first, level, begin, end)
            for at in range(begin, end):
                if 0 <= level[at] < levels - 1:
                    ahead[at] = first[level[at] + 1]
            if forbid:
                _meet(first, level, begin, end)
            end = begin
    return ahead


@compiled
def linear_chains(
    starts: Ints, time: Ints, level: Ints, deadline: Ints, entries: Ints, levels: int, forbid: bool
) -> tuple[Ints, Ints]:
    """Chains of all entries: how many steps each filled, and with which events (entries x levels, -1 beyond).

    Events are sorted by (group, rule 2); `level` is the step an event matches or -1; `entries` are places of events.
    """
    ahead = _point_ahead(starts, time, level, levels, forbid)
    chains = np.full((entries.size, levels), -1, np.int64)
    reached = np.ones(entries.size, np.int64)
    for number in range(entries.size):
        at = entries[number]
        until = deadline[at]
        chains[number, 0] = at
        for step in range(1, levels):
            at = ahead[at]
            if at < 0 or time[at] > until:
                break
            chains[number, step] = at
            reached[number] = step + 1
    return reached, chains
