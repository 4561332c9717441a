"""B4: an ordered funnel over many events, ours beside ClickHouse's windowFunnel, DuckDB, Polars and Spark SQL.

Disjoint steps with ties allowed: the one case in which all of them mean the same. The answer compared is the number of
subjects by furthest step.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jobs.definitions.funnel.engine import judge
from jobs.definitions.funnel.in_arrow import Judging
from jobs.definitions.funnel.in_spark import kernel_events
from jobs.definitions.funnel.judged import Events
from jobs.definitions.funnel.model import Definition, Step
from jobs.gold.funnel_attempts import _schema
from tests.bench.harness import Contender
from tests.bench.places import jvm_of, own_settings, own_spark, workers_of

STEPS = 4
LIMIT, CHDB, DUCKDB, POLARS = "DuckDB: read and sort", "chdb windowFunnel", "DuckDB windows", "Polars"
SPARK, OURS, ALONE = "Spark nested windows", "ours: kernel in mapInArrow", "ours: kernel alone, on the file"
AIM = "at most 3 × the time of chdb, faster than DuckDB's windows"
EVENTS = 10_000_000
SUBJECTS = 500_000
WINDOW_US = 3_600_000_000
NOISE_NAMES = ("scroll", "hover", "mute")
SPAN_US = 86_400_000_000


def verdict(medians: Mapping[str, float]) -> str:
    """How ours stands to its two aims."""
    of_chdb, of_duckdb = medians[OURS] / medians[CHDB], medians[OURS] / medians[DUCKDB]
    met = "Met" if of_chdb <= 3 and of_duckdb < 1 else "Missed"
    told = f"{met}: {of_chdb:.2f} × chdb, {of_duckdb:.2f} × DuckDB."
    if ALONE in medians:
        told += f" The kernel alone, without Spark: {medians[ALONE] / medians[CHDB]:.2f} × chdb, "
        told += f"{medians[ALONE] / medians[DUCKDB]:.2f} × DuckDB."
    return told


@contextmanager
def arena(folder: Path, scale: float, steps: int = STEPS) -> Iterator[tuple[str, list[Contender]]]:
    """A file of events, and the ways to count how far everybody got."""
    settings = own_settings(folder)
    path = make_events(folder / "events.parquet", scale=scale, steps=steps)
    with own_spark(settings) as spark:
        title = f"funnel: {int(EVENTS * scale):,} events, {int(SUBJECTS * scale):,} users, {steps} steps"
        yield title, contenders(spark, path, settings.spark_cores, steps)


def contenders(spark: Any, path: Path, threads: int, steps: int = STEPS) -> list[Contender]:
    """Ours, the limit and the peers, all on one file."""
    outside = {"aside": lambda: jvm_of(spark)}
    return [
        Contender(LIMIT, lambda: read_and_sort(path, threads), "limit", f"{threads} threads", **outside),
        Contender(CHDB, lambda: by_chdb(path, steps, threads), note=f"embedded, {threads} threads", **outside),
        Contender(DUCKDB, lambda: by_duckdb(path, steps, threads), note=f"{threads} threads", **outside),
        Contender(POLARS, lambda: by_polars(path, steps), note="lazy, a thread for each core", **outside),
        Contender(SPARK, lambda: by_spark_windows(spark, path, steps), note=f"local[{threads}], as ours",
                  aside=lambda: workers_of(spark)),
        Contender(OURS, lambda: by_ours(spark, path, definition(steps)), "ours",
                  note="file → kernel_events → by user → mapInArrow → furthest attempt of each user; ids as text"),
        Contender(ALONE, lambda: by_kernel(path, definition(steps), threads), "ours",
                  note=f"Arrow reads, every attempt judged in {threads} threads by user; ids as text", **outside),
    ]  # fmt: skip


def definition(steps: int) -> Definition:
    """The same funnel in our words."""
    return Definition("bench", 1, tuple(Step(name, (name,)) for name in names(steps)), window_us=WINDOW_US)


def by_ours(spark: Any, path: Path, meant: Definition) -> dict[int, int]:
    """As the job of the funnels does it: every attempt of every user, of which the furthest counts here."""
    from pyspark.sql import functions as F

    asked = (meant,)
    events = spark.read.parquet(str(path)).select(
        F.col("subject").cast("string").alias("user_id"),
        F.timestamp_micros("event_time").alias("event_time"),
        F.col("event_id").cast("string").alias("event_id"),
        "event",
        *meant.hold,
        F.lit(None).cast("bigint").alias("line_product"),  # none of these events is an order
        F.lit(None).cast("timestamp").alias("reversed_at"),
    )
    sorted_by_user = kernel_events(events, asked).repartition("user_id").sortWithinPartitions("user_id", "at")
    attempts = sorted_by_user.mapInArrow(Judging(asked), _schema(asked))
    furthest = attempts.groupBy("user_id").agg(F.max("reached").alias("level")).where("level > 0")
    return {int(row[0]): int(row[1]) for row in furthest.groupBy("level").count().orderBy("level").collect()}


def by_kernel(path: Path, meant: Definition, threads: int) -> dict[int, int]:
    """Every attempt of every user, judged without Spark; the furthest of each user counts."""
    from concurrent.futures import ThreadPoolExecutor

    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    pa.set_cpu_count(threads)
    wanted = pc.field("event").isin([step.events[0] for step in meant.steps])
    events = pq.read_table(path, filters=wanted, read_dictionary=["event"]).combine_chunks()
    parts = np.array(events["subject"]) % threads
    with ThreadPoolExecutor(threads) as pool:
        shares = [events.take(np.flatnonzero(parts == part)) for part in range(threads)]
        counted = list(pool.map(lambda share: furthest_of(share, meant), shares))
    total = np.sum([np.bincount(reached, minlength=len(meant.steps) + 1) for reached in counted], axis=0)
    return {level: int(count) for level, count in enumerate(total) if level > 0 and count > 0}


def furthest_of(events: Any, meant: Definition) -> Any:
    """How far each user's furthest attempt got, 0 for those without one."""
    import pyarrow.compute as pc

    column = events["event"].combine_chunks()
    names_of = column.dictionary.to_pylist()
    bit_of = np.array([next((1 << n for n, s in enumerate(meant.steps) if name in s.events), 0) for name in names_of])
    users = pc.dictionary_encode(events["subject"].combine_chunks())
    keys = [pc.dictionary_encode(events[name].combine_chunks()).indices for name in meant.hold]
    entries, attempts = judge(meant, Events(
        subject=np.array(users.indices, np.int64),
        time=np.array(events["event_time"]),
        event_id=pc.cast(events["event_id"].combine_chunks(), "string"),
        mask=bit_of[np.array(column.indices)],
        hold=np.array(keys[0], np.int64) if keys else None,
    ))  # fmt: skip
    furthest = np.zeros(len(users.dictionary), np.int64)
    np.maximum.at(furthest, entries.subject[attempts.identity], entries.reached[attempts.steps])
    return furthest


def names(steps: int) -> list[str]:
    """The step events of a funnel of so many steps."""
    return [f"step_{number}" for number in range(1, steps + 1)]


def make_events(path: Path, *, scale: float, steps: int, products: int = 0, seed: int = 4) -> Path:
    """A Parquet file of (subject bigint, event_time µs bigint, event string), later steps rarer, in arrival order.

    With `products` also product_id bigint, one of so many.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    count = int(EVENTS * scale)
    labels = [*names(steps), *NOISE_NAMES]
    weights = np.array([0.62**number for number in range(steps)] + [0.3] * len(NOISE_NAMES))
    codes = rng.choice(len(labels), size=count, p=weights / weights.sum()).astype(np.int8)
    subjects = (rng.pareto(1.5, count) * SUBJECTS * scale / 10).astype(np.int64) % max(1, int(SUBJECTS * scale))
    times = 1_700_000_000_000_000 + np.sort(rng.integers(0, SPAN_US, count))
    event = pa.DictionaryArray.from_arrays(codes, labels).cast(pa.string())
    table = pa.table({"subject": subjects, "event_time": times, "event": event, "event_id": np.arange(count)})
    if products:
        table = table.append_column("product_id", pa.array(rng.integers(0, products, count)))
    pq.write_table(table, path, compression="zstd")
    return path


def by_chdb(path: Path, steps: int, threads: int) -> dict[int, int]:
    """ClickHouse's own windowFunnel, embedded."""
    import chdb

    conditions = ", ".join(f"event = '{name}'" for name in names(steps))
    answer = chdb.query(
        "SELECT level, count() FROM (SELECT subject, "
        f"windowFunnel({WINDOW_US})(toUInt64(event_time), {conditions}) AS level FROM file('{path}', Parquet) "
        "GROUP BY subject) WHERE level > 0 GROUP BY level ORDER BY level "
        # with nullable columns it takes seven conditions at most, and looks at two columns for each
        f"SETTINGS max_threads = {threads}, schema_inference_make_columns_nullable = 0",
        "CSV",
    )
    return {int(level): int(count) for level, count in (line.split(",") for line in str(answer).split())}


def window_sql(source: str, steps: int, window_us: int = WINDOW_US) -> str:
    """Nested windows: the latest entry that could have reached each step, carried forward row by row.

    Within a time stamp rows are ordered by descending step for the carry and all rows of the stamp see each other
    (RANGE frame), which is what `ties: allow` means for disjoint steps.
    """
    wanted = ", ".join(f"'{name}'" for name in names(steps))
    query = f"SELECT subject, event_time, event FROM {source} WHERE event IN ({wanted})"
    first = "CASE WHEN event = 'step_1' THEN event_time END"
    query = f"SELECT *, MAX({first}) OVER w AS e1 FROM ({query}) q WINDOW w AS ({frame()})"
    for number in range(2, steps + 1):
        carried = (
            f"CASE WHEN event = 'step_{number}' AND event_time - e{number - 1} <= {window_us} THEN e{number - 1} END"
        )
        query = f"SELECT *, MAX({carried}) OVER w AS e{number} FROM ({query}) q WINDOW w AS ({frame()})"
    level = " + ".join(f"CAST(MAX(e{number}) IS NOT NULL AS INT)" for number in range(1, steps + 1))
    return (
        f"SELECT level, COUNT(*) FROM (SELECT subject, {level} AS level FROM ({query}) q GROUP BY subject) r "
        "WHERE level > 0 GROUP BY level ORDER BY level"
    )


def frame() -> str:
    """All rows of the subject up to and including the same time stamp."""
    return "PARTITION BY subject ORDER BY event_time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"


def by_duckdb(path: Path, steps: int, threads: int) -> dict[int, int]:
    """Nested windows in DuckDB."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {threads}")
        rows = connection.execute(window_sql(f"read_parquet('{path}')", steps)).fetchall()
    return {int(level): int(count) for level, count in rows}


def by_spark_windows(spark: Any, path: Path, steps: int) -> dict[int, int]:
    """The same nested windows in Spark SQL."""
    rows = spark.sql(window_sql(f"parquet.`{path}`", steps)).collect()
    return {int(row[0]): int(row[1]) for row in rows}


def by_polars(path: Path, steps: int) -> dict[int, int]:
    """Running maxima per subject in Polars; the maximum of each time stamp is taken before it is carried."""
    import polars as pl

    frame = pl.scan_parquet(path).filter(pl.col("event").is_in(names(steps))).sort("subject", "event_time")
    stamp = ["subject", "event_time"]
    for number in range(1, steps + 1):
        hit = pl.col("event") == f"step_{number}"
        before = pl.col("event_time") if number == 1 else pl.col(f"e{number - 1}")
        if number > 1:
            hit &= pl.col("event_time") - before <= WINDOW_US
        frame = frame.with_columns(pl.when(hit).then(before).otherwise(None).alias("hit"))
        frame = frame.with_columns(pl.col("hit").max().over(stamp).cum_max().over("subject").alias("c"))
        frame = frame.with_columns(pl.col("c").forward_fill().over("subject").alias(f"e{number}")).drop("c", "hit")
    level = sum(pl.col(f"e{number}").is_not_null().any().cast(pl.Int64) for number in range(1, steps + 1))
    counted = frame.group_by("subject").agg(level.alias("level")).filter(pl.col("level") > 0)  # type: ignore[union-attr]
    rows = counted.group_by("level").len().sort("level").collect().rows()
    return {int(level): int(count) for level, count in rows}


def read_and_sort(path: Path, threads: int) -> None:
    """The limit: read three columns and sort them by subject and time."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {threads}")
        connection.execute(
            f"CREATE TEMP TABLE sorted AS SELECT subject, event_time, event FROM read_parquet('{path}') "
            "ORDER BY subject, event_time"
        )
