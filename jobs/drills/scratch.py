"""A scratch lake with a broker of its own: where drills play for users, in true processes that are truly killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from jobs.drills.broker import Broker, free_ports
from jobs.drills.records import Record
from jobs.drills.stage import Ended
from jobs.lake.clock import now
from jobs.lake.errors import ServiceError
from jobs.lake.ingest.loop import LEASE
from jobs.lake.kill_points import VARIABLE
from jobs.lake.leases import Leases, is_held
from jobs.lake.ledger import Ledger
from jobs.lake.services import control
from jobs.lake.services.connect import Connect
from jobs.lake.settings import ROOT, Settings

OUTSIDE = ("KAFKA_BOOTSTRAP_SERVERS", "SPARK_REMOTE", "SPARK_MASTER", "AIRFLOW_URL")
LONGEST_SECONDS = 600
LAST_LINES = 2


def begin(settings: Settings, *arguments: str, **names: str) -> subprocess.Popen[str]:
    """Start `reelhouse ARGUMENTS…` with these settings, whatever the environment says, and more names."""
    inherited = {name: value for name, value in os.environ.items() if name not in OUTSIDE}
    return subprocess.Popen(
        [sys.executable, "-m", "jobs", *arguments],
        cwd=ROOT,
        env=inherited | settings.as_environment() | names,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a command; its exit code and last words. It is killed if that takes ten minutes."""
    try:
        printed, said = process.communicate(timeout=LONGEST_SECONDS)
    finally:
        process.kill()
    words = (said.strip() or printed.strip()).splitlines()
    return Ended(process.returncode, " / ".join(words[-LAST_LINES:]), printed)


@dataclass
class Scratch:
    """The stage of one drill: lake and broker under `folder`, Spark from a server that serves many drills."""

    folder: Path
    server: Connect
    settings: Settings = field(init=False)
    now: datetime = field(init=False, default_factory=now)  # when the broker began to serve

    def __post_init__(self) -> None:
        client, controller, airflow = free_ports(3)
        self.settings = Settings(
            home=self.folder,
            lake_uri="",
            key_file=self.folder / "keys" / "pseudonyms.json",
            kafka_bootstrap_servers="",
            kafka_security_protocol="PLAINTEXT",
            kafka_port=client,
            kafka_controller_port=controller,
            kafka_memory_mb=384,
            spark_remote=self.server.address,
            spark_master="",
            airflow_url="",
            airflow_port=airflow,
            alert_webhook="",
        )

    @property
    def broker(self) -> Broker:
        """The broker of this drill alone."""
        return Broker(self.settings)

    @contextmanager
    def set_up(self) -> Iterator[None]:
        """An empty lake and a broker that serves; afterwards the broker is stopped to its last process."""
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            self.broker.up()
            self.now = now()
            yield
        finally:
            self.broker.down()

    def put(self, records: Iterable[Record]) -> None:
        """Put records on the topics as they are, in their order."""
        self.broker.put(records)

    def run(self, *arguments: str, **names: str) -> Ended:
        """Run `reelhouse ARGUMENTS…` to its end."""
        return ended(begin(self.settings, *arguments, **names))

    def printed(self, *arguments: str) -> str:
        """Run `reelhouse ARGUMENTS…` to its end; what it printed. ServiceError when it fails."""
        process = begin(self.settings, *arguments)
        printed, said = process.communicate(timeout=LONGEST_SECONDS)
        if process.returncode:
            raise ServiceError(f"reelhouse {' '.join(arguments)} ended with code {process.returncode}: {said.strip()}")
        return " ".join(printed.split())

    def ingest(self, *, kill_at: str = "", accept_loss: bool = False, accept_new: str = "") -> Ended:
        """Run ingest until it is caught up, or ended by SIGKILL at a named point."""
        options = ["--accept-loss"] * accept_loss + (["--accept-new-topic", accept_new] if accept_new else [])
        return self.run("ingest", *options, **({VARIABLE: kill_at} if kill_at else {}))

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Another ingest at work while the block lasts; then it is killed."""
        service = begin(self.settings, "ingest", "--continuous")
        try:
            wait_for_ingest(self.settings, service)
            yield
        finally:
            service.send_signal(signal.SIGKILL)
            service.wait()

    def remake(self, topic: str) -> None:
        """Delete a topic and make it anew, empty."""
        self.broker.remake(topic)

    def forget(self, topic: str) -> None:
        """Take all records of a topic away, as retention does."""
        self.broker.forget(topic)

    def clean(self) -> Settings:
        """A second lake, filled from the same topics in one undisturbed run."""
        other = self.settings.model_copy(update={"lake_uri": str(self.folder / "clean")})
        done = ended(begin(other, "ingest"))
        if done.code:
            raise ServiceError(f"the undisturbed run into {other.lake_uri} ended with code {done.code}: {done.said}")
        return other


def wait_for_ingest(settings: Settings, service: subprocess.Popen[str]) -> None:
    """Wait until an ingest that was started is at work; ServiceError when it ended instead."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not ingest_is_at_work(settings):
        if service.poll() is not None or time.monotonic() > deadline:
            raise ServiceError(f"the first ingest did not begin: {ended(service).said}")
        time.sleep(0.2)


def ingest_is_at_work(settings: Settings) -> bool:
    """Whether an ingest holds its lease."""
    leases = Leases(Ledger(settings)).read()
    return LEASE in leases and is_held(leases[LEASE], now())


@contextmanager
def warm_spark(folder: Path) -> Iterator[Connect]:
    """A Spark server for drills; stopped to its last process afterwards."""
    (port,) = free_ports(1)
    settings = Settings(home=folder, spark_remote="", spark_master="", spark_connect_port=port, spark_memory_mb=2048)
    server = Connect(settings)
    try:
        control.up([server], lambda name, news: None)
        yield server
    finally:
        control.down([server], lambda name, news: None)
