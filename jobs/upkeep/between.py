"""Upkeep for an ingest that goes on for ever: it never gives up its lease, so it tidies its own tables itself.

Small files are written together, and logs cut, every few minutes, or each batch would have more to open than the one
before; then it is noted what the new files are. What lists whole tables (files that nobody needs any more, expired
logs) is done once a day, as the DAG `upkeep` does. Batches wait for one table at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.lake.errors import LeaseError, UsageError, WriteError
from jobs.lake.settings import Settings
from jobs.upkeep.files import KEEP_DAYS
from jobs.upkeep.rounds import Round

COMPACT_EVERY, SWEEP_EVERY = timedelta(minutes=5), timedelta(days=1)


@dataclass
class Between:
    """Called between two batches by who holds ingest's lease; does something when it is time to."""

    settings: Settings
    run_id: str
    now: Callable[[], datetime]
    told: Callable[[str], None]
    log_kept: timedelta | None = None  # by default as the settings say
    _compacted: datetime = field(init=False)
    _swept: datetime = field(init=False)
    _is_sweep: bool = False
    _waiting: list[str] = field(default_factory=list)
    _files: int = 0

    def __post_init__(self) -> None:
        self._compacted = self._swept = self.now()

    def __call__(self) -> None:
        """Of the tables that ingest and the ledger write, tidy those that come next, up to one with small files."""
        at = self.now()
        keep = timedelta(days=KEEP_DAYS)
        turn = Round(self.settings, self.run_id, keep, at, self.told, log_kept=self.log_kept)
        if not self._waiting:
            self._begin(turn, at)
        written = 0
        while self._waiting and not written:
            written = self._tidied(turn, self._waiting.pop(0))
            self._files += written
            if not self._waiting:
                turn.note(turn.of_held_ingest())
                self.told(f"upkeep: {self._files} small files written together")

    def _tidied(self, turn: Round, table: str) -> int:
        """How many small files went into larger ones; what stands in the way of a table waits for the next round."""
        from deltalake.exceptions import CommitFailedError

        try:
            return turn.tidy_held(table) if self._is_sweep else turn.compact_held(table)
        except (CommitFailedError, LeaseError, UsageError, WriteError) as other:  # another's upkeep; a run that is old
            self.told(f"upkeep: {table} waits: {str(other).splitlines()[0][:200]}")
            return 0

    def _begin(self, turn: Round, at: datetime) -> None:
        """Begin a round when it is time for one; once a day it is one that also sweeps."""
        self._is_sweep = at - self._swept >= SWEEP_EVERY
        if self._is_sweep or at - self._compacted >= COMPACT_EVERY:
            self._compacted, self._swept = at, at if self._is_sweep else self._swept
            self._waiting, self._files = turn.of_held_ingest(), 0
