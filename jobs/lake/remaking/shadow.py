"""A lake beside the lake, in which batches are done again from bronze: the same steps, on tables that begin empty.

What stands is neither read nor written meanwhile, so no batch needs to see a table as it was before it. One that is
killed goes on where it stopped, and tables that are made of all topics share one. Bronze is not copied: the shadow has
a link to it.
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from jobs.lake.ailments import BY_BATCH
from jobs.lake.clock import now
from jobs.lake.errors import LeaseError, WriteError
from jobs.lake.identity import pseudonym_function, read_keys
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.counting import received
from jobs.lake.ingest.erased import erased_of
from jobs.lake.ingest.loop import LEASE, Ingest
from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import BOOKS, BRONZE, HOURS, committed
from jobs.lake.ingest.small_batches import by_topic, may_end
from jobs.lake.ingest.steps import run_batch
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.remaking.plans import Memory
from jobs.lake.scanning import folder_of
from jobs.lake.settings import Settings
from jobs.lake.small_runs import INGEST, on_engine
from jobs.lake.tables import Lake
from jobs.lake.topics import CONTROL, TOPICS

FOLDER = "remade"
COMPACT_EVERY = 50  # batches


@dataclass(frozen=True)
class Shadow:
    """The shadow in which one table is made again."""

    settings: Settings
    table: str
    run_id: str
    open_spark: Callable[[Settings], Any]

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.settings.home / FOLDER / (self.table if topics_of(self.table) < set(TOPICS) else "all")

    @cached_property
    def lake(self) -> Lake:
        """Its tables; with the first use a session is opened, set as ingest's is."""
        made: Lake = Ingest(self.ledger.settings, self.run_id, now, self.open_spark).lake()
        return made

    @cached_property
    def ledger(self) -> Ledger:
        """The same tables without Spark; with the first use bronze is linked."""
        link = self.folder / BRONZE.replace(".", "/")
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(folder_of(self.settings.table_path(BRONZE)).absolute())
        return Ledger(self.settings.model_copy(update={"lake_uri": str(self.folder)}))

    def clear(self) -> None:
        """Begin with nothing done; before the first use of its tables."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def do_again(self, memory: Memory, last: int, still_ours: Callable[[], None]) -> None:
        """Do every batch up to `last` that is not done yet; KeyFileError, before anything, without the keys."""
        read_keys(self.settings.keys_path)
        for number in range(committed(self.ledger, BOOKS) + 1, last + 1):
            self._batch(memory, number, still_ours)
            if number % COMPACT_EVERY == COMPACT_EVERY - 1:
                self._compact()

    def _batch(self, memory: Memory, number: int, still_ours: Callable[[], None]) -> None:
        only = topics_of(self.table)
        found, sung = received(self.ledger, number)
        planned = self._planned(memory, number, found)
        counts, canaries = ({place: n for place, n in each.items() if place[0] in only} for each in (found, sung))
        run_id, at = memory.runs.get(number, self.run_id), memory.times.get(number, now())
        erased = tuple(place for place in erased_of(Ledger(self.settings), number) if place[0] in only)

        def do(lake: Lake) -> None:
            pseudonym = pseudonym_function(self.settings.keys_path)
            told = (self.ledger, planned, run_id, counts, pseudonym)
            run_batch(Batch(lake, *told, only=only, erased=erased, canaries=canaries), lambda: at, still_ours)

        # An erasure is a batch like others here: what it took is not read.
        is_for_few = may_end(self.ledger.settings, self.ledger, replace(planned, erasure=None), by_topic(counts))
        on_engine(self.ledger.settings, INGEST, is_for_few, do, lambda: self.lake)

    def _planned(self, memory: Memory, number: int, found: dict[tuple[str, int], int]) -> Plan:
        """The batch's plan; WriteError when nothing tells it any more."""
        planned = memory.plans.get(number)
        if planned is None or any(part not in planned.ranges.get(topic, {}) for topic, part in found):
            raise WriteError(
                f"{self.table}: what batch {number} read is neither in {BRONZE}'s log nor in {BOOKS}; mend {BOOKS} "
                "from a copy first"
            )
        return planned

    def _compact(self) -> None:
        """Write small files together, or each batch would have more to open than the one before."""
        for table in filter(self.ledger.exists, (*BY_BATCH, HOURS)):
            self.ledger.open(table).optimize.compact()


def clear(settings: Settings, run_id: str) -> None:
    """Take all shadows away, unless somebody is at work with one; bronze stays, its link goes."""
    folder = settings.home / FOLDER
    if folder.exists():
        with suppress(LeaseError), Leases(Ledger(settings)).held(LEASE, run_id):
            shutil.rmtree(folder)


def topics_of(table: str) -> frozenset[str]:
    """The topics whose records make a table; `control` is always among them: it takes back what others said."""
    layer, name = table.split(".", 1)
    if layer == "silver" and name in TOPICS:
        return frozenset({name, CONTROL})
    return frozenset({CONTROL} if table in BY_BATCH and BY_BATCH[table][1] == CONTROL else TOPICS)
