"""Steps and the events of one instant: who can fill what, each event once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
FREE, BARRED = -1, -2


class Desk(NamedTuple):
    """Room to match on.

    `held`: the step that has the k-th event, FREE or BARRED; `holds`: the k a step has; `came` (one per event) and
    `queue` (one per step and one more) are the search's own.
    """

    held: Ints
    holds: Ints
    came: Ints
    queue: Ints


@compiled
def augment(root: int, mask: Ints, events: Ints, desk: Desk) -> bool:
    """Give step `root` one of `events` (places), moving other steps to other events; False when nobody can move."""
    desk.came[: events.size] = -1
    desk.queue[0] = root
    begin, end = 0, 1
    while begin < end:
        step = desk.queue[begin]
        begin += 1
        for k in range(events.size):
            if desk.held[k] == BARRED or desk.came[k] >= 0 or (mask[events[k]] >> step) & 1 == 0:
                continue
            desk.came[k] = step
            if desk.held[k] == FREE:
                _move(root, k, desk)
                return True
            desk.queue[end] = desk.held[k]
            end += 1
    return False


@compiled
def _move(root: int, free: int, desk: Desk) -> None:
    """Pass events on along the way the search came, so that `root` gets one and event `free` is taken."""
    k = free
    while True:
        mover = desk.came[k]
        before = desk.holds[mover]
        desk.held[k], desk.holds[mover] = mover, k
        if mover == root:
            return
        k = before


@compiled
def room_to_match(events: int, steps: int) -> Desk:
    """A desk for so many events and steps."""
    return Desk(
        np.empty(events, np.int64), np.empty(steps, np.int64), np.empty(events, np.int64), np.empty(steps + 1, np.int64)
    )


@compiled
def can_all_be_used(count: int, low: int, high: int, mask: Ints, events: Ints, must: Flags, spare: Desk) -> bool:
    """Whether each of the `count` events that `must` marks can fill a step of low..high, all different.

    If these steps can be filled at all, they then can be filled with these events among others (Mendelsohn, Dulmage).
    """
    if count > high - low + 1:
        return False
    for k in range(events.size):
        spare.held[k] = FREE if must[k] else BARRED
    used = 0
    for step in range(low, high + 1):
        used += augment(step, mask, events, spare)
    return bool(used == count)


@compiled
def assign_first(
    low: int, high: int, mask: Ints, events: Ints, count: int, must: Flags, chain: Ints, desk: Desk, spare: Desk
) -> None:
    """Fill steps low..high of `chain` from `events`, each event once, the `count` that `must` marks all used.

    Never the entry, which chain[0] is. Such a list must exist; it is the first by rule 2: a step takes the first event
    with which the steps after it can still be filled, and what must be used still be used.
    """
    for step in range(low, high + 1):
        for k in range(events.size):
            if (mask[events[k]] >> step) & 1 == 0 or _is_taken(events[k], chain, low, step):
                continue
            for other in range(events.size):
                taken = other == k or _is_taken(events[other], chain, low, step)
                desk.held[other] = BARRED if taken else FREE
            is_must, must[k] = must[k], False
            if _can_fill(step + 1, high, mask, events, desk) and (
                count == 0 or can_all_be_used(count - is_must, step + 1, high, mask, events, must, spare)
            ):
                chain[step], count = events[k], count - is_must
                break
            must[k] = is_must


@compiled
def _can_fill(low: int, high: int, mask: Ints, events: Ints, desk: Desk) -> bool:
    """Whether steps low..high can be filled with what is free."""
    fits = True
    for step in range(low, high + 1):
        fits = fits and augment(step, mask, events, desk)
    return fits


@compiled
def _is_taken(event: int, chain: Ints, low: int, high: int) -> bool:
    """Whether the entry or one of the steps low..high (exclusive) has the event."""
    found = chain[0] == event
    for step in range(low, high):
        found = found or chain[step] == event
    return bool(found)
