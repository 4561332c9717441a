"""What the searching kernel notes of one entry: the (step, instant) nodes that clean chains can stand at."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
NEVER = -(2**62)


class Stage(NamedTuple):
    """The events, by (group, rule 2): `mask` and `xmask` hold a bit per step and per exclusion."""

    starts: Ints
    time: Ints
    mask: Ints
    xmask: Ints
    scope: Flags
    deadline: Ints


class Bonds(NamedTuple):
    """What binds the steps: `gaps` µs per step or -1, `rules` a row (after, before) per exclusion."""

    levels: int
    forbid: bool
    strict: bool
    gaps: Ints
    rules: Ints


class Nodes(NamedTuple):
    """The nodes of one entry by (step, number); `size`: how many a step has.

    `at` is the instant, `opened` the step its block begins with, `before` the number of its latest way in (a node of
    step opened - 1), `place` the instant's first event, `least` the earliest instant the step before may have, `seen`
    (by exclusion) when an excluding event was last.
    """

    at: Ints
    opened: Ints
    before: Ints
    place: Ints
    least: Ints
    seen: Ints
    size: Ints


class Past(NamedTuple):
    """What lies behind the instant looked at.

    Per step the last event of the scope that is none of its repeats, per exclusion the last excluding event.
    """

    bad: Ints
    seen: Ints


@compiled
def step_time(nodes: Nodes, step: int, level: int, node: int) -> int:
    """When the latest chain into a node fills an earlier step."""
    while nodes.opened[level, node] > step:
        level, node = nodes.opened[level, node] - 1, nodes.before[level, node]
    return nodes.at[level, node]  # type: ignore[no-any-return]


@compiled
def least_before(bonds: Bonds, past: Past, level: int, now: int) -> int:
    """The earliest instant the step before `level` may have, for gap and strictness."""
    least = now - bonds.gaps[level] if bonds.gaps[level] >= 0 else NEVER
    return max(least, past.bad[level - 1]) if bonds.strict else least


@compiled
def is_clean(bonds: Bonds, nodes: Nodes, past: Past, level: int, first: int, way: int) -> bool:
    """No exclusion that ends at `level` has happened since its first step, in the chain through `way` of first - 1."""
    for rule in range(bonds.rules.shape[0]):
        after, before = bonds.rules[rule]
        if before == level and after < first and past.seen[rule] > step_time(nodes, after, first - 1, way):
            return False
    return True


@compiled
def note(bonds: Bonds, nodes: Nodes, past: Past, level: int, first: int, way: int, now: int, place: int) -> None:
    """Add the node (level, now), unless a later way in has added it already."""
    node = nodes.size[level]
    if node > 0 and nodes.at[level, node - 1] == now:
        return
    nodes.at[level, node], nodes.place[level, node] = now, place
    nodes.opened[level, node], nodes.before[level, node] = first, way
    nodes.least[level, node] = least_before(bonds, past, level, now)
    for rule in range(bonds.rules.shape[0]):
        if bonds.rules[rule, 1] == level:
            nodes.seen[rule, node] = past.seen[rule]
    nodes.size[level] = node + 1
