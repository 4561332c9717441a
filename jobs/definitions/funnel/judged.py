"""What goes into the engine and what comes out: events, entries and attempts as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class SomeIds:
    """The ids of some events, looked up only when asked for: most are never needed."""

    ids: Any
    rows: Ints

    def __len__(self) -> int:
        return self.rows.size

    def take(self, places: Ints) -> pa.ChunkedArray:
        """Those at some places."""
        return self.ids.take(self.rows[places])


@dataclass(frozen=True)
class Events:
    """Events as one definition sees them, in any order; arrays of one length.

    `subject` and `hold` are codes from 0 (hold -1: a null in the key); `time` epoch µs; `mask` a bit per step and
    `xmask` per exclusion whose event and `where` fit; `in_scope` for strict; `is_opening`: has the name of step 1;
    `object_key`: a code for (event name, object), for double taps. Ids that are integers mean their texts.
    """

    subject: Ints
    time: Ints
    event_id: pa.Array | pa.ChunkedArray | SomeIds | NDArray[np.object_]
    mask: Ints
    xmask: Ints | None = None
    in_scope: Flags | None = None
    is_opening: Flags | None = None
    hold: Ints | None = None
    object_key: Ints | None = None

    def of(self, rows: Ints, first: int) -> Events:
        """Some of the events, of subjects from `first` on, which are counted from there."""
        return Events(
            subject=self.subject[rows] - first,
            time=self.time[rows],
            event_id=SomeIds(self.event_id, rows),
            mask=self.mask[rows],
            xmask=None if self.xmask is None else self.xmask[rows],
            in_scope=None if self.in_scope is None else self.in_scope[rows],
            is_opening=None if self.is_opening is None else self.is_opening[rows],
            hold=None if self.hold is None else self.hold[rows],
            object_key=None if self.object_key is None else self.object_key[rows],
        )


@dataclass(frozen=True)
class Entries:
    """Every entry, by (subject, hold key, rule 2); `row` and `chain` are numbers of the events handed in.

    `got_at` is when its furthest step was reached, `place` its place among all events by rule 2, `deadline` the last
    microsecond of its window.
    """

    row: Ints
    subject: Ints
    time: Ints
    place: Ints
    deadline: Ints
    reached: Ints
    chain: Ints
    got_at: Ints
    is_converted: Flags
    is_excluded: Flags
    nulls: Ints  # rows of entries that open nothing for a null in their hold key


@dataclass(frozen=True)
class Attempts:
    """Every attempt: numbers of the entries that give identity and steps, its first and last one, and how many."""

    identity: Ints
    steps: Ints
    first: Ints
    last: Ints
    size: Ints
