"""A log that has been read: its events by kind, what was unreadable, and up to when it is complete."""

from dataclasses import dataclass

import polars as pl

UNKNOWN = "unknown"  # where a contract asks for an id that the log does not have


@dataclass(frozen=True, slots=True)
class Stream:
    """Events of one topic and kind, a row each: `event_time` and `arrival` (µs), the other columns are body fields.

    `arrival` is when the log had the row, which gives the order of sending; a null is a field the event does not have.
    """

    topic: str
    kind: str
    rows: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that no event could be made of, as it was, and where it stood."""

    row: bytes
    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Log:
    """One whole log; entities first, then facts. `last_row` is the time (µs) of its last row."""

    format: str
    zone: str
    rows_in: int
    streams: tuple[Stream, ...]
    unreadable: tuple[Unreadable, ...]
    last_row: int

    @property
    def source(self) -> str:
        """What `ce_source` says of its events."""
        return f"replay:{self.format}"

    @property
    def complete_until(self) -> int:
        """The log holds every row strictly below this time (µs)."""
        return self.last_row + 1

    @property
    def size(self) -> int:
        """How many events it is told in."""
        return sum(stream.rows.height for stream in self.streams)

    @property
    def declared_range(self) -> str:
        """The times its events have, as a replay's header says it: `<from>/<to>` in µs, to exclusive."""
        times = [stream.rows["event_time"] for stream in self.streams if stream.rows.height]
        first = min(int(time.min()) for time in times)  # type: ignore[arg-type]  # integers by construction
        last = max(int(time.max()) for time in times)  # type: ignore[arg-type]
        return f"{first}/{last + 1}"
