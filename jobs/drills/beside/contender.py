"""What every contender can do, and what is found of its work."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from jobs.drills.records import micros
from jobs.drills.storage import tear
from jobs.lake.scanning import LOG

TOPIC = "views"
TOPICS = "topics"  # the folder of the topics, in that of a contender
READ = ("event_id", "event_time", "video_id", "watch_ms")  # times in microseconds since 1970
Says = tuple[Any, ...]  # the values of READ


@dataclass(frozen=True)
class Found:
    """A contender's work: rows by the time at which the broker took their record in, which no two records share.

    `rows` are (kafka time in microseconds, what the row says); `aside` are the records kept apart, with the reason;
    `repeated` counts those that are booked as repeats.
    """

    rows: list[tuple[int, Says]]
    aside: frozenset[int] = frozenset()
    repeated: int = 0


class Contender(Protocol):
    """Whoever reads the topics in files under `folder`/topics into a table of its own under `folder`."""

    name: str

    def run(self) -> None:
        """Take in all there is."""

    def killed(self, *, written: bool) -> None:
        """Begin to take in all there is, and be killed after the table was written or in the middle of that."""

    def stands_still(self) -> None:
        """Take in all there is, but stand still after the write until a second run has done its work; then go on."""

    def forget(self) -> None:
        """Lose what was noted of how far the topics are read."""

    def torn(self) -> None:
        """Have the newest commit of the table cut in half, and mend that as is usual with it."""

    def found(self) -> Found:
        """What there is of the records."""


def tear_and_remove(table: Path) -> None:
    """Cut the newest commit of a Delta table in half, and take it away, with its checksum: no more is known of it."""
    newest = max((table / LOG).glob("*.json"))
    tear(newest)
    for file in (newest, newest.with_suffix(".crc"), newest.with_name(f".{newest.name}.crc")):
        file.unlink(missing_ok=True)


def rows_of(table: list[Mapping[str, Any]]) -> list[tuple[int, Says]]:
    """Rows of a table as `Found` has them; it needs `kafka_time` and the columns of READ."""
    return [(micros(row["kafka_time"]), tuple(map(_plain, (row[name] for name in READ)))) for row in table]


def _plain(value: Any) -> Any:
    return micros(value) if isinstance(value, datetime) else value


@contextmanager
def dying(of: type[BaseException]) -> Iterator[None]:
    """Expect a block to be ended by an exception; RuntimeError when it goes through, for then nothing was killed."""
    try:
        yield
    except of:
        return
    raise RuntimeError("the run went through to its end in place of being killed")
