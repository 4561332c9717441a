"""A broker of one's own that may be hurt: killed, brought back, a topic made anew, records taken away."""

import os
import signal
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from jobs.drills.records import Record
from jobs.lake.errors import ServiceError
from jobs.lake.services import control, process
from jobs.lake.services.kafka import Kafka
from jobs.lake.settings import Settings
from jobs.lake.topics import end_offsets, ensure_topics, topic_ids

LARGEST = 1_000_000  # bytes the broker takes in one record; a larger one is refused at the producer and kept there


@dataclass(frozen=True)
class Broker:
    """Our Kafka under the settings' home and on their ports."""

    settings: Settings

    def up(self) -> None:
        """Start it (or see that it runs)."""
        control.up([Kafka(self.settings)], lambda name, news: None)

    def kill(self) -> None:
        """End it without a word, as a power cut does; ServiceError when none runs."""
        os.kill(self._pid(), signal.SIGKILL)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """It does nothing meanwhile, and then goes on with all that was sent to it; ServiceError when none runs."""
        pid = self._pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def down(self) -> None:
        """Stop it to its last process; its data stays."""
        control.down([Kafka(self.settings)], lambda name, news: None)

    def put(self, records: Iterable[Record]) -> int:
        """Put records on their partitions as they are, in their order; how many. ServiceError if one did not arrive."""
        from kafka import KafkaProducer

        sender = KafkaProducer(bootstrap_servers=self.settings.bootstrap, acks="all", max_request_size=2 * LARGEST)
        sent = [
            sender.send(
                each.topic, key=each.key, value=each.value, headers=list(each.headers or ()), partition=each.partition
            )
            for each in records
        ]
        sender.flush()
        sender.close()
        if not all(future.succeeded() for future in sent):
            raise ServiceError(f"kafka at {self.settings.bootstrap} did not take every record; see its log")
        return len(sent)

    def remake(self, topic: str) -> None:
        """Delete a topic and make it again under the same name, empty."""
        from kafka import KafkaAdminClient

        before = topic_ids(self.settings, [topic])
        admin = KafkaAdminClient(bootstrap_servers=self.settings.bootstrap)
        admin.delete_topics([topic])
        admin.close()
        while topic_ids(self.settings, [topic]) in (before, {}):
            ensure_topics(self.settings, [topic])

    def forget(self, topic: str) -> dict[int, int]:
        """Take away all records of a topic, as retention does; partition → the first offset there is now."""
        from kafka import KafkaAdminClient, TopicPartition

        ends = end_offsets(self.settings, [topic])[topic]
        admin = KafkaAdminClient(bootstrap_servers=self.settings.bootstrap)
        admin.delete_records({TopicPartition(topic, number): offset for number, offset in ends.items()})
        admin.close()
        return ends

    def _pid(self) -> int:
        record = process.recorded(Kafka(self.settings).folder)
        if record is None:
            raise ServiceError("kafka: none runs here that could be hurt; start it first")
        return record.pid


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on just now."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]
