"""B4: an ordered funnel over many events, ours beside ClickHouse's windowFunnel, DuckDB, Polars and Spark SQL.

Disjoint steps with ties allowed: the one case in which all of them mean the same. The answer compared is the number of
subjects by furthest step. Ours runs in two places: on the file, as `reelhouse funnel evaluate` does and as the peers
do, and in Spark, as the lake's jobs do; each has its verdict. Ours does more than is asked: it refuses what is no
event, finds every attempt and can name the events of each.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from jobs.definitions.funnel.in_arrow import Judging
from jobs.definitions.funnel.in_spark import kernel_events
from jobs.definitions.funnel.language import read_definition
from jobs.definitions.funnel.model import Definition, Step
from jobs.definitions.funnel.views import view_columns
from jobs.gold.funnel_attempts import _schema
from jobs.lake.settings import Settings
from jobs.serve.funnel_on_file import judged_columns, read_for
from tests.bench.harness import Contender
from tests.bench.places import jvm_of, own_settings, own_spark, workers_of

STEPS = 4
LIMIT, CHDB, DUCKDB, POLARS = "DuckDB: read and sort", "chdb windowFunnel", "DuckDB windows", "Polars"
SPARK, OURS, ON_FILE = "Spark nested windows", "ours: kernel in mapInArrow", "ours: engine on a file"
AIM = "at most 3 × the time of chdb, faster than DuckDB's windows"
EVENTS = 10_000_000
SUBJECTS = 500_000
WINDOW_US = 3_600_000_000
NOISE_NAMES = ("scroll", "hover", "mute")
SPAN_US = 86_400_000_000


def verdict(medians: Mapping[str, float]) -> str:
    """How ours stands to its two aims: on the file, as the peers are, and as the jobs of the lake run it."""
    told = []
    for name, place in ((ON_FILE, "on the file"), (OURS, "in Spark")):
        of_chdb, of_duckdb = medians[name] / medians[CHDB], medians[name] / medians[DUCKDB]
        met = "met" if of_chdb <= 3 and of_duckdb < 1 else "missed"
        told.append(f"{met} {place}: {of_chdb:.2f} × chdb, {of_duckdb:.2f} × DuckDB")
    return as_sentence(told)


def as_sentence(told: list[str]) -> str:
    """Verdicts as one, which begins with the worst of them."""
    worst_first = "; ".join(sorted(told, key=lambda each: each.startswith("met")))
    return f"{worst_first[0].upper()}{worst_first[1:]}."


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
        Contender(ON_FILE, lambda: by_file(path, steps_in_words(steps), threads), "ours",
                  note=f"what `reelhouse funnel evaluate --view steps` calls, {threads} threads", **outside),
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


def steps_in_words(steps: int, more: str = "") -> str:
    """The same funnel as a definition's file has it, with `more` lines."""
    listed = "\n".join(f"  - {{name: {name}, event: {name}}}" for name in names(steps))
    return f"name: bench\nversion: 1\nwindow: {WINDOW_US // 1_000_000}s\n{more}steps:\n{listed}\n"


def by_file(path: Path, words: str, threads: int) -> dict[int, int]:
    """As an analyst does it: the definition and the file read, judged, and people counted by step."""
    file = path.with_suffix(".yaml")
    file.write_text(words)
    meant = read_definition(file)
    found = read_for(meant, path, skip_bad=False)
    judged = judged_columns(meant, file, found.events, Settings.from_env().schemas_dir, threads=threads)
    people = [*view_columns(judged, "steps")["people"], 0]
    stayed = [here - further for here, further in pairwise(people)]
    return {level: count for level, count in enumerate(stayed, 1) if count > 0}


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


def window_sql(source: str, steps: int) -> str:
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
            f"CASE WHEN event = 'step_{number}' AND event_time - e{number - 1} <= {WINDOW_US} THEN e{number - 1} END"
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
