"""Headers and ids read in Arrow are what Spark's own columns read."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.definitions.event_ids import id_date
from jobs.definitions.events.in_arrow import header_texts, id_dates
from jobs.definitions.events.reading import header

HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
LAST_MS = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 1000


def uuid_of(milliseconds: int, rest: str = "7abc-8def-0123456789ab") -> str:
    """A UUIDv7 of that moment, or what only looks like one."""
    stamp = f"{milliseconds:012x}"
    return f"{stamp[:8]}-{stamp[8:]}-{rest}"


def ids() -> list[str | None]:
    """Good ids of all times, and everything that is none."""
    dice = random.Random(3)
    good = [uuid_of(at) for at in (0, 86_399_999, 86_400_000, LAST_MS, *(dice.randrange(LAST_MS) for _ in range(50)))]
    some = good[5]
    beside = [some.upper(), f"{some}\n", f"\n{some}", f"{some}0", "\u2028" + some, "é" * 36, "x", ""]
    others = [uuid_of(LAST_MS + 1000), uuid_of(5, "4abc-8def-0123456789ab"), uuid_of(5, "7abc-7def-0123456789ab")]
    return [*good, None, *beside, *others]


def headers() -> list[list[dict[str, object]] | None]:
    """Lists of headers: with the id first, last, twice, empty, null, without one, and no list at all."""
    other, one, two, empty, null = (
        {"key": key, "value": value}
        for key, value in (("a", b"1"), ("ce_id", b"2"), ("ce_id", b"3"), ("ce_id", b""), ("ce_id", None))
    )
    return [[one], [other, one], [one, other, two], [two, one], [], None, [other], [null, one], [empty]]


@pytest.mark.parametrize("since", [0, 3])
def test_both_read_alike(spark: SparkSession, since: int) -> None:
    """Of a part of an array too, which has an offset."""
    told, named = pa.array(ids(), pa.string())[since:], pa.array(headers(), HEADERS)[since:]
    as_whole = pa.table({"headers": pa.array(headers()[since:], HEADERS)})
    days = spark.createDataFrame(pa.table({"id": told})).select(id_date(F.col("id")).alias("day")).collect()
    assert id_dates(told).to_pylist() == [row.day for row in days]
    assert sum(row.day is not None for row in days) == 54 - since
    texts = spark.createDataFrame(as_whole).select(header("ce_id").alias("text")).collect()
    assert header_texts(named, "ce_id").to_pylist() == [row.text for row in texts]


def test_an_id_that_is_no_text_is_left_to_spark() -> None:
    with pytest.raises(pa.ArrowInvalid):
        header_texts(pa.array([[{"key": "ce_id", "value": b"\xff"}]], HEADERS), "ce_id")
