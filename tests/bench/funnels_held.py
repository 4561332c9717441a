"""B4-held: a funnel of four steps about one product, each at most half an hour after the one before, beside DuckDB.

The other peers have no word for it. In SQL every event carries the latest entry of a chain that ends with it: the
largest such entry among the events of the step before, within the gap, of the same user and product.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.definitions.funnel.model import Definition
from tests.bench.funnels import (
    DUCKDB,
    EVENTS,
    LIMIT,
    ON_FILE,
    OURS,
    STEPS,
    SUBJECTS,
    WINDOW_US,
    as_sentence,
    by_file,
    by_ours,
    definition,
    make_events,
    names,
    read_and_sort,
    steps_in_words,
)
from tests.bench.harness import Contender
from tests.bench.places import jvm_of, own_settings, own_spark

AIM = "faster than DuckDB's windows"
GAP_US = 1_800_000_000
PRODUCTS = 3  # that a user looks at


def verdict(medians: Mapping[str, float]) -> str:
    """How ours stands to its aim."""
    told = []
    for name, place in ((ON_FILE, "on the file"), (OURS, "in Spark")):
        ratio = medians[name] / medians[DUCKDB]
        told.append(f"{'met' if ratio < 1 else 'missed'} {place}: {ratio:.2f} × DuckDB")
    return as_sentence(told)


@contextmanager
def arena(folder: Path, scale: float) -> Iterator[tuple[str, list[Contender]]]:
    """A file of events about products, and the ways to count how far everybody got."""
    settings = own_settings(folder)
    path = make_events(folder / "events.parquet", scale=scale, steps=STEPS, products=PRODUCTS)
    with own_spark(settings) as spark:
        size = f"{int(EVENTS * scale):,} events, {int(SUBJECTS * scale):,} users"
        yield f"funnel with hold and gaps: {size}, {STEPS} steps", contenders(spark, path, settings.spark_cores)


def contenders(spark: Any, path: Path, threads: int) -> list[Contender]:
    """Ours, the limit and DuckDB, all on one file."""
    return [
        Contender(LIMIT, lambda: read_and_sort(path, threads), "limit", f"{threads} threads",
                  aside=lambda: jvm_of(spark)),
        Contender(DUCKDB, lambda: by_duckdb(path, threads), note=f"{threads} threads", aside=lambda: jvm_of(spark)),
        Contender(OURS, lambda: by_ours(spark, path, held()), "ours",
                  note="file → kernel_events → by user → mapInArrow → furthest attempt of each user; ids as text"),
        Contender(ON_FILE, lambda: by_file(path, steps_in_words(STEPS, held_in_words()), threads), "ours",
                  note=f"what `reelhouse funnel evaluate --view steps` calls, {threads} threads",
                  aside=lambda: jvm_of(spark)),
    ]  # fmt: skip


def held() -> Definition:
    """The funnel in our words."""
    plain = definition(STEPS)
    steps = (plain.steps[0], *(replace(step, gap_us=GAP_US) for step in plain.steps[1:]))
    return replace(plain, steps=steps, hold=("product_id",))


def held_in_words() -> str:
    """The lines by which the funnel's file differs from the plain one."""
    gaps = ", ".join(f"{name}: {GAP_US // 1_000_000}s" for name in names(STEPS)[1:])
    return f"hold: [product_id]\ngaps: {{{gaps}}}\n"


def by_duckdb(path: Path, threads: int) -> dict[int, int]:
    """Nested windows in DuckDB."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {threads}")
        rows = connection.execute(window_sql(path)).fetchall()
    return {int(level): int(count) for level, count in rows}


def window_sql(path: Path) -> str:
    """The latest entry of a chain that ends with each event, step by step."""
    wanted = ", ".join(f"'{name}'" for name in names(STEPS))
    query = f"SELECT subject, product_id, event_time, event FROM read_parquet('{path}') WHERE event IN ({wanted})"
    query = f"SELECT *, CASE WHEN event = 'step_1' THEN event_time END AS e1 FROM ({query})"
    within = f"RANGE BETWEEN {GAP_US} PRECEDING AND CURRENT ROW"
    for number in range(2, STEPS + 1):
        before = f"MAX(e{number - 1}) OVER (PARTITION BY subject, product_id ORDER BY event_time {within})"
        query = f"SELECT *, {before} AS before FROM ({query})"
        fits = f"event = 'step_{number}' AND event_time - before <= {WINDOW_US}"
        query = f"SELECT * EXCLUDE (before), CASE WHEN {fits} THEN before END AS e{number} FROM ({query})"
    level = " + ".join(f"(MAX(e{number}) IS NOT NULL)::INT" for number in range(1, STEPS + 1))
    return (
        f"SELECT level, COUNT(*) FROM (SELECT subject, {level} AS level FROM ({query}) GROUP BY subject) "
        "WHERE level > 0 GROUP BY level ORDER BY level"
    )
