"""Steps and the events of one instant: who can fill what, each event once (used by kernels; compiled into each)."""

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.funnel.compiled import compiled

Ints = NDArray[np.int64]


@compiled
def augment(root: int, mask: Ints, events: Ints, held: Ints, holds: Ints, came: Ints, queue: Ints) -> bool:
    """Give step `root` an event, moving other steps to other events where needed; False when nobody can move.

    `events` are places; `held[k]` is the step that has events[k] (-1 none, -2 not to be used), `holds[step]` the k it
    has. `came` (one per event) and `queue` (one per step and one more) are scratch.
    """
    came[: events.size] = -1
    queue[0] = root
    begin, end = 0, 1
    while begin < end:
        step = queue[begin]
        begin += 1
        for k in range(events.size):
            if held[k] == -2 or came[k] >= 0 or (mask[events[k]] >> step) & 1 == 0:
                continue
            came[k] = step
            if held[k] >= 0:
                queue[end] = held[k]
                end += 1
                continue
            while True:
                mover = came[k]
                before = holds[mover]
                held[k] = mover
                holds[mover] = k
                if mover == root:
                    return True
                k = before
    return False


@compiled
def assign_first(
    low: int, high: int, mask: Ints, events: Ints, barred: int, chain: Ints, held: Ints, holds: Ints, came: Ints, queue: Ints
) -> None:
    """Fill steps low..high of `chain` from `events`, each event once and never `barred`: the first list by rule 2.

    Such a list must exist. A step takes the first event with which the steps after it can still be filled.
    """
    for step in range(low, high + 1):
        for k in range(events.size):
            if events[k] == barred or (mask[events[k]] >> step) & 1 == 0 or _is_in(events[k], chain, low, step):
                continue
            held[: events.size] = -1
            for other in range(events.size):
                taken = other == k or events[other] == barred or _is_in(events[other], chain, low, step)
                held[other] = -2 if taken else -1
            fits = True
            for later in range(step + 1, high + 1):
                if not augment(later, mask, events, held, holds, came, queue):
                    fits = False
                    break
            if fits:
                chain[step] = events[k]
                break


@compiled
def _is_in(event: int, chain: Ints, low: int, high: int) -> bool:
    for step in range(low, high):
        if chain[step] == event:
            return True
    return False
