"""The searching kernel: ordered and strict funnels with gaps, exclusions and events that match several steps.

For one entry, walk its window instant by instant and note every (step, instant) a clean chain can stand at: a *node*.
Chains of one entry form a lattice: the later of two chains, step by step, is again a chain, and so is the earlier. So
a node needs only its latest way in, which is best for gaps, exclusions and strictness alike; and the one chain whose
every step is earliest is found by going back from the first node of the furthest step. Steps filled within one instant
are a *block*, a matching of steps to different events (jobs/definitions/funnel/matching.py).
"""

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled
from jobs.definitions.funnel.matching import Desk, assign_first, augment
from jobs.definitions.funnel.nodes import NEVER, Bonds, Nodes, Past, Stage, is_clean, least_before, note, step_time

Ints = NDArray[np.int64]


@compiled
def _extend(
    stage: Stage,
    bonds: Bonds,
    nodes: Nodes,
    past: Past,
    desk: Desk,
    this: int,
    after: int,
    first: int,
    way: int,
    entry: int,
) -> int:
    """Fill steps from `first` on with events of one instant (places this..after); gives the last step filled or -1.

    In the entry's own instant `way` is -1 and the entry (place `entry`, else -1) is not to be used again.
    """
    events = np.arange(this, after)
    desk.held[: events.size] = -1
    if entry >= 0:
        desk.held[entry - this] = -2
    reached = -1
    for level in range(first, bonds.levels):
        if not augment(level, stage.mask, events, desk):
            break
        if way >= 0 and not is_clean(bonds, nodes, past, level, first, way):
            break
        note(bonds, nodes, past, level, first if way >= 0 else 0, way, stage.time[this], this)
        reached = level
        if bonds.forbid:
            break
    return reached


@compiled
def _way_in(bonds: Bonds, nodes: Nodes, past: Past, first: int, now: int) -> int:
    """The latest node of the step before `first` at an earlier instant, if gap and strictness allow it; else -1."""
    way = nodes.size[first - 1] - 1
    if way >= 0 and nodes.at[first - 1, way] == now:
        way -= 1
    if way >= 0 and nodes.at[first - 1, way] < least_before(bonds, past, first, now):
        return -1
    return int(way)


@compiled
def _remember(stage: Stage, bonds: Bonds, past: Past, this: int, after: int) -> None:
    """Put the events of an instant behind us."""
    now = stage.time[this]
    for at in range(this, after):
        for rule in range(bonds.rules.shape[0]):
            if (stage.xmask[at] >> rule) & 1:
                past.seen[rule] = now
        if bonds.strict and stage.scope[at]:
            for level in range(bonds.levels):
                if (stage.mask[at] >> level) & 1 == 0:
                    past.bad[level] = now


@compiled
def _walk(stage: Stage, bonds: Bonds, nodes: Nodes, past: Past, desk: Desk, entry: int, begin: int, end: int) -> int:
    """Note the nodes of one entry's window (places begin..end); gives the number of steps reached."""
    past.bad[:], past.seen[:], nodes.size[:] = NEVER, NEVER, 0
    note(bonds, nodes, past, 0, 0, -1, stage.time[entry], begin)
    top, this = 0, begin
    while this < end and top < bonds.levels - 1:
        after = this + 1
        while after < end and stage.time[after] == stage.time[this]:
            after += 1
        if stage.time[this] == stage.time[entry]:
            if not bonds.forbid:
                top = max(top, _extend(stage, bonds, nodes, past, desk, this, after, 1, -1, entry))
        else:
            for first in range(1, min(top + 1, bonds.levels - 1) + 1):
                way = _way_in(bonds, nodes, past, first, stage.time[this])
                if way >= 0:
                    top = max(top, _extend(stage, bonds, nodes, past, desk, this, after, first, way, -1))
        _remember(stage, bonds, past, this, after)
        this = after
    return top + 1


@compiled
def _way_back(nodes: Nodes, bounds: Ints, level: int, node: int) -> int:
    """The earliest node of the step before, at an earlier instant, that every bound allows; -1 for none."""
    for way in range(nodes.size[level - 1]):
        if nodes.at[level - 1, way] >= nodes.at[level, node]:
            return -1
        fits = nodes.at[level - 1, way] >= nodes.least[level, node]
        for step in range(level):
            if fits and bounds[step] > NEVER and step_time(nodes, step, level - 1, way) < bounds[step]:
                fits = False
        if fits:
            return way
    return -1


@compiled
def _earliest_chain(
    stage: Stage, bonds: Bonds, nodes: Nodes, desk: Desk, entry: int, end: int, reached: int, chain: Ints
) -> None:
    """Fill `chain` with the events (before place `end`) of the furthest chain whose every step is earliest."""
    bounds = np.full(chain.size, NEVER, np.int64)
    level, node, high = reached - 1, 0, reached - 1
    while level > 0:
        for rule in range(bonds.rules.shape[0]):
            after, before = bonds.rules[rule]
            if before == level:
                bounds[after] = max(bounds[after], nodes.seen[rule, node])
        way = _way_back(nodes, bounds, level, node)
        if way >= 0:
            _fill_block(stage, desk, level, high, nodes.place[level, node], end, entry, chain)
            level, node, high = level - 1, way, level - 1
        else:  # the step before is filled in the same instant
            now, node = nodes.at[level, node], 0
            level -= 1
            while nodes.at[level, node] != now:
                node += 1
    chain[0] = entry
    if high > 0:
        _fill_block(stage, desk, 1, high, nodes.place[0, 0], end, entry, chain)


@compiled
def _fill_block(stage: Stage, desk: Desk, low: int, high: int, begin: int, end: int, entry: int, chain: Ints) -> None:
    """Fill steps low..high from the events of the instant that begins at `begin`; the window's end at `end`."""
    after = begin + 1
    while after < end and stage.time[after] == stage.time[begin]:
        after += 1
    assign_first(low, high, stage.mask, np.arange(begin, after), entry, chain, desk)


@compiled
def _windows(stage: Stage, entries: Ints, group_of: Ints) -> tuple[Ints, Ints]:
    """Where each entry's instant begins, and where its window ends (places)."""
    begins, ends = np.empty(entries.size, np.int64), np.empty(entries.size, np.int64)
    begin, end, last_group = 0, 0, -1
    for number in range(entries.size):
        entry, group = entries[number], group_of[number]
        if group != last_group:
            begin, end, last_group = stage.starts[group], stage.starts[group], group
        while stage.time[begin] < stage.time[entry]:
            begin += 1
        while end < stage.starts[group + 1] and stage.time[end] <= stage.deadline[entry]:
            end += 1
        begins[number], ends[number] = begin, end
    return begins, ends


@compiled
def searched_chains(stage: Stage, bonds: Bonds, entries: Ints, group_of: Ints) -> tuple[Ints, Ints]:
    """Chains of all entries (places of events), as `linear_chains` gives them."""
    begins, ends = _windows(stage, entries, group_of)
    widest, levels = max(1, int((ends - begins).max())) if entries.size else 1, bonds.levels
    nodes = Nodes(
        np.empty((levels, widest), np.int64), np.empty((levels, widest), np.int64),
        np.empty((levels, widest), np.int64), np.empty((levels, widest), np.int64),
        np.empty((levels, widest), np.int64),
        np.empty((bonds.rules.shape[0], widest), np.int64), np.empty(levels, np.int64),
    )  # fmt: skip
    past = Past(np.empty(levels, np.int64), np.empty(bonds.rules.shape[0], np.int64))
    desk = Desk(
        np.empty(widest, np.int64),
        np.empty(levels, np.int64),
        np.empty(widest, np.int64),
        np.empty(levels + 1, np.int64),
    )
    chains = np.full((entries.size, levels), -1, np.int64)
    reached = np.ones(entries.size, np.int64)
    for number in range(entries.size):
        entry = entries[number]
        reached[number] = _walk(stage, bonds, nodes, past, desk, entry, begins[number], ends[number])
        _earliest_chain(stage, bonds, nodes, desk, entry, ends[number], reached[number], chains[number])
    return reached, chains
