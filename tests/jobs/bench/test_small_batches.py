"""B5 races on what it says: a batch of one event in a hundred, of the newest hours but for the late ones."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.bench import incremental_profiles
from tests.bench.incremental import FULL, LATE, ONE, PEER, after, small_run, verdict
from tests.bench.shop_days import FIRST_DAY, LATE_DAYS, Shop

FACTS, DAYS = 200_000, 30


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop") / "30.parquet", FACTS, DAYS)
    made.make()
    return made


@pytest.fixture(scope="module")
def rows(shop: Shop, spark: SparkSession) -> DataFrame:
    return spark.read.parquet(str(shop.file))


def test_a_small_batch_is_one_event_in_a_hundred_and_its_share_of_late_ones(shop: Shop, rows: DataFrame) -> None:
    small = [F.count_if(shop.is_small_batch(late)) for late in (*LATE, None)]
    (found,) = rows.agg(F.count("*"), *small).collect()
    total, *counts = found
    assert abs(total - FACTS) < FACTS // 10
    on_time = counts[0]
    assert on_time == pytest.approx(total / 100, rel=0.05)
    assert [count / on_time - 1 for count in counts[1:3]] == pytest.approx([0.01, 0.05], rel=0.5)
    assert 7 <= counts[3] <= 12


def test_the_smallest_batch_is_the_last_visit_that_ended_in_a_purchase(shop: Shop, rows: DataFrame) -> None:
    visit = rows.where(shop.is_small_batch(None)).select("user_id", "kind", "is_new").collect()
    assert len({row["user_id"] for row in visit}) == 1
    assert {"play", "placed", "paid"} <= {row["kind"] for row in visit}
    assert all(row["is_new"] for row in visit)


def test_only_late_events_are_of_the_week_before(shop: Shop, rows: DataFrame) -> None:
    newest = F.max("event_date")
    late = rows.where(shop.is_small_batch(5) & ~F.col("is_new")).agg(F.min("event_date"), newest).first()
    new = rows.where("is_new").agg(F.min("event_date"), newest, F.min("event_time"), F.max("event_time")).first()
    assert late is not None
    assert new is not None
    assert new[0] == new[1]
    assert [(new[1] - day).days for day in late] == [LATE_DAYS, 1]
    assert shop.new_from.timestamp() <= new[2].timestamp() <= new[3].timestamp() < shop.new_until.timestamp()
    assert FIRST_DAY.date() < late[0]


def test_the_small_batch_of_the_profiles_race_is_of_one_person_in_a_hundred(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop.parquet", FACTS, DAYS, incremental_profiles.NEW_PERCENT)
    shop.make()
    people = duckdb.sql(f"SELECT count(DISTINCT user_id) FILTER (is_new), count(DISTINCT user_id) FROM '{shop.file}'")
    new, every = people.fetchall()[0]
    assert new / every == pytest.approx(0.01, rel=0.1)


def test_the_verdict_asks_for_ten_times_and_for_no_growth() -> None:
    medians = {small_run(late): 1.0 for late in LATE} | {
        FULL: 10.0,
        PEER: 5.0,
        ONE: 0.9,
        after(10): 1.0,
        after(60): 1.2,
    }
    assert verdict(medians).startswith("Met: as fast as a full rebuild 10.0 × at 0 % late")
    assert "beyond that fixed cost a small run is 91.0 × as fast" in verdict(medians)
    assert verdict(medians | {small_run(5): 4.0}).startswith("Met")
    assert verdict(medians | {small_run(1): 1.1}).startswith("Missed")
    assert verdict(medians | {after(60): 1.6}).startswith("Missed")
    assert verdict({small_run(1): 1.0, FULL: 10.0, PEER: 5.0, ONE: 0.9}).startswith("Met")
