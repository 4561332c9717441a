"""Rule 13: steps in any order, each by its own event, the entry being the earliest.

A matching of steps to events. Growing it instant by instant gives the most steps and their earliest finish; sets of steps
that can be filled form a matroid, so the smallest list of steps is found greedily, and then the smallest event ids.
"""

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.funnel.compiled import compiled

Ints = NDArray[np.int64]


@compiled
def _seat(step: int, mask: Ints, held: Ints, holds: Ints, begin: int, end: int, seen: Ints, stack: Ints, came: Ints) -> bool:
    """Give `step` an event of begin..end, moving others (never leaving an event that was held): True when it worked."""
    seen[: end - begin] = 0
    stack[0], size = step, 1
    while size > 0:
        size -= 1
        mover = stack[size]
        for at in range(begin, end):
            k = at - begin
            if seen[k] or held[k] == -2 or (mask[at] >> mover) & 1 == 0:
                continue
            seen[k] = 1
            came[k] = mover
            if held[k] >= 0:
                stack[size] = held[k]
                size += 1
                continue
            while True:
                who = came[k]
                left = holds[who]
                held[k], holds[who] = who, k
                if who == step:
                    return True
                k = left
    return False


@compiled
def _clear(held: Ints, holds: Ints, size: int) -> None:
    held[:size] = -1
    holds[:] = -1


@compiled
def _earliest_finish(
    entry: int, begin: int, end: int, time: Ints, mask: Ints, steps: int, held: Ints, holds: Ints, seen: Ints, stack: Ints, came: Ints
) -> tuple[int, int]:
    """The most steps that can be filled in places begin..end, and the end (place) of the first instant that allows it."""
    _clear(held, holds, end - begin)
    union, step = mask[entry], 0
    while (mask[entry] >> step) & 1 == 0:
        step += 1
    held[entry - begin], holds[step] = step, entry - begin
    most, stop, this = 1, entry + 1, begin
    while this < end and most < steps:
        after = this + 1
        while after < end and time[after] == time[this]:
            after += 1
        for at in range(this, after):
            union |= mask[at]
        for step in range(steps):
            if holds[step] < 0 and (union >> step) & 1 and _seat(step, mask, held, holds, begin, after, seen, stack, came):
                most, stop = most + 1, after
        this = after
    return most, stop


@compiled
def _can_fill(
    wanted: int, fixed: Ints, entry: int, begin: int, end: int, mask: Ints, steps: int, held: Ints, holds: Ints, seen: Ints, stack: Ints, came: Ints
) -> bool:
    """Whether the steps of `wanted` (bits) can all be filled, some with the event `fixed` for them (places, -1 free)."""
    _clear(held, holds, end - begin)
    for step in range(steps):
        if fixed[step] >= 0:
            held[fixed[step] - begin] = -2
    for step in range(steps):
        if (wanted >> step) & 1 and fixed[step] < 0:
            if not _seat(step, mask, held, holds, begin, end, seen, stack, came):
                return False
    return True


@compiled
def _entry_fits(
    wanted: int, fixed: Ints, entry: int, begin: int, end: int, mask: Ints, steps: int, held: Ints, holds: Ints, seen: Ints, stack: Ints, came: Ints
) -> bool:
    """`_can_fill` with the entry used by one of the steps."""
    for step in range(steps):
        if fixed[step] == entry:
            return _can_fill(wanted, fixed, entry, begin, end, mask, steps, held, holds, seen, stack, came)
    for step in range(steps):
        if (wanted >> step) & 1 and fixed[step] < 0 and (mask[entry] >> step) & 1:
            fixed[step] = entry
            fits = _can_fill(wanted, fixed, entry, begin, end, mask, steps, held, holds, seen, stack, came)
            fixed[step] = -1
            if fits:
                return True
    return False


@compiled
def _choose(
    entry: int, begin: int, end: int, rank: Ints, mask: Ints, steps: int, most: int, chain: Ints, held: Ints, holds: Ints, seen: Ints, stack: Ints, came: Ints
) -> None:
    """The smallest list of `most` steps, then of event ids."""
    wanted, size = np.int64(0), 0
    for step in range(steps):
        if size < most and _can_fill(wanted | (np.int64(1) << step), chain, entry, begin, end, mask, steps, held, holds, seen, stack, came):
            wanted |= np.int64(1) << step
            size += 1
    by_id = np.argsort(rank[begin:end], kind="mergesort")
    for step in range(steps):
        if (wanted >> step) & 1 == 0:
            continue
        for place in range(by_id.size):
            at = begin + by_id[place]
            is_used = False
            for other in range(step):
                is_used = is_used or chain[other] == at
            if is_used or (mask[at] >> step) & 1 == 0:
                continue
            chain[step] = at
            if _entry_fits(wanted, chain, entry, begin, end, mask, steps, held, holds, seen, stack, came):
                break
            chain[step] = -1


@compiled
def unordered_chains(
    starts: Ints, time: Ints, mask: Ints, rank: Ints, deadline: Ints, entries: Ints, group_of: Ints, steps: int
) -> tuple[Ints, Ints, Ints]:
    """Chains of all entries by step (-1 not filled), how many steps each filled, and when the last of them was.

    `rank` orders the event ids.
    """
    chains = np.full((entries.size, steps), -1, np.int64)
    reached, finish = np.ones(entries.size, np.int64), np.zeros(entries.size, np.int64)
    size = 1
    for group in range(starts.size - 1):
        size = max(size, starts[group + 1] - starts[group])
    held, seen, came = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    holds, stack = np.empty(steps, np.int64), np.empty(steps + 1, np.int64)
    for number in range(entries.size):
        entry, begin = entries[number], entries[number]
        while begin > starts[group_of[number]] and time[begin - 1] == time[entry]:
            begin -= 1
        end = entry
        while end < starts[group_of[number] + 1] and time[end] <= deadline[entry]:
            end += 1
        most, stop = _earliest_finish(entry, begin, end, time, mask, steps, held, holds, seen, stack, came)
        _choose(entry, begin, stop, rank, mask, steps, most, chains[number], held, holds, seen, stack, came)
        reached[number] = most
        finish[number] = time[entry]
        for step in range(steps):
            if chains[number, step] >= 0:
                finish[number] = max(finish[number], time[chains[number, step]])
    return chains, reached, finish
