"""The searching kernel: ordered and strict funnels with gaps, exclusions and events that match several steps.

It asks for one furthest step after another, from the last on: which entries have a clean chain to it? Given that step,
all that binds a chain binds two neighbouring steps only: the gap, what is strictly between, and of every exclusion that
ends by then that no event of it lies between, or that the step there uses it. Steps filled within one instant are a
*block*, a matching of steps to different events (jobs/definitions/funnel/matching.py).

Such chains form a lattice: the earlier of two, step by step, is again a chain. So the nearest instant that leads on is
always the best one to go to: it allows the earliest of every later step. Going back from the last instant, every
(step, instant) points ahead to it; an entry's chain is the walk along the pointers, as in the linear kernel, and is
good if it ends by the entry's deadline. The work grows with events times steps squared, whatever the window is.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled
from jobs.definitions.funnel.matching import BARRED, FREE, Desk, assign_first, augment, can_all_be_used, room_to_match
from jobs.definitions.funnel.nodes import Bonds, Instants, Stage, furthest_by_order, gather, is_alone, room_for

Ints = NDArray[np.int64]


class Ways(NamedTuple):
    """The ways to the step asked for, by (step, instant): -1 where there is none.

    `block`: the last step of the longest block that begins there and leads on; `ahead`: the instant to go to after a
    block that ends there. `nearest` (by step) is the next instant at which a block that leads on begins, `bad` (by
    step) and `barred` (by exclusion) the next instant a chain cannot go past.
    """

    block: Ints
    ahead: Ints
    nearest: Ints
    bad: Ints
    barred: Ints


class Tools(NamedTuple):
    """Two desks to match on, and whether an event (by its number within the instant) must be used."""

    desk: Desk
    spare: Desk
    must: NDArray[np.bool_]


@compiled
def _ahead(bonds: Bonds, instants: Instants, ways: Ways, level: int, instant: int, target: int) -> int:
    """The nearest later instant from which the step after `level` leads on, if nothing forbids to go there; else -1."""
    following = ways.nearest[level + 1]
    gap = bonds.gaps[level + 1]
    if gap >= 0 and instants.time[following] - instants.time[instant] > gap:
        return -1
    if bonds.strict and 0 <= ways.bad[level] < following:
        return -1
    for rule in range(bonds.rules.shape[0]):
        after, before = bonds.rules[rule]
        if after <= level < before < target and 0 <= ways.barred[rule] < following:
            return -1
    return int(following)


@compiled
def _leads_on(ways: Ways, level: int, instant: int, target: int) -> bool:
    """Whether a block that ends with `level` there has reached the target or a way to it."""
    return bool(level == target - 1 or ways.ahead[level, instant] >= 0)


@compiled
def _must_be_used(bonds: Bonds, stage: Stage, events: Ints, low: int, high: int, target: int, tools: Tools) -> int:
    """Mark and count the events that exclude a chain with the block low..high unless the block uses them."""
    bits, count = np.int64(0), 0
    for rule in range(bonds.rules.shape[0]):
        after, before = bonds.rules[rule]
        if after < low and high < before < target:
            bits |= np.int64(1) << rule
    for k in range(events.size):
        tools.must[k] = stage.xmask[events[k]] & bits != 0
        count += tools.must[k]
    return count


@compiled
def _block(
    stage: Stage, bonds: Bonds, instants: Instants, ways: Ways, tools: Tools, low: int, instant: int, target: int
) -> int:
    """The last step of the longest block that begins with `low` in the instant and leads on; -1 for none."""
    events = instants.events[instants.first[instant] : instants.first[instant + 1]]
    tools.desk.held[: events.size] = FREE
    found = -1
    for high in range(low, low + 1 if bonds.forbid else target):
        if not augment(high, stage.mask, events, tools.desk):
            break
        if _leads_on(ways, high, instant, target):
            must = _must_be_used(bonds, stage, events, low, high, target, tools) if instants.bars[instant] else 0
            if must == 0 or can_all_be_used(must, low, high, stage.mask, events, tools.must, tools.spare):
                found = high
    return found


@compiled
def _entry_block(
    stage: Stage, bonds: Bonds, instants: Instants, ways: Ways, tools: Tools, entry: int, instant: int, target: int
) -> int:
    """The last step of the longest block that the entry begins and that leads on; -1 for none."""
    found = 0 if _leads_on(ways, 0, instant, target) else -1
    if bonds.forbid or is_alone(instants, instant):
        return found
    events = instants.events[instants.first[instant] : instants.first[instant + 1]]
    for k in range(events.size):
        tools.desk.held[k] = BARRED if events[k] == entry else FREE
    for high in range(1, target):
        if not augment(high, stage.mask, events, tools.desk):
            break
        if _leads_on(ways, high, instant, target):
            found = high
    return found


@compiled
def _fill(
    stage: Stage, bonds: Bonds, instants: Instants, tools: Tools, low: int, high: int, instant: int, target: int,
    chain: Ints,
) -> None:  # fmt: skip
    """Fill the block low..high of `chain` with events of the instant; step 0 is there already."""
    if is_alone(instants, instant):
        chain[low] = instants.events[instants.first[instant]]
        return
    events = instants.events[instants.first[instant] : instants.first[instant + 1]]
    must = _must_be_used(bonds, stage, events, low, high, target, tools)
    assign_first(max(low, 1), high, stage.mask, events, must, tools.must, chain, tools.desk, tools.spare)


@compiled
def _takes(
    stage: Stage, bonds: Bonds, instants: Instants, ways: Ways, tools: Tools, entry: int, instant: int, target: int,
    chain: Ints,
) -> bool:  # fmt: skip
    """Whether the entry gets to the target within its window; then its chain is filled."""
    own = _entry_block(stage, bonds, instants, ways, tools, entry, instant, target)
    level, at = own, instant
    while 0 <= level < target - 1:
        at = ways.ahead[level, at]
        level = ways.block[level + 1, at]
    if level < 0 or instants.time[at] > stage.deadline[entry]:
        return False
    if own > 0:
        _fill(stage, bonds, instants, tools, 0, own, instant, target, chain)
    level, at = own, instant
    while level < target - 1:
        at = ways.ahead[level, at]
        low, level = level + 1, ways.block[level + 1, at]
        _fill(stage, bonds, instants, tools, low, level, at, target, chain)
    return True


@compiled
def _note(bits: int, instant: int, latest: Ints) -> None:
    """Put the instant where the bits say."""
    if bits != 0:
        for number in range(latest.size):
            if (bits >> number) & 1:
                latest[number] = instant


@compiled
def _look_around(
    stage: Stage, bonds: Bonds, instants: Instants, ways: Ways, tools: Tools, instant: int, target: int
) -> None:
    """Find the ways from one instant, those from all later ones being known."""
    fits = instants.fits[instant]
    for level in range(target - 1):
        if (fits >> level) & 1:
            can_go = ways.nearest[level + 1] >= 0
            ways.ahead[level, instant] = _ahead(bonds, instants, ways, level, instant, target) if can_go else -1
    for level in range(1, target):
        if (fits >> level) & 1 and is_alone(instants, instant):
            ways.block[level, instant] = level if _leads_on(ways, level, instant, target) else -1
        elif (fits >> level) & 1:
            ways.block[level, instant] = _block(stage, bonds, instants, ways, tools, level, instant, target)


@compiled
def _search(
    stage: Stage, bonds: Bonds, instants: Instants, count: int, ways: Ways, tools: Tools, entries: Ints, target: int,
    reached: Ints, chains: Ints,
) -> int:  # fmt: skip
    """Settle the entries of one group that get to the target (a number of steps); gives how many are left."""
    ways.nearest[:], ways.bad[:], ways.barred[:] = -1, -1, -1
    number, left = entries.size - 1, 0
    for instant in range(count - 1, -1, -1):
        _look_around(stage, bonds, instants, ways, tools, instant, target)
        while number >= 0 and stage.time[entries[number]] == instants.time[instant]:
            if reached[number] == 1:
                is_stuck = is_alone(instants, instant) and ways.ahead[0, instant] < 0
                if not is_stuck and _takes(
                    stage, bonds, instants, ways, tools, entries[number], instant, target, chains[number]
                ):
                    reached[number] = target
                else:
                    left += 1
            number -= 1
        for level in range(1, target):
            if (instants.fits[instant] >> level) & 1 and ways.block[level, instant] >= 0:
                ways.nearest[level] = instant
        _note(instants.bad[instant], instant, ways.bad)
        _note(instants.bars[instant], instant, ways.barred)
    return left


@compiled
def searched_chains(stage: Stage, bonds: Bonds, entries: Ints, group_of: Ints) -> tuple[Ints, Ints]:
    """Chains of all entries (places of events), as `linear_chains` gives them."""
    widest, levels, rules = 1, bonds.levels, bonds.rules.shape[0]
    for number in range(entries.size):
        widest = max(widest, stage.starts[group_of[number] + 1] - stage.starts[group_of[number]])
    instants, met = room_for(widest), np.empty(levels + rules, np.int64)
    ways = Ways(
        np.empty((levels, widest), np.int64), np.empty((levels, widest), np.int64),
        np.empty(levels, np.int64), np.empty(levels, np.int64), np.empty(rules, np.int64),
    )  # fmt: skip
    most = min(widest, (levels + rules) * (levels + 1))
    tools = Tools(room_to_match(most, levels), room_to_match(most, levels), np.empty(most, np.bool_))
    chains = np.full((entries.size, levels), -1, np.int64)
    chains[:, 0] = entries
    reached = np.ones(entries.size, np.int64)
    first = 0
    while first < entries.size:
        group, last = group_of[first], first
        while last < entries.size and group_of[last] == group:
            last += 1
        begin = entries[first]
        while begin > stage.starts[group] and stage.time[begin - 1] == stage.time[begin]:
            begin -= 1
        count = gather(stage, bonds, begin, stage.starts[group + 1], instants, met)
        target = furthest_by_order(instants, count, bonds)
        left = last - first
        while target > 1 and left > 0:
            left = _search(
                stage, bonds, instants, count, ways, tools, entries[first:last], target,
                reached[first:last], chains[first:last],
            )  # fmt: skip
            target -= 1
        first = last
    return reached, chains
