"""Where a drill plays: topics to put records on, an ingest to run and to hurt, and a clean lake to compare with."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobs.drills.records import Record
from jobs.lake.settings import Settings

KILLED = -9  # exit code of a process that SIGKILL ended


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code, what it said last, and all it printed on stdout."""

    code: int
    said: str
    printed: str = ""


class Stage(Protocol):
    """What every stage can do; the scratch lake with a broker of its own can do more."""

    @property
    def settings(self) -> Settings:
        """Settings of the lake that is hurt."""

    @property
    def now(self) -> datetime:
        """The broker's time at the beginning; it stays, so that an event made twice is the same event."""

    def put(self, records: Iterable[Record]) -> None:
        """Put records on the topics as they are, in their order."""

    def ingest(self, *, kill_at: str = "", accept_loss: bool = False, accept_new: str = "") -> Ended:
        """Run ingest until it is caught up, or ended by SIGKILL at a named point."""

    def beside(self) -> AbstractContextManager[None]:
        """Another ingest at work while the block lasts; then it is killed."""

    def remake(self, topic: str) -> None:
        """Delete a topic and make it anew, empty."""

    def forget(self, topic: str) -> None:
        """Take all records of a topic away, as retention does."""

    def clean(self) -> Settings:
        """A second lake, filled from the same topics in one undisturbed run."""
