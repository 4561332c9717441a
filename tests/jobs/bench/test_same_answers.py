"""The contenders of each benchmark do the same work, seen at a tiny size; Kafka and the warm server are left out."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.lake.ingest.progress import BRONZE
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from tests.bench import bronze, dedup, funnels, funnels_held, lookup, silver, small_job, start
from tests.bench.harness import Contender, DifferError, agree
from tests.bench.views import Truth, make_views


def answers(contenders: list[Contender]) -> dict[str, Any]:
    """What each says, after one run."""
    found = {}
    for each in contenders:
        if each.before:
            each.before()
        said = each.run()
        found[each.name] = each.answer() if each.answer else said
    return found


def test_a_backlog_has_the_same_content_whoever_wrote_it(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    file, loop, plain = tmp_path / "views.parquet", tmp_path / "loop", tmp_path / "plain"
    truth = make_views(file, 300)
    assert truth == Truth(rows=300, bad=6, duplicates=3)
    lake = Lake(settings.model_copy(update={"lake_uri": str(tmp_path / "lake")}), spark)
    silver.land_file(lake, file)
    records = spark.read.parquet(str(file))
    bronze.to_delta(records, plain)
    rows = [as_consumed(row) for row in records.collect()]
    bronze.append(rows[:100], loop)
    bronze.append(rows[100:], loop)
    said = {path: bronze.content(Path(path)) for path in (lake.path(BRONZE), str(plain), str(loop))}
    assert agree(said)[0] == 300
    bronze.append([as_consumed(records.first())], loop)
    with pytest.raises(DifferError):
        agree(said | {"one twice": bronze.content(loop)})


def as_consumed(row: Any) -> Any:
    """A row as kafka-python gives it."""
    headers = [(each.key, bytes(each.value)) for each in row.headers]
    at = int(row.timestamp.timestamp() * 1000)
    return SimpleNamespace(**row.asDict() | {"headers": headers, "timestamp": at})


def test_a_backlog_is_read_in_batches_that_leave_nothing_out() -> None:
    ends = {"views": {0: 70, 1: 30, 2: 0, 3: 1}}
    planned = list(bronze.plans(ends, {"views": "id"}, 40))
    read = [(number, offset) for plan in planned for number, bounds in plan.ranges["views"].items()
            for offset in range(*bounds)]  # fmt: skip
    assert sorted(read) == [(number, offset) for number, end in ends["views"].items() for offset in range(end)]
    assert [plan.ingest_seq for plan in planned] == list(range(len(planned)))
    assert len(planned) >= 3


def test_silver_has_the_same_good_events_whoever_wrote_it(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    rows, contenders = silver.contenders(spark, settings, tmp_path, 500)
    said = answers(contenders)
    assert rows == 500
    assert said.pop(silver.PARSE) is None
    assert len(said) == 6
    assert None not in said.values()
    assert agree(said)[0] == 485  # ten are bad, five are told twice


def test_each_event_is_there_once_whoever_looked_for_repeats(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    said = answers(dedup.contenders(spark, settings, tmp_path, (3000, 200), (100,)))
    assert len(said) == 5
    assert agree(said)[0] == 200 + 400  # a batch, and of a month's three thousand those of four days
    lake = tmp_path / "runs" / "append-alone" / "100" / "001"
    with pytest.raises(DifferError, match="620 rows of 600 events"):
        dedup.newest(lake, dedups=True)


def test_everybody_got_equally_far_in_the_funnel_whoever_counts(spark: SparkSession, tmp_path: Path) -> None:
    path = funnels.make_events(tmp_path / "events.parquet", scale=0.0005, steps=funnels.STEPS)
    wanted = [
        each
        for each in funnels.contenders(spark, path, 2)
        if each.name != funnels.CHDB or find_spec("chdb") is not None  # only `make bench` brings it
    ]
    said = answers(wanted)
    assert said.pop(funnels.LIMIT) is None
    assert set(agree(said)) == {1, 2, 3, 4}


def test_everybody_got_equally_far_about_one_product_and_within_the_gaps(spark: SparkSession, tmp_path: Path) -> None:
    path = funnels.make_events(tmp_path / "events.parquet", scale=0.0005, steps=4, products=funnels_held.PRODUCTS)
    said = answers(funnels_held.contenders(spark, path, 2))
    assert said.pop(funnels.LIMIT) is None
    held = agree(said)
    assert set(held) == {1, 2, 3, 4}
    assert held != funnels.by_duckdb(path, 4, 2)  # hold and gaps keep some from going on


def test_the_small_job_says_the_same_in_spark_and_duckdb(spark: SparkSession, tmp_path: Path) -> None:
    truth = start.make_table(tmp_path / "source")
    source = str(tmp_path / "source")
    assert small_job.by_duckdb(source, str(tmp_path / "duckdb")) == truth
    assert small_job.asked(spark, source) == truth
    assert small_job.build(spark, source, str(tmp_path / "spark")) == truth


def test_a_profile_is_found_alike_however_the_table_lies(settings: Settings, tmp_path: Path) -> None:
    many = settings.model_copy(update={"lake_uri": str(tmp_path / "many")})
    rows = lookup.make_profiles(settings, 500)
    lookup.write_in_pieces(many, rows)
    lookup.pq.write_table(rows.sort_by("user_id"), tmp_path / "sorted.parquet")
    users = rows["user_id"].to_pylist()[::50]
    said = answers(lookup.contenders(many, many, tmp_path / "sorted.parquet", users))
    orders = sum(rows["order_count"].to_pylist()[::50])
    assert (agree(said), lookup.SLOWEST.keys()) == (orders, {lookup.OURS, lookup.MANY, lookup.SORTED})
    assert said[lookup.SEGMENT] is None
    assert lookup.verdict(dict.fromkeys(said, 1.0)).endswith(" ms).")
