"""The searching kernel: ordered and strict funnels with gaps, exclusions and events that match several steps.

For one entry, walk its window instant by instant and note every (step, instant) a clean chain can stand at: a *node*.
Chains of one entry form a lattice: the later of two chains, step by step, is again a chain, and so is the earlier. So a
node needs only its latest way in, which is best for gaps, exclusions and strictness alike; and the one chain whose every
step is earliest is found by going back from the first node of the furthest step. Steps filled within one instant are a
*block*, a matching of steps to different events (jobs/definitions/funnel/matching.py).
"""

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.funnel.compiled import compiled
from jobs.definitions.funnel.matching import assign_first, augment

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
NEVER = -(2**62)


@compiled
def _step_time(step: int, level: int, node: int, at: Ints, opened: Ints, before: Ints) -> int:
    """When the latest chain into a node fills an earlier step."""
    while opened[level, node] > step:
        level, node = opened[level, node] - 1, before[level, node]
    return at[level, node]  # type: ignore[no-any-return]


@compiled
def _is_clean(
    level: int, first: int, node: int, seen: Ints, rules: Ints, at: Ints, opened: Ints, before: Ints
) -> bool:
    """No exclusion that ends at `level` has happened since its first step, the way in being `node` of step first - 1."""
    for rule in range(rules.shape[0]):
        if rules[rule, 1] == level and rules[rule, 0] < first:
            if seen[rule] > _step_time(rules[rule, 0], first - 1, node, at, opened, before):
                return False
    return True


@compiled
def _walk(
    begin: int, entry: int, end: int, time: Ints, mask: Ints, xmask: Ints, scope: Flags, levels: int, forbid: bool,
    strict: bool, gaps: Ints, rules: Ints, at: Ints, opened: Ints, before: Ints, place: Ints, low: Ints, seen_at: Ints,
    count: Ints, held: Ints, holds: Ints, came: Ints, queue: Ints,
) -> int:  # fmt: skip
    """Note the nodes of one entry's window (places begin..end); gives the number of steps reached."""
    bad = np.full(levels, NEVER, np.int64)
    seen = np.full(rules.shape[0], NEVER, np.int64)
    count[:] = 0
    at[0, 0], opened[0, 0], before[0, 0], place[0, 0], low[0, 0] = time[entry], 0, -1, begin, NEVER
    count[0] = 1
    top = 0
    this = begin
    while this < end:
        now, after = time[this], this + 1
        while after < end and time[after] == now:
            after += 1
        events = np.arange(this, after)
        is_first = now == time[entry]
        highest = top
        for first in range(1, min(highest + 1, levels - 1) + 1):
            way = -1
            if is_first:
                if forbid or first > 1:
                    break
            else:
                way = count[first - 1] - 1
                if way >= 0 and at[first - 1, way] == now:
                    way -= 1
                if way < 0:
                    continue
                least = max(now - gaps[first] if gaps[first] >= 0 else NEVER, bad[first - 1] if strict else NEVER)
                if at[first - 1, way] < least:
                    continue
            held[: events.size] = -1
            if is_first:
                held[entry - this] = -2
            level = first
            while level < levels:
                if not augment(level, mask, events, held, holds, came, queue):
                    break
                if not is_first and not _is_clean(level, first, way, seen, rules, at, opened, before):
                    break
                node = count[level]
                if node == 0 or at[level, node - 1] != now:
                    at[level, node], place[level, node] = now, this
                    opened[level, node] = 0 if is_first else first
                    before[level, node] = way
                    low[level, node] = max(
                        now - gaps[level] if gaps[level] >= 0 else NEVER, bad[level - 1] if strict else NEVER
                    )
                    for rule in range(rules.shape[0]):
                        if rules[rule, 1] == level:
                            seen_at[rule, node] = seen[rule]
                    count[level] = node + 1
                    top = max(top, level)
                if forbid:
                    break
                level += 1
        if top == levels - 1:
            break
        for k in range(this, after):
            for rule in range(rules.shape[0]):
                if (xmask[k] >> rule) & 1:
                    seen[rule] = now
            if strict and scope[k]:
                for level in range(levels):
                    if (mask[k] >> level) & 1 == 0:
                        bad[level] = now
        this = after
    return top + 1


@compiled
def _way_back(
    level: int, node: int, least: Ints, at: Ints, opened: Ints, before: Ints, low: Ints, count: Ints
) -> int:
    """The earliest node of the step before, at an earlier instant, that every bound allows; -1 for none."""
    for way in range(count[level - 1]):
        if at[level - 1, way] >= at[level, node]:
            return -1
        if at[level - 1, way] < low[level, node]:
            continue
        fits = True
        for step in range(level):
            if least[step] > NEVER and _step_time(step, level - 1, way, at, opened, before) < least[step]:
                fits = False
                break
        if fits:
            return way
    return -1


@compiled
def _earliest_chain(
    entry: int, reached: int, time: Ints, mask: Ints, rules: Ints, at: Ints, opened: Ints, before: Ints, place: Ints,
    low: Ints, seen_at: Ints, count: Ints, held: Ints, holds: Ints, came: Ints, queue: Ints, chain: Ints,
) -> None:  # fmt: skip
    """Fill `chain` with the events of the chain to the furthest step whose every step is earliest."""
    least = np.full(chain.size, NEVER, np.int64)
    level, node, high = reached - 1, 0, reached - 1
    while level > 0:
        for rule in range(rules.shape[0]):
            if rules[rule, 1] == level:
                least[rules[rule, 0]] = max(least[rules[rule, 0]], seen_at[rule, node])
        way = _way_back(level, node, least, at, opened, before, low, count)
        if way >= 0:
            _fill_block(level, high, place[level, node], entry, time, mask, held, holds, came, queue, chain)
            level, node, high = level - 1, way, level - 1
        else:  # the step before is filled in the same instant
            now, node = at[level, node], 0
            level -= 1
            while at[level, node] != now:
                node += 1
    chain[0] = entry
    if high > 0:
        _fill_block(1, high, place[0, 0], entry, time, mask, held, holds, came, queue, chain)


@compiled
def _fill_block(
    low: int, high: int, begin: int, entry: int, time: Ints, mask: Ints, held: Ints, holds: Ints, came: Ints, queue: Ints,
    chain: Ints,
) -> None:  # fmt: skip
    """Fill steps low..high from the events of the instant that begins at `begin`."""
    end = begin + 1
    while end < time.size and end - begin < held.size and time[end] == time[begin]:
        end += 1
    assign_first(low, high, mask, np.arange(begin, end), entry, chain, held, holds, came, queue)


@compiled
def _widest(group_starts: Ints, time: Ints, deadline: Ints, entries: Ints, group_of: Ints, begins: Ints, ends: Ints) -> int:
    """Where each entry's instant begins and its window ends (places); gives the widest window in events."""
    widest = 1
    begin, end, last_group = 0, 0, -1
    for number in range(entries.size):
        entry, group = entries[number], group_of[number]
        if group != last_group:
            begin, end, last_group = group_starts[group], group_starts[group], group
        while time[begin] < time[entry]:
            begin += 1
        while end < group_starts[group + 1] and time[end] <= deadline[entry]:
            end += 1
        begins[number], ends[number] = begin, end
        widest = max(widest, end - begin)
    return widest


@compiled
def searched_chains(
    starts: Ints, time: Ints, mask: Ints, xmask: Ints, scope: Flags, deadline: Ints, entries: Ints, group_of: Ints,
    levels: int, forbid: bool, strict: bool, gaps: Ints, rules: Ints,
) -> tuple[Ints, Ints]:  # fmt: skip
    """Chains of all entries, as `linear_chains` gives them.

    `mask` and `xmask` hold a bit per step and per exclusion; `gaps` µs per step or -1; `rules` rows (after, before).
    """
    begins, ends = np.empty(entries.size, np.int64), np.empty(entries.size, np.int64)
    widest = _widest(starts, time, deadline, entries, group_of, begins, ends)
    shape = (levels, widest)
    at, opened, before = np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.int64)
    place, low = np.empty(shape, np.int64), np.empty(shape, np.int64)
    seen_at = np.empty((rules.shape[0], widest), np.int64)
    count, holds, queue = np.empty(levels, np.int64), np.empty(levels, np.int64), np.empty(levels + 1, np.int64)
    held, came = np.empty(widest, np.int64), np.empty(widest, np.int64)
    chains = np.full((entries.size, levels), -1, np.int64)
    reached = np.ones(entries.size, np.int64)
    for number in range(entries.size):
        entry = entries[number]
        reached[number] = _walk(
            begins[number], entry, ends[number], time, mask, xmask, scope, levels, forbid, strict, gaps, rules, at, opened,
            before, place, low, seen_at, count, held, holds, came, queue,
        )  # fmt: skip
        _earliest_chain(
            entry, reached[number], time, mask, rules, at, opened, before, place, low, seen_at, count, held, holds, came,
            queue, chains[number],
        )  # fmt: skip
    return reached, chains
