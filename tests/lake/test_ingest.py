"""Ingest is a function of what lies on the topics: batches, repeats and order of arrival change nothing.

Kills are played in tests/drills/test_chance.py.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from jobs.drills.outages import no_room, noise
from jobs.lake.balance import refuse_difference
from jobs.lake.clock import now
from jobs.lake.digest import digest_of
from jobs.lake.errors import LeaseError, TopicError
from jobs.lake.ingest import landing, loop
from jobs.lake.ingest.landing import FEW, land
from jobs.lake.ingest.loop import LEASE, Ingest
from jobs.lake.ingest.planning import Plan, plan
from jobs.lake.ingest.progress import progress
from jobs.lake.ingest.steps import Done
from jobs.lake.leases import Lease
from jobs.lake.ledger import Ledger
from jobs.lake.remaking.from_arrivals import due
from jobs.lake.settings import Settings
from jobs.lake.topics import CANARY_KEY
from jobs.serve.sequences import sequences, unnumbered
from tests.lake.by_hour import by_hour, told
from tests.lake.logs import NOON, Log, Record, body_of, micros, record

SILVER = ("silver.views", "silver.orders", "silver.users", "silver.quarantine")
SENDER = ("producer_id", "producer_epoch", "producer_seq")
COUNTED = ("received", "accepted", "duplicate", "quarantined")


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key for all lakes of the module, so that their pseudonyms can be compared."""
    return tmp_path_factory.mktemp("keys") / "pseudonyms.json"


def story() -> list[Record]:
    """Facts with repeats, conflicts and broken ones; a user who moves, is corrected late, and is withdrawn."""
    views = [record("views", body_of("views", n, user_id=f"u{n % 5}", event_time=minutes_ago(20 * n)), partition=n % 2)
             for n in range(30)]  # fmt: skip
    again = [replace(views[n], at=NOON + timedelta(minutes=1)) for n in (3, 4, 17)]
    other = [record("views", body_of("views", n, user_id=f"u{n % 5}", watch_ms=7, event_time=minutes_ago(200)),
                    partition=n % 2, at=NOON + timedelta(minutes=2)) for n in (3, 8)]  # fmt: skip
    broken = [record("views", body_of("views", 100 + n, watch_ms="x", event_time=minutes_ago(90 * n)), partition=n)
              for n in range(2)]  # fmt: skip
    orders = [record("orders", body_of("orders", 200 + n, user_id=f"u{n}")) for n in range(4)]
    moves = [body_of("users", 300 + n, event_time=micros(NOON) - hours * 3_600_000_000, sent_time=micros(NOON),
                     region=f"r{n}") for n, hours in enumerate((5, 1, 3, 3))]  # fmt: skip
    users = [record("users", move) for move in moves]
    gone = record("users", moves[0], value=None, headers=None, at=NOON + timedelta(minutes=3))
    word = record("control", body_of("control", 400, offsets=[{"partition": 0, "next_offset": 3}]))
    return [*views, *again, *other, *broken, *orders, *users, gone, word]


def minutes_ago(minutes: int) -> int:
    """So long before noon, as a body says it."""
    return micros(NOON - timedelta(minutes=minutes))


def run(settings: Settings, spark: SparkSession, log: Log, **options: int) -> Ingest:
    """Ingest until caught up, a thousand batches at most."""
    ingest = Ingest(settings, "test", now, lambda _: spark)
    with pytest.MonkeyPatch.context() as patch:
        log.installed(patch)
        ingest.until_caught_up(**options)
    return ingest


def digests(ingest: Ingest) -> dict[str, str]:
    """What silver holds, the books' sums, and which numbers were received."""
    numbers = {"numbers": str(sequences(ingest.settings)), "without": str(unnumbered(ingest.settings))}
    found = numbers | {table: digest_of(ingest.lake(), table) for table in SILVER}
    lines = ingest.ledger.read("ops.books").to_pylist()
    assert all(line["balanced"] for line in lines)
    found["by hour"] = str(sorted(by_hour(ingest.ledger).items()))
    return found | {fate: str(sum(line[fate] for line in lines)) for fate in COUNTED}


@pytest.fixture(scope="module")
def clean(
    spark: SparkSession, key_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], Ingest, Log]:
    """One run over the whole story, by Spark."""
    log = Log()
    log.put(story())
    ingest = run(Settings(home=tmp_path_factory.mktemp("clean"), key_file=key_file, small_run_rows=0), spark, log)
    return digests(ingest), ingest, log


@pytest.fixture
def settings(tmp_path: Path, key_file: Path) -> Settings:
    """A lake of the test's own."""
    return Settings(home=tmp_path, key_file=key_file)


def canaries(**parts: int) -> list[Record]:
    """One to each of so many partitions of each topic."""
    return [Record(topic, CANARY_KEY, b'{"canary": "reelhouse"}', None, NOON, number)
            for topic, count in parts.items() for number in range(count)]  # fmt: skip


@pytest.mark.parametrize("small_run_rows", [0, 10_000], ids=["by Spark", "without Spark"])
def test_canaries_are_counted_and_leave_nothing_else(
    small_run_rows: int, clean: tuple[dict[str, str], Ingest, Log], settings: Settings, spark: SparkSession
) -> None:
    """In a batch with records, at the side of topics that have none, and in a batch of nothing else."""
    log, parts = Log(), {"views": 2, "orders": 1, "users": 1, "control": 1, "likes": 2}
    log.put([*story(), *canaries(**parts)])
    ingest = run(settings.model_copy(update={"small_run_rows": small_run_rows}), spark, log)
    log.put(canaries(**parts))
    run(ingest.settings, spark, log)
    lines = ingest.ledger.read("ops.books").to_pylist(maps_as_pydicts="strict")
    told = {(line["ingest_seq"], line["topic"], line["partition"]): line["canary"] for line in lines}
    assert told == {(batch, topic, number): 1 for batch in (0, 1) for topic, n in parts.items() for number in range(n)}
    refuse_difference(ingest.ledger, 0)
    assert due(ingest.ledger) == []
    found, wanted = digests(ingest), dict(clean[0])
    assert int(found.pop("received")) == int(wanted.pop("received")) + 2 * sum(parts.values())
    by_topic = {name: each.pop("by hour") for name, each in (("found", found), ("wanted", wanted))}
    assert found == wanted
    assert by_topic["wanted"] != by_topic["found"]
    assert ingest.ledger.read("ops.touched", filter=pc.field("ingest_seq") == 1).num_rows == 0


def test_each_batch_notes_what_it_cost(clean: tuple[dict[str, str], Ingest, Log]) -> None:
    _, ingest, _ = clean
    (cost,) = ingest.ledger.read("ops.costs").to_pylist()
    received = sum(line["received"] for line in ingest.ledger.read("ops.books").to_pylist())
    assert (cost["work"], cost["ingest_seq"], cost["rows"]) == ("batch", 0, received)
    written = [ingest.ledger.open(table).file_uris() for table in ("bronze.events", *SILVER)]
    assert cost["files"] == sum(len(files) for files in written)
    assert cost["milliseconds"] > 0 < cost["bytes"]


def test_the_story_is_told_right(clean: tuple[dict[str, str], Ingest, Log]) -> None:
    counts = {fate: int(clean[0][fate]) for fate in COUNTED}
    assert counts == {"received": 47, "accepted": 40, "duplicate": 3, "quarantined": 4}
    rows = clean[1].lake().read("silver.users").orderBy("valid_from", "kafka_offset").collect()
    held = [(row.region, row.is_superseded, row.is_current, row.is_deleted) for row in rows]
    assert held == [("r0", False, False, False), ("r2", True, False, False), ("r3", False, False, False),
                    ("r1", False, False, False), (None, False, True, True)]  # fmt: skip


def test_numbers_that_came_again_and_that_never_came_are_told_of_all_topics(
    clean: tuple[dict[str, str], Ingest, Log],
) -> None:
    (line,) = sequences(clean[1].settings)
    counts = {name: line[name] for name in ("producer", "epoch", "received", "refused", "repeated", "lost")}
    # views 0–29, five of them twice, two refused, orders, users, a word on control; a tombstone has no body
    assert counts == {"producer": "app-1", "epoch": 1, "received": 46, "refused": 2, "repeated": 5, "lost": 360}
    assert line["missing"] == [[30, 99], [102, 199], [204, 299], [304, 399]]
    assert unnumbered(clean[1].settings) == [{"topic": "users", "source": None, "received": 1}]


def test_a_second_run_finds_nothing_and_needs_no_spark(clean: tuple[dict[str, str], Ingest, Log]) -> None:
    ingest = clean[1]
    again = Ingest(ingest.settings, "again", now, lambda _: pytest.fail("Spark was opened"))
    with pytest.MonkeyPatch.context() as patch:
        clean[2].installed(patch)
        assert again.until_caught_up() == []


BY_ENGINE = {"ids._in_arrow": lambda batch, topics: None}
CUTS = {
    "without Spark": (1, 1, {}),
    "without Spark, what is contested found by its engine": (6, 1, {"ids.MOST_BYTES": -1}),
    "without Spark, silver looked through by its engine": (6, 1, {"known.FEW_ROWS": -1}),
    "without Spark, ids found by its engine": (6, 1, BY_ENGINE),
    "kept and read once": (1, 0, {}),
    "as large batches are": (6, 0, {"batch.SMALL": 0}),
    "silver looked through by Spark": (6, 0, {"known.FEW_ROWS": -1}),
    "ids found by Spark": (6, 0, {"batch.SMALL": 0, **BY_ENGINE}),
}


@pytest.mark.parametrize(("seed", "small_run_rows", "others"), CUTS.values(), ids=CUTS)
def test_cuts_between_batches_change_nothing(
    seed: int,
    small_run_rows: int,
    others: dict[str, object],
    settings: Settings,
    spark: SparkSession,
    clean: tuple[dict[str, str], Ingest, Log],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same log comes in three pieces, cut differently in each partition, and between events and their repeats."""
    for name, value in others.items():
        monkeypatch.setattr(f"jobs.lake.ingest.{name}", value)
    dice, log, whole = random.Random(seed), Log(), clean[2]
    places = [(topic, n, part) for topic, parts in whole.parts.items() for n, part in parts.items()]
    cuts = {(topic, n): sorted(dice.choices(range(len(part) + 1), k=2)) for topic, n, part in places}
    for piece in range(3):
        for topic, n, part in places:
            edges = [0, *cuts[topic, n], len(part)]
            log.put(part[edges[piece] : edges[piece + 1]])
        ingest = run(settings.model_copy(update={"small_run_rows": small_run_rows}), spark, log)
    assert digests(ingest) == clean[0]


def test_an_earlier_arrival_in_a_later_batch_takes_the_place(settings: Settings, spark: SparkSession) -> None:
    body, log = body_of("views", 1), Log()
    log.put([record("views", body_of("views", 2), partition=0), record("views", body, partition=1)])
    run(settings, spark, log)
    log.put([record("views", body | {"watch_ms": 9}, partition=0, at=NOON - timedelta(minutes=1))])
    ingest = run(settings, spark, log)
    rows = ingest.lake().read("silver.views").where(f"event_id = '{body['event_id']}'").collect()
    assert [(row.watch_ms, row.kafka_partition) for row in rows] == [(9, 0)]
    refused = ingest.lake().read("silver.quarantine").collect()
    assert [(row.kafka_partition, row.reasons, row.twin.partition) for row in refused] == [(1, ["conflict"], 0)]
    assert {fate: digests(ingest)[fate] for fate in COUNTED} == {
        "received": "3", "accepted": "2", "duplicate": "0", "quarantined": "1"}  # fmt: skip
    assert {place[:3]: n for place, n in by_hour(ingest.ledger).items() if place[3] == "conflict"} == {
        ("views", 1, "2026-11-20T04"): 1}  # fmt: skip


@pytest.mark.parametrize("small_run_rows", [1, 0], ids=["without Spark", "by Spark"])
def test_a_lake_from_before_hours_has_them_from_the_next_batch_on(
    small_run_rows: int, settings: Settings, spark: SparkSession
) -> None:
    """Its quarantine tells no hours either, and the next batch takes back what the first had counted."""
    log, asked = Log(), settings.model_copy(update={"small_run_rows": small_run_rows})
    first = body_of("views", 1)
    log.put([record("views", body_of("views", 2, watch_ms="x")), record("views", first)])
    ledger = run(asked, spark, log).ledger
    shutil.rmtree(ledger.path("ops.book_hours"))
    older = ledger.read("silver.quarantine").drop_columns(["event_hour"])
    write_deltalake(ledger.path("silver.quarantine"), older, mode="overwrite", schema_mode="overwrite")
    earlier = record("views", first | {"watch_ms": 9}, at=NOON - timedelta(minutes=1))
    log.put([earlier, record("views", body_of("views", 3, watch_ms="x", event_time=minutes_ago(90)))])
    run(asked, spark, log)
    hours = {(line["ingest_seq"], told(line["event_hour"])): line for line in ledger.read("ops.book_hours").to_pylist()}
    assert {place: (line["accepted"], line["quarantined"], line["conflict"]) for place, line in hours.items()} == {
        (1, "2026-11-20T04"): (0, 1, 1), (1, "2026-11-20T02"): (0, 1, 0)}  # fmt: skip
    refused = ledger.read("silver.quarantine", ["event_hour"])["event_hour"].to_pylist()
    assert sorted(map(told, refused)) == ["", "2026-11-20T02", "2026-11-20T04"]
    refuse_difference(ledger, 0)


def test_what_an_orphan_landed_under_our_number_is_what_the_batch_is(settings: Settings, spark: SparkSession) -> None:
    """A killed run's append goes on in the server and comes first; ours is skipped, and the rest is read next."""
    log = Log()
    with pytest.MonkeyPatch.context() as patch:
        log.installed(patch)
        log.put(record("views", body_of("views", n)) for n in range(10))
        ingest = Ingest(settings, "test", now, lambda _: spark)
        orphans = plan(settings, progress(ingest.ledger))
        log.put(record("views", body_of("views", n)) for n in range(10, 15))
        ours = plan(settings, progress(ingest.ledger))
        land(ingest.lake(), orphans)
        with ingest.leases.held(LEASE, "ours") as lease:
            ingest.begin(ours, lease)
        ingest.until_caught_up()
    lines = [line for line in ingest.ledger.read("ops.books").to_pylist() if line["received"]]
    assert sorted((line["offset_from"], line["offset_to"], line["received"]) for line in lines) == [
        (0, 10, 10), (10, 15, 5)]  # fmt: skip
    assert ingest.lake().read("silver.views").count() == 15


@pytest.mark.parametrize(
    ("few", "small_run_rows"),
    [(FEW, 1), (FEW, 0), (0, 0)],
    ids=["without Spark", "by this process", "by Spark"],
)
def test_a_full_disk_ends_the_run_and_the_next_one_does_the_batch(
    few: int, small_run_rows: int, tmp_path: Path, key_file: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "FEW", few)
    settings = Settings(home=tmp_path, key_file=key_file, small_run_rows=small_run_rows)
    log, this = Log(), psutil.Process()
    log.put([record("views", body_of("views", 0))])
    ingest = run(settings, spark, log)  # Spark unpacks its libraries while there is room, or never has them
    log.put(record("views", body_of("views", n, note=noise(n))) for n in range(1, 150))
    with pytest.MonkeyPatch.context() as patch:
        log.installed(patch)
        if not small_run_rows:
            spare = landing.records(ingest.lake(), plan(settings, progress(ingest.ledger)))  # in a large file
            patch.setattr(landing, "frame_of", lambda *_: spare)
        writers = [this] if few else this.children(recursive=True)
        with no_room(writers), pytest.raises(Exception, match="File too large|no room is left"):
            ingest.until_caught_up()
    assert ingest.ledger.read("bronze.events").num_rows == 1
    assert {fate: digests(run(settings, spark, log))[fate] for fate in COUNTED} == {
        "received": "150", "accepted": "150", "duplicate": "0", "quarantined": "0"}  # fmt: skip


@pytest.mark.parametrize("small_run_rows", [0, 1], ids=["by Spark", "without Spark"])
def test_quarantine_of_an_older_lake_gets_the_columns_it_lacks(
    small_run_rows: int, settings: Settings, spark: SparkSession
) -> None:
    settings = settings.model_copy(update={"small_run_rows": small_run_rows})
    ledger, log = Ledger(settings), Log()
    place = {"topic": "views", "kafka_topic_id": "before", "kafka_partition": 0, "kafka_offset": 1, "kafka_time": NOON}
    row = place | {"reasons": ["malformed_json"], "ingest_seq": -1}
    older = pa.Table.from_pylist([row], ledger.schema("silver.quarantine"))
    write_deltalake(ledger.path("silver.quarantine"), older.drop_columns([*SENDER]))
    log.put([record("views", body_of("views", 7, watch_ms="x"))])
    ingest = run(settings, spark, log)
    rows = ingest.lake().read("silver.quarantine").orderBy("ingest_seq").collect()
    assert [tuple(each[name] for name in SENDER) for each in rows] == [(None, None, None), ("app-1", 1, 7)]
    assert ledger.read("silver.quarantine").num_rows == 2


def test_lost_books_are_written_again_batch_after_batch(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three batches lie in bronze and none in the books: each is ended in its turn, not the newest alone."""
    ingest, booked, log = Ingest(settings, "test", now, lambda _: pytest.fail("Spark was opened")), [], Log()
    place = {"topic": "views", "topic_id": "t", "partition": 0}
    for number in range(3):
        event = {**place, "offset": number, "kafka_time": NOON, "ingest_seq": number, "received_date": NOON.date()}
        ingest.ledger.append("bronze.events", [event], app="ingest", version=number)

    def finish(self: Ingest, planned: Plan, lease: Lease) -> Done:
        booked.append(planned.ingest_seq)
        counts = {"received": 1, "accepted": 1, "duplicate": 0, "conflict": 0, "quarantined": 0}
        line = {**place, **counts, "ingest_seq": planned.ingest_seq, "run_id": "r", "offset_from": planned.ingest_seq,
                "offset_to": planned.ingest_seq + 1, "balanced": True, "recorded_at": NOON}  # fmt: skip
        self.ledger.append("ops.books", [line], app="ingest", version=planned.ingest_seq)
        return Done(planned.ingest_seq, [], [])

    log.put(record("views", body_of("views", number)) for number in range(3))
    monkeypatch.setattr(loop, "landed_plan", lambda ledger, number: Plan(number, {}, {}))
    monkeypatch.setattr(Ingest, "finish", finish)
    log.ids["views"] = "t"
    log.installed(monkeypatch)
    ingest.until_caught_up()
    assert booked == [0, 1, 2]


def test_a_late_fact_touches_its_own_day_only(
    clean: tuple[dict[str, str], Ingest, Log], settings: Settings, spark: SparkSession
) -> None:
    log = Log()
    log.put(clean[2].parts["views"][0])
    run(settings, spark, log)
    log.put([record("views", body_of("views", 999, event_time=micros(NOON - timedelta(days=30))))])
    ingest = run(settings, spark, log)
    lines = [line for line in ingest.ledger.read("ops.touched").to_pylist() if line["ingest_seq"] == 1]
    assert [(line["table"], line["day"], line["rows"]) for line in lines] == [
        ("silver.views", (NOON - timedelta(days=30)).date(), 1)
    ]


def test_who_lost_a_row_to_an_earlier_arrival_is_booked_by_name(settings: Settings, spark: SparkSession) -> None:
    """A view of u1 and a change of u3 give way to earlier ones of u2 and u4 with the same ids: u1 and u3 lost a row."""
    log, later = Log(), NOON + timedelta(minutes=5)
    log.put([record("views", body_of("views", 1, user_id="u1"), at=later)])
    log.put([record("users", body_of("users", 2, user_id="u3"), at=later)])
    run(settings, spark, log)
    lake = Ingest(settings, "read", now, lambda _: spark).lake()
    losers = {table: lake.read(f"silver.{table}").collect()[0].user_id for table in ("views", "users")}
    log.put([record("views", body_of("views", 1, user_id="u2"), partition=1)])
    log.put([record("users", body_of("users", 2, user_id="u4"), partition=1)])
    lines = run(settings, spark, log).ledger.read("ops.touched").to_pylist()
    found = {(line["table"], line["subject"]) for line in lines if line["cause"] == "displaced"}
    assert found == {(f"silver.{table}", whose) for table, whose in losers.items()}
    assert {row.user_id for row in lake.read("silver.users").collect()}.isdisjoint(losers.values())


class TestBeforeAnythingIsRead:
    """What stops a run, with nothing written."""

    @pytest.fixture
    def again(self, clean: tuple[dict[str, str], Ingest, Log], monkeypatch: pytest.MonkeyPatch) -> Iterator[Ingest]:
        log = clean[2]
        ids, gone = dict(log.ids), dict(log.gone)
        log.installed(monkeypatch)
        yield Ingest(clean[1].settings, "stopped", now, lambda _: pytest.fail("Spark was opened"))
        log.ids, log.gone = ids, gone

    def test_a_topic_made_anew(self, again: Ingest, clean: tuple[dict[str, str], Ingest, Log]) -> None:
        clean[2].ids["views"] = "another"
        with pytest.raises(TopicError, match="made anew"):
            again.until_caught_up()

    def test_a_range_that_retention_took(self, again: Ingest, clean: tuple[dict[str, str], Ingest, Log]) -> None:
        log = clean[2]
        log.gone["orders", 0] = len(log.parts["orders"][0]) + 3
        with pytest.raises(TopicError, match=r"offsets 4 to 6 are gone"):
            again.until_caught_up()

    def test_another_run_that_holds_the_lease(self, again: Ingest) -> None:
        with again.leases.held(LEASE, "the first"), pytest.raises(LeaseError, match="the first"):
            again.until_caught_up()
