"""The warm Spark session of a suite; suites of one process share the one that the first of them began."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.lake import small_runs
from jobs.lake.errors import TooMuchError
from jobs.lake.session import open_session
from jobs.lake.settings import Settings

# To make code for so many expressions, each asked once or twice, takes a tenth of the time; without it Spark means the
# same. What runs in production, with it, is `tests/stream` and `tests/whole`.
QUICKLY = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}


@contextmanager
def short_lived_java() -> Iterator[None]:
    """Java without its second compiler, which takes from two cores for minutes what it gives back in a long suite."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        yield


def settings_at(home: Path) -> Settings:
    """A home of its own, and no Spark but our own."""
    return Settings(home=home, spark_remote="", spark_master="", spark_memory_mb=3072)


@contextmanager
def warm_spark(settings: Settings) -> Iterator[SparkSession]:
    """A session, ended after its suite; what the engine of small runs gives up meanwhile, fails."""
    session = open_session(settings, "tests")
    for key, value in QUICKLY.items():
        session.conf.set(key, value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_runs, "is_refusal", lambda error: isinstance(error, TooMuchError))
        yield session
    session.stop()
