"""Rule 14: steps that may be skipped are filled after the mandatory ones, with what these left over."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled
from jobs.definitions.funnel.signs import Signs, put_up_signs

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
def _earliest_unused(course: Course, fitting: Ints, begin: int, end: int, until: int, chain: Ints) -> int:
    """The first event from `begin` on that fits, is not in `chain` and not later than `until`; or -1."""
    at = fitting[begin] if begin < end else -1
    while at >= 0 and course.time[at] <= until:
        if not np.any(chain == at):
            return int(at)
        at = fitting[at + 1] if at + 1 < end else -1
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
def _fill(course: Course, signs: Signs, chain: Ints, mandatory_chain: Ints, reached: int, end: int) -> None:
    """Fill the optional steps of one chain over all steps, the mandatory ones being there; its group ends at `end`."""
    # what may be skipped behind the furthest mandatory step may be filled too; what lies further may not
    stop = course.mandatory[reached] if reached < course.mandatory.size else course.steps
    level, last = 0, chain[0]
    for step in range(stop):
        if chain[step] < 0:
            following = mandatory_chain[level] if level < reached else -1
            until = _until(course, step, chain[0], mandatory_chain[level - 1], following)
            begin = signs.closes[last] if course.forbid else signs.opens[last]
            chain[step] = _earliest_unused(course, signs.fitting[step], begin, end, until, chain)
        else:
            level += 1
        if chain[step] >= 0:
            last = chain[step]


@compiled
def fill_optional(course: Course, group_of: Ints, reached: Ints, chains: Ints) -> tuple[Ints, Ints]:
    """The furthest step filled, and chains over all steps: the mandatory ones as found.

    Each optional step has the earliest unused event between its neighbours, or up to the deadline after the last.
    """
    signs = put_up_signs(course.starts, course.time, course.mask, course.steps)
    filled = np.full((chains.shape[0], course.steps), -1, np.int64)
    furthest = np.zeros(chains.shape[0], np.int64)
    for entry in range(chains.shape[0]):
        for level in range(reached[entry]):
            filled[entry, course.mandatory[level]] = chains[entry, level]
        end = course.starts[group_of[entry] + 1]
        _fill(course, signs, filled[entry], chains[entry], reached[entry], end)
        for step in range(course.steps):
            if filled[entry, step] >= 0:
                furthest[entry] = step + 1
    return furthest, filled
