"""Rule 13: steps in any order, each by its own event, the entry being the earliest.

A matching of steps to events. Growing it instant by instant gives the most steps and their earliest finish; sets of
steps that can be filled form a matroid, so the smallest list of steps is found greedily, then the smallest event ids.
A matching never lets go of an event it once used, so one that starts with the entry keeps it.

Of the events of a window a few are enough, however many there are: in place of another event a step can always take one
of its `steps` earliest, or of those with the smallest ids, since the other steps cannot hold all of these.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled
from jobs.definitions.funnel.matching import BARRED, FREE, Desk, augment, room_to_match
from jobs.definitions.funnel.signs import Signs, put_up_signs
from jobs.definitions.funnel.smallest import pick_smallest, plant

Ints = NDArray[np.int64]


class Window(NamedTuple):
    """Enough of one entry's `events` (places) by rule 2, `own` being the entry's number; `rank` orders event ids."""

    events: Ints
    own: int
    time: Ints
    mask: Ints
    rank: Ints
    steps: int


@compiled
def _earliest_finish(window: Window, desk: Desk) -> tuple[int, int]:
    """The most steps that can be filled, and how many events there are up to the first instant that allows it."""
    desk.held[: window.events.size], desk.holds[:] = FREE, FREE
    first = 0
    while (window.mask[window.events[window.own]] >> first) & 1 == 0:
        first += 1
    desk.held[window.own], desk.holds[first] = first, window.own
    most, size, this = 1, window.own + 1, 0
    while this < window.events.size and most < window.steps:
        after = this + 1
        while after < window.events.size and window.time[window.events[after]] == window.time[window.events[this]]:
            after += 1
        for step in range(window.steps):
            if desk.holds[step] == FREE and augment(step, window.mask, window.events[:after], desk):
                most, size = most + 1, after
        this = after
    return most, size


@compiled
def _can_fill(window: Window, wanted: int, chain: Ints, size: int, desk: Desk) -> bool:
    """Whether the steps of `wanted` (bits) that `chain` has not filled yet can be, from the first `size` events."""
    for k in range(size):
        desk.held[k] = FREE
        for step in range(window.steps):
            if chain[step] == window.events[k]:
                desk.held[k] = BARRED
    for step in range(window.steps):
        is_open = (wanted >> step) & 1 and chain[step] < 0
        if is_open and not augment(step, window.mask, window.events[:size], desk):
            return False
    return True


@compiled
def _can_fill_with_entry(window: Window, wanted: int, chain: Ints, size: int, desk: Desk) -> bool:
    """`_can_fill`, one of the steps using the entry."""
    entry = window.events[window.own]
    for step in range(window.steps):
        if chain[step] == entry:
            return _can_fill(window, wanted, chain, size, desk)
    for step in range(window.steps):
        if (wanted >> step) & 1 and chain[step] < 0 and (window.mask[entry] >> step) & 1:
            chain[step] = entry
            fits = _can_fill(window, wanted, chain, size, desk)
            chain[step] = -1
            if fits:
                return True
    return False


@compiled
def _smallest_steps(window: Window, most: int, chain: Ints, size: int, desk: Desk) -> int:
    """The smallest list of `most` steps, as bits."""
    wanted, count = 0, 0
    for step in range(window.steps):
        more = wanted | (1 << step)
        if count < most and _can_fill(window, more, chain, size, desk):
            wanted, count = more, count + 1
    return wanted


@compiled
def _fill(window: Window, wanted: int, chain: Ints, size: int, desk: Desk) -> None:
    """Fill the wanted steps with the smallest event ids."""
    by_id = np.argsort(window.rank[window.events[:size]], kind="mergesort")
    for step in range(window.steps):
        if (wanted >> step) & 1:
            for k in by_id:
                event = window.events[k]
                if (window.mask[event] >> step) & 1 and not np.any(chain == event):
                    chain[step] = event
                    if _can_fill_with_entry(window, wanted, chain, size, desk):
                        break
                    chain[step] = -1


@compiled
def _earliest(entry: int, end: int, signs: Signs, until: int, time: Ints, steps: int, found: Ints) -> int:
    """Find the earliest events of the entry's window, as many of each step as there are steps; gives how many.

    The entry's group ends at place `end`.
    """
    count = 0
    for step in range(steps):
        at, some = signs.fitting[step, signs.opens[entry]], 0
        while at >= 0 and time[at] <= until and some < steps:
            found[count], count, some = at, count + 1, some + 1
            at = signs.fitting[step, at + 1] if at + 1 < end else -1
    return count


@compiled
def _window(entry: int, found: Ints, count: int, time: Ints, mask: Ints, rank: Ints, steps: int) -> Window:
    """The window of an entry with the first `count` events found, some of which may be there twice, and the entry."""
    found[count] = entry
    events = np.unique(found[: count + 1])
    return Window(events, int(np.searchsorted(events, entry)), time, mask, rank, steps)


@compiled
def unordered_chains(
    starts: Ints, time: Ints, mask: Ints, rank: Ints, deadline: Ints, entries: Ints, group_of: Ints, steps: int
) -> tuple[Ints, Ints, Ints]:
    """Chains of all entries by step (-1 not filled), how many steps each filled, and when the last of them was.

    `rank` orders the event ids.
    """
    chains = np.full((entries.size, steps), -1, np.int64)
    reached, finish = np.ones(entries.size, np.int64), np.zeros(entries.size, np.int64)
    signs, tree = put_up_signs(starts, time, mask, steps), plant(rank, mask, steps)
    found, parts = np.empty(steps * steps + 1, np.int64), np.empty((steps + 1, 3), np.int64)
    desk = room_to_match(found.size, steps)
    for number in range(entries.size):
        entry, end = entries[number], starts[group_of[number] + 1]
        count = _earliest(entry, end, signs, deadline[entry], time, steps, found)
        window = _window(entry, found, count, time, mask, rank, steps)
        most, size = _earliest_finish(window, desk)
        begin, end, count = signs.opens[entry], signs.closes[window.events[size - 1]], 0
        for step in range(steps):
            count += pick_smallest(tree[step], rank, begin, end, parts, found[count : count + steps])
        window = _window(entry, found, count, time, mask, rank, steps)
        wanted = _smallest_steps(window, most, chains[number], window.events.size, desk)
        _fill(window, wanted, chains[number], window.events.size, desk)
        reached[number] = most
        for step in range(steps):
            if chains[number, step] >= 0:
                finish[number] = max(finish[number], time[chains[number, step]])
    return chains, reached, finish
