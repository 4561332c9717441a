"""Producers' numbers are read of every record in bronze, and counted again where a lake has not counted them."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.drills.records import Record, body_of, headers_of, record
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import SEQUENCES, uncounted
from jobs.lake.ingest.sequences import counted, write_sequences
from jobs.lake.ledger import Ledger
from jobs.lake.repairing import mend
from jobs.lake.settings import Settings
from jobs.serve.sequences import sequences, unnumbered

AT = datetime(2026, 11, 20, 5, tzinfo=UTC)
TORN = b'{"producer":{"id":"app-1","epoch":1,"seq":9},"kind":"pl'
BATCHES: list[list[Record]] = [
    [*(record("views", body_of("views", n)) for n in (0, 1, 4)), record("likes", body_of("likes", 2))],
    [record("views", body_of("views", 4)),  # comes again
     replace(record("views", body_of("views", 9)), value=TORN), record("control", body_of("control", 6)),
     record("users", body_of("users", 5), value=None)],
    [record("likes", body_of("likes", 3)),
     record("views", body_of("views", 0, producer={"id": "web", "epoch": 4, "seq": 8}))],
]  # fmt: skip


def of_bronze(each: Record, offset: int, seq: int) -> dict[str, Any]:
    headers = [{"key": key, "value": value} for key, value in each.headers or ()]
    return {
        "topic": each.topic, "topic_id": f"{each.topic}-id", "partition": 0, "offset": offset, "kafka_time": AT,
        "key": each.key, "value": each.value, "headers": headers, "ingest_seq": seq, "received_date": AT.date(),
    }  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> Ledger:
    """A lake whose batches were booked before anybody counted numbers; the torn record is in quarantine."""
    ledger = Ledger(Settings(home=tmp_path))
    offset = 0
    for seq, some in enumerate(BATCHES):
        rows = [of_bronze(each, offset + n, seq) for n, each in enumerate(some)]
        ledger.append("bronze.events", rows)
        for topic in {row["topic"] for row in rows}:
            ledger.append("ops.books", [booked(seq, topic, sum(row["topic"] == topic for row in rows))])
        torn = [
            {"topic": "views", "kafka_topic_id": "views-id", "kafka_partition": 0, "kafka_offset": row["offset"],
             "kafka_time": AT, "reasons": ["malformed_json"], "ingest_seq": seq} for row in rows if row["value"] == TORN
        ]  # fmt: skip
        ledger.append("silver.quarantine", torn)
        offset += len(rows)
    return ledger


def booked(seq: int, topic: str, received: int) -> dict[str, Any]:
    return {
        "ingest_seq": seq, "run_id": "r", "topic": topic, "topic_id": f"{topic}-id", "partition": 0, "offset_from": 0,
        "offset_to": received, "received": received, "accepted": received, "duplicate": 0, "conflict": 0,
        "quarantined": 0, "reason_counts": {}, "balanced": True, "recorded_at": AT,
    }  # fmt: skip


def mended(ledger: Ledger) -> Any:
    return mend(ledger.settings, SEQUENCES, "by-hand", lambda settings: None)


def told(ledger: Ledger) -> list[tuple[Any, ...]]:
    names = ("producer", "epoch", "received", "refused", "repeated", "lost", "missing")
    return [tuple(line[name] for name in names) for line in sequences(ledger.settings)]


ALL = [("app-1", 1, 8, 1, 1, 3, [[5, 5], [7, 8]]), ("web", 4, 1, 0, 0, 0, [])]


def test_an_older_lake_counts_its_batches_when_it_is_asked_to(old: Ledger) -> None:
    late = counted(old, 2, {"likes", "views"}, AT, is_any_refused=True)
    old.append(SEQUENCES, late, app="ingest", version=2)  # the first batch since
    assert uncounted(old) == [0, 1]
    assert mended(old) is not None
    assert told(old) == ALL
    assert unnumbered(old.settings) == [{"topic": "users", "source": "app:test", "received": 1}]
    assert uncounted(old) == []
    assert mended(old) is None  # once is enough


def test_a_batch_done_again_counts_nothing_twice(old: Ledger) -> None:
    for seq in (0, 1, 1, 2, 0):
        topics = {(each.topic, 0): 1 for each in BATCHES[seq]}
        batch: Any = Batch(None, old, Plan(seq, {}, {}), "r", topics, None)  # type: ignore[arg-type]
        write_sequences(batch, AT, is_any_refused=seq == 1)
    assert told(old) == ALL
    assert mended(old) is None


def test_what_lay_in_a_file_that_is_gone_is_counted_again(old: Ledger) -> None:
    for seq in range(3):
        topics = {each.topic for each in BATCHES[seq]}
        old.append(SEQUENCES, counted(old, seq, topics, AT, is_any_refused=True), app="ingest", version=seq)
    rows = old.read(SEQUENCES).to_pylist()
    (Path(old.path(SEQUENCES)) / old.open(SEQUENCES).file_uris()[1].rsplit("/", 1)[-1]).unlink()
    assert mended(old).set_aside == ()
    assert sorted(map(str, old.read(SEQUENCES).to_pylist())) == sorted(map(str, rows))
    assert told(old) == ALL


def test_a_torn_newest_commit_is_set_aside_and_its_batch_counted_again(old: Ledger) -> None:
    for seq in range(3):
        topics = {each.topic for each in BATCHES[seq]}
        old.append(SEQUENCES, counted(old, seq, topics, AT, is_any_refused=True), app="ingest", version=seq)
    log = sorted((Path(old.path(SEQUENCES)) / "_delta_log").glob("*.json"))
    log[-1].write_text(json.dumps({"add": {}})[:-3])
    assert len(mended(old).set_aside) == 1
    assert told(old) == ALL


def test_of_a_source_that_we_do_not_know_only_the_form_is_kept(old: Ledger) -> None:
    bodies = [body_of("likes", 7, producer=None), body_of("likes", 8, producer=None)]
    sources = ["app:u-Canary", "app:u-Unhero"]  # one form, so one row
    some = [
        record("likes", body, headers=headers_of("likes", str(body["event_id"]), source))
        for body, source in zip(bodies, sources, strict=True)
    ]
    old.append("bronze.events", [of_bronze(each, 50 + n, 3) for n, each in enumerate(some)])
    (row,) = counted(old, 3, {"likes"}, AT, is_any_refused=False).to_pylist()
    assert (row["source_uri"], row["record_count"]) == ("xxx:x-xxxxxx", 2)
