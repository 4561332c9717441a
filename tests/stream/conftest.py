"""What tests on a real broker share: one Kafka and one warm Spark of their own, and a way to read what arrived."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.drills.broker import Broker, free_ports
from jobs.lake.services import control
from jobs.lake.services.connect import Connect
from jobs.lake.settings import Settings
from jobs.lake.topics import end_offsets
from tests.warm import short_lived_java

Reader = Callable[[str], list["Arrived"]]


@dataclass(frozen=True)
class Arrived:
    """One record as the broker has it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One Kafka for the suite, in a home and on ports of its own."""
    client, controller, connect = free_ports(3)
    home: Path = tmp_path_factory.mktemp("broker")
    settings = Settings(
        home=home,
        kafka_bootstrap_servers="",
        kafka_port=client,
        kafka_controller_port=controller,
        kafka_memory_mb=384,
        spark_remote="",
        spark_master="",
        spark_connect_port=connect,
        spark_memory_mb=2048,
    )
    running = Broker(settings)
    with short_lived_java():
        try:
            running.up()
            yield running
        finally:
            running.down()


@pytest.fixture
def broker(kafka: Broker) -> Broker:
    """The suite's Kafka, serving, whatever an earlier test did to it."""
    kafka.up()
    return kafka


@pytest.fixture(scope="session")
def warm_spark(kafka: Broker) -> Iterator[str]:
    """The address of one warm Spark for the suite."""
    server = Connect(kafka.settings)
    try:
        control.up([server], lambda name, news: None)
        yield server.address
    finally:
        control.down([server], lambda name, news: None)


@pytest.fixture
def settings(broker: Broker) -> Settings:
    """Settings that lead to the suite's broker."""
    return broker.settings


@pytest.fixture
def arrived(settings: Settings) -> Reader:
    """Read all records that came into a topic since the test began, in the order of partition and offset."""
    before = end_offsets(settings)

    def read(topic: str) -> list[Arrived]:
        return list(_between(settings, topic, before.get(topic, {}), end_offsets(settings, [topic])[topic]))

    return read


def _between(settings: Settings, topic: str, start: dict[int, int], end: dict[int, int]) -> Iterator[Arrived]:
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    try:
        for partition, stop in sorted(end.items()):
            place = TopicPartition(topic, partition)
            consumer.assign([place])
            consumer.seek(place, start.get(partition, 0))
            while consumer.position(place) < stop:
                for records in consumer.poll(timeout_ms=1000).values():
                    for r in records:
                        yield Arrived(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, dict(r.headers))
    finally:
        consumer.close()
