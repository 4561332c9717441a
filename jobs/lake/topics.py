"""The topics of the platform: which there are, how each keeps its records, what identifies it, how far it reaches.

Facts and `control` are kept for a week; entities are compacted, but not before bronze could have been away for a week.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from jobs.lake.errors import BrokerError
from jobs.lake.file_topics import file_topics
from jobs.lake.settings import Settings

FACTS = ("views", "likes", "orders")
ENTITIES = ("users", "videos", "products", "merchants")
CONTROL = "control"
TOPICS = (*FACTS, *ENTITIES, CONTROL)

WEEK_MS = str(7 * 24 * 3600 * 1000)  # how long bronze may be away and still find every record
CLIENT_ID = "reelhouse-admin"
PATIENCE_MS = 15_000  # with a broker that does not answer

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
    with suppress(BrokerError), _admin(settings, patience_ms=3_000):
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


def begin_offsets(settings: Settings, topics: Iterable[str] = TOPICS) -> Offsets:
    """The first offset still held, by topic and partition."""
    if (files := file_topics(settings)) is not None:
        return files.begins(topics)
    return _offsets(settings, topics, "beginning_offsets")


def end_offsets(settings: Settings, topics: Iterable[str] = TOPICS) -> Offsets:
    """The offset the next record will get, by topic and partition."""
    if (files := file_topics(settings)) is not None:
        return files.ends(topics)
    return _offsets(settings, topics, "end_offsets")


def _offsets(settings: Settings, topics: Iterable[str], which: str) -> Offsets:
    from kafka import KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError

    try:
        consumer = KafkaConsumer(
            bootstrap_servers=settings.bootstrap, client_id=CLIENT_ID, bootstrap_timeout_ms=PATIENCE_MS
        )
        try:
            held = {topic: sorted(consumer.partitions_for_topic(topic) or ()) for topic in topics}
            places = [TopicPartition(topic, number) for topic, numbers in held.items() for number in numbers]
            offsets = getattr(consumer, which)(places)
        finally:
            consumer.close()
    except KafkaError as error:
        raise _unreachable(settings, error) from error
    return {
        topic: {number: int(offsets[TopicPartition(topic, number)]) for number in numbers}
        for topic, numbers in held.items()
        if numbers
    }


def _describe(admin: Any, topics: Iterable[str]) -> list[dict[str, Any]]:
    return [found for found in admin.describe_topics(list(topics)) if not found["error_code"]]


@contextmanager
def _admin(settings: Settings, patience_ms: int = PATIENCE_MS) -> Iterator[Any]:
    """An admin client for the configured broker; trouble becomes a BrokerError that names the address."""
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(
            bootstrap_servers=settings.bootstrap,
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
    remedy = "check KAFKA_BOOTSTRAP_SERVERS" if settings.kafka_bootstrap_servers else "run `make up`"
    return BrokerError(f"Kafka at {settings.bootstrap}: {type(error).__name__}: {error}; {remedy}")
