"""Rule 14: steps that may be skipped are filled after the mandatory ones, with what these left over."""

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.funnel.compiled import compiled

Ints = NDArray[np.int64]


@compiled
def _earliest_unused(
    begin: int, end: int, after: int, until: int, forbid: bool, step: int, time: Ints, mask: Ints, chain: Ints
) -> int:
    """The first event that matches `step` at instants after..until (`forbid`: strictly between) and is not in `chain`."""
    for at in range(begin, end):
        if time[at] > until or (forbid and time[at] == until):
            return -1
        if (mask[at] >> step) & 1 == 0 or time[at] < after or (forbid and time[at] == after):
            continue
        is_used = False
        for other in range(chain.size):
            if chain[other] == at:
                is_used = True
        if not is_used:
            return at
    return -1


@compiled
def fill_optional(
    starts: Ints, time: Ints, mask: Ints, deadline: Ints, group_of: Ints, reached: Ints, chains: Ints, mandatory: Ints,
    steps: int, forbid: bool, gaps: Ints,
) -> tuple[Ints, Ints]:  # fmt: skip
    """Chains over all steps: the mandatory ones as found, each optional step with the earliest unused event between its
    neighbours, or up to the deadline after the last. `mandatory` lists step numbers; `gaps` µs per step or -1.
    """
    filled = np.full((chains.shape[0], steps), -1, np.int64)
    furthest = np.zeros(chains.shape[0], np.int64)
    for entry in range(chains.shape[0]):
        chain, group = filled[entry], group_of[entry]
        for level in range(reached[entry]):
            chain[mandatory[level]] = chains[entry, level]
        # the gap behind the furthest mandatory step may be filled too, what lies further may not
        stop = mandatory[reached[entry]] if reached[entry] < mandatory.size else steps
        level, after, begin = 0, time[chain[0]], chain[0]
        while begin > starts[group] and time[begin - 1] == after:
            begin -= 1
        for step in range(stop):
            if chain[step] >= 0:
                level += 1
                after = time[chain[step]]
                continue
            until, is_last = deadline[chain[0]], level >= reached[entry]
            strict_end = forbid and not is_last
            if not is_last:
                until = time[chains[entry, level]]
            if gaps[step] >= 0 and time[chains[entry, level - 1]] + gaps[step] < until:
                until, strict_end = time[chains[entry, level - 1]] + gaps[step], False
            if forbid and not strict_end:
                until += 1  # the end itself counts here, and nothing lies between two microseconds
            chain[step] = _earliest_unused(begin, starts[group + 1], after, until, forbid, step, time, mask, chain)
            if chain[step] >= 0:
                after = time[chain[step]]
        for step in range(steps):
            if chain[step] >= 0:
                furthest[entry] = step + 1
    return furthest, filled
