"""Reelhouse itself: the ingest that reads Kafka, on topics in files."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.drills.beside.contender import READ, Found, dying, rows_of
from jobs.drills.chance.sandbox import Sandbox
from jobs.drills.evidence import books
from jobs.drills.records import micros
from jobs.drills.storage import tear
from jobs.lake.errors import LeaseError, WriteError
from jobs.lake.ingest.loop import LEASE
from jobs.lake.ingest.progress import BOOKS, QUARANTINE
from jobs.lake.kill_points import Killed
from jobs.lake.mending import newest_of_log
from jobs.lake.repairing import mend

VIEWS = "silver.views"
IN_THE_MIDDLE, AFTER_WRITE = "ingest.after_bronze", "ingest.before_books"


@dataclass
class Reelhouse:
    """One lake under `folder`."""

    folder: Path
    spark: SparkSession
    name: str = "Reelhouse"

    @cached_property
    def sandbox(self) -> Sandbox:
        """The lake, and the runs of ingest on it."""
        return Sandbox(self.folder, self.spark)

    def run(self) -> None:
        """Run ingest until all is taken in."""
        self.sandbox.ingest()

    def killed(self, *, written: bool) -> None:
        """Be killed before the books, with all else written, or between bronze and silver."""

        def kill() -> None:
            raise Killed

        with dying(Killed):
            self.sandbox.at(AFTER_WRITE if written else IN_THE_MIDDLE, kill, self.sandbox.ingest)

    def stands_still(self) -> None:
        """Stand still until the lease is gone and a second ingest is through; then go on, or hear that it was lost."""

        def another() -> None:
            self.sandbox.expire(LEASE)
            self.sandbox.ingest()

        with suppress(LeaseError, WriteError):
            if not self.sandbox.at(AFTER_WRITE, another, self.sandbox.ingest):
                raise RuntimeError(f"no ingest came by {AFTER_WRITE}")

    def forget(self) -> None:
        """Lose all books: they say how far the topics are read."""
        shutil.rmtree(self.sandbox.ledger.path(BOOKS))

    def torn(self) -> None:
        """Run `reelhouse repair`, to which the error of whoever reads the torn table leads."""
        tear(newest_of_log(self.sandbox.ledger, VIEWS))
        if mend(self.sandbox.settings, VIEWS, self.sandbox.run_id("repair")) is None:
            raise RuntimeError(f"nothing was found to mend of {VIEWS}")

    def found(self) -> Found:
        """The rows of silver, the records in quarantine, and the repeats that the books have."""
        ledger = self.sandbox.ledger
        rows = rows_of(ledger.read(VIEWS, [*READ, "kafka_time"]).to_pylist())
        aside = frozenset(micros(at) for at in ledger.read(QUARANTINE, ["kafka_time"])["kafka_time"].to_pylist())
        return Found(rows, aside, sum(line["duplicate"] for line in books(self.sandbox.settings)))
