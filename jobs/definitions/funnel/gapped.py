"""The kernel for steps that share no event and are bound by their order and the gaps between them, by nothing else.

As in the linear kernel each event points to the first of the next step that may follow it; but a step taken early may
find nothing within its gap where a later one would, so only events count from which the step asked for can still be
reached. Of these the nearest is the best (jobs/definitions/funnel/search.py says why). An entry that cannot get there
within its window is asked for one step less.
"""

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled

Ints = NDArray[np.int64]


@compiled
def _furthest(level: Ints, begin: int, end: int, levels: int) -> int:
    """How many steps could be reached if nothing but the order of events counted."""
    reached = 1
    for at in range(begin, end):
        if level[at] == reached:
            reached += 1
            if reached == levels:
                break
    return reached


@compiled
def _lead_on(
    time: Ints, level: Ints, gaps: Ints, begin: int, end: int, target: int, forbid: bool, first: Ints, ahead: Ints
) -> None:
    """Point each event of one group to the nearest of the next step from which `target` steps are filled, or to -1.

    The event that fills the last of them points to itself.
    """
    first[:] = -1
    while end > begin:
        start = end - 1
        while start > begin and time[start - 1] == time[end - 1]:
            start -= 1
        for turn in range(target if end - start > 1 else 1):
            # steps of one instant: the last first, so that the one before may use it; the first first if it must not
            step = level[start] if end - start == 1 else turn if forbid else target - 1 - turn
            for at in range(end - 1, start - 1, -1):
                if level[at] != step or not 0 <= step < target:
                    continue
                following = at if step == target - 1 else first[step + 1]
                is_too_far = step < target - 1 and 0 <= gaps[step + 1] < time[following] - time[at]
                ahead[at] = -1 if following < 0 or is_too_far else following
                if ahead[at] >= 0:
                    first[step] = at
        end = start


@compiled
def _walk(time: Ints, ahead: Ints, deadline: Ints, target: int, chain: Ints) -> bool:
    """Whether the entry that begins the chain fills `target` steps within its window; then its chain is filled."""
    entry = at = chain[0]
    if ahead[entry] < 0:
        return False
    for _ in range(1, target):
        at = ahead[at]
    if time[at] > deadline[entry]:
        return False
    for step in range(1, target):
        chain[step] = ahead[chain[step - 1]]
    return True


@compiled
def gapped_chains(
    starts: Ints, time: Ints, level: Ints, deadline: Ints, entries: Ints, group_of: Ints, gaps: Ints, forbid: bool
) -> tuple[Ints, Ints]:
    """Chains of all entries as `linear_chains` gives them; `gaps` is the longest before each step in µs, -1 for any."""
    levels = gaps.size
    ahead, first = np.full(time.size, -1, np.int64), np.empty(levels, np.int64)
    chains = np.full((entries.size, levels), -1, np.int64)
    chains[:, 0] = entries
    reached = np.ones(entries.size, np.int64)
    number = 0
    while number < entries.size:
        begin, end, last = entries[number], starts[group_of[number] + 1], number
        while last < entries.size and entries[last] < end:
            last += 1
        left, target = last - number, _furthest(level, begin, end, levels)
        while target > 1 and left > 0:
            _lead_on(time, level, gaps, begin, end, target, forbid, first, ahead)
            for each in range(number, last):
                if reached[each] == 1 and _walk(time, ahead, deadline, target, chains[each]):
                    reached[each] = target
                    left -= 1
            target -= 1
        number = last
    return reached, chains
