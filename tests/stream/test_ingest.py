"""Ingest against a real broker, as a process of its own: what is sent arrives, once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.lake.ledger import Ledger
from jobs.lake.settings import ROOT, Settings
from jobs.lake.topics import ensure_topics
from jobs.produce.producer import Producer
from tests.lake.logs import NOON, body_of
from tests.stream.conftest import Broker
from tests.stream.corpus.cases import cases

pytestmark = pytest.mark.timeout(600)
BROKER_TAKES = 1_000_000  # bytes; a larger record is refused at the producer and kept there


def reelhouse(settings: Settings, *arguments: str, kill_at: str = "") -> subprocess.CompletedProcess[str]:
    """`reelhouse …` on the suite's broker and lake, in a session of its own."""
    names = {
        "REELHOUSE_HOME": str(settings.home),
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap,
        "REELHOUSE_KILL_AT": kill_at,
        "SPARK_REMOTE": "",
    }
    command = [sys.executable, "-m", "jobs", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | names, capture_output=True, text=True, check=False, timeout=400
    )


def send_corpus(settings: Settings) -> int:
    """Put the corpus on the topics as it is; the number of records sent."""
    from kafka import KafkaProducer

    small = [case.record for case in cases() if len(case.record.value or b"") < BROKER_TAKES]
    sender = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all", max_request_size=2 * BROKER_TAKES)
    sent = [
        sender.send(each.topic, key=each.key, value=each.value, headers=list(each.headers or ()), partition=0)
        for each in small
    ]
    sender.flush()
    assert all(future.succeeded() for future in sent)
    sender.close()
    return len(sent)


def test_a_killed_run_is_taken_up_and_nothing_is_lost_or_doubled(broker: Broker, tmp_path: Path) -> None:
    settings = broker.settings.model_copy(update={"home": tmp_path})
    ensure_topics(settings)
    sent = send_corpus(settings)
    stamped = ("event_id", "event_time", "sent_time", "producer")
    with Producer(settings, source="app:test", spool=tmp_path / "spool") as producer:
        for number in range(200):
            body = body_of("views", number, NOON, user_id=f"u{number % 9}")
            producer.send("views", {name: value for name, value in body.items() if name not in stamped})
    killed = reelhouse(settings, "ingest", kill_at="ingest.after_views")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    result = tmp_path / "result.json"
    ended = reelhouse(settings, "ingest", "--result", str(result))
    assert ended.returncode == 0, ended.stderr
    lines = Ledger(settings).read("ops.books").to_pylist()
    assert all(line["balanced"] for line in lines)
    assert sum(line["received"] for line in lines) == sent + 200
    told = json.loads(result.read_text())
    assert told["outcome"] == "done"
    again = reelhouse(settings, "ingest", "--result", str(result))
    assert (again.returncode, json.loads(result.read_text())["outcome"]) == (0, "nothing_to_do")
