"""A stage for drills without a broker: topics are lists, ingest runs in this process on a warm Spark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.drills.stage import KILLED, Ended
from jobs.lake.clock import now
from jobs.lake.errors import ReelhouseError
from jobs.lake.ingest.loop import LEASE, Ingest
from jobs.lake.kill_points import VARIABLE, Killed
from jobs.lake.settings import Settings
from tests.lake.logs import NOON, Log, Record
from tests.warm import settings_at, short_lived_java, warm_spark


@dataclass
class Rehearsal:
    """One lake on a broker that is a list; being killed is an exception that nothing catches on its way."""

    folder: Path
    spark: SparkSession
    log: Log = field(default_factory=Log)
    now: datetime = NOON

    @property
    def settings(self) -> Settings:
        return self.on("lake")

    def on(self, lake: str) -> Settings:
        return Settings(home=self.folder / lake, key_file=self.folder / "keys.json", spark_remote="", spark_master="")

    def put(self, records: Iterable[Record]) -> None:
        self.log.put(records)

    def run(self, settings: Settings, *, accept_loss: bool = False, accept_new: str = "") -> Ingest:
        new = frozenset({accept_new} - {""})
        return Ingest(settings, "drill", now, lambda _: self.spark, accept_loss, new)

    def ingest(self, *, kill_at: str = "", accept_loss: bool = False, accept_new: str = "") -> Ended:
        run = self.run(self.settings, accept_loss=accept_loss, accept_new=accept_new)
        with pytest.MonkeyPatch.context() as patch:
            self.log.installed(patch)
            patch.setenv(VARIABLE, f"raise:{kill_at}")
            try:
                done = run.until_caught_up()
            except Killed as killed:
                return Ended(KILLED, str(killed))
            except ReelhouseError as error:
                return Ended(error.exit_code, str(error))
        return Ended(0, f"{len(done)} batches")

    @contextmanager
    def beside(self) -> Iterator[None]:
        with self.run(self.settings).leases.held(LEASE, "the first"):
            yield

    def remake(self, topic: str) -> None:
        self.log.parts[topic] = {}
        self.log.ids[topic] += " made anew"

    def forget(self, topic: str) -> None:
        self.log.gone |= {(topic, number): len(part) for number, part in self.log.parts[topic].items()}

    def clean(self) -> Settings:
        with pytest.MonkeyPatch.context() as patch:
            self.log.installed(patch)
            self.run(self.on("clean")).until_caught_up()
        return self.on("clean")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session that an earlier suite of this process left warm, or a new one."""
    with short_lived_java(), warm_spark(settings_at(tmp_path_factory.mktemp("home"))) as session:
        yield session


@pytest.fixture
def stage(tmp_path: Path, spark: SparkSession) -> Rehearsal:
    return Rehearsal(tmp_path, spark)
