"""B3: a landed batch into silver.views, of which silver holds 0.1, 1 or 10 % already, after a month of history.

All parse, judge and put pseudonyms in alike; they differ in how they find what is there. The batch is the same for
each share: a tenth of it is late by one to three days, and so much of that was put into the history beforehand. So
whoever dedups ends with the same rows; an append alone, the limit, ends with each event at least once. History is
put there in bulk, a file of each day in the order of its arrival, as ingest and upkeep leave it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs.definitions.events.reading import read
from jobs.lake.identity import ensure_key_file, pseudonym_function
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.contests import Contest
from jobs.lake.ingest.counting import landed_plan, received
from jobs.lake.ingest.forms import form
from jobs.lake.ingest.loop import INGEST_CONF
from jobs.lake.ingest.steps import write_silver
from jobs.lake.ingest.writing import write_facts
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from jobs.silver import views
from tests.bench.harness import Contender, DifferError
from tests.bench.incremental import copy
from tests.bench.places import Shelf, apart, own_settings, own_spark, slug
from tests.bench.silver import asked, land_file, source_of, with_landed
from tests.bench.views import BASE_MS, SPAN_MS, write_records

HISTORY, EVENTS, DAYS = 10_000_000, 200_000, 30
DAY_MS = 86_400_000
THOUSANDTHS = (1, 10, 100)  # of the batch that silver has already
MUST = (1, 10)  # those the aim speaks of
LIMIT, OWN_LIMIT = "append alone", "of it: append alone"
TABLE, APP = "silver.views", "bench"
SEQ_BEFORE = -1  # of history; the batch is 0
AIM = "within 10 % of an append alone at up to 1 % duplicates"

# Of ten events one is late; of a thousand, so many of the late ones are in the history by then.
NUMBERS = f"""
SELECT i, false AS is_bad, 0 AS form, i AS e, hash(e) % {{users}} AS person, hash(e, 'video') % 20000 AS video,
       hash(e, 'watch') % 60000 AS watch, {BASE_MS} + e * {SPAN_MS} // {{count}} AS sent_ms,
       sent_ms - CASE WHEN i % 10 = 0 THEN (1 + hash(e, 'late') % 3)::BIGINT * {DAY_MS} ELSE 0 END AS at_ms,
       md5(e::VARCHAR) AS dice
FROM range({{count}}) AS numbers(i)
"""
PAST = f"""
SELECT printf('%012x', at_ms) AS stamp, md5('h' || i) AS dice,
       stamp[1:8] || '-' || stamp[9:12] || '-7' || dice[1:3] || '-8' || dice[4:6] || '-' || dice[7:18] AS event_id,
       make_timestamp(at_ms * 1000)::TIMESTAMPTZ AS event_time, make_timestamp(at_ms * 1000)::DATE AS id_date,
       (make_timestamp(at_ms * 1000) + INTERVAL 8 HOUR)::DATE AS event_date, md5(dice) AS content_hash,
       'k1:' || md5((hash(i) % {{users}})::VARCHAR) AS user_id, 'v' || hash(i, 'video') % 20000 AS video_id,
       (hash(i, 'watch') % 60000)::BIGINT AS watch_ms, i AS kafka_offset, event_time AS kafka_time,
       event_time AS sent_at
FROM (SELECT i, {BASE_MS} - {DAYS * DAY_MS} + i * {DAYS * DAY_MS} // {{count}} AS at_ms FROM range({{count}}) AS r(i))
ORDER BY i
"""


def ours(thousandths: int) -> str:
    """The name of ours where silver has such a share."""
    return f"ours: contest and append, {share(thousandths)}"


def share(thousandths: int) -> str:
    """In words."""
    return f"{thousandths / 10:g} % duplicate"


def verdict(medians: Mapping[str, float]) -> str:
    """How ours stands to its aim, at each share that raced."""
    times = {share: medians[ours(share)] / medians[LIMIT] for share in THOUSANDTHS if ours(share) in medians}
    met = "Met" if all(each <= 1.1 for share, each in times.items() if share in MUST) else "Missed"
    told = ", ".join(f"{each:.2f} × at {share(thousandths)}" for thousandths, each in times.items())
    own = medians[OWN_LIMIT] / medians[ours(next(iter(times)))]
    return f"{met}: {told} an append alone by Spark; of ours the append takes {own:.0%}, the rest is the look."


@contextmanager
def arena(folder: Path, scale: float) -> Iterator[tuple[str, list[Contender]]]:
    """A month of history, and the ways to add a batch to it; below full size with one share of duplicates."""
    settings = own_settings(folder)
    with own_spark(settings) as spark:
        shares = THOUSANDTHS if scale >= 1 else (10,)
        found = contenders(spark, settings, folder, (int(HISTORY * scale), int(EVENTS * scale)), shares)
        yield f"dedup: a batch of {int(EVENTS * scale):,} views after {int(HISTORY * scale):,}", found


def contenders(
    spark: SparkSession, settings: Settings, folder: Path, sizes: tuple[int, int], shares: tuple[int, ...]
) -> list[Contender]:
    """Ours and the peers at each share, the limit once: an append takes what it takes."""
    session = apart(spark, INGEST_CONF)
    ensure_key_file(settings.keys_path)
    place = Place(session, settings.model_copy(update={"key_file": settings.keys_path}), folder)
    place.make(*sizes, shares)
    found = [
        place.contender(LIMIT, shares[0], append_alone, "limit", "no look at what is there; by Spark", dedups=False)
    ]
    for each in shares:
        found += [
            place.contender(f"unpruned MERGE, {share(each)}", each, by_merge, "peer", "by event_id, inserts only"),
            place.contender(f"anti-join, {share(each)}", each, by_anti_join, "peer", "reads all ids, then appends"),
            place.own(ours(each), each, write_silver, "ours", "reads the ranges of its ids, then appends"),
        ]
    return [*found, place.own(OWN_LIMIT, shares[0], append_alone, "part", "no look at what is there", dedups=False)]


@dataclass(frozen=True)
class Place:
    """Where the race is: a session, settings and a folder of lakes, one for each share."""

    spark: SparkSession
    settings: Settings
    folder: Path

    def make(self, history: int, count: int, shares: tuple[int, ...]) -> None:
        """A lake for each share, the batch landed in each."""
        import duckdb

        write_records(self.folder / "views.parquet", NUMBERS.format(count=count, users=max(10, count // 20)))
        past = PAST.format(count=history, users=max(10, history // 100))
        with duckdb.connect() as connection:
            connection.execute(f"SET TimeZone = 'UTC'; SET temp_directory = '{self.folder}/tmp'")
            connection.execute(f"COPY ({past}) TO '{self.folder}/past.parquet' (FORMAT parquet, COMPRESSION zstd)")
        bare = self.lake(self.folder / "bare")
        land_file(bare, self.folder / "views.parquet")
        earlier = {"kafka_time": F.col("event_time"), "ingest_seq": F.lit(SEQ_BEFORE)}
        known = rows_of(batch_in(bare)).withColumns(earlier)
        self.fill(bare, known)
        for each in shares:
            copy(Path(bare.settings.lake_uri), self.template(each))
            place = F.row_number().over(Window.orderBy("event_id"))  # so that the share is exact
            told_before = known.withColumns({"kafka_offset": -1 - F.col("kafka_offset"), "place": place})
            some = told_before.where(F.col("place") % (1000 // each) == 0).drop("place")
            self.lake(self.template(each)).append(TABLE, some, app=APP, version=1)

    def fill(self, lake: Lake, like: DataFrame) -> None:
        """A month of history, day by day, for all of it at once needs more memory than there is.

        What it does not tell is as in one of these rows.
        """
        made = self.spark.read.parquet(str(self.folder / "past.parquet")).drop("stamp", "dice")
        told = like.drop(*made.columns)
        rest = F.broadcast(self.spark.createDataFrame(told.limit(1).collect(), told.schema))
        days = made.select("event_date").distinct().sort("event_date").collect()
        for number, (day,) in enumerate(days):
            rows = made.where(F.col("event_date") == F.lit(day)).coalesce(1).sortWithinPartitions("event_time")
            lake.append(TABLE, rows.crossJoin(rest), app=f"{APP}-past", version=number)

    def template(self, thousandths: int) -> Path:
        """Where the lake lies that holds such a share of the batch."""
        return self.folder / f"of-{thousandths}"

    def lake(self, path: Path) -> Lake:
        """The lake that lies there."""
        return Lake(self.settings.model_copy(update={"lake_uri": str(path)}), self.spark)

    def contender(
        self, name: str, thousandths: int, work: Callable[[Batch], Any], role: str, note: str, *, dedups: bool = True
    ) -> Contender:
        """A way to add the batch to a copy of the lake, by Spark."""

        def run(lake: Path) -> None:
            batch = batch_in(self.lake(lake))
            try:
                work(batch)
            finally:
                batch.let_go()

        return self.on_a_copy(name, thousandths, run, role, note, dedups=dedups)

    def own(
        self, name: str, thousandths: int, work: Callable[[Batch], Any], role: str, note: str, *, dedups: bool = True
    ) -> Contender:
        """The same on the engine that ingest takes."""

        def run(lake: Path) -> None:
            with_landed(self.spark, self.lake(lake).settings, work)

        return self.on_a_copy(name, thousandths, run, role, note, dedups=dedups)

    def on_a_copy(
        self, name: str, thousandths: int, run: Callable[[Path], None], role: str, note: str, *, dedups: bool
    ) -> Contender:
        """One that changes a copy of the lake."""
        shelf = Shelf(self.folder / "runs" / slug(name.partition(",")[0]) / str(thousandths))

        def prepare() -> None:
            shelf.renew()
            copy(self.template(thousandths), shelf.path)

        return Contender(
            name, lambda: run(shelf.path), role, note, before=prepare, answer=lambda: newest(shelf.path, dedups=dedups)
        )


def batch_in(lake: Lake) -> Batch:
    """The batch that has landed in a lake."""
    ledger, pseudonym = Ledger(lake.settings), pseudonym_function(lake.settings.keys_path)
    return Batch(lake, ledger, landed_plan(ledger, 0), APP, received(ledger, 0)[0], pseudonym)


def rows_of(batch: Batch) -> DataFrame:
    """The batch as rows of silver, whatever silver has."""
    how = form("views", batch.lake.settings)
    return views.build(read(batch.records("views"), how), form=how, pseudonym=batch.pseudonym)


def append_alone(batch: Batch) -> None:
    """As ingest does where nothing is contested."""
    write_facts(batch, form("views", batch.lake.settings), Contest(), [])


def by_merge(batch: Batch) -> None:
    """What the manual shows."""
    rows_of(batch).createOrReplaceTempView("arrived")
    batch.lake.spark.sql(
        f"MERGE INTO delta.`{batch.lake.path(TABLE)}` t USING arrived s ON t.event_id = s.event_id "
        "WHEN NOT MATCHED THEN INSERT *"
    ).collect()


def by_anti_join(batch: Batch) -> None:
    """Look all ids up in all of silver."""
    known = batch.lake.read(TABLE).select("event_id")
    batch.lake.append(TABLE, rows_of(batch).join(known, on=["event_id"], how="left_anti"), app=APP, version=2)


def newest(lake: Path, *, dedups: bool) -> tuple[Any, ...]:
    """The events since the first late one: their number and a checksum; DifferError where dedup left one twice."""
    since = f"event_time >= make_timestamp({BASE_MS - 4 * DAY_MS}000)::TIMESTAMPTZ"
    rows, *events = asked(
        f"SELECT sum(n)::BIGINT, count(*), bit_xor(hash(event_id, w, v)) FROM (SELECT event_id, count(*) AS n, "
        f"min(watch_ms) AS w, min(video_id) AS v FROM {source_of(lake / 'silver/views')} WHERE {since} GROUP BY 1)"
    )
    if dedups and rows != events[0]:
        raise DifferError(f"{lake}: {rows} rows of {events[0]} events")
    return tuple(events)
