"""The Python consumer: poll, parse, append with the deltalake writer, commit the offsets after the write.

A record that it cannot read is told to the log and passed by, as loops of this kind do.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from jobs.drills.beside.contender import TOPIC, TOPICS, Found, dying, rows_of, tear_and_remove
from jobs.lake.file_topics import FileTopics
from jobs.lake.kill_points import Killed, heard, reach

TEXT = ("event_id", "user_id", "video_id", "scene")
WHOLE = ("event_time", "watch_ms")
TYPES = dict.fromkeys(TEXT, pa.string()) | dict.fromkeys(WHOLE, pa.int64()) | {"kafka_time": pa.timestamp("us", "UTC")}
ROW = pa.schema(TYPES.items())
BEFORE_WRITE, AFTER_WRITE = "consumer.before_write", "consumer.after_write"
log = logging.getLogger(__name__)


def parsed(value: bytes | None, at: datetime) -> pa.RecordBatch | None:
    """A record as a row with the promised types; None for what has no such row."""
    try:
        body = json.loads(value or b"")
        row = {name: body[name] for name in (*TEXT, *WHOLE)} | {"kafka_time": at}
        return pa.RecordBatch.from_pylist([row], schema=ROW)
    except Exception:  # noqa: BLE001  whatever is wrong with a record, the loop goes on
        log.info("passed by a record that cannot be read")
        return None


def unread(topics: FileTopics, read: Mapping[int, int]) -> Iterator[tuple[int, tuple[int, int]]]:
    """The ranges of offsets that are new, by partition.

    Where records are gone it goes on with the first that is there: with `auto.offset.reset` at `earliest` a client
    does so without a word.
    """
    begins = topics.begins([TOPIC])[TOPIC]
    for number, end in topics.ends([TOPIC])[TOPIC].items():
        start = max(read.get(number, 0), begins[number])
        if end > start:
            yield number, (start, end)


@dataclass
class PythonConsumer:
    """One consumer, its table and the offsets of its group under `folder`."""

    folder: Path
    name: str = "Python consumer"

    def run(self) -> None:
        """Poll, write and commit until there is nothing new."""
        topics = FileTopics(self.folder / TOPICS)
        while ranges := dict(unread(topics, self._committed())):
            polled = [parsed(value, at) for _, value, _, _, _, at, _ in topics.rows({TOPIC: ranges})]
            rows = [row for row in polled if row is not None]
            reach(BEFORE_WRITE)
            if rows:
                write_deltalake(self.folder / "table", pa.Table.from_batches(rows, ROW), mode="append")
            reach(AFTER_WRITE)
            self._commit(self._committed() | {number: end for number, (_, end) in ranges.items()})

    def killed(self, *, written: bool) -> None:
        """Be killed after the write or before it; Delta commits whole files or nothing."""

        def kill() -> None:
            raise Killed

        with dying(Killed):
            self._at(AFTER_WRITE if written else BEFORE_WRITE, kill)

    def stands_still(self) -> None:
        """Lose the partitions to a second consumer between write and commit, and commit when that is through."""
        self._at(AFTER_WRITE, self.run)

    def forget(self) -> None:
        """Lose the offsets of the group; a new group begins at the beginning."""
        self._file.unlink()

    def torn(self) -> None:
        """Take the torn commit away: the table can be read again, as it was before."""
        tear_and_remove(self.folder / "table")

    def found(self) -> Found:
        """The rows of the table; there is nothing else."""
        return Found(rows_of(DeltaTable(self.folder / "table").to_pyarrow_table().to_pylist()))

    def _at(self, point: str, act: Callable[[], None]) -> None:
        def hear(name: str) -> None:
            if name == point:
                act()

        with heard(hear):
            self.run()

    @property
    def _file(self) -> Path:
        return self.folder / "offsets.json"

    def _committed(self) -> dict[int, int]:
        if not self._file.exists():
            return {}
        return {int(number): offset for number, offset in json.loads(self._file.read_text()).items()}

    def _commit(self, offsets: dict[int, int]) -> None:
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(offsets))
        written.replace(self._file)
