"""A replay that was undone leaves nothing but its own records in quarantine, whatever else its events did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.definitions.news import cause_at
from jobs.lake import small_runs
from jobs.lake.clock import now
from jobs.lake.families.funnel_causes import of_undone
from jobs.lake.ingest import steps
from jobs.lake.ingest.loop import Ingest
from jobs.lake.ingest.retracting import unrefused
from jobs.lake.settings import Settings
from jobs.lake.topics import REPLAY_HEADER
from jobs.produce.again import place_of
from tests.lake.by_hour import by_hour
from tests.lake.logs import NOON, Log, Record, body_of, headers_of, micros, record

TABLES = ("silver.views", "silver.users", "silver.quarantine")
COUNTED = ("accepted", "duplicate", "conflict", "quarantined")
KEPT = ("accepted", "duplicate", "conflict")  # fates that no record of an undone replay has
VIEWS, USERS, AGAIN = "watched_ms-1.1", "regions-1.1", "watched_ms-1.2"
LOST = ("alone", "repeated", "contradicted", "in time", "sent twice", "mended better")  # to the undoing, by silver
STORIES = (*LOST, "was there", "said before", "not yet in")


def view(story: str, minute: int, watch_ms: int | None = 4000, replay_id: str = "") -> Record:
    """A view by the only one whose story this is; one without `watch_ms` is refused."""
    number = STORIES.index(story)
    hour = micros(NOON - timedelta(hours=number))
    body = body_of("views", 50 + number, user_id=story, watch_ms=watch_ms, event_time=hour)
    return arrival("views", body, minute, number % 2, replay_id)


def user(number: int, name: str, hour: int, minute: int, replay_id: str = "") -> Record:
    """A word about a user that holds from an hour before noon on."""
    at = micros(NOON) - hour * 3_600_000_000
    body = body_of("users", 90 + number, user_id=name, event_time=at, region=f"r{number}")
    return arrival("users", body, minute, 0, replay_id)


def arrival(topic: str, body: dict[str, Any], minute: int, partition: int, replay_id: str) -> Record:
    body |= {"sent_time": micros(NOON + timedelta(minutes=minute))}
    made = record(topic, body, partition=partition, at=NOON + timedelta(minutes=minute))
    headers = (*headers_of(topic, body["event_id"], "app:quarantine"), (REPLAY_HEADER, replay_id.encode()))
    return replace(made, headers=headers) if replay_id else made


def tale() -> tuple[list[Record], list[Record], list[Record]]:
    """All is refused, replayed, or comes by itself; a little more; what follows the undoing, a better replay too."""
    refused = [view(story, 0, None) for story in STORIES]
    before = [view("was there", 1, 5), view("said before", 1, 7), user(0, "u9", 5, 1), user(2, "u9", 1, 1)]
    replayed = [view(story, 2, 7, VIEWS) for story in STORIES if story != "not yet in"]
    people = [user(1, "u9", 3, 2, USERS), user(3, "u8", 3, 2, USERS)]
    since = [view("repeated", 3, 7), *(view("contradicted", minute, minute // 5) for minute in (3, 4, 5))]
    return (
        [*refused, *before, *replayed, *people, *since, view("sent twice", 3, 7, VIEWS)],
        [view("not yet in", 6, 7, VIEWS), view("in time", 6, 9)],
        [view("mended better", 7, 6000, AGAIN), view("in time", 7, 9)],
    )


def never_applied(batches: Iterable[list[Record]]) -> Iterator[Record]:
    """The same records, but those that the undone replays sent are broken and say nothing."""
    for each in chain.from_iterable(batches):
        is_undone = (each.headers or ())[-1][1].decode() in (VIEWS, USERS)
        yield replace(each, value=b"x") if is_undone else each


def word(log: Log, number: int, replay_id: str, since: datetime = NOON) -> Record:
    """The statement that takes a replay back, as far as its topic reaches."""
    topic = "views" if replay_id == VIEWS else "users"
    ends = [{"partition": n, "next_offset": len(part)} for n, part in sorted(log.parts[topic].items())]
    said = {"kind": "retract", "source": "app:quarantine", "topic": topic, "replay_id": replay_id, "why": "wrong unit",
            "since": micros(since), "offsets": ends, "complete_until": None, "is_final": None}  # fmt: skip
    return record("control", body_of("control", 120 + number, **said), at=NOON + timedelta(minutes=6))


def run(settings: Settings, spark: SparkSession, log: Log) -> Ingest:
    """Ingest until caught up."""
    ingest = Ingest(settings, "test", now, lambda _: spark)
    with pytest.MonkeyPatch.context() as patch:
        log.installed(patch)
        ingest.until_caught_up()
    return ingest


def killed(settings: Settings, spark: SparkSession, log: Log, at: str) -> None:
    """Begin to ingest, and end at a point of the first batch."""

    def die(point: str) -> None:
        if point == at:
            raise InterruptedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "reach", die)
        with pytest.raises(InterruptedError):
            run(settings, spark, log)


def found(ingest: Ingest) -> dict[str, Any]:
    """What silver, quarantine but for the replays' own records, and the books say; looked at without Spark."""
    own = {
        (row["topic_id"], row["partition"], row["offset"])
        for row in ingest.ledger.read("bronze.events", ["topic_id", "partition", "offset", "headers"]).to_pylist()
        if row["headers"][-1]["value"].decode() in (VIEWS, USERS)
    }
    rows = {
        table: {place_of(row): row | {"ingest_seq": None} for row in ingest.ledger.read(table).to_pylist()}
        for table in TABLES
    }
    refused = {place: row for place, row in rows["silver.quarantine"].items() if place not in own}
    lines = [line for line in ingest.ledger.read("ops.books").to_pylist() if line["topic"] != "control"]
    assert all(line["balanced"] for line in lines)
    sums = Counter({(line["topic"], line["partition"], fate): 0 for line in lines for fate in COUNTED})
    for line in lines:
        sums.update({(line["topic"], line["partition"], fate): line[fate] for fate in COUNTED})
    hours = {place: n for place, n in by_hour(ingest.ledger).items() if place[0] != "control" and place[3] in KEPT}
    return rows | {"silver.quarantine": refused, "books": sums, "hours": hours}


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "pseudonyms.json"


@pytest.fixture(scope="module")
def untouched(spark: SparkSession, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What there would be without the replay, read at once."""
    log = Log()
    log.put(never_applied(tale()))
    return found(run(Settings(home=tmp_path_factory.mktemp("never"), key_file=key_file), spark, log))


def test_a_replay_undone_is_as_if_it_had_never_been(
    spark: SparkSession, key_file: Path, tmp_path: Path, untouched: dict[str, Any]
) -> None:
    """The batch is killed when the first table is written, and done again; what follows its word stays."""
    log, settings = Log(), Settings(home=tmp_path, key_file=key_file)
    first, second, last = tale()
    log.put(first)
    run(settings, spark, log)
    log.put(second)
    words = [word(log, number, replay_id) for number, replay_id in enumerate((VIEWS, USERS))]
    log.put([*words, *last])
    killed(settings, spark, log, "ingest.after_views")
    ingest = run(settings, spark, log)
    assert found(ingest) == untouched
    refused = ingest.ledger.read("silver.quarantine").to_pylist()
    assert sum(row["reasons"] == ["retracted"] for row in refused) == len(STORIES) + 1 + 2
    lost = [line for line in ingest.ledger.read("ops.touched").to_pylist() if line["cause"] == "retracted"]
    assert sum(line["rows"] for line in lost if line["table"] == "silver.views") == len(LOST)
    assert len({line["subject"] for line in lost}) == len(LOST) + 2, "each by name"
    assert {line["day"] for line in lost} == {NOON.date()}


TOMORROW = 24 * 60  # minutes


@pytest.mark.parametrize(
    ("minute", "fields"),
    [
        pytest.param(0, {}, id="rows of the event's day, which are not of the day of the replay"),
        pytest.param(TOMORROW, {"watch_ms": None}, id="records of the day of the replay, which made no row"),
    ],
)
def test_an_undoing_that_must_look_through_many_is_left_to_spark(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture, minute: int, fields: dict[str, Any]
) -> None:
    settings, log = Settings(home=tmp_path), Log()
    many = [arrival("views", body_of("views", 200 + n, **fields), minute, 0, "") for n in range(30)]
    log.put([view("alone", 0, None), *(many if not minute else [])])
    run(settings, spark, log)
    log.put([view("alone", TOMORROW, 7, VIEWS), *(many if minute else [])])
    run(settings, spark, log)
    log.put([word(log, 0, VIEWS, NOON + timedelta(days=1))])
    tight = settings.model_copy(update={"small_run_rows": 15})
    lines = run(tight, spark, log).ledger.read("ops.books").to_pylist()
    assert sum(line["accepted"] for line in lines if line["topic"] == "views") == (0 if minute else 30)
    left = [line.getMessage() for line in caplog.records if line.name == small_runs.__name__]
    assert left == ["ingest: left to Spark, TooMuchError: more rows are to be looked at than are for it"]


def test_what_is_taken_back_or_was_refused_is_not_taken_back_again(spark: SparkSession) -> None:
    """So an undoing may be said twice."""
    places = [("t", 0, offset) for offset in range(4)]
    refusals = [(*places[1], True), (*places[2], False)]
    columns = "kafka_topic_id string, kafka_partition int, kafka_offset long"
    told = unrefused(
        spark.createDataFrame(places, columns), spark.createDataFrame(refusals, f"{columns}, is_conflict boolean")
    )
    assert {(row.kafka_offset, row.is_conflict) for row in told.collect()} == {(0, False), (1, True), (3, False)}


def test_who_lost_what_a_replay_had_brought_has_news_of_a_replay(spark: SparkSession) -> None:
    """A thing that lost a row is nobody's news; a displaced row is no replay's."""
    touched = [("u1", "retracted"), ("u2", "displaced"), (None, "retracted"), (None, "new_facts")]
    rows = of_undone(spark.createDataFrame(touched, "subject string, cause string"))
    told = rows.select("user_id", cause_at(F.col("place"))).collect()
    assert [tuple(row) for row in told] == [("u1", "replay")]
