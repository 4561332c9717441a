"""What tests on a real lake share: one Spark session, and the toy family."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest
from pyspark.sql import SparkSession

from jobs.lake.settings import Settings
from tests.lake.small_shop import small_shop
from tests.lake.toys import Toys, installed
from tests.lake.toys import toys as make_toys
from tests.warm import settings_at, warm_spark


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one Spark session of the suite."""
    with warm_spark(settings_at(tmp_path_factory.mktemp("home"))) as session:
        yield session


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Settings:
    """A small lake with a published funnel, for tests that leave it as good as they found it, or add to it."""
    made = small_shop(tmp_path_factory.mktemp("published"), spark)
    copytree(made.home, as_it_was(made))
    return made


def as_it_was(made: Settings) -> Path:
    """A copy of that lake that no test has added to, to be copied once more."""
    return made.home.with_name("published-as-it-was")


@pytest.fixture
def toys(tmp_path: Path, spark: SparkSession) -> Iterator[Toys]:
    """A new lake with the toy family."""
    with installed():
        yield make_toys(tmp_path, spark)
