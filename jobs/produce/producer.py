"""The producer: validated, spooled, idempotent; every record's result is looked at.

    with Producer(settings, source="app:ios", spool=folder) as producer:
        producer.send("likes", {"kind": "like", "event_time": …, "user_id": "u1", …})

What `send` accepted is on disk after 2,000 records, a fifth of a second of sending or `secure()`, and with the broker
once `flush()` has returned. What a killed process left on disk, the next producer on its spool sends, ids unchanged.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jobs.lake.errors import ContractError
from jobs.lake.event_validator import validator
from jobs.lake.settings import Settings
from jobs.produce.completeness import announcements
from jobs.produce.delivery import Delivery, Offsets
from jobs.produce.envelope import completed, encoded
from jobs.produce.outbox import IN_FLIGHT, Outbox
from jobs.produce.records import CONTRACT_VERSION, UNSTAMPED, Headers, Record, headers, key
from jobs.produce.refused import Refused
from jobs.produce.spool import Spool

BATCH_RECORDS = 2_000
BATCH_SECONDS = 0.2
PATIENCE_SECONDS = 60.0


class Producer:
    """Sends the events of one source through one spool; not to be shared by threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        source: str,
        spool: Path,
        declared_range: str = "",
        marks: Iterable[tuple[str, bytes]] = (),
        patience_seconds: float = PATIENCE_SECONDS,
        on_acknowledged: Callable[[int], None] = lambda count: None,
    ) -> None:
        """Open the spool, which begins a new epoch; the broker may be away. LeaseError when the spool is in use.

        A replay declares the range of event times it speaks about: `<from>/<to>` in µs, to exclusive. Every event
        carries `marks`, further headers.
        """
        self.source = source
        self._marks = tuple(marks)
        self._declared_range = declared_range
        self.patience_seconds = patience_seconds
        self._schemas_dir = settings.schemas_dir
        self._spool = Spool(spool)
        self._delivery = Delivery(settings, self._spool.producer_id)
        self._outbox = Outbox(self._spool, self._delivery, on_acknowledged)
        self._buffer: list[Record] = []
        self._buffered_at = 0.0
        self._seq = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(waiting=kind is None)

    @property
    def acknowledged(self) -> int:
        """Records the broker confirmed since this producer began, left-overs of earlier ones included."""
        return self._outbox.acknowledged

    @property
    def left_over(self) -> int:
        """Records that an earlier process left in the spool."""
        return sum(batch.count for batch in self._spool.left_over)

    @property
    def waiting(self) -> int:
        """Records accepted and not yet with the broker."""
        return len(self._buffer) + self._outbox.waiting

    @property
    def refused(self) -> Refused:
        """The records kept back: how many, why, and where they lie."""
        return self._spool.refused

    @property
    def next_offsets(self) -> Offsets:
        """For each topic and partition the offset after the last record acknowledged to us."""
        return self._delivery.next_offsets

    def next_position(self) -> dict[str, Any]:
        """`producer` of one more event: id, epoch, and a seq that grows by one with each call."""
        self._seq += 1
        return {"id": self._spool.producer_id, "epoch": self._spool.epoch, "seq": self._seq - 1}

    def next_opening(self) -> bytes:
        r"""How a ready-made body begins: `{"sent_time":"now","producer":{…},`, to which `"event_id":…}` is joined."""
        self._seq += 1
        place = self._spool.producer_id.encode(), self._spool.epoch, self._seq - 1
        return UNSTAMPED + b',"producer":{"id":"%b","epoch":%d,"seq":%d},' % place

    def send(
        self, topic: str, body: Mapping[str, Any], *, waiting: bool = False, version: int = CONTRACT_VERSION
    ) -> bool:
        """Fill in what the envelope lacks, check the contract, accept the event; False when it was refused and kept.

        `version` is that of the contract; ContractError when there is none such. Never waits for the broker (the spool
        takes what it does not), unless `waiting`: then as `send_many` does.
        """
        place = self._seq
        whole = completed(body, self.next_position)
        value, faults = self._judged(topic, whole, version, is_stamped_late="sent_time" not in body)
        if faults:
            self._seq = place  # a gap in the count would look like loss
            self.refused.keep(Record(topic, key(topic, whole), value, []), faults)
            return False
        own = headers(topic, self.source, whole["event_id"], whole["event_time"], self._declared_range, version)
        self._accept(
            Record(topic, key(topic, whole), value, [*own, *self._marks]), self.patience_seconds if waiting else None
        )
        return True

    def send_record(self, record: Record) -> None:
        """Accept a finished record, unchecked."""
        self._accept(record)

    def _judged(
        self, topic: str, body: dict[str, Any], version: int, *, is_stamped_late: bool
    ) -> tuple[bytes, dict[str, str]]:
        """The body's bytes, and what is wrong with it: reason → explanation."""
        faults = {fault.reason: str(fault) for fault in validator(topic, version, self._schemas_dir).faults(body)}
        try:
            return encoded(body, is_stamped_late=is_stamped_late and not faults), faults
        except (TypeError, RecursionError) as error:
            return repr(body).encode(errors="backslashreplace"), faults or {"malformed_json": str(error)}

    def send_many(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None, Headers]]) -> int:
        """The fast way for bulk senders: (key, value, headers), unchecked; returns how many.

        A value that begins with `{"sent_time":"now"` (or `"now-5000000"`: a clock five seconds slow) is stamped at each
        physical send; any other goes as it is. A null value closes an entity. Waits while the broker is behind;
        BrokerError when it stays away.
        """
        return self.send_records(Record(topic, *record) for record in records)

    def send_records(self, records: Iterable[Record]) -> int:
        """`send_many` for records of several topics in one order."""
        count = 0
        for count, record in enumerate(records, 1):  # noqa: B007  the last number is the answer
            self._accept(record, patience_seconds=self.patience_seconds)
        return count

    def announce_complete(
        self, complete_until: Mapping[str, int], *, is_final: bool, offsets: Offsets | None = None, source: str = ""
    ) -> None:
        """Say on `control` up to when (µs) each topic is complete, once all before it is acknowledged.

        `offsets` (topic → partition → next offset) are those the broker gave us, unless somebody else wrote the facts.
        """
        self.flush()
        known = self.next_offsets if offsets is None else offsets
        for body in announcements(source or self.source, complete_until, known, is_final=is_final):
            if not self.send("control", body):
                raise ContractError(f"control: {', '.join(self.refused.reasons)} in {body}; see {self.refused.path}")
        self.flush()

    def secure(self) -> None:
        """Return when all that was accepted is on disk, whatever the broker does."""
        if self._buffer:
            records, self._buffer = self._buffer, []
            self._outbox.put(records)

    def flush(self, patience_seconds: float | None = None) -> None:
        """Return when all that was accepted is with the broker; BrokerError when nothing moves for so long."""
        self.secure()
        patience = self.patience_seconds if patience_seconds is None else patience_seconds
        self._outbox.deliver(leaving=0, patience_seconds=patience)
        self.refused.sync()

    def close(self, *, waiting: bool = True) -> None:
        """Flush (if `waiting`) and give the spool up; what the broker lacks stays in it for the next start."""
        try:
            if waiting:
                self.flush()
            else:
                self.secure()
        finally:
            self._delivery.abandon()
            self._spool.close(is_empty=not self.waiting)

    def _accept(self, record: Record, patience_seconds: float | None = None) -> None:
        """Take a record on; with a patience, wait for the broker where it is behind."""
        now = time.monotonic()
        if not self._buffer:
            self._buffered_at = now
        self._buffer.append(record)
        if len(self._buffer) >= BATCH_RECORDS or now - self._buffered_at > BATCH_SECONDS:
            self.secure()
            self._outbox.advance()
            if patience_seconds is not None:
                self._outbox.deliver(leaving=IN_FLIGHT, patience_seconds=patience_seconds)
