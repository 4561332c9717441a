"""What tests on a real lake share: one Spark session, and the toy family."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.lake.session import open_session
from jobs.lake.settings import Settings
from tests.lake.toys import Toys, installed
from tests.lake.toys import toys as make_toys


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one Spark session of the suite."""
    home = tmp_path_factory.mktemp("home")
    session = open_session(Settings(home=home, spark_remote="", spark_master="", spark_memory_mb=3072), "tests")
    yield session
    session.stop()


@pytest.fixture
def toys(tmp_path: Path, spark: SparkSession) -> Iterator[Toys]:
    """A new lake with the toy family."""
    with installed():
        yield make_toys(tmp_path, spark)
