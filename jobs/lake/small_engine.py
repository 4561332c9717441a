"""The engine of small runs: Sail, which takes PySpark's plans without a JVM (docs/adr/0025).

What a small run costs on Spark is what Spark costs whatever it is given: thousands of calls to a JVM, plans worked out
anew, code made for each. The families' frames are built by the very same functions on either engine; tests compare what
they give.
"""

import atexit
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from jobs.lake.engine_process import ENGINE, EngineDiedError
from jobs.lake.errors import TooMuchError
from jobs.lake.session import QUIET, SESSION_CONF
from jobs.lake.settings import Settings
from jobs.lake.small_runs import forget_the_killed, note_the_killed, own_prefix, scratch_home
from jobs.lake.tables import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.connect.session import SparkSession as RemoteSession

MODE = "SPARK_CONNECT_MODE_ENABLED"  # PySpark's own switch: which kind of column its functions make
RETRIES = 4  # four seconds
ALONE = Lock()  # the switch and the engine are of the whole process


class SmallLake(Lake):
    """The tables as the engine of small runs reads them."""

    def read_at(self, path: str, version: int | None = None) -> "DataFrame":
        """The rows at one version, by the log: this engine looks at a frame's files anew whenever it is asked.

        Of files read by name it does not see the columns that folders tell.
        """
        from deltalake import DeltaTable

        seen = DeltaTable(path).version() if version is None else version
        return self.spark.read.format("delta").option("versionAsOf", seen).load(path)

    @staticmethod
    def keep(frame: "DataFrame") -> "DataFrame":
        """The same rows, worked out now: this engine knows no other way."""
        return frame.localCheckpoint(eager=True)

    @staticmethod
    def hold(frame: "DataFrame") -> "DataFrame":
        """The same rows, worked out now."""
        return SmallLake.keep(frame)

    @property
    def reads_kafka(self) -> bool:
        """It has none."""
        return False

    @property
    def merges(self) -> bool:
        """It does not: delta-rs puts few in the place of few."""
        return False

    @property
    def keeps_readings(self) -> bool:
        """It does not: a plan takes no time here."""
        return False

    def leave_to_spark(self, what: str) -> None:
        """TooMuchError, which has Spark do it all."""
        raise TooMuchError(what)

    def _write(self, table: str, *_: Any, **__: Any) -> None:
        """TooMuchError: this engine's own commits do not say whose they are; a repeat would add the rows again."""
        self.leave_to_spark(f"rows of {table} are more than delta-rs is given, or replace others")

    def merge(self, table: str, *_: Any, **__: Any) -> None:
        """TooMuchError: of a table beyond what this process may look through, Spark knows how to change rows."""
        self.leave_to_spark(f"rows of {table} are to be changed")

    @staticmethod
    def planned_apart(frame: "DataFrame") -> "DataFrame":
        """The same rows, worked out now: planning takes longer, and for two frames more than twice as long."""
        return SmallLake.keep(frame)

    def expect(self, rows: "int | DataFrame") -> None:
        """TooMuchError where so many are to be worked on that it is Spark's."""
        if (rows if isinstance(rows, int) else rows.count()) >= self.settings.small_run_rows:
            raise TooMuchError("more rows are to be looked at than are for it")


@contextmanager
def small_lake(settings: Settings) -> Iterator[SmallLake]:
    """The lake on the engine, which listens for as long as that; PySpark speaks to no other meanwhile."""
    if forget_the_killed(settings):
        raise TooMuchError("the small run before was killed, perhaps for want of memory")
    folder = scratch_home(settings)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        _alone(),
        _told_to_the_next(settings),
        TemporaryDirectory(prefix=own_prefix(), dir=folder) as scratch,
        _pyspark_speaks_to_it(),
        ENGINE.listening(_engine_settings(settings, Path(scratch))) as port,
        _session(port) as session,
    ):
        for key, value in {**SESSION_CONF, **QUIET}.items():
            session.conf.set(key, value)
        yield SmallLake(settings, session)


@contextmanager
def _told_to_the_next(settings: Settings) -> Iterator[None]:
    """Whoever comes after a run in which the engine died leaves its own to Spark."""
    try:
        yield
    except EngineDiedError:
        note_the_killed(settings)
        raise


@contextmanager
def _session(port: int) -> "Iterator[SparkSession]":
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession as RemoteSession

    class WhileAlive(DefaultPolicy):
        """PySpark's own, which would ask an engine that has died again for ten minutes."""

        def can_retry(self, exception: BaseException) -> bool:
            return ENGINE.is_alive and super().can_retry(exception)

    session = RemoteSession.builder.remote(f"sc://127.0.0.1:{port}").create()
    client = session.client
    client.set_retry_policies([WhileAlive(max_retries=RETRIES)])
    try:
        with _active(session):
            yield cast("SparkSession", session)
    except BaseException:
        session.release_session_on_close = False  # nor is an engine that hangs asked to
        raise
    finally:
        session.stop()
        # PySpark would keep the client, and its channel, until this process ends.
        atexit.unregister(client._on_exit)  # noqa: SLF001


@contextmanager
def _active(session: "RemoteSession") -> Iterator[None]:
    """Frames that are kept are this session's: PySpark takes them for the active one's, which may be Spark's own."""
    known = type(session)
    active, default = known._active_session, known._default_session  # noqa: SLF001
    before = getattr(active, "session", None)
    active.session = known._default_session = session  # noqa: SLF001
    try:
        yield
    finally:
        active.session, known._default_session = before, default  # noqa: SLF001


@contextmanager
def set_aside() -> Iterator[None]:
    """PySpark speaks to Spark for a while, though this process is at a small run: for what happens meanwhile."""
    mode = os.environ.pop(MODE, None)
    try:
        yield
    finally:
        if mode is not None:
            os.environ[MODE] = mode


def _engine_settings(settings: Settings, scratch: Path) -> dict[str, str]:
    """As environment variables, which is where the engine looks: what it keeps and spills lies in `scratch`."""
    return {
        MODE: "1",
        "RUST_LOG": "error",  # or it tells of every hint of ours that it does not need
        "SAIL_EXECUTION__CHECKPOINT__PATH": scratch.as_uri(),
        "SAIL_EXECUTION__DEFAULT_PARALLELISM": str(settings.spark_cores),
        "SAIL_RUNTIME__TEMPORARY_FILES__PATHS": json.dumps([str(scratch)]),
    }


@contextmanager
def _alone() -> Iterator[None]:
    """One at a time in a process; TooMuchError for a second."""
    if not ALONE.acquire(blocking=False):
        raise TooMuchError("this process is at another small run")
    try:
        yield
    finally:
        ALONE.release()


@contextmanager
def _pyspark_speaks_to_it() -> Iterator[None]:
    """What PySpark's functions make meanwhile is for the engine; then as it was."""
    before = os.environ.get(MODE)
    os.environ[MODE] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(MODE, None)
        else:
            os.environ[MODE] = before
