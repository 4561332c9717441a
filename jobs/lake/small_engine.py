"""The engine of small runs: Sail, which takes PySpark's plans in this process, without a JVM (docs/adr/0025).

What a small run costs on Spark is what Spark costs whatever it is given: thousands of calls to a JVM, plans worked out
anew, code made for each. The families' frames are built by the very same functions on either engine; tests compare what
they give.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import psutil

from jobs.lake.session import SESSION_CONF
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MODE = "SPARK_CONNECT_MODE_ENABLED"  # PySpark's own switch: which kind of column its functions make
# Else every column operation walks the Python stack.
QUIET = {"spark.python.sql.dataFrameDebugging.enabled": "false"}
NAME = "small-run-"  # of the folder where it keeps things; then comes its process


class SmallLake(Lake):
    """The tables as the engine of small runs reads them."""

    def read_at(self, path: str, version: int | None = None) -> "DataFrame":
        """The rows by the log: of files read by name this engine does not see the columns that folders tell."""
        reader = self.spark.read.format("delta")
        return (reader if version is None else reader.option("versionAsOf", version)).load(path)

    @staticmethod
    def keep(frame: "DataFrame") -> "DataFrame":
        """The same rows, worked out now: this engine knows no other way."""
        return frame.localCheckpoint(eager=True)


@contextmanager
def small_lake(settings: Settings) -> Iterator[SmallLake]:
    """The lake on the engine, which is started for it and ends with it; PySpark speaks to no other meanwhile."""
    folder = settings.home / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    _forget_the_killed(folder)
    with (
        TemporaryDirectory(prefix=f"{NAME}{os.getpid()}-", dir=folder) as scratch,
        _environment(_engine_settings(settings, scratch)),
    ):
        from pysail.spark import SparkConnectServer
        from pyspark.sql.connect.session import SparkSession as RemoteSession

        server = SparkConnectServer(ip="127.0.0.1", port=0)
        server.start(background=True)
        try:
            _, port = server.listening_address
            session = cast("SparkSession", RemoteSession.builder.remote(f"sc://127.0.0.1:{port}").create())
            try:
                for key, value in {**SESSION_CONF, **QUIET}.items():
                    session.conf.set(key, value)
                yield SmallLake(settings, session)
            finally:
                session.stop()
        finally:
            server.stop()


def _forget_the_killed(folder: Path) -> None:
    """Remove what processes left that ended before they could."""
    for left in folder.glob(f"{NAME}*"):
        pid = left.name.removeprefix(NAME).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _engine_settings(settings: Settings, scratch: str) -> dict[str, str]:
    """As environment variables, which is where the engine looks: what it keeps and spills lies in `scratch`."""
    return {
        MODE: "1",
        "RUST_LOG": "error",  # or it tells of every hint of ours that it does not need
        "SAIL_EXECUTION__CHECKPOINT__PATH": f"file://{scratch}",
        "SAIL_EXECUTION__DEFAULT_PARALLELISM": str(settings.spark_cores),
        "SAIL_RUNTIME__TEMPORARY_FILES__PATHS": f'["{scratch}"]',
    }


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """These variables for a while, then as it was."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
