"""Profiles and interests of real people: every number the job makes of the logs is what SQL over silver counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.lake.contracts import contract
from jobs.lake.families.profile_refresh import AsOf, Silver, rebuild, tables
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from tests.jobs.lake.profiles_in_sql import KEYS, differences, recomputed
from tests.jobs.replay.as_silver import Frames, silver_of

DAY = date(2026, 3, 31)
ZONE = "Asia/Shanghai"
Built = dict[str, pl.DataFrame]
KEPT: dict[str, tuple[Built, duckdb.DuckDBPyConnection]] = {}


@pytest.fixture
def found(
    real: Callable[[str], Path], spark: SparkSession, settings: Settings, tmp_path: Path
) -> tuple[Built, duckdb.DuckDBPyConnection]:
    """What the job makes of all logs together, and what SQL counts. Done once."""
    if not KEPT:
        silver = with_consent(fewer(silver_of(real, DAY, ZoneInfo(ZONE), settings.schemas_dir)))
        by_sql = recomputed({name: frame.to_arrow() for name, frame in silver.items()}, DAY, ZONE)
        KEPT["all"] = (built(silver, spark, settings, tmp_path), by_sql)
    return KEPT["all"]


def fewer(silver: Frames) -> Frames:
    """Three in ten of Taobao's people: the page views of the others would prove nothing new."""
    mine = ~pl.col("user_id").str.contains("^taobao:.*[3-9]$")
    return silver | {name: silver[name].filter(mine) for name in ("views", "likes", "orders")}


def with_consent(silver: Frames) -> Frames:
    """Everybody is known and agreed to be, or no log would show what people like."""
    users = silver["users"]
    ids = pl.concat([silver[name].select("user_id") for name in ("views", "likes", "orders")]).unique()
    unknown = ids.join(users, on=["user_id"], how="anti").with_columns(
        valid_from=pl.lit(datetime(2020, 1, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC")),
        is_deleted=pl.lit(value=False),
    )
    everybody = pl.concat([users, unknown], how="diagonal")
    return silver | {"users": everybody.with_columns(consent=pl.lit(["personalisation"]))}


def built(silver: Frames, spark: SparkSession, settings: Settings, folder: Path) -> Built:
    """Profiles and interests as the job builds them."""

    def frame(table: str) -> DataFrame:
        name = table.split(".")[1]
        silver[name].write_parquet(folder / f"{name}.parquet")
        typed = contract(table, settings.schemas_dir).spark_schema(enforced=False)
        return spark.read.schema(typed).parquet(str(folder / f"{name}.parquet"))

    nothing = spark.createDataFrame(
        [], contract("gold.user_profiles_history", settings.schemas_dir).spark_schema(enforced=False)
    )
    as_of = AsOf(DAY, ZONE, datetime(2026, 4, 1, tzinfo=UTC))
    staged = rebuild(Silver(*(frame(table) for table in tables(Silver))), nothing, as_of, Lake.keep)
    wanted = {f"gold.user_{what}": what for what in KEYS}
    return {wanted[part.table]: pl.from_arrow(part.frame.toArrow()) for part in staged if part.table in wanted}


@pytest.mark.parametrize("what", KEYS)
def test_every_number_is_what_sql_over_silver_counts(found: tuple[Built, duckdb.DuckDBPyConnection], what: str) -> None:
    have, by_sql = found
    assert len(have[what]) > 10_000
    assert differences(by_sql, what, have[what].to_arrow()) == {}


@pytest.mark.parametrize(
    ("log", "columns"),
    [
        ("kuairand", ["watch_seconds_30d", "completed_view_count_30d", "like_count_30d", "share_count_30d"]),
        ("olist", ["order_count", "net_gmv_fen_90d", "average_order_value_fen", "order_span_days"]),
        ("rees46", ["order_count", "gross_gmv_fen", "add_to_cart_count_90d"]),
        ("taobao", ["order_count", "favourite_count_90d", "active_days_7d"]),
    ],
)
def test_each_log_has_something_to_say(
    found: tuple[Built, duckdb.DuckDBPyConnection], log: str, columns: list[str]
) -> None:
    """Nothing above is equal only because it is empty."""
    mine = found[0]["profiles"].filter(pl.col("user_id").str.starts_with(f"{log}:"))
    assert {name: mine[name].sum() > 0 for name in columns} == dict.fromkeys(columns, True)
