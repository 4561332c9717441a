"""Topics that lie in files in place of a broker: what drills send, read by the same ingest that reads Kafka.

`KAFKA_BOOTSTRAP_SERVERS=file:<folder>`: a folder for each topic, a file of JSON lines for each partition. An offset
that has no record is a line without one: the gap that a transaction's marker, or compaction, leaves. Topics of a lake
that has read others may go on where those were read to (`succeed`): for a copy of it, nothing has happened to them.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobs.lake.errors import BrokerError
from jobs.lake.settings import Settings

SCHEME = "file:"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
Headers = tuple[tuple[str, bytes], ...]
Offsets = dict[str, dict[int, int]]  # topic → partition → offset
Row = tuple[bytes | None, bytes | None, str, int, int, datetime, Headers | None]  # as landing.AS_READ


@dataclass(frozen=True)
class Entry:
    """One record with the time at which it was taken in."""

    key: bytes | None
    value: bytes | None
    headers: Headers | None
    at: datetime


@dataclass(frozen=True)
class FileTopics:
    """All topics under one folder."""

    folder: Path

    def append(self, topic: str, partition: int, entry: Entry | None) -> int:
        """Add a record, or a gap for None, at the end of a partition; its offset."""
        file = self._file(topic, partition)
        file.parent.mkdir(parents=True, exist_ok=True)
        offset = self._end(file)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(_packed(entry) if entry else None, separators=(",", ":")) + "\n")
        return offset

    def remake(self, topic: str) -> None:
        """Delete a topic and make it anew, empty and under another id."""
        before = self._id(topic)
        for file in self._parts(topic).values():
            file.unlink()
        (self.folder / topic / "id").write_text(f"{before}-anew", encoding="utf-8")

    def forget(self, topic: str) -> None:
        """Take away every record of a topic, as retention does; what comes next has the offset after them."""
        for file in self._parts(topic).values():
            file.with_suffix(".begin").write_text(str(self._end(file)), encoding="utf-8")
            file.write_text("", encoding="utf-8")

    def succeed(self, topic: str, topic_id: str, offsets: Mapping[int, int]) -> None:
        """Begin a topic that passes for another one: by its id, and by the offsets (partition → next) it has got to."""
        for number, offset in offsets.items():
            file = self._file(topic, number)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            file.with_suffix(".begin").write_text(str(offset), encoding="utf-8")
        (self.folder / topic / "id").write_text(topic_id, encoding="utf-8")

    def fall_silent(self, after: int) -> None:
        """Answer no more, as a broker that is gone: with this many records still, then with nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)  # nothing may have been sent yet
        self._silence.write_text(str(after), encoding="utf-8")

    def answer(self) -> None:
        """Answer again."""
        self._silence.unlink(missing_ok=True)

    def ids(self, topics: Iterable[str]) -> dict[str, str]:
        """The id of each topic that exists."""
        self._left()
        return {topic: self._id(topic) for topic in topics if self._parts(topic)}

    def begins(self, topics: Iterable[str]) -> Offsets:
        """The first offset that is held of each partition."""
        self._left()
        return {
            topic: {number: self._begin(file) for number, file in parts.items()}
            for topic in topics
            if (parts := self._parts(topic))
        }

    def ends(self, topics: Iterable[str]) -> Offsets:
        """The offset that the next record will get."""
        self._left()
        return {
            topic: {number: self._end(file) for number, file in parts.items()}
            for topic in topics
            if (parts := self._parts(topic))
        }

    def rows(self, ranges: Mapping[str, Mapping[int, tuple[int, int]]]) -> Iterator[Row]:
        """The records of these ranges of offsets, as Spark's Kafka source gives them."""
        for topic, parts in ranges.items():
            for number, (start, end) in parts.items():
                if end > start:
                    for row in self._rows(topic, number, start, end):
                        self._left(1)
                        yield row

    @property
    def _silence(self) -> Path:
        return self.folder / "silent"

    def _left(self, records: int = 0) -> None:
        """Take from what is answered still; BrokerError where nothing is."""
        if not self._silence.exists():
            return
        left = int(self._silence.read_text(encoding="utf-8"))
        if left <= 0:
            raise BrokerError(f"{SCHEME}{self.folder} does not answer")
        self._silence.write_text(str(left - records), encoding="utf-8")

    def _rows(self, topic: str, partition: int, start: int, end: int) -> Iterator[Row]:
        file = self._file(topic, partition)
        lines, begin = file.read_text(encoding="utf-8").splitlines(), self._begin(file)
        for offset, line in enumerate(lines[start - begin : end - begin], start):
            packed = json.loads(line)
            if packed is not None:
                entry = _entry(packed)
                yield entry.key, entry.value, topic, partition, offset, entry.at, entry.headers

    def _parts(self, topic: str) -> dict[int, Path]:
        return {int(file.stem): file for file in sorted((self.folder / topic).glob("*.jsonl"))}

    def _id(self, topic: str) -> str:
        file = self.folder / topic / "id"
        return file.read_text(encoding="utf-8") if file.exists() else f"file-{topic}"

    def _file(self, topic: str, partition: int) -> Path:
        return self.folder / topic / f"{partition}.jsonl"

    @staticmethod
    def _begin(file: Path) -> int:
        begin = file.with_suffix(".begin")
        return int(begin.read_text(encoding="utf-8")) if begin.exists() else 0

    def _end(self, file: Path) -> int:
        return self._begin(file) + (file.read_bytes().count(b"\n") if file.exists() else 0)


def file_topics(settings: Settings) -> FileTopics | None:
    """The topics in files that the settings name in place of a broker; None for a broker."""
    where = settings.kafka_bootstrap_servers
    return FileTopics(Path(where.removeprefix(SCHEME))) if where.startswith(SCHEME) else None


def _packed(entry: Entry) -> list[Any]:
    headers = None if entry.headers is None else [[name, _text(value)] for name, value in entry.headers]
    return [(entry.at - EPOCH) // MICROSECOND, _text(entry.key), _text(entry.value), headers]


def _entry(packed: list[Any]) -> Entry:
    at, key, value, headers = packed
    pairs = None if headers is None else tuple((name, _bytes(held) or b"") for name, held in headers)
    return Entry(_bytes(key), _bytes(value), pairs, EPOCH + at * MICROSECOND)


def _text(held: bytes | None) -> str | None:
    return None if held is None else b64encode(held).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
