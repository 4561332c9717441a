"""Histories of keys, drawn at random and cut into batches anywhere, equal a plain walk over all their changes."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.definitions.histories import rebuilt

KEYS, BATCHES = 400, 3
START = datetime(2026, 6, 1, tzinfo=UTC)
SCHEMA = (
    "key string, event_id string, valid_from timestamp, is_deleted boolean, producer_epoch bigint, "
    "producer_seq bigint, kafka_time timestamp, kafka_partition int, kafka_offset bigint, "
    "kafka_topic_id string, ingest_seq bigint"
)
HELD = f"{SCHEMA}, valid_to timestamp, is_current boolean, is_superseded boolean"
Row = dict[str, Any]


def drawn(seed: int) -> list[Row]:
    """Changes of many keys with equal times, equal numbers and tombstones, in random batches."""
    chance = random.Random(seed)
    rows = []
    for number in range(KEYS):
        for place in range(chance.randint(1, 6)):
            rows.append({
                "key": f"k{number}", "event_id": f"k{number}-{place}",
                "valid_from": START + timedelta(hours=chance.randint(0, 3)),
                "is_deleted": chance.random() < 0.2,
                "producer_epoch": chance.choice([None, 1, 2]), "producer_seq": chance.choice([None, 1, 2, 3]),
                "kafka_time": START + timedelta(days=1, minutes=chance.randint(0, 2)),
                "kafka_partition": chance.randint(0, 1), "kafka_offset": len(rows) // 2,
                "kafka_topic_id": f"life {len(rows) % 2}",
                "ingest_seq": chance.randint(1, BATCHES),
            })  # fmt: skip
    return rows


def walked(rows: list[Row]) -> set[tuple[Any, ...]]:
    """The rule, word by word: (event, until when it holds, current, superseded)."""

    def last(number: int | None) -> tuple[bool, int]:
        return number is None, number or 0

    found = set()
    for key in {row["key"] for row in rows}:
        mine = sorted(
            (row for row in rows if row["key"] == key),
            key=lambda row: (row["valid_from"], last(row["producer_epoch"]), last(row["producer_seq"]),
                             row["kafka_time"], row["kafka_partition"], row["kafka_offset"], row["kafka_topic_id"]),
        )  # fmt: skip
        for row, following in zip(mine, [*mine[1:], None], strict=True):
            until = following["valid_from"] if following else None
            found.add((row["event_id"], until, following is None, until == row["valid_from"]))
    return found


def frame(spark: SparkSession, rows: list[Row], schema: str) -> DataFrame:
    return spark.createDataFrame([tuple(row.get(name) for name in schema_names(schema)) for row in rows], schema)


def schema_names(schema: str) -> list[str]:
    return [part.split()[0] for part in schema.split(", ")]


@pytest.mark.parametrize("seed", [1, 2])
def test_batch_after_batch_equals_all_at_once(spark: SparkSession, seed: int) -> None:
    changes, table = drawn(seed), dict[str, Row]()
    for batch in range(1, BATCHES + 1):
        new = [row for row in changes if row["ingest_seq"] == batch]
        keys = {row["key"] for row in new}
        known = [row for row in table.values() if row["key"] in keys]
        made = rebuilt(frame(spark, new, SCHEMA), frame(spark, known, HELD), key="key").collect()
        for row in made:
            assert row.ingest_seq == batch
            table[row.event_id] = {
                name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
                for name, value in row.asDict().items()
            }
        so_far = [row for row in changes if row["ingest_seq"] <= batch]
        held = {(row["event_id"], row["valid_to"], row["is_current"], row["is_superseded"]) for row in table.values()}
        assert held == walked(so_far)
