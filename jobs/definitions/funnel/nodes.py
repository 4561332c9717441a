"""What the searching kernel knows: the events, what binds the steps, and the instants of one subject and hold key."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


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


class Instants(NamedTuple):
    """The instants of one group, from that of its first entry on.

    `events` (places) from `first` on are those that may be of use; `fits` has the bits of all steps that an event fits,
    `bad` of those a strict chain cannot go past after, `bars` of the exclusions an event belongs to.
    """

    time: Ints
    first: Ints
    events: Ints
    fits: Ints
    bad: Ints
    bars: Ints


@compiled
def room_for(widest: int) -> Instants:
    """Room for groups of so many events."""
    return Instants(
        np.empty(widest, np.int64), np.empty(widest + 1, np.int64), np.empty(widest, np.int64),
        np.empty(widest, np.int64), np.empty(widest, np.int64), np.empty(widest, np.int64),
    )  # fmt: skip


@compiled
def gather(stage: Stage, bonds: Bonds, begin: int, end: int, instants: Instants, met: Ints) -> int:
    """Note the instants of places begin..end and give their number; `met` has room for a count per step and exclusion.

    Of the events of one instant the first `levels` + 1 that fit a step are enough for any block, one of them being the
    entry; so are as many of each exclusion, of which a block can use no more than it has steps.
    """
    count, kept, this = 0, 0, begin
    while this < end:
        after = this + 1
        while after < end and stage.time[after] == stage.time[this]:
            after += 1
        instants.time[count], instants.first[count] = stage.time[this], kept
        fits, bad, bars = np.int64(0), np.int64(0), np.int64(0)
        met[:] = 0
        for at in range(this, after):
            fits, bars = fits | stage.mask[at], bars | stage.xmask[at]
            if bonds.strict and stage.scope[at]:
                bad |= ~stage.mask[at]
            if after - this == 1 or _may_be_of_use(stage, bonds, at, met):
                instants.events[kept] = at
                kept += 1
        instants.fits[count], instants.bad[count], instants.bars[count] = fits, bad, bars
        count, this = count + 1, after
    instants.first[count] = kept
    return count


@compiled
def is_alone(instants: Instants, instant: int) -> bool:
    """Whether only one event of the instant may be of use."""
    return bool(instants.first[instant + 1] - instants.first[instant] == 1)


@compiled
def _may_be_of_use(stage: Stage, bonds: Bonds, event: int, met: Ints) -> bool:
    """Whether the event is among the first of its instant for one of its steps or exclusions."""
    found = False
    for step in range(bonds.levels):
        if (stage.mask[event] >> step) & 1:
            found = found or met[step] <= bonds.levels
            met[step] += 1
    for rule in range(bonds.rules.shape[0]):
        if (stage.xmask[event] >> rule) & 1:
            found = found or met[bonds.levels + rule] <= bonds.levels
            met[bonds.levels + rule] += 1
    return found


@compiled
def furthest_by_order(instants: Instants, count: int, bonds: Bonds) -> int:
    """How many steps could be reached if nothing but the order of instants counted."""
    reached = 1
    for instant in range(count):
        while reached < bonds.levels and (instants.fits[instant] >> reached) & 1:
            reached += 1
    return reached
