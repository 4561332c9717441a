"""One bit of a file flipped, at many places or where Parquet notices nothing."""

from collections.abc import Generator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.lake.ailments import unreadable

PLACES = 100


def flip(file: Path, place: int) -> None:
    """One bit of the byte at a place."""
    held = bytearray(file.read_bytes())
    held[place] ^= 1 << place % 8
    file.write_bytes(held)


def flipped(file: Path, places: int = PLACES) -> Generator[int]:
    """So many places, one after the other; at each one bit is flipped meanwhile."""
    held = file.read_bytes()
    try:
        for place in range(0, len(held), max(1, len(held) // places)):
            file.write_bytes(held)
            flip(file, place)
            yield place
    finally:
        file.write_bytes(held)


def flip_unseen(file: Path) -> None:
    """One bit where Parquet reads another value and notices nothing."""
    rows = rows_of(file)
    places = flipped(file, 10 * PLACES)
    place = next(place for place in places if not unreadable(file) and rows_of(file) not in (rows, ""))
    places.close()
    flip(file, place)


def rows_of(file: Path) -> str:
    """What is read of a file; empty where nothing can be."""
    try:
        return str(pq.read_table(file).to_pylist())
    except (pa.ArrowException, OSError, ValueError, OverflowError, LookupError):
        return ""
