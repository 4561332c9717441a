"""Rule 13: steps in any order, each by its own event, the entry being the earliest.

A matching of steps to events. Growing it instant by instant gives the most steps and their earliest finish; sets of
steps that can be filled form a matroid, so the smallest list of steps is found greedily, then the smallest event ids.
A matching never lets go of an event it once used, so one that starts with the entry keeps it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled
from jobs.definitions.funnel.matching import BARRED, FREE, Desk, augment

Ints = NDArray[np.int64]


class Window(NamedTuple):
    """One entry's `events` (places) by rule 2, `own` being the entry's number; `rank` orders event ids."""

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
def unordered_chains(
    starts: Ints, time: Ints, mask: Ints, rank: Ints, deadline: Ints, entries: Ints, group_of: Ints, steps: int
) -> tuple[Ints, Ints, Ints]:
    """Chains of all entries by step (-1 not filled), how many steps each filled, and when the last of them was.

    `rank` orders the event ids.
    """
    chains = np.full((entries.size, steps), -1, np.int64)
    reached, finish = np.ones(entries.size, np.int64), np.zeros(entries.size, np.int64)
    widest = 1
    for group in range(starts.size - 1):
        widest = max(widest, starts[group + 1] - starts[group])
    desk = Desk(
        np.empty(widest, np.int64), np.empty(steps, np.int64), np.empty(widest, np.int64), np.empty(steps + 1, np.int64)
    )
    for number in range(entries.size):
        entry, begin, end = entries[number], entries[number], entries[number]
        while begin > starts[group_of[number]] and time[begin - 1] == time[entry]:
            begin -= 1
        while end < starts[group_of[number] + 1] and time[end] <= deadline[entry]:
            end += 1
        window = Window(np.arange(begin, end), entry - begin, time, mask, rank, steps)
        most, size = _earliest_finish(window, desk)
        wanted = _smallest_steps(window, most, chains[number], size, desk)
        _fill(window, wanted, chains[number], size, desk)
        reached[number] = most
        for step in range(steps):
            if chains[number, step] >= 0:
                finish[number] = max(finish[number], time[chains[number, step]])
    return chains, reached, finish
