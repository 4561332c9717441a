"""The topics of the platform: which there are, how each keeps its records, what identifies it, how far it reaches.

Facts and `control` are kept for a week; entities are compacted, but not before bronze could have been away for a week.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from jobs.lake.broker import client_options, remedy
from jobs.lake.errors import BrokerError, TooMuchError
from jobs.lake.file_topics import EPOCH, Row, file_topics
from jobs.lake.settings import Settings

FACTS = ("views", "likes", "orders")
ENTITIES = ("users", "videos", "products", "merchants")
CONTROL = "control"
REPLAY_HEADER = "ce_replayid"  # of a refused record that was sent again: the name of the replay
# The key of a canary: of no event, for ids are text and this is none (docs/watching.md).
CANARY_KEY = b"\xffreelhouse.canary"
ERASED_HEADER = "reelhouse_erased"  # in bronze, of a record of a person who was erased: their mark, and the batch
TOPICS = (*FACTS, *ENTITIES, CONTROL)

WEEK_MS = str(7 * 24 * 3600 * 1000)  # how long bronze may be away and still find every record
CLIENT_ID = "reelhouse-admin"
PATIENCE_MS = 15_000  # with a broker that does not answer
GLANCE_MS = 3_000  # where the question is whether one does
# Of a consumer that reads what is named to it: where that is gone it says so, and it keeps no account of its own.
FROM_HERE = {"auto_offset_reset": "none", "enable_auto_commit": False, "max_poll_records": 5_000}
ANSWER_MS = 3_000  # how long a poll waits for the broker's answer
# Of polls after each other: where there are no records, as at the end of a transaction, one moves on without a word.
STEP_MS = 100
SILENT_STEPS = 50  # that move nothing, and the broker is taken to be silent
MOST_BYTES = 64 * 2**20  # of records that one process reads by itself

Offsets = dict[str, dict[int, int]]  # topic → partition → offset


def configs(topic: str) -> dict[str, str]:
    """How the broker keeps a topic; its clock stamps each record, ours to measure skew against."""
    clock = {"message.timestamp.type": "LogAppendTime"}
    if topic in ENTITIES:
        return clock | {
            "cleanup.policy": "compact",
            "min.compaction.lag.ms": WEEK_MS,
            "delete.retention.ms": WEEK_MS,
        }
    return clock | {"cleanup.policy": "delete", "retention.ms": WEEK_MS}


def partition_count(topic: str, settings: Settings) -> int:
    """Facts are spread by user; entities and `control` are few."""
    if topic in FACTS:
        return settings.fact_partitions
    return settings.entity_partitions if topic in ENTITIES else 1


def is_reachable(settings: Settings) -> bool:
    """Say within seconds whether a broker answers; never raises."""
    with suppress(BrokerError), _admin(settings, GLANCE_MS):
        return True
    return False


def ensure_topics(settings: Settings, topics: Iterable[str] = TOPICS) -> list[str]:
    """Make the topics that are missing and return their names; those that exist stay as they are."""
    from kafka.errors import TopicAlreadyExistsError

    with _admin(settings) as admin:
        missing = sorted(set(topics) - set(admin.list_topics()))
        wanted = {
            topic: {
                "num_partitions": partition_count(topic, settings),
                "replication_factor": -1,
                "configs": configs(topic),
            }
            for topic in missing
        }
        if wanted:
            with suppress(TopicAlreadyExistsError):  # another starter was quicker
                admin.create_topics(wanted, wait_for_metadata=True)
    return missing


def topic_ids(settings: Settings, topics: Iterable[str] = TOPICS) -> dict[str, str]:
    """The broker's own id of each topic that exists: a re-created topic has a new one."""
    if (files := file_topics(settings)) is not None:
        return files.ids(topics)
    with _admin(settings) as admin:
        return {found["name"]: str(found["topic_id"]) for found in _describe(admin, topics)}


def end_offsets(settings: Settings, topics: Iterable[str] = TOPICS) -> Offsets:
    """The offset the next record will get, by topic and partition."""
    if (files := file_topics(settings)) is not None:
        return files.ends(topics)
    with _consumer(settings) as consumer:
        return _offsets(consumer, topics, "end_offsets")


def extents(settings: Settings, *groups: Iterable[str]) -> tuple[Offsets, Offsets]:
    """The first offset still held and the one the next record will get, by topic and partition; by one connection.

    The ends of a group of topics are asked for after those of the groups before it.
    """
    every, ends = list(chain(*groups)), Offsets()
    if (files := file_topics(settings)) is not None:
        return files.begins(every), files.ends(every)
    with _consumer(settings, isolation_level="read_committed") as consumer:  # what is not ended yet is not there yet
        for group in groups:
            ends |= _offsets(consumer, group, "end_offsets")
        return _offsets(consumer, every, "beginning_offsets"), ends


def times_of(settings: Settings, places: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], datetime]:
    """When the broker took the first record at or after an offset, by topic and partition; none where there is none.

    UTC. Only the first records are asked for, all at once, for `PATIENCE_MS` at most.
    """
    from kafka import TopicPartition

    wanted = {TopicPartition(*place): offset for place, offset in places.items()}
    found: dict[tuple[str, int], datetime] = {}
    if not wanted:
        return found
    with _consumer(
        settings, max_poll_records=1, isolation_level="read_committed", auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign(list(wanted))
        for place, offset in wanted.items():
            consumer.seek(place, offset)
        patience = time.monotonic() + PATIENCE_MS / 1000
        while len(found) < len(wanted) and time.monotonic() < patience:
            polled = consumer.poll(timeout_ms=ANSWER_MS)
            if not polled:
                break
            for place, records in polled.items():
                found.setdefault(tuple(place), datetime.fromtimestamp(records[0].timestamp / 1000, UTC))
                consumer.pause(place)
    return found


def records_of(settings: Settings, ranges: Mapping[str, Mapping[int, tuple[int, int]]]) -> Iterator[Row]:
    """The records of these ranges of offsets, as Spark's Kafka source gives them, each partition in its order.

    TooMuchError for what is better left to Spark: a broker that is silent on the rest (only one that answers can say
    that it is gaps, not records), more bytes than this process should hold, or what this client cannot read.
    """
    from kafka import TopicPartition
    from kafka.errors import KafkaError

    ends = {
        TopicPartition(topic, number): end
        for topic, parts in ranges.items()
        for number, (start, end) in parts.items()
        if end > start
    }
    with _consumer(settings, isolation_level="read_committed", **FROM_HERE) as consumer:
        consumer.assign(list(ends))
        for place in ends:
            consumer.seek(place, ranges[place.topic][place.partition][0])
        reached: dict[Any, int] = {}
        size = silent = 0
        while ends:
            try:
                polled = consumer.poll(timeout_ms=STEP_MS)
            except KafkaError as unread:  # such as a codec that Java's client has and this one has not
                raise TooMuchError(f"kafka-python cannot read it: {type(unread).__name__}") from unread
            for place, records in polled.items():
                planned = [record for record in records if record.offset < ends[place]]
                yield from map(row_of, planned)
                size += sum(map(size_of, planned))
            if size > MOST_BYTES:
                raise TooMuchError(f"its records have more than {MOST_BYTES:,} bytes")
            before, reached = reached, {place: consumer.position(place) for place in ends}
            silent = silent + 1 if reached == before else 0
            if silent == SILENT_STEPS:
                left = ", ".join(f"{place.topic}/{place.partition}" for place in ends)
                raise TooMuchError(f"the broker says nothing of {left} for {STEP_MS * SILENT_STEPS / 1000:g} s")
            for place in [place for place, end in ends.items() if reached[place] >= end]:
                consumer.pause(place)
                del ends[place]


def size_of(record: Any) -> int:
    """Bytes of a record of kafka-python."""
    return sum(len(part or b"") for part in (record.key, record.value, *(value for _, value in record.headers)))


def row_of(record: Any) -> Row:
    """A record of kafka-python in the columns of Spark's Kafka source."""
    at = EPOCH + timedelta(milliseconds=record.timestamp)
    headers = tuple(record.headers) or None
    return record.key, record.value, record.topic, record.partition, record.offset, at, headers


def _offsets(consumer: Any, topics: Iterable[str], which: str) -> Offsets:
    from kafka import TopicPartition

    held = {topic: sorted(consumer.partitions_for_topic(topic) or ()) for topic in topics}
    places = [TopicPartition(topic, number) for topic, numbers in held.items() for number in numbers]
    offsets = getattr(consumer, which)(places)
    return {
        topic: {number: int(offsets[TopicPartition(topic, number)]) for number in numbers}
        for topic, numbers in held.items()
        if numbers
    }


def _describe(admin: Any, topics: Iterable[str]) -> list[dict[str, Any]]:
    return [found for found in admin.describe_topics(list(topics)) if not found["error_code"]]


@contextmanager
def _consumer(settings: Settings, **how: Any) -> Iterator[Any]:
    """A consumer of no group; trouble becomes a BrokerError that names the address."""
    from kafka import KafkaConsumer
    from kafka.errors import KafkaError

    try:
        consumer = KafkaConsumer(
            **client_options(settings), client_id=CLIENT_ID, bootstrap_timeout_ms=PATIENCE_MS, **how
        )
        try:
            yield consumer
        finally:
            consumer.close()
    except KafkaError as error:
        raise _unreachable(settings, error) from error


@contextmanager
def _admin(settings: Settings, patience_ms: int | None = None) -> Iterator[Any]:
    """An admin client for the configured broker; trouble becomes a BrokerError that names the address."""
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    patience_ms = patience_ms or PATIENCE_MS
    try:
        admin = KafkaAdminClient(
            **client_options(settings),
            client_id=CLIENT_ID,
            request_timeout_ms=patience_ms,
            bootstrap_timeout_ms=patience_ms,
        )
        try:
            yield admin
        finally:
            admin.close()
    except KafkaError as error:
        raise _unreachable(settings, error) from error


def _unreachable(settings: Settings, error: Exception) -> BrokerError:
    name = type(error).__name__
    words = str(error).removeprefix(f"{name}: ")  # kafka-python's errors begin with their own name
    return BrokerError(f"Kafka at {settings.bootstrap}: {name}: {words}; {remedy(settings)}")
