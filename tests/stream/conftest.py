"""What tests on a real broker share: one Kafka of their own, its topics, and a way to read what arrived."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.lake.services import control, process
from jobs.lake.services.kafka import Kafka
from jobs.lake.settings import Settings
from jobs.lake.topics import end_offsets

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


@dataclass(frozen=True)
class Broker:
    """The suite's Kafka, which a test may take away and bring back."""

    settings: Settings

    def up(self) -> None:
        """Start it (or see that it runs)."""
        control.up([Kafka(self.settings)], lambda name, news: None)

    def kill(self) -> None:
        """End it without a word, as a power cut does."""
        record = process.recorded(Kafka(self.settings).folder)
        assert record is not None
        os.kill(record.pid, signal.SIGKILL)

    def down(self) -> None:
        """Stop it to its last process; its data stays."""
        control.down([Kafka(self.settings)], lambda name, news: None)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on just now."""
    with closing(socket.socket()) as first, closing(socket.socket()) as second:
        sockets = [first, second][:count]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One Kafka for the suite, in a home and on ports of its own."""
    client, controller = free_ports(2)
    home: Path = tmp_path_factory.mktemp("broker")
    settings = Settings(
        home=home,
        kafka_bootstrap_servers="",
        kafka_port=client,
        kafka_controller_port=controller,
        kafka_memory_mb=384,
        spark_remote="",
        spark_master="",
    )
    running = Broker(settings)
    running.up()
    yield running
    running.down()


@pytest.fixture(scope="session")
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
