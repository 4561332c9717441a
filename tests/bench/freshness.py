"""B7: facts sent at a steady rate, one ingest that goes on as fast as it turns, beside Spark's own streams.

What is timed is not the run, which lasts as long as the sending and the last batch, but a record's way: from the
broker's clock to the commit that makes it queryable in silver. The answer compared is how many records arrived.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.lake.clock import now
from jobs.lake.identity import ensure_key_file
from jobs.lake.ingest.loop import INGEST_CONF, Ingest
from jobs.lake.ingest.planning import is_unread
from jobs.lake.ingest.steps import Done
from jobs.lake.services.kafka import Kafka
from jobs.lake.settings import Settings
from jobs.lake.topics import FACTS
from tests.bench.harness import Contender
from tests.bench.places import Shelf, apart, own_services, own_settings, own_spark, slug
from tests.bench.shop_stream import Stay, forget_all, make_facts, plain_sinks, send_steadily, stay_in

RATES = (2_000, 10_000)  # records a second
SECONDS, FEW_SECONDS = 60, 15  # of sending: at full size, below it
FIRST_AIM, AIM_SECONDS = 10, 5
FLAT = 1.5  # times as much waiting in the last third as in the middle one is no growth: few batches fit into a run
LOOK_SECONDS = 0.5
ONE = "a batch of one event"
AIM = f"95 % of records queryable within {FIRST_AIM} s at first, {AIM_SECONDS} s to aim for; backlog flat"
NEWEST: dict[str, Stay] = {}  # contender → what its newest run showed; the race times only the 95th percentile


def ours(rate: int) -> str:
    """The name of ours at a rate."""
    return f"ours: {rate:,} a second"


def plain(rate: int) -> str:
    """The name of Spark's own at a rate."""
    return f"plain Spark streams: {rate:,} a second"


def verdict(medians: Mapping[str, float]) -> str:
    """How ours stands to its aims, at each rate that raced."""
    raced = {name: p95 for name, p95 in medians.items() if name.startswith("ours")}
    flat = all(is_flat(NEWEST[name]) for name in raced)
    met = "Met" if flat and max(raced.values()) < FIRST_AIM else "Missed"
    far = "" if max(raced.values()) < AIM_SECONDS else f", {AIM_SECONDS} s not reached"
    told = [f"{name}: 95 % within {p95:.1f} s, {newest(name)}" for name, p95 in medians.items() if name in NEWEST]
    return f"{met}{far}: {'; '.join(told)}."


def newest(name: str) -> str:
    """What else a contender's newest run showed."""
    stay = NEWEST[name]
    middle, last = stay.backlogs
    return (
        f"half within {stay.latency(50):.1f} s, at most {middle:,} then {last:,} waiting at {stay.rate:,.0f} a second"
    )


def is_flat(stay: Stay) -> bool:
    """Whether no more waits at the end than in the middle."""
    middle, last = stay.backlogs
    return last <= FLAT * middle


@contextmanager
def arena(folder: Path, scale: float) -> Iterator[tuple[str, list[Contender]]]:
    """A broker, the facts to send, and those who take them in; below full size the lower rate alone."""
    settings = own_settings(folder)
    rates = [max(10, int(rate * scale)) for rate in (RATES if scale >= 1 else RATES[:1])]
    seconds = SECONDS if scale >= 1 else FEW_SECONDS
    make_facts(settings, folder / "facts.parquet", max(rates) * seconds)
    with own_services(Kafka(settings)), own_spark(settings) as spark:
        ensure_key_file(settings.keys_path)
        place = Place(spark, settings.model_copy(update={"key_file": settings.keys_path}), folder, seconds)
        found = [place.of_one()]
        for rate in rates:
            found += [
                place.stream(plain(rate), rate, place.by_plain, "peer", "a query a topic, no dedup, no rules"),
                place.stream(ours(rate), rate, place.by_ours, "ours", "ingest --continuous, all steps"),
            ]
        yield f"freshness: {seconds} s of facts at a steady rate; seconds are the 95th percentile of records", found


@dataclass(frozen=True)
class Place:
    """Where the race is: Spark, a broker, and the facts of so many seconds."""

    spark: SparkSession
    settings: Settings
    folder: Path
    seconds: int

    def stream(
        self, name: str, rate: int, taking_in: Callable[[Path, Callable[[], None]], list[Path]], role: str, note: str
    ) -> Contender:
        """One who takes in what is sent meanwhile, and says in which tables it lies."""
        shelf = Shelf(self.folder / slug(name))
        count = rate * self.seconds

        def prepare() -> None:
            shelf.renew()
            forget_all(self.settings)

        def run() -> int:
            send = lambda: send_steadily(self.settings, self.folder / "facts.parquet", rate, count)  # noqa: E731
            NEWEST[name] = stay_in(taking_in(shelf.path, send))
            return count - len(NEWEST[name].came)  # whatever the rate, nothing is missing

        return Contender(name, run, role, note, before=prepare, seconds=lambda: NEWEST[name].latency(95))

    def by_ours(self, to: Path, send: Callable[[], None]) -> list[Path]:
        """`reelhouse ingest --continuous` in a thread, ended once it has read everything."""
        mine = self.settings.model_copy(update={"lake_uri": str(to)})
        with going_on(self.ingest(mine)) as is_going:
            send()
            while is_going() and is_unread(mine):
                time.sleep(LOOK_SECONDS)
        return [to / "silver" / topic for topic in FACTS]

    def by_plain(self, to: Path, send: Callable[[], None]) -> list[Path]:
        """Spark's streams, each as fast as it turns, ended once they have read everything."""
        queries = [sink.start() for sink in plain_sinks(apart(self.spark, {}), self.settings, to)]
        try:
            send()
            for query in queries:
                query.processAllAvailable()
        finally:
            for query in queries:
                query.stop()
        return [to / topic for topic in FACTS]

    def of_one(self) -> Contender:
        """What every batch costs, on a lake that has tables already."""
        shelf = Shelf(self.folder / "one")

        def send_one() -> None:
            send_steadily(self.settings, self.folder / "facts.parquet", 1, 1)

        def mine() -> Settings:
            return self.settings.model_copy(update={"lake_uri": str(shelf.path)})

        def prepare() -> None:
            shelf.renew()
            forget_all(self.settings)
            send_one()
            self.ingest(mine()).until_caught_up()
            send_one()

        return Contender(ONE, lambda: take_one(self.ingest(mine())), "limit", "wall seconds", before=prepare)

    def ingest(self, settings: Settings) -> Ingest:
        """A run of ingest on the session that all share."""
        return Ingest(settings, "bench", now, lambda _: apart(self.spark, INGEST_CONF))


def take_one(ingest: Ingest) -> None:
    """One batch."""
    assert len(ingest.until_caught_up()) == 1


@contextmanager
def going_on(ingest: Ingest, told: Callable[[Done], None] = lambda done: None) -> Iterator[Callable[[], bool]]:
    """Ingest for ever in a thread, stopped afterwards; its error is ours. Yields whether it is still going."""
    with ThreadPoolExecutor(1) as threads:
        going = threads.submit(ingest.forever, told)
        try:
            yield lambda: not going.done()
        finally:
            ingest.stop.set()
        going.result()
