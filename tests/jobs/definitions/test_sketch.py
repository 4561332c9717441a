"""A sketch of times adds up exactly, whatever the order, and its values are at most a 64th off."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyspark.sql import functions as F

from jobs.definitions.sketch import bucket, bucket_of, merged, middle_of, quantile, sketch
from jobs.lake.settings import ROOT

MOST = 2**63 - 1
TIMES = st.integers(0, MOST)
EDGES = sorted({max(0, min(MOST, (1 << bits) + step)) for bits in range(64) for step in (-2, -1, 0, 1, 2)})


def sketch_of(times: list[int]) -> list[dict[str, int]]:
    counts = Counter(bucket_of(time) for time in times)
    return [{"bucket": one, "count": counts[one]} for one in sorted(counts)]


@given(TIMES)
@example(0)
@example(63)
@example(64)
@example(MOST)
def test_a_value_is_at_most_a_64th_off(time: int) -> None:
    assert abs(middle_of(bucket_of(time)) - time) * 64 <= time


def test_buckets_follow_each_other_without_a_hole_and_the_last_is_an_int() -> None:
    assert [bucket_of(time) for time in range(200)] == sorted(bucket_of(time) for time in range(200))
    assert set(range(bucket_of(199))) <= {bucket_of(time) for time in range(200)}
    assert all(bucket_of(low) <= bucket_of(high) for low, high in pairwise(EDGES))
    assert bucket_of(MOST) == 1887
    assert all(bucket_of(middle_of(one)) == one for one in range(bucket_of(MOST) + 1))


@given(st.lists(st.lists(TIMES, max_size=20), max_size=6))
def test_parts_add_up_to_the_whole_in_any_order(parts: list[list[int]]) -> None:
    whole = sketch_of([time for part in parts for time in part])
    assert merged(sketch_of(part) for part in parts) == whole
    assert merged(sketch_of(part) for part in reversed(parts)) == whole


@given(st.lists(TIMES, min_size=1, max_size=40), st.sampled_from([1, 25, 50, 75, 90, 100]))
def test_a_quantile_is_the_exact_one_to_a_64th(times: list[int], percent: int) -> None:
    exact = sorted(times)[-(-len(times) * percent // 100) - 1]
    assert abs((quantile(sketch_of(times), percent) or 0) - exact) * 64 <= exact


def test_nothing_has_no_quantile() -> None:
    assert quantile([], 50) is None


@pytest.fixture(scope="module")
def by_spark(spark):  # type: ignore[no-untyped-def]
    """All edges, some twice, in one sorted array; and nothing."""
    frame = spark.createDataFrame(
        [("edges", sorted([*EDGES, *EDGES[:9]])), ("nothing", [])], "key string, times array<long>"
    )
    found = frame.select("key", F.transform("times", bucket).alias("buckets"), sketch(F.col("times")).alias("sketch"))
    return {row.key: row for row in found.collect()}


def test_spark_finds_the_same_buckets(by_spark) -> None:  # type: ignore[no-untyped-def]
    assert by_spark["edges"].buckets == [bucket_of(time) for time in sorted([*EDGES, *EDGES[:9]])]


def test_spark_counts_the_same_sketch(by_spark) -> None:  # type: ignore[no-untyped-def]
    assert [row.asDict() for row in by_spark["edges"].sketch] == sketch_of([*EDGES, *EDGES[:9]])
    assert by_spark["nothing"].sketch == []


def test_the_documented_query_tells_the_median_of_several_days() -> None:
    days = [[90_000_000, 5], [3_600_000_000, 240_000_000, 7_200_000_000], []]
    page = (ROOT / "docs" / "funnels.md").read_text(encoding="utf-8")
    query = page.split("```sql\n")[1].split("```")[0].replace("gold.funnel_conversions", "days")
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE days AS SELECT 'content_to_purchase' AS funnel, 1 AS funnel_version, 'total' AS breakdown, "
            "unnest(?::STRUCT(bucket INTEGER, count BIGINT)[][]) AS decision_sketch",
            [[sketch_of(day) for day in days]],
        )
        assert connection.execute(query).fetchall() == [(quantile(merged(map(sketch_of, days)), 50),)]
    assert bucket_of(quantile(merged(map(sketch_of, days)), 50) or 0) == bucket_of(240_000_000)
