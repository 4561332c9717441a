"""Upkeep for an ingest that goes on for ever: it never gives up its lease, so it tidies its own tables itself.

Small files are written together every few minutes, or each batch would have more to open than the one before. What
lists whole tables (files that nobody needs any more, expired logs) is done once a day, as the DAG `upkeep` does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

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
    _compacted: datetime = field(init=False)
    _swept: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._compacted = self._swept = self.now()

    def __call__(self) -> None:
        """Compact the tables that ingest and the ledger write; once a day remove what nobody needs any more."""
        at = self.now()
        turn = Round(self.settings, self.run_id, timedelta(days=KEEP_DAYS), at, self.told)
        if at - self._swept >= SWEEP_EVERY:
            self._told(sum(one.compacted for one in turn.of_held_ingest()))
            self._compacted = self._swept = at
        elif at - self._compacted >= COMPACT_EVERY:
            self._told(turn.compact_held_ingest())
            self._compacted = at

    def _told(self, files: int) -> None:
        self.told(f"upkeep: {files} small files written together")
