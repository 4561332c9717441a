"""A lake of a handful of people who watch videos, with one funnel published: small, and made the way of all lakes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.drills.records import NOON, Record, body_of, record
from jobs.lake.clock import now
from jobs.lake.file_topics import Entry, file_topics
from jobs.lake.ingest.loop import Ingest
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings

FUNNEL = "content_to_purchase"
PEOPLE, REFUSED = 6, (1, 3)
ALONE = {3: "search", 5: "live"}  # who is the only one of a scene; all else are in BODIES' own
WAS_EARLIER = 5  # by a view that was refused


def views() -> Iterator[Record]:
    """Each watches a video for long; the app of some calls that by another name."""
    for person in range(PEOPLE):
        yield watched(person, is_refused=person in REFUSED, **({"scene": ALONE[person]} if person in ALONE else {}))
    yield watched(WAS_EARLIER, 40, NOON - timedelta(minutes=10), is_refused=True)


def watched(person: int, number: int = -1, at: datetime = NOON, *, is_refused: bool, **fields: str) -> Record:
    """Somebody watches; what is refused calls the time by another name."""
    time = {"watch_ms": None, "watched_ms": 60_000} if is_refused else {"watch_ms": 60_000}
    number = person if number < 0 else number
    body = body_of("views", number, at=at, user_id=f"u{person}", duration_ms=60_000, **time, **fields)
    return record("views", body, at=at)


def late_view() -> Record:
    """One more, by somebody else."""
    later = NOON + timedelta(hours=1)
    body = body_of("views", 50, at=later, user_id="u9", watch_ms=60_000, duration_ms=60_000)
    return record("views", body, at=later)


def only(funnel: str, home: Path) -> Path:
    """The schemas with a single funnel among them: to build ten says no more here."""
    schemas = Path(shutil.copytree(Settings().schemas_dir, home / "schemas"))
    for file in (schemas / "funnels").glob("*.yaml"):
        if file.stem != funnel:
            file.unlink()
    return schemas


def put(settings: Settings, records: Iterable[Record]) -> None:
    topics = file_topics(settings)
    assert topics is not None
    for each in records:
        topics.append(each.topic, 0, Entry(each.key, each.value, each.headers, each.at))


def ingest(settings: Settings, spark: SparkSession) -> None:
    Ingest(settings, "test", now, lambda _: spark).until_caught_up()


def publish(settings: Settings, spark: SparkSession, family: str = "funnels", *, is_anew: bool = False) -> None:
    runner = Runner(settings, family, "test", lambda _: spark)
    runner.build(now(), is_anew=is_anew)
    runner.check()
    runner.release()


def small_shop(home: Path, spark: SparkSession) -> Settings:
    """The funnels of who was not refused are published."""
    made = Settings(
        home=home, lake_uri="", schemas_dir=only(FUNNEL, home), kafka_bootstrap_servers=f"file:{home / 'topics'}"
    )
    put(made, views())
    ingest(made, spark)
    publish(made, spark)
    return made
