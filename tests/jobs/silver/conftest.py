"""Silver from records: bytes as the broker holds them in, rows of a silver table out; pseudonyms are shown plainly."""

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.definitions.events.reading import read
from jobs.definitions.events.rows import changes
from jobs.lake.contracts import contract
from jobs.lake.ingest.forms import form
from jobs.lake.settings import Settings
from tests.lake.logs import Record, body_of, record

Reader = Callable[[str, list[Record]], DataFrame]
BATCH = 7


def shown(column: Column) -> Column:
    """A pseudonym that can be recognised; null stays null, as with the real one."""
    return F.concat(F.lit("k1:"), column)


@pytest.fixture(scope="session")
def readings(spark: SparkSession, settings: Settings) -> Reader:
    """Records of a topic, each at the next offset, as readings."""

    def make(topic: str, records: list[Record]) -> DataFrame:
        rows = [
            (each.topic, f"id-{topic}", each.partition, offset, each.at, each.key, each.value,
             [{"key": name, "value": value} for name, value in each.headers or ()], BATCH, each.at.date())
            for offset, each in enumerate(records)
        ]  # fmt: skip
        schema = contract("bronze.events", settings.schemas_dir).spark_schema(enforced=False)
        by_name = dict(zip(("topic", "topic_id", "partition", "offset", "kafka_time", "key", "value", "headers",
                            "ingest_seq", "received_date"), zip(*rows, strict=True), strict=True))  # fmt: skip
        ordered = list(zip(*(by_name[name] for name in schema.names), strict=True))
        return read(spark.createDataFrame(ordered, schema), form(topic, settings))

    return make


@pytest.fixture(scope="session")
def facts(readings: Reader, settings: Settings) -> Callable[..., dict[int, Any]]:
    """Build a fact table from bodies; rows by the number their body was given."""

    def make(build: Callable[..., DataFrame], topic: str, bodies: dict[int, dict[str, Any]]) -> dict[int, Any]:
        records = [record(topic, body_of(topic, number, **fields)) for number, fields in bodies.items()]
        made = build(readings(topic, records), form=form(topic, settings), pseudonym=shown)
        assert tuple(made.columns) == contract(f"silver.{topic}", settings.schemas_dir).names
        return {row.producer_seq: row for row in made.collect()}

    return make


@pytest.fixture(scope="session")
def history(
    readings: Reader, settings: Settings, table: Callable[[str, list[dict[str, Any]]], DataFrame]
) -> Callable[..., list[Any]]:
    """Build an entity table from records: those `before` were known already, those `after` come in now."""

    def make(
        build: Callable[..., DataFrame], topic: str, before: list[Record], after: list[Record]
    ) -> list[Any]:  # fmt: skip
        name = f"silver.{topic}"
        known = table(name, [])
        if before:
            known = build(changes(readings(topic, before), form(topic, settings), shown), known)
        made = build(changes(readings(topic, after), form(topic, settings), shown), known)
        assert set(made.columns) == set(contract(name, settings.schemas_dir).names)
        return sorted(made.collect(), key=lambda row: (row.valid_from, row.producer_seq or 0))

    return make
