"""Ingest against a real broker, as a process of its own: what is sent arrives, once."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import AlterConfigOp, ConfigResource, ConfigResourceType, KafkaAdminClient

from jobs.__main__ import main
from jobs.drills.broker import LARGEST, Broker, free_ports
from jobs.drills.corpus import cases
from jobs.drills.scratch import begin
from jobs.lake import topics
from jobs.lake.clock import now
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.lake.topics import WEEK_MS, end_offsets
from jobs.lake.watch.measuring import measure_lag
from jobs.produce.canaries import send
from jobs.produce.producer import Producer
from tests.lake.logs import NOON, body_of, record

pytestmark = pytest.mark.timeout(600)
SMALL = "REELHOUSE_SMALL_RUN_ROWS"  # 0: everything is Spark's
STAMPED = ("event_id", "event_time", "sent_time", "producer")
LONGEST_SECONDS = 400
SEGMENT_SECONDS = 0.4


@dataclass(frozen=True)
class Shop:
    """A lake of its own on the suite's broker and Spark."""

    settings: Settings
    spark: str
    folder: Path
    spool: list[int] = field(default_factory=list)

    def begin(self, *arguments: str, **names: str) -> subprocess.Popen[str]:
        """Start `reelhouse …`."""
        return begin(self.settings.model_copy(update={"spark_remote": self.spark}), *arguments, **names)

    def run(self, *arguments: str, code: int = 0, **names: str) -> str:
        """Run `reelhouse …` to its end, which has this exit code; what it said."""
        process = self.begin(*arguments, **names)
        try:
            printed, said = process.communicate(timeout=LONGEST_SECONDS)
        finally:
            process.kill()
        assert process.returncode == code, f"{printed}\n{said}"
        return said

    def ingest(self, *arguments: str, **names: str) -> dict[str, Any]:
        """Run `reelhouse ingest` to its good end; its result."""
        file = self.folder / "result.json"
        self.run("ingest", "--result", str(file), *arguments, **names)
        return dict(json.loads(file.read_text()))

    def send_views(self, count: int, **fields: Any) -> None:
        """Send views as an app would, each time as another app."""
        self.spool.append(count)
        with Producer(self.settings, source="app:test", spool=self.folder / f"spool-{len(self.spool)}") as producer:
            for number in range(count):
                body = body_of("views", number, NOON, user_id=f"u{number % 9}", **fields)
                assert producer.send("views", {name: value for name, value in body.items() if name not in STAMPED})

    def books(self) -> list[dict[str, Any]]:
        """All lines; each must balance."""
        lines = Ledger(self.settings).read("ops.books").to_pylist()
        assert all(line["balanced"] for line in lines)
        return lines

    def views_of(self, video: str) -> int:
        """Rows in silver."""
        return Ledger(self.settings).read("silver.views", ["video_id"], pc.field("video_id") == video).num_rows


@pytest.fixture(scope="module")
def lake(kafka: Broker, warm_spark: str, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("lake")
    return Shop(kafka.settings.model_copy(update={"home": folder / "home"}), warm_spark, folder)


@pytest.fixture
def shop(broker: Broker, lake: Shop) -> Shop:
    """The module's lake; its broker serves, and what earlier tests sent is not counted on."""
    return lake


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 300.0) -> float:
    """How long it took."""
    began = time.monotonic()
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < began + seconds, "waited in vain"
        time.sleep(0.2)
    return time.monotonic() - began


def send_corpus(settings: Settings) -> int:
    """Put the corpus on the topics as it is; the number of records sent."""
    return Broker(settings).put(case.record for case in cases() if len(case.record.value or b"") < LARGEST)


def test_a_killed_run_is_taken_up_by_the_other_engine_and_nothing_is_lost_or_doubled(shop: Shop) -> None:
    killed, next_one = {SMALL: "1"}, {SMALL: "0"}
    received = sum(line["received"] for line in shop.books())
    waiting = sum(sum(parts.values()) for parts in end_offsets(shop.settings).values()) - read_offsets(shop)
    sent = send_corpus(shop.settings)
    shop.send_views(200)
    shop.run("ingest", code=-signal.SIGKILL, REELHOUSE_KILL_AT="ingest.after_views", **killed)
    told = shop.ingest(**next_one)
    assert told["outcome"] == "done"
    assert sum(line["received"] for line in shop.books()) == received + waiting + sent + 200
    assert shop.ingest()["outcome"] == "nothing_to_do"


def read_offsets(shop: Shop) -> int:
    """How many offsets the lake has got to, over all partitions."""
    ends: dict[tuple[str, int], int] = {}
    for line in shop.books():
        place = (line["topic"], line["partition"])
        ends[place] = max(ends.get(place, 0), line["offset_to"])
    return sum(ends.values())


@contextmanager
def service(shop: Shop) -> Iterator[subprocess.Popen[str]]:
    """`reelhouse ingest --continuous`; the test ends it, and a failure does."""
    process = shop.begin("ingest", "--continuous")
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_service_takes_in_what_comes_and_ends_when_asked_to(shop: Shop) -> None:
    shop.send_views(3, video_id="before-it-ran")
    with service(shop) as process:
        wait_until(lambda: shop.views_of("before-it-ran") == 3, process)
        shop.send_views(4, video_id="while-it-ran")
        wait_until(lambda: shop.views_of("while-it-ran") == 4, process)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "4 records" in said
    assert "ended as asked" in said
    assert shop.ingest()["outcome"] == "nothing_to_do"
    shop.books()


def test_canaries_tell_a_stream_that_is_silent_from_one_that_is_broken(shop: Shop) -> None:
    """Two rounds of canaries and nothing else; then views; then canaries that nobody reads."""
    ledger = Ledger(shop.settings)

    def states(topic: str = "", after: float = 0.0) -> set[str]:
        rows = measure_lag(ledger, shop.settings, now() + timedelta(minutes=after), "test")
        assert rows
        return {row["state"] for row in rows if topic in ("", row["topic"])}

    shop.ingest()
    before = ledger.read("silver.quarantine").num_rows
    for number in range(2):
        ledger.append("ops.canaries", send(shop.settings, now(), f"round-{number}"))
        told = shop.ingest()
    lines = [line for line in shop.books() if line["ingest_seq"] in told["batches"]]
    assert {(line["received"], line["canary"]) for line in lines} == {(1, 1)}, "one to each partition"
    assert (states(), ledger.read("silver.quarantine").num_rows) == ({"silent"}, before)
    shop.send_views(60, video_id="after-silence")
    shop.run("canary", "--send")
    assert states("views") == {"silent"}, "what is on its way is neither"
    assert states(after=16) == {"broken"}
    shop.ingest()
    assert ("flowing" in states("views"), states("orders")) == (True, {"silent"})
    assert shop.run("canary") == ""


@pytest.mark.parametrize("left", [0, 5], ids=["all of it", "all but the newest"])
def test_what_retention_took_stops_ingest_until_somebody_books_it(shop: Shop, left: int) -> None:
    shop.send_views(9, video_id=f"read-{left}")
    shop.ingest()
    read = end_offsets(shop.settings, ["views"])["views"]
    shop.send_views(40, video_id=f"lost-{left}")
    ends = end_offsets(shop.settings, ["views"])["views"]
    Broker(shop.settings).forget("views")
    if left:
        shop.send_views(left, video_id=f"left-{left}")
    said = shop.run("ingest", code=3)
    (number, start), *_ = ((number, start) for number, start in read.items() if ends[number] > start)
    assert f"views/{number}: offsets {start} to {ends[number] - 1} are gone" in said
    assert "--accept-loss" in said

    told = shop.ingest("--accept-loss")
    lines = [line for line in shop.books() if line["ingest_seq"] in told["batches"] and line["topic"] == "views"]
    lost = {line["partition"]: dict(line["reason_counts"]).get("lost_to_retention", 0) for line in lines}
    assert lost == {number: end - read[number] for number, end in ends.items()}
    assert sum(lost.values()) == 40
    assert sum(line["received"] for line in lines) == left
    assert (shop.views_of(f"read-{left}"), shop.views_of(f"lost-{left}"), shop.views_of(f"left-{left}")) == (9, 0, left)
    assert shop.ingest()["outcome"] == "nothing_to_do"


@pytest.mark.parametrize("small_run_rows", ["1", "0"], ids=["without Spark", "by Spark"])
def test_offsets_without_a_record_are_not_counted(shop: Shop, small_run_rows: str) -> None:
    """A transaction that was aborted, and the markers of those that were not, take offsets of their own."""
    kept = f"in a transaction, {small_run_rows}"
    at = NOON + timedelta(hours=1, minutes=int(small_run_rows))
    send_transactions(shop, kept, (body_of("views", n, at) for n in range(9)))
    told = shop.ingest(**{SMALL: small_run_rows})
    lines = [line for line in shop.books() if line["ingest_seq"] in told["batches"] and line["topic"] == "views"]
    assert sum(line["offset_to"] - line["offset_from"] for line in lines) == 9 + 3
    assert (sum(line["received"] for line in lines), shop.views_of(kept), shop.views_of("aborted")) == (6, 6, 0)


@pytest.mark.parametrize("small_run_rows", ["1", "0"], ids=["without Spark", "by Spark"])
def test_what_compaction_took_is_no_record_and_no_loss(shop: Shop, small_run_rows: str) -> None:
    """A topic of things may be compacted: of each key the newest stays, and offsets are missing before it."""
    name = f"compacted-{small_run_rows}"
    with compacted(shop.settings, "products") as left:
        shop.ingest(**{SMALL: small_run_rows})
        sent = send_products(shop.settings, name, NOON + timedelta(hours=5, minutes=9 * int(small_run_rows)))
        kept = left()
        assert 2 <= kept < sent
        told = shop.ingest(**{SMALL: small_run_rows})
    lines = [line for line in shop.books() if line["ingest_seq"] in told["batches"] and line["topic"] == "products"]
    assert sum(line["offset_to"] - line["offset_from"] for line in lines) == sent
    assert sum(line["received"] for line in lines) == kept
    assert not any("lost_to_retention" in dict(line["reason_counts"]) for line in lines)
    prices = Ledger(shop.settings).read("silver.products", ["product_id", "list_price_fen"])
    newest = {
        row["product_id"]: row["list_price_fen"] for row in prices.to_pylist() if row["product_id"].startswith(name)
    }
    assert newest == {f"{name}-1": 904, f"{name}-2": 904}


def send_products(settings: Settings, name: str, begin: datetime) -> int:
    """Two products described five times, each time in a segment of its own; how many records that makes."""
    with KafkaProducer(bootstrap_servers=settings.bootstrap) as sender:
        for turn in range(5):
            for number in (1, 2):
                at = begin + timedelta(minutes=turn)
                body = body_of(
                    "products", turn * 2 + number, at, product_id=f"{name}-{number}", list_price_fen=900 + turn
                )
                sent = record("products", body)
                sender.send("products", key=sent.key, value=sent.value, headers=list(sent.headers or ()), partition=0)
            sender.flush()
            time.sleep(SEGMENT_SECONDS * 1.5)
    return 10


@contextmanager
def compacted(settings: Settings, topic: str) -> Iterator[Callable[[], int]]:
    """Have the broker compact a topic of things at once; yields what waits for that and counts what is left."""
    broker = ConfigResource(ConfigResourceType.BROKER, "1", {"log.cleaner.backoff.ms": "100"})
    eager = {
        "min.compaction.lag.ms": "0",
        "segment.ms": str(int(SEGMENT_SECONDS * 1000)),
        "min.cleanable.dirty.ratio": "0.001",
    }
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    admin.alter_configs([broker, ConfigResource(ConfigResourceType.TOPIC, topic, eager)])
    before = end_offsets(settings)[topic][0]

    def left() -> int:
        until, counts = time.monotonic() + 30, [-1, -2]
        while counts[-1] != counts[-2] or counts[-1] > 4:
            assert time.monotonic() < until, "the broker has not compacted the topic"
            time.sleep(0.5)
            counts.append(records_from(settings, topic, before))
        return counts[-1]

    try:
        yield left
    finally:
        plain = dict.fromkeys(eager, (AlterConfigOp.DELETE, None)) | {"min.compaction.lag.ms": WEEK_MS}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, plain)])
        admin.close()


def records_from(settings: Settings, topic: str, start: int) -> int:
    """Records of the first partition from an offset on."""
    place, end = TopicPartition(topic, 0), end_offsets(settings)[topic][0]
    with closing(KafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)) as consumer:
        consumer.assign([place])
        consumer.seek(place, start)
        count = 0
        while consumer.position(place) < end:
            count += sum(map(len, consumer.poll(timeout_ms=500).values()))
        return count


def send_transactions(shop: Shop, kept: str, views: Iterator[dict[str, Any]]) -> None:
    """Three transactions of three views each, the one in the middle aborted."""
    sender = KafkaProducer(bootstrap_servers=shop.settings.bootstrap, transactional_id="app:test", acks="all")
    sender.init_transactions()
    for is_kept in (True, False, True):
        sender.begin_transaction()
        for body in islice(views, 3):
            sent = record("views", body | {"video_id": kept if is_kept else "aborted"})
            sender.send("views", key=sent.key, value=sent.value, headers=list(sent.headers or ()), partition=0)
        if is_kept:
            sender.commit_transaction()
        else:
            sender.flush()
            sender.abort_transaction()
    sender.close()


def test_what_lands_is_the_same_by_either_engine(shop: Shop, tmp_path: Path) -> None:
    """All that tests put on the topics, and a record with nothing but an empty value."""
    send_corpus(shop.settings)
    send_transactions(shop, "landed twice", (body_of("views", n, NOON + timedelta(hours=3)) for n in range(9)))
    with KafkaProducer(bootstrap_servers=shop.settings.bootstrap) as sender:
        sender.send("views", value=b"", headers=[("nothing", b""), ("nothing", b"2")], partition=0)
    landed = []
    for name in ("1", "0"):
        new = Shop(shop.settings.model_copy(update={"home": tmp_path / name}), shop.spark, tmp_path)
        assert new.ingest(**{SMALL: name})["outcome"] == "done"
        order = [(name, "ascending") for name in ("topic", "partition", "offset")]
        landed.append(Ledger(new.settings).read("bronze.events").sort_by(order).to_pylist())
    assert len(landed[0]) > 150
    assert landed[0] == landed[1]


def test_what_a_producer_without_idempotence_sends_twice_is_taken_once(shop: Shop, broker: Broker) -> None:
    """A broker that stood still has what its answer was not waited for, and what was sent again for want of it."""
    shop.ingest()
    twice = {is_idempotent: sent_while_it_stands_still(broker, is_idempotent) for is_idempotent in (True, False)}
    assert twice == {True: 0, False: 20}, "the broker knows again what comes from an idempotent producer"
    told = shop.ingest()
    lines = [line for line in shop.books() if line["ingest_seq"] in told["batches"] and line["topic"] == "views"]
    counts = [sum(line[name] for line in lines) for name in ("received", "accepted", "duplicate", "quarantined")]
    assert counts == [21 * 2 + 20, 21 * 2, 20, 0]
    assert [shop.views_of(f"idempotent: {is_idempotent}") for is_idempotent in (True, False)] == [21, 21]


def sent_while_it_stands_still(broker: Broker, is_idempotent: bool) -> int:
    """Send 21 views of a video, all but the first while the broker does nothing; how many offsets more it took."""
    before = end_offsets(broker.settings, ["views"])["views"][0]
    sender = KafkaProducer(
        bootstrap_servers=broker.settings.bootstrap,
        enable_idempotence=is_idempotent,
        acks="all",
        request_timeout_ms=1500,
    )
    video = f"idempotent: {is_idempotent}"
    sent = [
        record("views", body_of("views", n, NOON + timedelta(hours=2, minutes=is_idempotent), video_id=video))
        for n in range(21)
    ]
    first, *others = (
        partial(sender.send, "views", key=one.key, value=one.value, headers=list(one.headers or ()), partition=0)
        for one in sent
    )
    first().get(timeout=30)  # from here on there is a connection for what comes to lie in
    with broker.standing_still():
        futures = [send() for send in others]
        time.sleep(4)  # until the sender waits no longer
    assert [future.get(timeout=60).topic for future in futures] == ["views"] * 20
    sender.close()
    return end_offsets(broker.settings, ["views"])["views"][0] - before - len(sent)


def test_a_broker_that_is_away_is_told_from_bad_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Airflow tries the one again and never the other. In this process, which does not wait for long."""
    (nobody,) = free_ports(1)
    away = Settings(home=tmp_path, kafka_bootstrap_servers=f"127.0.0.1:{nobody}", spark_remote="", spark_master="")
    for name, value in away.as_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(topics, "PATIENCE_MS", 500)
    monkeypatch.setattr(sys, "argv", ["reelhouse", "ingest"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # which typer sets
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 5
    assert "check KAFKA_BOOTSTRAP_SERVERS" in capsys.readouterr().err
