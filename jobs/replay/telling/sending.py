"""A log sent to the broker, or written to a file: every event, what was unreadable, and that the log has ended."""

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from jobs.lake.settings import Settings
from jobs.lake.topics import ENTITIES, FACTS
from jobs.produce.completeness import announcements
from jobs.produce.lines import raw_record
from jobs.produce.producer import Producer
from jobs.produce.records import headers, key, shared_headers
from jobs.replay.telling.events import Told, complete_at_arrival, told
from jobs.replay.telling.log import Log
from jobs.replay.telling.pace import Pace

ANNOUNCE_SECONDS = 10.0  # while a log is told at its pace, its watermark moves this often
UNREADABLE_TOPIC = "views"  # with --send-unreadable: where a row goes that no event could be made of


@dataclass(slots=True)
class Fates:
    """What became of a log: rows read, events by (topic, kind) sent and refused, rows no event could be made of.

    `kept` is the file with what was refused, None when nothing was.
    """

    rows: int
    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    kept: Path | None = None

    def table(self) -> list[dict[str, str | int]]:
        """A row per topic and kind, then one for what was unreadable."""
        rows: list[dict[str, str | int]] = [
            {"topic": topic, "kind": kind, "sent": self.sent[topic, kind], "refused": self.refused[topic, kind]}
            for topic, kind in sorted(self.sent.keys() | self.refused.keys())
        ]
        if self.unreadable:
            sent, refused = self.unreadable["sent"], self.unreadable["refused"]
            rows.append({"topic": "", "kind": "unreadable rows", "sent": sent, "refused": refused})
        return rows


def send(
    log: Log,
    settings: Settings,
    *,
    spool: Path,
    speed: float | None = None,
    sends_unreadable: bool = False,
    progress: Callable[[int], None] = lambda count: None,
) -> Fates:
    """Send the whole log and announce it complete; BrokerError when the broker stays away (what is left is spooled)."""
    fates = Fates(log.rows_in)
    fates.unreadable["sent" if sends_unreadable else "refused"] = len(log.unreadable)
    with Producer(
        settings, source=log.source, spool=spool, declared_range=log.declared_range, on_acknowledged=progress
    ) as producer:
        for event in _paced(log, producer, speed):
            accepted = producer.send(event.topic, event.body, waiting=True)
            (fates.sent if accepted else fates.refused)[event.topic, event.body["kind"]] += 1
        _part_with_unreadable(log, producer, sends_unreadable=sends_unreadable)
        producer.announce_complete(dict.fromkeys((*FACTS, *_entities(log)), log.complete_until), is_final=True)
        fates.kept = producer.refused.path if producer.refused.count else None
    return fates


def write(log: Log, path: Path) -> Fates:
    """Write every event as one JSON line instead of sending it: topic, key, headers, value (not yet stamped)."""
    fates = Fates(log.rows_in, unreadable=Counter(refused=len(log.unreadable)))
    reach = log.declared_range
    with path.open("wb") as file:
        for event in told(log):
            own = headers(event.topic, log.source, event.body["event_id"], event.body["event_time"], reach)
            file.write(_line(event.topic, key(event.topic, event.body), own, event.body))
            fates.sent[event.topic, event.body["kind"]] += 1
        until = dict.fromkeys((*FACTS, *_entities(log)), log.complete_until)
        for body in announcements(log.source, until, {}, is_final=True):
            file.write(_line("control", log.source.encode(), shared_headers("control", log.source), body))
    return fates


def _entities(log: Log) -> list[str]:
    return [topic for topic in ENTITIES if any(stream.topic == topic for stream in log.streams)]


def _line(topic: str, key: bytes | None, headers: list[tuple[str, bytes]], body: dict[str, object]) -> bytes:
    named = {name: content.decode() for name, content in headers}
    return orjson.dumps({"topic": topic, "key": key and key.decode(), "headers": named, "value": body}) + b"\n"


def _paced(log: Log, producer: Producer, speed: float | None) -> Iterator[Told]:
    """The events, each in its time; while waiting, what is buffered goes out and completeness is announced."""
    pace = Pace(speed)
    arrivals, complete_until = complete_at_arrival(log)
    announced = time.monotonic()
    for event in told(log):
        if event.topic in FACTS and (seconds := pace.seconds_early(event.arrival)) > 0:
            producer.flush()
            time.sleep(min(seconds, pace.seconds_early(event.arrival)))
        if speed is not None and time.monotonic() - announced > ANNOUNCE_SECONDS:
            reached = int(complete_until[bisect_right(arrivals, event.arrival - 1)])
            producer.announce_complete(dict.fromkeys(FACTS, reached), is_final=False)
            announced = time.monotonic()
        yield event


def _part_with_unreadable(log: Log, producer: Producer, *, sends_unreadable: bool) -> None:
    """Rows no event could be made of: sent as they are, to end in quarantine, or kept with the refused."""
    for row in log.unreadable:
        record = raw_record(UNREADABLE_TOPIC, log.source, row.row, log.declared_range)
        if sends_unreadable:
            producer.send_record(record)
        else:
            producer.refused.keep(record, {row.reason: row.place}, place=row.place)
