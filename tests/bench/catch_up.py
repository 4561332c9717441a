"""B8: after an outage, what lies on Kafka by then taken in as fast as it goes, beside Spark's own streams.

The answer compared is read from the tables: how many events of each topic, and a checksum of their ids.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jobs.lake.broker import source_options
from jobs.lake.clock import now
from jobs.lake.identity import ensure_key_file
from jobs.lake.ingest.loop import INGEST_CONF, Ingest
from jobs.lake.services.kafka import Kafka
from jobs.lake.settings import Settings
from jobs.lake.topics import FACTS
from tests.bench.bronze import to_noop
from tests.bench.harness import Contender
from tests.bench.places import apart, own_services, own_settings, own_spark, workers_of
from tests.bench.shop_stream import make_facts, plain_sinks, put_all
from tests.bench.silver import asked, source_of, written

RATE, SECONDS = 2_000, 600  # records a second, of the outage
NOOP, PLAIN, OURS = "Spark Kafka → noop", "plain Spark streams", "ours: ingest until caught up"
SHARE = 0.2  # of the time it lasted
AIM = f"an outage is made up for in {SHARE:.0%} of the time it lasted; peak memory is told"
LASTED: list[float] = []  # seconds; the newest arena's outage


def verdict(medians: Mapping[str, float]) -> str:
    """How ours stands to the outage, and to plain Spark."""
    share = medians[OURS] / LASTED[-1]
    met = "Met" if share <= SHARE else "Missed"
    return (
        f"{met}: {LASTED[-1]:.0f} s of outage in {medians[OURS]:.1f} s ({share:.0%}), "
        f"{medians[OURS] / medians[PLAIN]:.2f} × plain Spark, {medians[OURS] / medians[NOOP]:.2f} × Kafka → noop."
    )


@contextmanager
def arena(folder: Path, scale: float) -> Iterator[tuple[str, list[Contender]]]:
    """A broker with what came in during the outage, and the ways to take it in."""
    settings, seconds = own_settings(folder), SECONDS * scale
    LASTED.append(seconds)
    count = int(RATE * seconds)
    make_facts(settings, folder / "facts.parquet", count)
    with own_services(Kafka(settings)), own_spark(settings) as spark:
        put_all(spark, settings, folder / "facts.parquet")
        yield f"catch-up: {count:,} facts of an outage of {seconds:.0f} s", contenders(spark, settings, folder)


def contenders(spark: SparkSession, settings: Settings, folder: Path) -> list[Contender]:
    """Ours, the limit and the peer."""
    ensure_key_file(settings.keys_path)
    mine = settings.model_copy(update={"key_file": settings.keys_path})
    ingesting, plain, no_python = apart(spark, INGEST_CONF), apart(spark, {}), {"aside": lambda: workers_of(spark)}
    batches = f"batches of at most {settings.max_records_per_batch:,}, all steps"
    return [
        Contender(NOOP, lambda: read_all(plain, settings), "limit", "all topics; Spark's defaults", **no_python),
        written(PLAIN, folder / "plain", lambda to: drain(plain, settings, to),
                note="a query a topic, available now; from_json, no dedup, no rules",
                answer=lambda to: events_of([to / topic for topic in FACTS]), **no_python),
        written(OURS, folder / "ours", lambda to: catch_up(ingesting, mine, to), role="ours", note=batches,
                answer=lambda to: events_of([to / "silver" / topic for topic in FACTS])),
    ]  # fmt: skip


def read_all(spark: SparkSession, settings: Settings) -> None:
    """Read everything, keep nothing."""
    reader = spark.read.format("kafka").options(**source_options(settings))
    to_noop(reader.option("subscribe", ",".join(FACTS)).option("includeHeaders", "true").load())


def drain(spark: SparkSession, settings: Settings, to: Path) -> None:
    """Spark's streams until they have read what there is."""
    queries = [sink.trigger(availableNow=True).start() for sink in plain_sinks(spark, settings, to)]
    for query in queries:
        query.awaitTermination()


def catch_up(spark: SparkSession, settings: Settings, to: Path) -> None:
    """`reelhouse ingest`."""
    mine = settings.model_copy(update={"lake_uri": str(to)})
    Ingest(mine, "bench", now, lambda _: spark).until_caught_up()


def events_of(tables: list[Path]) -> tuple[Any, ...]:
    """Of each table: its events, and a checksum."""
    return tuple(
        asked(f"SELECT count(DISTINCT event_id), bit_xor(hash(event_id)) FROM {source_of(table)}") for table in tables
    )
