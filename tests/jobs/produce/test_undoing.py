"""A replay is undone by a word on `control`, once; the records that it mended may be tried again."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.drills.records import NOON, micros, uuid7
from jobs.lake import topics
from jobs.lake.errors import DamageError, UsageError
from jobs.lake.event_validator import validator
from jobs.lake.ledger import Ledger
from jobs.lake.patches import read_patch
from jobs.lake.settings import Settings
from jobs.produce import undoing
from jobs.produce.again import tried
from jobs.produce.undoing import retract, sent_by
from tests.jobs.serve.filled import filled

REPLAY, OTHER = "watched_ms-1.1", "watched_ms-1.2"
REFUSED = b'{"watched_ms":4000}'


class Spoken:
    """A producer that remembers what was said, and what the topic held then."""

    said: ClassVar[list[dict[str, Any]]] = []
    flushed: ClassVar[list[int]] = []

    def __init__(self, settings: Settings, **given: Any) -> None:
        assert given["source"] == "app:quarantine"
        self.schemas_dir = settings.schemas_dir

    def __enter__(self) -> "Spoken":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def send(self, topic: str, body: dict[str, Any], *, waiting: bool) -> bool:
        whole = {"event_id": uuid7(NOON, 1), "event_time": micros(NOON), "sent_time": micros(NOON),
                 "producer": {"id": "p", "epoch": 0, "seq": 0}} | body  # fmt: skip
        assert validator(topic, 1, self.schemas_dir).faults(whole) == []
        self.said.append(body)
        return True

    def flush(self) -> None:
        self.flushed.append(len(self.said))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two replays of a patch sent two records and one; silver has the row of one, which the first replay brought."""
    made, ledger = Settings(home=tmp_path), Ledger(Settings(home=tmp_path))
    refused, sent = [], []
    for number, replay_id in enumerate((REPLAY, REPLAY, OTHER)):
        place = {"topic": "views", "kafka_topic_id": "t", "kafka_partition": 0, "kafka_offset": number}
        refused.append(place | {"kafka_time": NOON + timedelta(days=number), "reasons": ["missing:watch_ms"],
                                "ingest_seq": 0})  # fmt: skip
        sent.append(place | {"patch": "watched_ms", "patch_version": 1, "event_id": uuid7(NOON, number),
                             "run_id": replay_id, "recorded_at": NOON})  # fmt: skip
    ledger.append("silver.quarantine", refused)
    ledger.append("ops.replays", sent)
    rows, events = [], []
    for number, replay_id in ((0, REPLAY), (2, OTHER)):
        at = NOON + timedelta(days=9)
        row = {"event_id": uuid7(NOON, number), "kind": "play", "source_uri": "app:quarantine", "kafka_topic_id": "t",
               "kafka_partition": 0, "kafka_offset": 10 + number, "kafka_time": at,
               "event_time": datetime(2026, 11, 20, 23, tzinfo=UTC)}  # fmt: skip
        rows.append(filled(made, "silver.views", row))
        events.append({"topic": "views", "topic_id": "t", "partition": 0, "offset": 10 + number, "kafka_time": at,
                       "headers": [{"key": "ce_replayid", "value": replay_id.encode()}], "ingest_seq": 1,
                       "received_date": at.date()})  # fmt: skip
    ledger.append("silver.views", rows)
    ledger.append("bronze.events", events)
    monkeypatch.setattr(undoing, "Producer", Spoken)
    monkeypatch.setattr(Spoken, "said", [])
    monkeypatch.setattr(Spoken, "flushed", [])
    monkeypatch.setattr(topics, "end_offsets", lambda settings, names: {"views": {0: 13, 1: 0}})
    return made


def test_what_a_replay_brought_is_told_by_local_day_and_nothing_is_sent(settings: Settings) -> None:
    found = sent_by(settings, REPLAY)
    assert (found.topic, found.sent, found.since) == ("views", 2, NOON)
    assert found.days == Counter({date(2026, 11, 21): 1})
    assert Spoken.said == []


def test_the_word_names_the_replay_and_how_far_the_topic_reached_when_the_spool_was_empty(settings: Settings) -> None:
    retract(settings, sent_by(settings, REPLAY), "seconds, not milliseconds", NOON)
    (word,) = Spoken.said
    assert (word["kind"], word["replay_id"], word["since"]) == ("retract", REPLAY, micros(NOON))
    assert word["offsets"] == [{"partition": 0, "next_offset": 13}, {"partition": 1, "next_offset": 0}]
    assert Spoken.flushed == [0, 1]


def test_an_undone_replay_leaves_its_records_to_be_tried_again(settings: Settings) -> None:
    Ledger(settings).append("bronze.events", [
        {"topic": "views", "topic_id": "t", "partition": 0, "offset": number, "kafka_time": NOON, "value": REFUSED,
         "ingest_seq": 0, "received_date": (NOON + timedelta(days=number)).date()}
        for number in range(3)
    ])  # fmt: skip
    patch = read_patch("watched_ms", settings.schemas_dir)
    assert tried(settings, patch, "missing").sent_before == 3
    retract(settings, sent_by(settings, REPLAY), "why", NOON)
    found = tried(settings, patch, "missing")
    assert (found.sent_before, found.replay_id) == (1, "watched_ms-1.3"), "no name is given twice"
    assert found.faults["missing:event_id"] == 2


def test_what_cannot_be_undone_is_refused_in_one_line(settings: Settings) -> None:
    with pytest.raises(UsageError, match=r"no replay 'watched'; there are watched_ms-1.1, watched_ms-1.2\. End one"):
        sent_by(settings, "watched")
    ledger = Ledger(settings)
    ledger.append("ops.replays", [ledger.read("ops.replays").to_pylist()[0] | {"run_id": "by-hand-20261101T120000"}])
    with pytest.raises(UsageError, match=r"by-hand-20261101T120000 was made before replays had names"):
        sent_by(settings, "by-hand-20261101T120000")
    retract(settings, sent_by(settings, REPLAY), "why", NOON)
    with pytest.raises(UsageError, match=r"watched_ms-1.1 was undone at 2026-11-20 04:00:00 UTC already"):
        sent_by(settings, REPLAY)


def test_a_replay_whose_records_quarantine_has_lost_is_told(settings: Settings) -> None:
    ledger = Ledger(settings)
    ledger.replace("silver.quarantine", [], on_version=ledger.version("silver.quarantine"))
    with pytest.raises(DamageError, match="silver.quarantine: has none of the 2 records that watched_ms-1.1 mended"):
        sent_by(settings, REPLAY)


@pytest.mark.parametrize("options", [["--dry-run"], []])
def test_the_command_tells_what_goes(settings: Settings, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(settings.home))
    words = ["quarantine", "undo", OTHER, "--why", "wrong", "--format", "json", *options]
    done = CliRunner().invoke(build_app(), words)
    assert done.exit_code == 0, done.output
    assert '"in_silver": 1' in done.stdout
    assert len(Spoken.said) == (not options)
    again = CliRunner().invoke(build_app(), words)
    assert isinstance(again.exception, UsageError) == (not options)
