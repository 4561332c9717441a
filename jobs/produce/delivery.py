"""One connection to the broker: hands batches over, looks at every record's result, starts anew after a failure."""

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobs.lake.broker import client_options, remedy
from jobs.lake.errors import BrokerError, TopicError
from jobs.lake.settings import Settings
from jobs.lake.topics import topic_ids
from jobs.produce.records import Record, now_us, stamped

if TYPE_CHECKING:
    from kafka import KafkaProducer

REQUEST_BYTES = 64 << 20  # well below the broker's limit of a request: beyond that it hangs up without a word
REQUEST_SECONDS = 10
DELIVERY_SECONDS = 30  # then a record comes back to us and is stamped anew: far below the 5 minutes of skew allowed
CONNECT_SECONDS = 3
BATCH_BYTES = 256 << 10
LINGER_MS = 10

log = logging.getLogger(__name__)

Offsets = dict[str, dict[int, int]]  # topic → partition → next offset


@dataclass(slots=True)
class Outcome:
    """What became of a batch: how many are with the broker, which it will never take, which to try again."""

    acknowledged: int = 0
    refused: list[tuple[Record, str]] = field(default_factory=list)
    again: list[Record] = field(default_factory=list)
    trouble: str = ""

    def refuse_largest(self) -> None:
        """Give up on the one record that is surely too large; the client blames its neighbours in the batch as well."""
        largest = max(self.again, key=lambda record: len(record.value or b""))
        self.again = [record for record in self.again if record is not largest]
        self.refused.append((largest, f"{len(largest.value or b'')} bytes: above the broker's limit"))


@dataclass(slots=True)
class Flight:
    """A batch on its way: each record with its future, or with the error that met it at the start.

    `begun` is a reading of the monotonic clock: a client that lost its connection may never end a future.
    """

    records: list[Record]
    futures: list[Any]
    begun: float = field(default_factory=time.monotonic)

    @property
    def has_landed(self) -> bool:
        """Every record has its result."""
        return all(future.is_done for future in self.futures)

    @property
    def seconds_left(self) -> float:
        """How long the whole batch, not each of its records, may still take."""
        return max(0.0, self.begun + DELIVERY_SECONDS + REQUEST_SECONDS - time.monotonic())


class Delivery:
    """A kafka-python producer that can be thrown away and made again; remembers the offsets it was given."""

    def __init__(self, settings: Settings, client_id: str) -> None:
        """Nothing is opened until the first batch."""
        self._settings = settings
        self._client_id = client_id
        self._client: KafkaProducer | None = None
        self._found: set[str] = set()
        self.next_offsets: Offsets = {}

    def start(self, records: list[Record]) -> Flight:
        """Hand a batch to the client, each record stamped now; BrokerError, TopicError when it cannot even begin."""
        client = self._connected()
        self._find(client, {record.topic for record in records})
        return Flight(records, [_send(client, record) for record in records])

    def finish(self, flight: Flight) -> Outcome:
        """Wait for a batch and look at each result."""
        from kafka.errors import MessageSizeTooLargeError

        outcome, is_too_large = Outcome(), False
        for record, future in zip(flight.records, flight.futures, strict=True):
            error = _error(future, flight.seconds_left)
            if error is None:
                outcome.acknowledged += 1
                self._note(future.value)
            else:
                outcome.again.append(record)
                outcome.trouble = f"{type(error).__name__}: {error}"
                is_too_large |= isinstance(error, MessageSizeTooLargeError)
        if is_too_large:
            outcome.refuse_largest()
        return outcome

    def abandon(self) -> None:
        """Drop the connection; the next batch makes a new one."""
        if self._client is not None:
            _end(self._client)
        self._client = None
        self._found.clear()

    def _connected(self) -> "KafkaProducer":
        if self._client is None:
            self._client = connect(self._settings, self._client_id)
        return self._client

    def _find(self, client: "KafkaProducer", topics: set[str]) -> None:
        """Learn where the topics are before any record waits for it."""
        from kafka.errors import KafkaError

        for topic in topics - self._found:
            try:
                client.partitions_for(topic)
            except KafkaError as error:
                if topic not in topic_ids(self._settings, [topic]):
                    where = f"Kafka at {self._settings.bootstrap}"
                    raise TopicError(f"{where} has no topic {topic!r}; run `make up` to make it") from error
                raise silent(self._settings, error) from error
            self._found.add(topic)

    def _note(self, placed: Any) -> None:
        if placed.offset < 0:  # the broker had the batch already and no longer knows where
            return
        partitions = self.next_offsets.setdefault(placed.topic, {})
        partitions[placed.partition] = max(partitions.get(placed.partition, 0), placed.offset + 1)


class _Failed:
    """A result that was known before anything was sent."""

    is_done = True

    def __init__(self, error: Exception) -> None:
        self.exception = error


def _send(client: "KafkaProducer", record: Record) -> Any:
    from kafka.errors import MessageSizeTooLargeError

    topic, key, value, headers = record
    try:
        return client.send(topic, stamped(value, now_us()), key=key, headers=headers)
    except MessageSizeTooLargeError as error:
        return _Failed(error)


def _error(future: Any, patience_seconds: float) -> Exception | None:
    if not future.is_done and patience_seconds:
        with suppress(Exception):  # looked at just below
            future.get(timeout=patience_seconds)
    if not future.is_done:
        return TimeoutError(f"no result within {DELIVERY_SECONDS + REQUEST_SECONDS} s")
    error: Exception | None = future.exception
    return error


def connect(settings: Settings, client_id: str) -> "KafkaProducer":
    """A client that sends each record once and wants it on all replicas; BrokerError for a broker that is silent."""
    from kafka import KafkaProducer
    from kafka.errors import KafkaError

    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # its troubles come back to us as results
    try:
        return KafkaProducer(
            **client_options(settings),
            client_id=client_id,
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            batch_size=BATCH_BYTES,
            linger_ms=LINGER_MS,
            max_request_size=REQUEST_BYTES,
            max_block_ms=REQUEST_SECONDS * 1000,
            request_timeout_ms=REQUEST_SECONDS * 1000,
            delivery_timeout_ms=DELIVERY_SECONDS * 1000,
            bootstrap_timeout_ms=CONNECT_SECONDS * 1000,
            reconnect_backoff_max_ms=1000,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
    except (KafkaError, OSError) as error:
        raise silent(settings, error) from error


def _end(client: "KafkaProducer") -> None:
    """Close a client for good: its own `close` gives up before it stops its thread while a batch has no result."""
    with suppress(Exception):  # it is being dropped because it is broken
        client.close(timeout=CONNECT_SECONDS)
        return
    client._sender.force_close()  # noqa: SLF001  kafka-python has no other way
    client._sender.join(CONNECT_SECONDS)  # noqa: SLF001
    with suppress(Exception):  # with nothing left to wait for, it closes
        client.close(timeout=0)


def silent(settings: Settings, error: Exception) -> BrokerError:
    """What to say of a broker that does not answer."""
    what = f"Kafka at {settings.bootstrap} does not answer ({type(error).__name__})"
    return BrokerError(f"{what}; {remedy(settings)}")
