"""Rule 22: double taps, worked out from a subject's sorted events."""

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled

Ints = NDArray[np.int64]
DOUBLE_TAP_US = 1_000_000


@compiled
def double_taps(order: Ints, starts: Ints, time: Ints) -> NDArray[np.bool_]:
    """Whether each row comes within a second of the last row not flagged of its group (subject, event, object).

    `order` lists rows by (group, time, event id); `starts` says where each group starts.
    """
    found = np.zeros(order.size, np.bool_)
    for group in range(starts.size - 1):
        kept = -1
        for place in range(starts[group], starts[group + 1]):
            row = order[place]
            if kept >= 0 and time[row] - time[kept] <= DOUBLE_TAP_US:
                found[row] = True
            else:
                kept = row
    return found
