"""What tests of jobs share: one Spark session, rows typed by the contracts, and stories told in a sentence.

`table("silver.views", [{…}])` fills what a row leaves out with null; a column the contract does not promise fails.
`told({"liked late": "play 10:00, like 10:30:01"})` is one user per story; see `tests/jobs/stories.py` for the words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.lake.contracts import contract
from jobs.lake.settings import Settings
from tests.jobs.stories import tell
from tests.warm import settings_at, warm_spark

Row = dict[str, Any]
TableMaker = Callable[[str, list[Row]], DataFrame]


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose home is a folder of this test run alone."""
    return settings_at(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def spark(settings: Settings) -> Iterator[SparkSession]:
    """The one Spark session of the suite."""
    with warm_spark(settings) as session:
        yield session


@pytest.fixture(scope="session")
def table(spark: SparkSession, settings: Settings) -> TableMaker:
    """Make a frame with exactly the promised columns of a table."""
    return maker(spark, settings)


def maker(spark: SparkSession, settings: Settings) -> TableMaker:
    """What `table` is, of any session."""

    def make(name: str, rows: list[Row]) -> DataFrame:
        promised = contract(name, settings.schemas_dir)
        for column in {column for row in rows for column in row}:
            promised.column(column)  # an unpromised column fails here, by name
        schema = promised.spark_schema(enforced=False)
        return spark.createDataFrame(pa.Table.from_pylist(rows, promised.arrow_schema()), schema)

    return make


@pytest.fixture(scope="session")
def told(table: TableMaker) -> Callable[[dict[str, str]], dict[str, DataFrame]]:
    """Turn stories into silver tables: `{"views": …, "likes": …, "orders": …}`, one user per story."""

    def tables(stories: dict[str, str]) -> dict[str, DataFrame]:
        return {topic: table(f"silver.{topic}", rows) for topic, rows in tell(stories).items()}

    return tables
