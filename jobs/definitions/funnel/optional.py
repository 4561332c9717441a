"""Rule 14: steps that may be skipped are filled after the mandatory ones, with what these left over."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled

Ints = NDArray[np.int64]


class Course(NamedTuple):
    """The events by (group, rule 2) and the definition: `mandatory` lists step numbers, `gaps` µs per step or -1."""

    starts: Ints
    time: Ints
    mask: Ints
    deadline: Ints
    mandatory: Ints
    gaps: Ints
    steps: int
    forbid: bool


@compiled
def _earliest_unused(course: Course, begin: int, end: int, after: int, until: int, step: int, chain: Ints) -> int:
    """The first event that matches `step` at instants after..until (both included) and is not in `chain`; or -1."""
    for at in range(begin, end):
        if course.time[at] > until:
            return -1
        if (course.mask[at] >> step) & 1 and course.time[at] >= after and not np.any(chain == at):
            return at
    return -1


@compiled
def _until(course: Course, step: int, entry: int, last: int, following: int) -> int:
    """The last instant an optional step may have: before the next mandatory event, within window and gap.

    `last` and `following` are the mandatory events around it, `following` -1 for none.
    """
    until = course.deadline[entry]
    if following >= 0:
        until = course.time[following] - 1 if course.forbid else course.time[following]
    if course.gaps[step] >= 0:
        until = min(until, course.time[last] + course.gaps[step])
    return int(until)


@compiled
def _fill(course: Course, chain: Ints, mandatory_chain: Ints, reached: int, first: int, end: int) -> None:
    """Fill the optional steps of one chain over all steps, the mandatory ones being there; its group is first..end."""
    # what may be skipped behind the furthest mandatory step may be filled too; what lies further may not
    stop = course.mandatory[reached] if reached < course.mandatory.size else course.steps
    level, after = 0, course.time[chain[0]]
    begin = chain[0]
    while begin > first and course.time[begin - 1] == after:
        begin -= 1
    for step in range(stop):
        if chain[step] < 0:
            following = mandatory_chain[level] if level < reached else -1
            until = _until(course, step, chain[0], mandatory_chain[level - 1], following)
            since = after + 1 if course.forbid else after
            chain[step] = _earliest_unused(course, begin, end, since, until, step, chain)
        else:
            level += 1
        if chain[step] >= 0:
            after = course.time[chain[step]]


@compiled
def fill_optional(course: Course, group_of: Ints, reached: Ints, chains: Ints) -> tuple[Ints, Ints]:
    """The furthest step filled, and chains over all steps: the mandatory ones as found.

    Each optional step has the earliest unused event between its neighbours, or up to the deadline after the last.
    """
    filled = np.full((chains.shape[0], course.steps), -1, np.int64)
    furthest = np.zeros(chains.shape[0], np.int64)
    for entry in range(chains.shape[0]):
        for level in range(reached[entry]):
            filled[entry, course.mandatory[level]] = chains[entry, level]
        group = group_of[entry]
        _fill(course, filled[entry], chains[entry], reached[entry], course.starts[group], course.starts[group + 1])
        for step in range(course.steps):
            if filled[entry, step] >= 0:
                furthest[entry] = step + 1
    return furthest, filled
