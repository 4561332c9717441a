"""Signs that spare a walk: where an event's instant begins and ends, and the next event that fits a step."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled

Ints = NDArray[np.int64]


class Signs(NamedTuple):
    """By event where to look on: its instant's first event, the one after its instant's last, and the next that fits.

    `fitting` is by (step, event): the first event of the group from there on that fits the step, or -1.
    """

    opens: Ints
    closes: Ints
    fitting: Ints


@compiled
def put_up_signs(starts: Ints, time: Ints, mask: Ints, steps: int) -> Signs:
    """The signs of all events, which are sorted by (group, time)."""
    size = time.size
    signs = Signs(np.empty(size, np.int64), np.empty(size, np.int64), np.empty((steps, size), np.int64))
    for group in range(starts.size - 1):
        first, end = starts[group], starts[group + 1]
        for at in range(first, end):
            signs.opens[at] = signs.opens[at - 1] if at > first and time[at - 1] == time[at] else at
        for at in range(end - 1, first - 1, -1):
            signs.closes[at] = signs.closes[at + 1] if at < end - 1 and time[at + 1] == time[at] else at + 1
        for step in range(steps):
            nearest = -1
            for at in range(end - 1, first - 1, -1):
                if (mask[at] >> step) & 1:
                    nearest = at
                signs.fitting[step, at] = nearest
    return signs
