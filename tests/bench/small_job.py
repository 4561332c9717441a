"""The small job of B12, as a process of its own: read a hundred rows, sum them up, write the sums, count them.

`python -m tests.bench.small_job spark|query|duckdb SOURCE TARGET` prints the number of rows written and their sum.
`spark` is whatever the environment says: a warm Connect server (`SPARK_REMOTE`), or a JVM of its own; `query` is the
same without writing.
"""

import json
import sys
from typing import Any


def by_spark(source: str, target: str) -> tuple[int, int]:
    """Through the one door to Spark that all jobs use."""
    return build(opened(), source, target)


def by_query(source: str, target: str) -> tuple[int, int]:
    """The same answer without writing anything."""
    return asked(opened(), source)


def opened() -> Any:
    """A session of the configured kind."""
    from jobs.lake.session import open_session
    from jobs.lake.settings import Settings

    return open_session(Settings.from_env(), "small job")


def asked(spark: Any, source: str) -> tuple[int, int]:
    """Scenes, and people in all of them."""
    from pyspark.sql import functions as F

    row = spark.read.format("delta").load(source).agg(F.count_distinct("scene"), F.sum("people")).first()
    return int(row[0]), int(row[1])


def build(spark: Any, source: str, target: str) -> tuple[int, int]:
    """The job itself."""
    from pyspark.sql import functions as F

    sums = spark.read.format("delta").load(source).groupBy("scene").agg(F.sum("people").alias("people"))
    sums.write.format("delta").mode("overwrite").save(target)
    return asked(spark, target)


def by_duckdb(source: str, target: str) -> tuple[int, int]:
    """The same without Spark: DuckDB reads and sums, delta-rs writes."""
    import duckdb
    from deltalake import write_deltalake

    from jobs.serve.duck import OFFLINE, extension

    with duckdb.connect(config=OFFLINE) as connection:
        connection.execute(f"LOAD '{extension()}'")
        sums = f"SELECT scene, sum(people)::BIGINT AS people FROM delta_scan('{source}') GROUP BY scene"
        write_deltalake(target, connection.sql(sums).to_arrow_table(), mode="overwrite")
        row = connection.execute(f"SELECT count(*), sum(people)::BIGINT FROM delta_scan('{target}')").fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


if __name__ == "__main__":
    how, there, to = sys.argv[1:]
    sys.stdout.write(json.dumps({"spark": by_spark, "query": by_query, "duckdb": by_duckdb}[how](there, to)) + "\n")
