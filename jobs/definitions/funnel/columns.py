"""Events of a file as columns: what is compared as codes, what a `where` asks about as Arrow arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from jobs.definitions.funnel.judged import Ints

ENVELOPE = ("subject", "event_time", "event_id", "event")  # what every event has; all else are properties


@dataclass(frozen=True, slots=True)
class Asked:
    """The properties a definition reads: `tested` by its predicates, `compared` for equality (hold, double taps)."""

    tested: frozenset[str] = frozenset()
    compared: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Each of them once."""
        return tuple(sorted({*self.tested, *self.compared}))


@dataclass(frozen=True)
class Property:
    """A property, null where an event lacks it; `kinds`: DuckDB's words for its values → the first line with one.

    `values` mean nothing where kinds are mixed; `codes` are equal where type and value are, -1 for null.
    """

    kinds: dict[str, int]
    values: pa.ChunkedArray
    codes: Ints

    def of(self, rows: Ints) -> Property:
        """The property of some of the events."""
        return Property(
            self.kinds,
            self.values.take(rows) if len(self.values) else self.values,
            self.codes[rows] if self.codes.size else self.codes,
        )


@dataclass(frozen=True)
class EventColumns:
    """Events in the order of the file; arrays of one length.

    `line` is where one stands, `subject` its place in `subjects` (numbers before texts, sorted), `time` epoch µs,
    `event` its place in `names`; ids are texts, or integers that mean their texts. `given` names every property of
    the file, the asked ones are in `properties`.
    """

    line: Ints
    subject: Ints
    subjects: Sequence[str | int]
    time: Ints
    event_id: pa.ChunkedArray
    event: Ints
    names: Sequence[str]
    given: Collection[str]
    properties: Mapping[str, Property]

    def without(self, places: Ints) -> EventColumns:
        """These events less some of them, which repeat others."""
        if places.size == 0:
            return self
        kept = np.delete(np.arange(self.line.size), places)
        return replace(
            self, line=self.line[kept], subject=self.subject[kept], time=self.time[kept], event=self.event[kept],
            event_id=self.event_id.take(kept),
            properties={name: found.of(kept) for name, found in self.properties.items()},
        )  # fmt: skip
