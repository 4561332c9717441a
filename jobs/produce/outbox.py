"""The outbox: takes batches in order to the spool, to the broker and off the books, through outages and restarts."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from jobs.lake.errors import BrokerError
from jobs.produce.delivery import Delivery, Flight
from jobs.produce.records import Record
from jobs.produce.spool import Batch, Spool

IN_FLIGHT = 4  # batches handed to the client at once
IN_MEMORY = 16  # batches; during an outage the rest waits on disk alone
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0


@dataclass(slots=True)
class _Travelling:
    batch: Batch
    flight: Flight


class Outbox:
    """Batches between acceptance and acknowledgement; an outage makes it pause, never lose."""

    def __init__(self, spool: Spool, delivery: Delivery, on_acknowledged: Callable[[int], None]) -> None:
        """Begins with what an earlier process left in the spool."""
        self._spool = spool
        self._delivery = delivery
        self._on_acknowledged = on_acknowledged
        self._queue = deque(spool.left_over)
        self._travelling: deque[_Travelling] = deque()
        self._pause_seconds = 0.0
        self._next_try = 0.0
        self._trouble = ""
        self.acknowledged = 0

    @property
    def waiting(self) -> int:
        """Records on disk and not yet with the broker."""
        return sum(batch.count for batch in self._queue) + sum(each.batch.count for each in self._travelling)

    def put(self, records: list[Record]) -> None:
        """Put a batch on disk, to be sent in its turn."""
        batch = self._spool.append(records)
        if len(self._queue) >= IN_MEMORY:
            batch.records = None
        self._queue.append(batch)

    def deliver(self, *, leaving: int, patience_seconds: float) -> None:
        """Go on until no more than `leaving` batches wait; BrokerError when nothing moves for so long."""
        deadline = time.monotonic() + patience_seconds
        while len(self._queue) + len(self._travelling) > leaving:
            before = self.acknowledged, len(self._queue)
            self.advance(waiting=True)
            if before != (self.acknowledged, len(self._queue)) and not self._trouble:
                deadline = time.monotonic() + patience_seconds
            elif time.monotonic() > deadline:
                kept = f"{self.waiting} records wait in {self._spool.folder} for the next start"
                raise BrokerError(f"{self._trouble or 'the broker is too slow'}; {kept}")
            time.sleep(max(0.0, min(self._next_try, deadline) - time.monotonic()))

    def advance(self, *, waiting: bool = False) -> None:
        """Start what may start and settle what has landed; `waiting` for the oldest batch."""
        if time.monotonic() < self._next_try:
            return
        self._trouble = self._start() or self._settle(waiting=waiting)
        if self._trouble:
            self._pause_seconds = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, self._pause_seconds * 2))
            self._next_try = time.monotonic() + self._pause_seconds
        else:
            self._pause_seconds = self._next_try = 0.0

    def _start(self) -> str:
        """Hand over what there is room for; returns the trouble met."""
        while self._queue and len(self._travelling) < IN_FLIGHT:
            try:
                flight = self._delivery.start(self._spool.load(self._queue[0]))
            except BrokerError as error:
                return str(error)
            self._travelling.append(_Travelling(self._queue.popleft(), flight))
        return ""

    def _settle(self, *, waiting: bool) -> str:
        """Take what has landed off the books; returns the trouble that made some of it go again."""
        while self._travelling and (waiting or self._travelling[0].flight.has_landed):
            waiting = False
            oldest = self._travelling[0]
            again, trouble = self._finish(oldest)
            if again:
                self._send_again(again)
                return trouble
            self._travelling.popleft()
            self._spool.acknowledge(oldest.batch)
        return ""

    def _send_again(self, oldest: list[Record]) -> None:
        """Put what is on its way back into the queue, in order, less what arrived, and drop the connection."""
        first, *rest = self._travelling
        left = [(first.batch, oldest), *((each.batch, self._finish(each)[0]) for each in rest)]
        self._travelling.clear()
        self._delivery.abandon()
        for batch, records in reversed(left):
            batch.records, batch.count = records, len(records)
            self._queue.appendleft(batch)

    def _finish(self, each: _Travelling) -> tuple[list[Record], str]:
        outcome = self._delivery.finish(each.flight)
        for record, detail in outcome.refused:
            self._spool.refused.keep(record, {"too_large": detail})
        if outcome.acknowledged:
            self.acknowledged += outcome.acknowledged
            self._on_acknowledged(outcome.acknowledged)
        return outcome.again, outcome.trouble
