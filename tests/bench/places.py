"""What arenas stand on: a home, ports, a broker and a Spark of their own, and folders that are new for each run."""

import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jobs.lake.session import open_session
from jobs.lake.settings import Settings
from tests.bench.harness import family_of


def own_settings(folder: Path) -> Settings:
    """The platform's defaults, in a home and on ports that nobody else has."""
    client, controller, connect = free_ports(3)
    return Settings(
        home=folder / "home",
        lake_uri="",
        kafka_bootstrap_servers="",
        kafka_port=client,
        kafka_controller_port=controller,
        spark_remote="",
        spark_master="",
        spark_connect_port=connect,
    )


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on just now."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def own_spark(settings: Settings) -> Iterator[SparkSession]:
    """A classic session, whose JVM is a child of this process and so is measured with it."""
    spark = open_session(settings, "bench")
    spark.sparkContext.setLogLevel("ERROR")  # or its remarks on long plans drown the figures
    try:
        yield spark
    finally:
        spark.stop()


@contextmanager
def own_services(*services: Any) -> Iterator[None]:
    """Services of ours, ended afterwards to their last process."""
    from jobs.lake.services import control

    try:
        control.up(services, lambda name, news: None)
        yield
    finally:
        control.down(services, lambda name, news: None)


def jvm_of(spark: SparkSession) -> frozenset[int]:
    """The processes of a classic session, to be left out of the figures of those who do not use it."""
    gateway = spark.sparkContext._gateway
    return family_of(gateway.proc.pid) if gateway is not None else frozenset()


def workers_of(spark: SparkSession) -> frozenset[int]:
    """The Python workers that others left waiting, to be left out of the figures of those who use none."""
    gateway = spark.sparkContext._gateway
    return jvm_of(spark) - {gateway.proc.pid} if gateway is not None else frozenset()


def apart(spark: SparkSession, conf: dict[str, str]) -> SparkSession:
    """A session of the same JVM with settings of its own."""
    session = spark.newSession()
    for key, value in conf.items():
        session.conf.set(key, value)
    return session


def slug(name: str) -> str:
    """A contender's name as a folder's: Hadoop takes no colon, and some readers no per cent."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


class Shelf:
    """A folder that is new at each `renew`: Spark remembers tables by their path, so no path is used twice."""

    def __init__(self, root: Path) -> None:
        self._root, self._count = root, 0

    @property
    def path(self) -> Path:
        """Where this run writes."""
        return self._root / f"{self._count:03d}"

    def renew(self) -> None:
        """Forget what the run before wrote."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._count += 1
        self.path.mkdir(parents=True)
