"""How a batch of records lies in a spool file: sizes, then bytes, under a checksum that shows a torn write."""

import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

from jobs.produce.records import Record

_HEAD = struct.Struct("<4sIQI")  # magic, checksum, bytes of payload, number of records
_MAGIC = b"RHS1"
_NULL = 0xFFFFFFFF  # the size of what is not there


def packed(records: Sequence[Record]) -> bytes:
    """A batch as bytes; `unpacked` is its inverse."""
    fields: list[bytes | None] = []
    for topic, key, value, headers in records:
        fields += (topic.encode(), key, value, b"%d" % len(headers))
        for name, content in headers:
            fields += (name.encode(), content)
    sizes = array("I", [_NULL if field is None else len(field) for field in fields])
    payload = b"".join((struct.pack("<I", len(sizes)), sizes.tobytes(), *(field for field in fields if field)))
    return _HEAD.pack(_MAGIC, zlib.crc32(payload), len(payload), len(records)) + payload


def unpacked(payload: bytes) -> list[Record]:
    """The records of one payload."""
    (count,) = struct.unpack_from("<I", payload)
    sizes = array("I", payload[4 : 4 + 4 * count])
    ends = accumulate((0 if size == _NULL else size for size in sizes), initial=4 + 4 * count)
    cut = zip(sizes, pairwise(ends), strict=True)
    fields = (None if size == _NULL else payload[start:end] for size, (start, end) in cut)
    return list(_records(fields))


def _records(fields: Iterator[bytes | None]) -> Iterator[Record]:
    for topic in fields:
        key, value, count = next(fields), next(fields), int(next(fields) or 0)
        headers = [((next(fields) or b"").decode(), next(fields) or b"") for _ in range(count)]
        yield Record((topic or b"").decode(), key, value, headers)


def frames(path: Path, start: int = 0) -> Iterator[tuple[int, int, int]]:
    """(start, end, records) of each whole batch in a file; a torn or garbled one ends the walk."""
    with path.open("rb") as file:
        file.seek(start)
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            magic, checksum, size, count = _HEAD.unpack(head)
            payload = file.read(size)
            if magic != _MAGIC or len(payload) != size or zlib.crc32(payload) != checksum:
                return
            yield start, start + _HEAD.size + size, count
            start += _HEAD.size + size


def read_frame(path: Path, start: int, end: int) -> list[Record]:
    """The records between two positions that `frames` gave."""
    with path.open("rb") as file:
        file.seek(start + _HEAD.size)
        return unpacked(file.read(end - start - _HEAD.size))
