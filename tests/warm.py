"""The warm Spark session of a suite; suites of one process share the one that the first of them began."""

import os
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
JAVA_OPTIONS = "JDK_JAVA_OPTIONS"
# Its second compiler takes a third of a suite's Java from two busy cores. Twenty times as many calls as Java itself
# waits for leave it the loops, and cost nothing that could be measured: a tenth of all that `tests/lake` takes.
SELDOM_COMPILED = (
    "-XX:Tier4InvocationThreshold=100000 -XX:Tier4MinInvocationThreshold=12000 "
    "-XX:Tier4CompileThreshold=300000 -XX:Tier4BackEdgeThreshold=800000"
)


@contextmanager
def short_lived_java() -> Iterator[None]:
    """Java without its second compiler, which takes from two cores for minutes what it gives back in a long suite."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(JAVA_OPTIONS, "-XX:TieredStopAtLevel=1")
        yield


def settings_at(home: Path) -> Settings:
    """A home of its own, and no Spark but our own."""
    return Settings(home=home, spark_remote="", spark_master="", spark_memory_mb=3072)


@contextmanager
def warm_spark(settings: Settings) -> Iterator[SparkSession]:
    """A session, ended after its suite; what the engine of small runs gives up meanwhile, fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(JAVA_OPTIONS, os.environ.get(JAVA_OPTIONS, SELDOM_COMPILED))
        session = open_session(settings, "tests")
    for key, value in QUICKLY.items():
        session.conf.set(key, value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_runs, "is_refusal", lambda error: isinstance(error, TooMuchError))
        yield session
    session.stop()
