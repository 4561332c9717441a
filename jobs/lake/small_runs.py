"""Which runs are small: done by an engine that needs no JVM (jobs/lake/small_engine.py, docs/adr/0025).

What the engine refuses, Spark does.
"""

from pathlib import Path
from urllib.parse import urlsplit

from jobs.lake.errors import ContractError
from jobs.lake.scanning import is_local
from jobs.lake.settings import Settings
from jobs.lake.work import Work

# Whose numbers are the same on both, to the bit: all but those with logarithms in them.
FAMILIES = ("funnels", "profiles", "sessions")
LAKE_ROWS = 50_000_000
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_small(work: Work, settings: Settings) -> bool:
    """Whether the engine may build it: few rows, in a lake of which it was measured how much memory that takes.

    Funnels only while all of them ask for what was compared.
    """
    is_little = work.family in FAMILIES and work.all_rows < LAKE_ROWS and are_few(work.rows, settings)
    return is_little and (work.family != "funnels" or _are_portable(settings.schemas_dir))


def are_few(rows: int, settings: Settings) -> bool:
    """Whether so many rows are for the engine: few, in a lake on this machine, and nobody named a Spark on another."""
    return rows < settings.small_run_rows and is_local(settings.lake_root) and not _is_cluster(settings)


def _are_portable(schemas_dir: Path) -> bool:
    """Whether every funnel means the same on both engines; one run makes them all."""
    from jobs.definitions.funnel.checking import read_definitions
    from jobs.definitions.funnel.portable import is_portable
    from jobs.definitions.funnel.vocabulary import properties

    types = properties(schemas_dir)
    return all(is_portable(one, types) for one in read_definitions(schemas_dir))


def _is_cluster(settings: Settings) -> bool:
    """Whether jobs are meant for other machines; our own server is named to Airflow's tasks, and is none."""
    is_remote = settings.spark_remote and urlsplit(settings.spark_remote).hostname not in LOOPBACK
    return bool(is_remote or (settings.spark_master and not settings.spark_master.startswith("local")))


def refusals() -> tuple[type[Exception], ...]:
    """What is raised where the engine gives up a run that Spark may well do."""
    from pyspark.errors import PySparkException

    return (PySparkException, ContractError)  # a check that cannot be evaluated is a broken contract: let Spark say so
