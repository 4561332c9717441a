"""The spool: what was accepted and not yet acknowledged lies on disk, and outlives the broker and this process.

`producer.json` (who we are, epoch) · `lock` (one process at a time) · `segments/*.log` (batches, append-only, synced)
· `acked.json` (all before it is with the broker) · `refused/*.jsonl` (what no broker will see, with the reason).
"""

import fcntl
import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import uuid_utils

from jobs.lake.errors import DiskError, LeaseError, ServiceError
from jobs.lake.room import is_full
from jobs.produce.frames import frames, packed, read_frame
from jobs.produce.records import Record
from jobs.produce.refused import Refused

SEGMENT_BYTES = 64 << 20
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Batch:
    """Some accepted records and where they lie; `records` is None while they are on disk only."""

    segment: int
    start: int
    end: int
    count: int
    records: list[Record] | None


class Spool:
    """One producer's folder, held by one process; each opening is a new epoch of the producer."""

    def __init__(self, folder: Path) -> None:
        """Open or make the folder; LeaseError when another process holds it."""
        self.folder = folder
        self._segments = folder / "segments"
        self._segments.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder)
        self.producer_id, self.epoch = self._next_epoch()
        self.refused = Refused(folder / "refused", f"{self.epoch:06d}")
        self._acked = self._read_acked()
        self.left_over = self._find_left_over()
        self._number = max((segment for segment in self._numbers()), default=self._acked[0]) + 1
        self._file: IO[bytes] | None = None

    def append(self, records: list[Record]) -> Batch:
        """Write a batch and force it to disk; ServiceError when the disk does not take it, and nothing is kept."""
        content, start = packed(records), 0
        try:
            file = self._open_segment()
            start = file.tell()
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            self._forget(start)
            kind = DiskError if is_full(error) else ServiceError
            raise kind(
                f"spool {self.folder}: {error.strerror}; free some space, then send these {len(records)} records again"
            ) from error
        return Batch(self._number, start, start + len(content), len(records), records)

    def load(self, batch: Batch) -> list[Record]:
        """The records of a batch, read back if they are no longer in memory."""
        if batch.records is None:
            batch.records = read_frame(self._path(batch.segment), batch.start, batch.end)
        return batch.records

    def acknowledge(self, batch: Batch) -> None:
        """All up to and including this batch is with the broker; segments that are done with are removed."""
        self._acked = (batch.segment, batch.end)
        _replace(self.folder / "acked.json", {"segment": batch.segment, "position": batch.end})
        for number in self._numbers():
            if number < batch.segment:
                self._path(number).unlink()

    def close(self, *, is_empty: bool) -> None:
        """Give the folder up; an empty spool leaves no segments behind."""
        if self._file is not None:
            self._file.close()
        if is_empty:
            for number in self._numbers():
                self._path(number).unlink()
        self.refused.close()
        self._lock.close()

    def _next_epoch(self) -> tuple[str, int]:
        path = self.folder / "producer.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        producer_id, epoch = str(known.get("id") or f"{self.folder.name}-{_short_id()}"), int(known.get("epoch", 0)) + 1
        _replace(path, {"id": producer_id, "epoch": epoch}, synced=True)
        return producer_id, epoch

    def _read_acked(self) -> tuple[int, int]:
        path = self.folder / "acked.json"
        known = json.loads(path.read_text()) if path.exists() else {"segment": 0, "position": 0}
        return int(known["segment"]), int(known["position"])

    def _find_left_over(self) -> list[Batch]:
        """What an earlier process accepted and the broker may not have; a torn last write was never accepted."""
        segment, position = self._acked
        found = []
        for number in (number for number in self._numbers() if number >= segment):
            begin = whole = position if number == segment else 0
            for start, end, count in frames(self._path(number), begin):
                found.append(Batch(number, start, end, count, None))
                whole = end
            if torn := self._path(number).stat().st_size - whole:
                log.warning("%s: %d bytes of an unfinished write left out", self._path(number), torn)
        return found

    def _open_segment(self) -> IO[bytes]:
        if self._file is not None and self._file.tell() >= SEGMENT_BYTES:
            self._file.close()
            self._file = None
            self._number += 1
        if self._file is None:
            self._file = self._path(self._number).open("ab")
        return self._file

    def _forget(self, start: int) -> None:
        """After a failed write cut the segment where the batch began, whole or not, and go on in a new one.

        Its sender is told to send it again, so it may not be found by the next process.
        """
        if self._file is None:
            return
        with suppress(OSError):  # what is still in the buffer finds the disk as full
            self._file.close()
        try:
            os.truncate(self._path(self._number), start)
        except OSError as error:
            log.warning("%s: a refused batch cannot be cut off (%s), and may be sent", self.folder, error.strerror)
        self._file = None
        self._number += 1

    def _numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in self._segments.glob("*.log"))

    def _path(self, number: int) -> Path:
        return self._segments / f"{number:09d}.log"


def _locked(folder: Path) -> IO[str]:
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as held:
        lock.close()
        raise LeaseError(
            f"spool {folder} is in use by another process; wait for it, or name another with --spool"
        ) from held
    return lock


def _short_id() -> str:
    return str(uuid_utils.uuid4())[:8]


def _replace(path: Path, content: dict[str, object], *, synced: bool = False) -> None:
    """Put a small file in place at once: a reader sees the old or the new one."""
    draft = path.with_suffix(".new")
    with draft.open("w") as file:
        json.dump(content, file)
        if synced:
            file.flush()
            os.fsync(file.fileno())
    draft.replace(path)
