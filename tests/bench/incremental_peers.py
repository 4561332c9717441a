"""What stands beside ours in B5: DuckDB makes one table of each family anew from the same facts, in one query."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.definitions.watching import VALID_VIEW
from jobs.lake.tables import Lake
from tests.bench.funnels import window_sql
from tests.bench.harness import DifferError

FUNNEL, STEPS, WINDOW_US = "content_to_purchase", 5, 86_400_000_000
STEP_EVENTS = f"""
(SELECT user_id AS subject, epoch_us(event_time) AS event_time,
        CASE WHEN kind = 'play' AND {VALID_VIEW} THEN 'step_1' WHEN kind IN ('like', 'add_to_cart') THEN 'step_2'
             WHEN kind = 'product_view' THEN 'step_3' WHEN kind = 'placed' THEN 'step_4'
             WHEN kind = 'paid' THEN 'step_5' END AS event
 FROM (SELECT *, false AS is_advertisement FROM read_parquet('{{file}}')))
"""
USER_DAYS = """
SELECT user_id, event_date AS day, count(*) FILTER (kind = 'play') AS play_count, sum(watch_ms)::BIGINT AS watch_ms,
       count(*) FILTER (kind = 'like') AS like_count, count(*) FILTER (kind = 'product_view') AS product_view_count
FROM read_parquet('{file}') GROUP BY ALL
"""
COUNTS = ("play_count", "watch_ms", "like_count", "product_view_count")


def write_new_facts(file: Path, to: Path, threads: int) -> None:
    """The limit: nothing but what is new, from one file into another."""
    _write(f"SELECT * FROM read_parquet('{file}') WHERE is_new", to, threads)


def funnel_by_duckdb(file: Path, to: Path, threads: int) -> None:
    """How many people got how far in one funnel, by nested windows."""
    _write(window_sql(STEP_EVENTS.format(file=file), STEPS, WINDOW_US), to, threads)


def days_by_duckdb(file: Path, to: Path, threads: int) -> None:
    """Some counts of every user and day."""
    _write(USER_DAYS.format(file=file), to, threads)


def people_by_step(lake: Lake) -> list[tuple[int, ...]]:
    """How many people got how far, by our tables."""
    tables = [lake.read("gold.funnel_openings").withColumn("reached", F.lit(1)), lake.read("gold.funnel_attempts")]
    rows = [rows.where(F.col("funnel") == FUNNEL).select("user_id", "reached") for rows in tables]
    furthest = rows[0].unionByName(rows[1]).groupBy("user_id").agg(F.max("reached").alias("level"))
    return _sorted(furthest.groupBy("level").count())


def counts_of_days(lake: Lake) -> list[tuple[int, ...]]:
    """The sums of the counts, by our table."""
    return _sorted(lake.read("gold.user_days").agg(F.count("*"), *[F.sum(name) for name in COUNTS]))


def _sorted(rows: DataFrame) -> list[tuple[int, ...]]:
    return sorted(tuple(int(value) for value in row) for row in rows.collect())


PEERS: dict[str, tuple[Callable[[Path, Path, int], None], str, Callable[[Lake], list[tuple[int, ...]]]]] = {
    "funnels": (funnel_by_duckdb, "SELECT * FROM {rows}", people_by_step),
    "profiles": (
        days_by_duckdb,
        f"SELECT count(*), {', '.join(f'sum({name})' for name in COUNTS)} FROM {{rows}}",
        counts_of_days,
    ),
}


def check_peer(family: str, to: Path, lake: Lake) -> None:
    """DifferError unless the peer found what our tables say."""
    _, question, ours = PEERS[family]
    found = _asked(question.format(rows=f"'{to}/rows.parquet'"))
    expected = ours(lake)
    if found != expected:
        raise DifferError(f"DuckDB says {found}, not {expected}")


def _write(query: str, to: Path, threads: int) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {threads}")
        connection.execute(f"COPY ({query}) TO '{to}/rows.parquet' (FORMAT parquet, COMPRESSION zstd)")


def _asked(query: str) -> list[tuple[Any, ...]]:
    import duckdb

    with duckdb.connect() as connection:
        return sorted(tuple(int(value) for value in row) for row in connection.execute(query).fetchall())
