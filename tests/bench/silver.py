"""B2: one landed batch from bronze into silver.views, ours beside those who only parse, and a careful Python loop.

The answer compared is the set of good events: how many, what was watched, and a checksum. Who claims to do the whole
work (ours, the loop) must also have each event once, and refuse exactly what is bad.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import link
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.bronze.events import build
from jobs.lake.clock import now
from jobs.lake.event_rules import event_struct
from jobs.lake.identity import ensure_key_file, pseudonym_function
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.counting import landed_plan, received
from jobs.lake.ingest.loop import INGEST_CONF, Ingest
from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import APP, BRONZE
from jobs.lake.ingest.small_batches import by_topic, may_end
from jobs.lake.ingest.steps import write_silver
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.lake.small_runs import on_engine
from jobs.lake.tables import Lake
from tests.bench.harness import Contender, DifferError
from tests.bench.places import Shelf, apart, jvm_of, own_settings, own_spark, workers_of
from tests.bench.silver_loop import by_loop
from tests.bench.views import KINDS, PARTITIONS, TOPIC_ID, Truth, make_views

EVENTS = 1_000_000
PARSE, PLAIN, DUCKDB, POLARS = "from_json → noop", "from_json → append", "DuckDB → Parquet", "Polars → Parquet"
LOOP, OURS = "Python loop → deltalake", "ours: ingest of a landed batch"
BARE = "of it: contest and facts alone"
TRUST = 0.25  # of our time, at most, for what makes the numbers trustworthy
AIM = (
    "at most 1.5 × the time of a plain parsed append, faster than the Python loop; "
    f"counts, quarantine and ledger at most {TRUST:.0%} of ours"
)
OUTPUT_CONF = {"spark.sql.maxConcurrentOutputFileWriters": "16"}  # as ours: no sort by day before the files
EVENT_DATE = "to_date(timestamp_micros(b.event_time))"


def verdict(medians: Mapping[str, float]) -> str:
    """How ours stands to its aims."""
    of_plain, of_loop = medians[OURS] / medians[PLAIN], medians[OURS] / medians[LOOP]
    trust = 1 - medians[BARE] / medians[OURS]
    met = "Met" if of_plain <= 1.5 and of_loop < 1 and trust <= TRUST else "Missed"
    ratios = f"{of_plain:.2f} × a plain parsed append, {of_loop:.2f} × the Python loop"
    return f"{met}: {ratios}; trust takes {trust:.0%} of ours."


@contextmanager
def arena(folder: Path, scale: float) -> Iterator[tuple[str, list[Contender]]]:
    """A batch in bronze, and the ways to make silver of it."""
    settings = own_settings(folder)
    with own_spark(settings) as spark:
        found = contenders(spark, settings, folder, int(EVENTS * scale))
        yield f"silver: a batch of {found[0]:,} views: 2 % bad, 1 % duplicate, 1 % late", found[1]


def contenders(spark: SparkSession, settings: Settings, folder: Path, count: int) -> tuple[int, list[Contender]]:
    """Ours, the limit and the peers, all on one bronze table; and how many records it holds."""
    truth = make_views(folder / "views.parquet", count)
    ensure_key_file(settings.keys_path)
    template = settings.model_copy(update={"lake_uri": str(folder / "landed"), "key_file": settings.keys_path})
    land_file(Lake(template, spark), folder / "views.parquet")
    bronze = template.table_path(BRONZE)
    outside, no_python = {"aside": lambda: jvm_of(spark)}, {"aside": lambda: workers_of(spark)}
    plain, ingest = apart(spark, OUTPUT_CONF), apart(spark, INGEST_CONF)
    return truth.rows, [
        Contender(PARSE, lambda: to_noop(parsed(plain, template, bronze)), "limit", "Spark's defaults",
                  **no_python),
        written(PLAIN, folder / "plain", lambda to: to_delta(parsed(plain, template, bronze), to),
                note="no dedup, no quarantine, no rules, no pseudonyms; by event_date, 16 open files a task",
                **no_python),
        written(DUCKDB, folder / "duckdb", lambda to: by_duckdb(bronze, to, settings.spark_cores),
                note="json_valid, then json_transform; one file, no dedup, no quarantine", **outside),
        written(POLARS, folder / "polars", lambda to: by_polars(bronze, to),
                note="read_ndjson, ignore_errors; torn bodies taken out first, for it has no mercy on them", **outside),
        written(LOOP, folder / "loop", lambda to: by_loop(bronze, to, template),
                note="orjson, our producer's compiled validator, HMAC once per id; dedup and quarantine",
                answer=lambda to: whole(to / "views", to / "quarantine", truth), **outside),
        written(BARE, folder / "bare", lambda to: facts_alone(ingest, template, to), role="part",
                note="no counts, quarantine, ledger, costs; the rules stay, for Delta refuses rows without a kind",
                before=lambda to: put_landed(folder / "landed", to),
                answer=lambda to: good_events(to / "silver/views")),
        written(OURS, folder / "ours", lambda to: by_ours(ingest, template, to), role="ours",
                note="all steps: contest, facts, quarantine, touched days, watermarks, books; silver was empty before",
                before=lambda to: put_landed(folder / "landed", to),
                answer=lambda to: whole(to / "silver/views", to / "silver/quarantine", truth)),
    ]  # fmt: skip


def written(
    name: str,
    folder: Path,
    work: Callable[[Path], None],
    *,
    role: str = "peer",
    note: str,
    before: Callable[[Path], None] = lambda to: None,
    answer: Callable[[Path], Any] = lambda to: good_events(to),  # noqa: PLW0108 defined below
    **more: Any,
) -> Contender:
    """A contender that writes to a place that is new each time, where the answer is read."""
    shelf = Shelf(folder)

    def prepare() -> None:
        shelf.renew()
        before(shelf.path)

    return Contender(
        name, lambda: work(shelf.path), role, note, before=prepare, answer=lambda: answer(shelf.path), **more
    )


def land_file(lake: Lake, path: Path) -> None:
    """The file's records as batch 0 of bronze, as `landing.land` leaves a batch: a file for each Kafka partition."""
    records = (
        lake.spark.read.parquet(str(path)).repartitionByRange(PARTITIONS, "partition").sortWithinPartitions("offset")
    )
    ends = {row["partition"]: row["n"] for row in records.groupBy("partition").agg(F.count("*").alias("n")).collect()}
    plan = Plan(0, {"views": {number: (0, end) for number, end in sorted(ends.items())}}, {"views": TOPIC_ID})
    rows = build(records, topic_ids=plan.topic_ids, ingest_seq=0)
    lake.append(BRONZE, rows, app=APP, version=0, metadata=json.dumps(plan.note()))


def put_landed(landed: Path, to: Path) -> None:
    """A lake that holds nothing but the landed batch; its files are the same ones."""
    shutil.copytree(landed, to, copy_function=link, dirs_exist_ok=True)


def by_ours(spark: SparkSession, settings: Settings, to: Path) -> None:
    """What `reelhouse ingest` does with a batch that lies in bronze and is not in the books."""
    mine = settings.model_copy(update={"lake_uri": str(to)})
    done = Ingest(mine, "bench", now, lambda _: spark).until_caught_up(max_batches=1)
    assert [batch.ingest_seq for batch in done] == [0]


def facts_alone(spark: SparkSession, settings: Settings, to: Path) -> None:
    """Of the same batch only what fills silver.views: who was first, and the rows."""
    with_landed(spark, settings.model_copy(update={"lake_uri": str(to)}), write_silver)


def with_landed(spark: SparkSession, settings: Settings, work: Callable[[Batch], Any]) -> None:
    """Work on the landed batch, on the engine that ingest takes for it."""
    ledger = Ledger(settings)
    planned, counts = landed_plan(ledger, 0), received(ledger, 0)[0]

    def on_lake(lake: Lake) -> None:
        batch = Batch(lake, ledger, planned, "bench", counts, pseudonym_function(settings.keys_path))
        try:
            work(batch)
        finally:
            batch.let_go()

    is_small = may_end(settings, ledger, planned, by_topic(counts))
    on_engine(settings, "bench", is_small, on_lake, lambda: Lake(settings, spark))


def parsed(spark: SparkSession, settings: Settings, bronze: str) -> DataFrame:
    """Bodies by Spark's own reader, typed by the contract."""
    struct = event_struct("views", 1, settings.schemas_dir)
    records = spark.read.format("delta").load(bronze).where("topic = 'views'")
    bodies = records.select(
        F.from_json(F.col("value").cast("string"), struct).alias("b"),
        "partition", "offset", "kafka_time", "ingest_seq",
    )  # fmt: skip
    return bodies.select(
        "b.*", F.expr(EVENT_DATE).alias("event_date"), "partition", "offset", "kafka_time", "ingest_seq"
    )


def to_noop(rows: DataFrame) -> None:
    """Parse everything, keep nothing."""
    rows.write.format("noop").mode("overwrite").save()


def to_delta(rows: DataFrame, to: Path) -> None:
    """As it comes, by day like silver."""
    rows.write.format("delta").mode("append").partitionBy("event_date").save(str(to))


BODY = {
    "event_id": "VARCHAR", "event_time": "BIGINT", "sent_time": "BIGINT",
    "producer": {"id": "VARCHAR", "epoch": "BIGINT", "seq": "BIGINT"}, "kind": "VARCHAR", "user_id": "VARCHAR",
    "device_id": "VARCHAR", "video_id": "VARCHAR", "live_room_id": "VARCHAR", "product_id": "VARCHAR",
    "query": "VARCHAR", "position": "BIGINT", "scene": "VARCHAR", "source": "VARCHAR", "campaign_id": "VARCHAR",
    "watch_ms": "BIGINT", "duration_ms": "BIGINT", "heartbeats": "BIGINT", "features": ["VARCHAR"],
    "experiments": "MAP(VARCHAR, VARCHAR)", "app_version": "VARCHAR", "region": "VARCHAR",
}  # fmt: skip


def by_duckdb(bronze: str, to: Path, threads: int) -> None:
    """DuckDB's JSON functions over the same files."""
    import duckdb

    query = (
        f'SELECT b.*, partition, "offset", kafka_time FROM (SELECT json_transform(CASE WHEN json_valid(v) THEN v END, '
        f"'{json.dumps(BODY)}') AS b, * FROM (SELECT decode(value) AS v, partition, \"offset\", kafka_time "
        f"FROM read_parquet({listed(bronze)}, hive_partitioning = false)))"
    )
    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {threads}")
        connection.execute(f"COPY ({query}) TO '{to}/views.parquet' (FORMAT parquet)")


def by_polars(bronze: str, to: Path) -> None:
    """Polars' reader of lines of JSON over the same bodies."""
    import polars as pl
    from deltalake import DeltaTable

    text = pl.col("value").cast(pl.String)
    whole_texts = pl.when(text.str.ends_with("}")).then(text).otherwise(pl.lit("{}"))
    bodies = pl.scan_parquet(DeltaTable(bronze).file_uris(), hive_partitioning=False).select(whole_texts).collect()
    lines = "\n".join(bodies.to_series()).encode()
    pl.read_ndjson(lines, schema=polars_schema(), ignore_errors=True).write_parquet(
        to / "views.parquet", compression="snappy"
    )


def polars_schema() -> dict[str, Any]:
    """BODY in the types of Polars, which has no maps: the experiments that there are become fields."""
    import polars as pl

    plain = {"VARCHAR": pl.String, "BIGINT": pl.Int64}
    producer = pl.Struct({"id": pl.String, "epoch": pl.Int64, "seq": pl.Int64})
    others = {
        "producer": producer, "features": pl.List(pl.String), "experiments": pl.Struct({"feed_rank": pl.String}),
    }  # fmt: skip
    return {name: others.get(name) or plain[str(kind)] for name, kind in BODY.items()}


def listed(table: str) -> str:
    """The files of a Delta table as a SQL list."""
    from deltalake import DeltaTable

    return "[" + ", ".join(f"'{file}'" for file in DeltaTable(table).file_uris()) + "]"


def source_of(place: Path) -> str:
    """What DuckDB reads there: a Delta table's files, or Parquet."""
    files = listed(str(place)) if (place / "_delta_log").is_dir() else f"'{place}/*.parquet'"
    return f"read_parquet({files}, hive_partitioning = false, union_by_name = true)"


def asked(query: str) -> tuple[Any, ...]:
    """The first row of an answer."""
    import duckdb

    with duckdb.connect() as connection:
        found = connection.execute(query).fetchone()
    assert found is not None
    return tuple(found)


def good_events(place: Path) -> tuple[Any, ...]:
    """The good events of a table, each once: their number, what was watched of them, a checksum."""
    kinds = ", ".join(f"'{kind}'" for kind in KINDS)
    return asked(
        "SELECT count(*), sum(w)::BIGINT, bit_xor(hash(event_id, w, v)) FROM (SELECT event_id, min(watch_ms) AS w, "
        f"min(video_id) AS v FROM {source_of(place)} WHERE event_id IS NOT NULL AND kind IN ({kinds}) "
        "AND watch_ms >= 0 GROUP BY event_id)"
    )


def whole(views: Path, quarantine: Path, truth: Truth) -> tuple[Any, ...]:
    """The same of one who does the whole work; DifferError unless each event is there once, and the bad ones aside."""
    rows = asked(f"SELECT count(*) FROM {source_of(views)}")[0]
    refused = asked(f"SELECT count(*) FROM {source_of(quarantine)}")[0]
    if (rows, refused) != (truth.accepted, truth.bad):
        raise DifferError(f"{views}: {rows} rows and {refused} refused, not {truth.accepted} and {truth.bad}")
    return good_events(views)
