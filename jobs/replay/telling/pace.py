"""The pace of a replay: the log's own time between rows, so many times as fast."""

import time


class Pace:
    """Holds each event back until its turn; `speed` 60 tells an hour of the log in a minute, None waits for nothing."""

    def __init__(self, speed: float | None) -> None:
        """The clock starts with the first event."""
        self._speed = speed
        self._first_arrival = 0
        self._started = 0.0

    def seconds_early(self, arrival: int) -> float:
        """How long an event that the log had at `arrival` (µs) is still to wait; the first one starts the clock."""
        if self._speed is None:
            return 0.0
        if not self._started:
            self._first_arrival, self._started = arrival, time.monotonic()
        due = self._started + (arrival - self._first_arrival) / 1e6 / self._speed
        return max(0.0, due - time.monotonic())
