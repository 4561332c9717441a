"""The producer against a real broker: nothing lost, nothing silent, whatever happens to either."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from jobs.lake.errors import BrokerError, TopicError
from jobs.lake.settings import ROOT, Settings
from jobs.produce import delivery
from jobs.produce.delivery import Delivery, Flight
from jobs.produce.lines import send_raw
from jobs.produce.producer import Producer
from jobs.produce.records import UNSTAMPED, Record, headers
from tests.stream.conftest import Broker, Reader

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch):
    """Know within seconds that a broker is away."""
    monkeypatch.setattr(delivery, "DELIVERY_SECONDS", 4)
    monkeypatch.setattr(delivery, "REQUEST_SECONDS", 2)


def like(number: int) -> dict[str, object]:
    """A good event, told apart by its video."""
    return {
        "kind": "like",
        "event_time": 1_700_000_000_000_000 + number,
        "user_id": f"u{number % 7}",
        "video_id": f"v{number}",
        "scene": "short_video",
        "source": "recommend",
    }


def bulk(count: int) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """Ready-made records for the fast way."""
    own = headers("likes", "app:test", "01890000-0000-7000-8000-000000000000", 1)
    return [(b"u%d" % (n % 7), UNSTAMPED + b',"event_time":1,"number":%d}' % n, own) for n in range(count)]


def test_an_event_arrives_with_its_key_headers_and_the_time_of_sending(
    settings: Settings, arrived: Reader, tmp_path: Path
):
    with Producer(settings, source="app:test", spool=tmp_path / "spool") as producer:
        assert producer.send("likes", like(1))
        producer.flush()
        assert producer.acknowledged == 1

    (record,) = arrived("likes")
    body = json.loads(record.value or b"")
    assert record.key == b"u1"
    assert record.headers["ce_type"] == b"reelhouse.like.v1"
    assert record.headers["ce_id"].decode() == body["event_id"]
    assert record.headers["ce_source"] == b"app:test"
    assert abs(record.timestamp_ms - body["sent_time"] // 1000) < 5_000
    assert body["producer"]["seq"] == 0


def test_a_refused_event_never_reaches_the_broker_and_the_rest_does(
    settings: Settings, arrived: Reader, tmp_path: Path
):
    with Producer(settings, source="app:test", spool=tmp_path / "spool") as producer:
        assert not producer.send("likes", like(1) | {"kind": "adore"})
        assert producer.send("likes", like(2))

    assert [json.loads(record.value or b"")["video_id"] for record in arrived("likes")] == ["v2"]
    assert json.loads(producer.refused.path.read_text())["reasons"] == ["not_allowed:kind"]


def test_a_record_above_the_brokers_limit_is_kept_and_the_rest_goes_on(
    settings: Settings, arrived: Reader, tmp_path: Path
):
    noise = os.urandom(1_500_000).hex().encode()  # does not compress below the broker's limit
    huge = b"x" * (65 << 20)  # the client itself does not take that much
    records = [Record("likes", b"u", value, []) for value in (b"first", noise, b"between", huge, b"last")]
    with Producer(settings, source="app:test", spool=tmp_path / "spool") as producer:
        producer.send_records(records)
        producer.flush()
        assert producer.acknowledged == 3
        assert producer.refused.reasons == Counter(too_large=2)

    assert sorted(record.value or b"" for record in arrived("likes")) == [b"between", b"first", b"last"]
    kept = [json.loads(line)["value"].encode() for line in producer.refused.path.read_text().splitlines()]
    assert sorted(kept) == sorted([noise, huge])


def test_completeness_is_announced_after_the_facts_with_the_brokers_offsets(
    settings: Settings, arrived: Reader, tmp_path: Path
):
    with Producer(settings, source="app:test", spool=tmp_path / "spool") as producer:
        for number in range(20):
            producer.send("likes", like(number))
        producer.announce_complete({"likes": 5, "views": 5}, is_final=True)

    said = {body["topic"]: body for record in arrived("control") for body in [json.loads(record.value or b"")]}
    reached = {place["partition"]: place["next_offset"] for place in said["likes"]["offsets"]}
    last = {record.partition: record.offset + 1 for record in arrived("likes")}
    assert reached == last
    assert said["views"]["offsets"] == []
    assert said["likes"]["is_final"] is True


def test_raw_lines_arrive_bit_by_bit(settings: Settings, arrived: Reader, tmp_path: Path):
    lines = [b'{"user_id":"u9","event_id":"x","event_time":7}', b"\xff\xfe{", b"", b'{"a":1}{"b":2}', "رجل🙂".encode()]
    with Producer(settings, source="app:produce", spool=tmp_path / "spool") as producer:
        assert send_raw(producer, "likes", lines).sent == 5

    assert Counter(record.value for record in arrived("likes")) == Counter(lines)
    assert {record.key for record in arrived("likes")} == {b"u9", None}


def test_a_topic_that_is_not_there_is_named(settings: Settings, tmp_path: Path):
    producer = Producer(settings, source="app:test", spool=tmp_path / "spool")
    producer.send_many("nowhere", bulk(1))
    with pytest.raises(TopicError, match="no topic 'nowhere'"):
        producer.flush()
    producer.close(waiting=False)


def test_events_sent_while_the_broker_is_away_arrive_when_it_is_back(broker: Broker, arrived: Reader, tmp_path: Path):
    producer = Producer(broker.settings, source="app:test", spool=tmp_path / "spool", patience_seconds=90)
    producer.send("likes", like(0))
    producer.flush()
    broker.down()
    try:
        for number in range(1, 5_001):
            assert producer.send("likes", like(number))
        with pytest.raises(BrokerError, match="records wait in"):
            producer.flush(patience_seconds=1)
    finally:
        broker.up()
    producer.close()

    found = [json.loads(record.value or b"") for record in arrived("likes")]
    assert {body["video_id"] for body in found} == {f"v{number}" for number in range(5_001)}
    assert producer.waiting == 0


def test_a_broker_killed_and_restarted_under_load_loses_nothing(broker: Broker, arrived: Reader, tmp_path: Path):
    total = 30_000

    def records():
        for place, record in enumerate(bulk(total)):
            if place == 15_000:
                broker.kill()
                broker.up()
            yield record

    with Producer(broker.settings, source="app:test", spool=tmp_path / "spool", patience_seconds=90) as producer:
        assert producer.send_many("likes", records()) == total

    found = Counter(json.loads(record.value or b"")["number"] for record in arrived("likes"))
    assert set(found) == set(range(total))
    assert [thread.name for thread in threading.enumerate() if "network-thread" in thread.name] == []


KILLED = """
    import sys, time
    from pathlib import Path
    from jobs.lake.settings import Settings
    from jobs.produce.producer import Producer
    from tests.stream.test_producer import like
    producer = Producer(Settings.from_env(), source="app:test", spool=Path(sys.argv[1]))
    for number in range(10_000):
        producer.send("likes", like(number))
    producer.secure()
    print("accepted", flush=True)
    time.sleep(600)
"""


def test_a_killed_producers_events_are_sent_by_the_next_one_under_the_same_ids(
    settings: Settings, arrived: Reader, tmp_path: Path
):
    spool = tmp_path / "spool"
    nobody = "127.0.0.1:9"
    nowhere = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": nobody, "REELHOUSE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    victim = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(spool)], env=nowhere, stdout=subprocess.PIPE, text=True
    )
    assert victim.stdout is not None
    assert victim.stdout.readline() == "accepted\n"
    victim.send_signal(signal.SIGKILL)
    victim.wait()

    with Producer(settings, source="app:test", spool=spool) as heir:
        assert heir.left_over == 10_000
        heir.send("likes", like(10_000))

    found = [json.loads(record.value or b"") for record in arrived("likes")]
    assert {body["video_id"] for body in found} == {f"v{number}" for number in range(10_001)}
    assert len({body["event_id"] for body in found}) == 10_001
    assert Counter(body["producer"]["epoch"] for body in found) == Counter({1: 10_000, 2: 1})
    now_us = time.time_ns() // 1000
    assert all(now_us - body["sent_time"] < 60e6 for body in found), "stamped anew at the physical send"


def test_a_failed_result_is_never_taken_for_sent(
    settings: Settings, arrived: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """`flush()` of the client library hides failures: ours looks at each future."""
    from kafka.errors import KafkaTimeoutError

    class Failed:
        is_done = True
        exception = KafkaTimeoutError("given up")

    failing = {"left": 3}
    start = Delivery.start

    def start_badly(self: Delivery, records: list[Record]):
        if not failing["left"]:
            return start(self, records)
        failing["left"] -= 1  # the first record never leaves
        return Flight(records, [Failed(), *start(self, records[1:]).futures])

    monkeypatch.setattr(Delivery, "start", start_badly)
    with Producer(settings, source="app:test", spool=tmp_path / "spool") as producer:
        for number in range(10):
            producer.send("likes", like(number))
        producer.flush()
        assert producer.acknowledged == 10
    found = Counter(json.loads(record.value or b"")["video_id"] for record in arrived("likes"))
    assert found == Counter(f"v{number}" for number in range(10))
    assert failing["left"] == 0
