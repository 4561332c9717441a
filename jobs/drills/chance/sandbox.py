"""A lake and topics in files for one schedule, and the runs that work on them in this process, on a warm Spark."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.drills.chance.schedule import FAMILIES
from jobs.drills.chance.sending import Producers
from jobs.drills.evidence import rows
from jobs.lake.clock import now
from jobs.lake.contracts import all_tables
from jobs.lake.errors import UsageError
from jobs.lake.file_topics import SCHEME, FileTopics
from jobs.lake.ingest.loop import Ingest
from jobs.lake.kill_points import heard
from jobs.lake.leases import TABLE as LEASES
from jobs.lake.ledger import Ledger
from jobs.lake.releasing import Outcome
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.lake.small_engine import set_aside
from jobs.serve.tables import published_version
from jobs.upkeep.files import KEEP_DAYS
from jobs.upkeep.logs import YOUNGER
from jobs.upkeep.rounds import Round

MEMORY_MB = 1024  # of the Spark of a process that is killed
COMPACTED_FROM = 2  # small files of a table; the lakes of drills are small


@dataclass
class Sandbox:
    """The stage of a schedule: everything it writes lies under `folder`."""

    folder: Path
    spark: SparkSession
    family: str = "sessions"
    lake: str = "lake"
    runs: int = 0
    producers: Producers = field(init=False)

    def __post_init__(self) -> None:
        self.producers = Producers(FileTopics(self.folder / "topics"), self.folder)

    @cached_property
    def settings(self) -> Settings:
        """Settings of the lake, for this process and those it starts."""
        return Settings(
            home=self.folder / self.lake,
            lake_uri="",
            key_file=self.folder / "keys.json",
            kafka_bootstrap_servers=f"{SCHEME}{self.folder / 'topics'}",
            spark_remote="",
            spark_master="local[2]",
            spark_memory_mb=MEMORY_MB,
            alert_webhook="",
        )

    @cached_property
    def ledger(self) -> Ledger:
        """The tables, without Spark."""
        return Ledger(self.settings)

    @cached_property
    def undisturbed(self) -> "Sandbox":
        """Another lake on the same topics."""
        return replace(self, lake="clean")

    def run_id(self, what: str) -> str:
        """A name for the next run."""
        self.runs += 1
        return f"{what}-{self.runs}"

    def ingest(self) -> None:
        """Take in all there is."""
        self.new_ingest().until_caught_up()

    def new_ingest(self) -> Ingest:
        """A run of ingest that has not begun; its session is its own, as in a process of its own."""
        return Ingest(self.settings, self.run_id("ingest"), now, lambda _: self.spark.newSession())

    def runner(self, run_id: str = "") -> Runner:
        """A run of the family that has not begun."""
        name = run_id or self.run_id("publish")
        return Runner(self.settings, self.family, name, session=lambda _: self.spark.newSession())

    def publish(self, run_id: str = "", *, full: bool = False) -> None:
        """Build, check and release what is touched, or everything."""
        for task in self.tasks(run_id or self.run_id("publish"), full=full):
            task()

    def tasks(self, run_id: str, *, full: bool = False) -> tuple[Callable[[], object], ...]:
        """What Airflow runs of a family one after another, each in a process of its own."""
        return (
            lambda: self.runner(run_id).build(now(), full=full),
            lambda: self.runner(run_id).check(),
            lambda: self.runner(run_id).release(),
        )

    def retry(self) -> Outcome:
        """Publish all that waits, also what a rollback held back."""
        return self.runner().retry(now())

    def upkeep(self) -> None:
        """A round over every table that leaves no small files, and of a log no more than runs at work may need.

        Data files it keeps as many days as the command does.
        """
        keep, tables = timedelta(days=KEEP_DAYS), all_tables(self.settings.schemas_dir)
        for table in (table for table in tables if self.ledger.exists(table)):
            self._with_checkpoints(table)
        turn = Round(
            self.settings, self.run_id("upkeep"), keep, now(), lambda words: None, COMPACTED_FROM,
            log_kept=timedelta(0), log_from=1,
        )  # fmt: skip
        turn.tidy(tables)

    def _with_checkpoints(self, table: str) -> None:
        """Make checkpoints as if each of the newest commits were the twentieth, or so few would never be cut."""
        delta = self.ledger.open(table)
        newest = delta.version()
        for version in range(max(1, newest - YOUNGER), newest + 1):
            delta.load_as_version(version)
            delta.create_checkpoint()

    def expire(self, lease: str) -> None:
        """Let a lease run out, as it does when its holder stands still for a minute."""
        held, version = self.ledger.read_versioned(LEASES)
        lines = [
            line | {"expires_at": line["acquired_at"]} if line["name"] == lease else line for line in held.to_pylist()
        ]
        self.ledger.replace(LEASES, lines, on_version=version)

    def seen(self) -> dict[str, list[str]]:
        """What readers get of the family's tables; nothing before the first release."""
        found = {}
        for table in FAMILIES[self.family]:
            try:
                version = published_version(self.settings, table, None, None)
            except UsageError:
                return {}
            found[table] = rows(self.settings, table, version)
        return found

    def at(self, point: str, act: Callable[[], object], work: Callable[[], object]) -> bool:
        """Do `work`; when it first passes `point`, do `act` there, as another process would. Whether it came by.

        What `act` fails with is raised whatever `work` makes of it: as another process, it is not the engine's failure.
        """
        passed: list[str] = []
        failed: list[Exception] = []

        def hear(name: str) -> None:
            if name == point and not passed:
                passed.append(name)
                try:
                    with set_aside():
                        act()
                except Exception as failure:
                    failed.append(failure)
                    raise

        with heard(hear):
            try:
                work()
            finally:
                if failed:
                    raise failed[0]
        return bool(passed)
