"""Which runs are small: done by an engine that needs no JVM (jobs/lake/small_engine.py, docs/adr/0025).

Which batches of ingest are, `jobs/lake/ingest/small_batches.py` says.

What the engine refuses, Spark does.
"""

import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from jobs.lake.errors import ContractError, ReelhouseError, TooMuchError, WriteError
from jobs.lake.lifetimes import has_ended, this_process
from jobs.lake.scanning import is_local
from jobs.lake.settings import Settings
from jobs.lake.work import Work

if TYPE_CHECKING:
    from jobs.lake.tables import Lake

T = TypeVar("T")
log = logging.getLogger(__name__)

# Whose numbers are the same on both, to the bit: all but those with logarithms in them.
FAMILIES = ("funnels", "profiles", "sessions")
INGEST = "ingest"  # whose work deals with what was sent, raw ids in it
LAKE_ROWS = 10_000_000
NAME = "small-run-"  # of the folder where a run keeps things; then comes whose it is
KILLED = "engine-died"  # a file that tells of the last run
PLAIN = re.compile(r"[A-Za-z0-9._/~+=@,-]+")  # names of folders
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_small(work: Work, settings: Settings) -> bool:
    """Whether the engine may build it."""
    return is_small_of(work.family, work.rows, work.all_rows, settings)


def is_small_of(family: str, rows: int, all_rows: int, settings: Settings) -> bool:
    """Whether the engine may work on so few rows, in a lake of which it was measured how much memory that takes.

    Funnels only while all of them ask for what was compared.
    """
    is_little = family in FAMILIES and all_rows < LAKE_ROWS and are_few(rows, settings)
    return is_little and (family != "funnels" or _are_portable(settings.schemas_dir))


def are_few(rows: int, settings: Settings) -> bool:
    """Whether so many rows are for the engine: few, and where it may be used."""
    return rows < settings.small_run_rows and may_be_used(settings)


def may_be_used(settings: Settings) -> bool:
    """Whether the engine is for this lake: on this machine, nobody named a Spark on another, or turned it off.

    It does not find its own files where a folder has a space or a `%` in its name.
    """
    are_plain = all(PLAIN.fullmatch(place) for place in (settings.lake_root, str(settings.home)))
    is_here = are_plain and is_local(settings.lake_root) and not _is_elsewhere(settings)
    return settings.small_run_rows > 0 and is_here


def _are_portable(schemas_dir: Path) -> bool:
    """Whether every funnel means the same on both engines; one run makes them all."""
    from jobs.definitions.funnel.checking import read_definitions
    from jobs.definitions.funnel.portable import is_portable
    from jobs.definitions.funnel.vocabulary import properties

    types = properties(schemas_dir)
    return all(is_portable(one, types) for one in read_definitions(schemas_dir))


def _is_elsewhere(settings: Settings) -> bool:
    """Whether jobs are meant for other machines; our own server is named to Airflow's tasks, and is none."""
    is_remote = settings.spark_remote and urlsplit(settings.spark_remote).hostname not in LOOPBACK
    return bool(is_remote) or settings.is_cluster


def on_engine(
    settings: Settings, whose: str, is_for_few: bool, do: "Callable[[Lake], T]", by_spark: "Callable[[], Lake]"
) -> T:
    """Have the engine do what is for few; all else, and what it leaves, is Spark's, in the lake that `by_spark` opens.

    What is left is told in a warning that names `whose` work it is. `do` may be begun twice.
    """
    if is_for_few:
        try:
            from jobs.lake.small_engine import small_lake

            with small_lake(settings) as lake:
                return do(lake)
        except Exception as refused:
            if not is_refusal(refused):
                raise
            log.warning("%s: left to Spark, %s%s", whose, type(refused).__name__, _said(refused, whose))
            log.debug("%s: left to Spark", whose, exc_info=refused)
    return do(by_spark())


def is_refusal(error: Exception) -> bool:
    """Whether Spark may do what the engine did not: all but our own errors, which it would raise again.

    Of ours these: too much to do, a contract that cannot be evaluated, for Spark may be able to, and rows that do not
    fit their table, for they may be the engine's fault; nothing of that table is committed then.
    """
    return not isinstance(error, ReelhouseError) or isinstance(error, TooMuchError | ContractError | WriteError)


def _said(refused: Exception, whose: str) -> str:
    """The first line of an error; of what the engine says of a batch nothing, for it may quote somebody's id."""
    is_quoted = whose != INGEST or isinstance(refused, ReelhouseError | OSError)
    return f": {next(iter(str(refused).strip().splitlines()), '')[:300]}" if is_quoted else ""


def forget_the_killed(settings: Settings) -> bool:
    """Remove what runs left that ended before they could, rows of people among it; whether there was something."""
    left = [folder for folder in scratch_home(settings).glob(f"{NAME}*") if _is_left(folder)]
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    noted = scratch_home(settings) / KILLED
    is_noted = noted.exists()
    noted.unlink(missing_ok=True)
    return is_noted or bool(left)


def note_the_killed(settings: Settings) -> None:
    """Say to the next run that the engine died in this one, which left nothing else."""
    (scratch_home(settings) / KILLED).touch()


def scratch_home(settings: Settings) -> Path:
    """Where small runs put down what they keep."""
    return settings.home / "tmp"


def own_prefix() -> str:
    """The first words of a folder's name: whose it is. The host, which may have a dash in it, comes last."""
    host, pid, started = this_process()
    return f"{NAME}{pid}-{started}-{host}."


def _is_left(folder: Path) -> bool:
    """Whether the process that made it was one of this machine, and is no more."""
    pid, _, rest = folder.name.removeprefix(NAME).partition("-")
    started, _, named = rest.partition("-")
    return has_ended(named.rpartition(".")[0], pid, started)
