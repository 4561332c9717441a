"""A second version of an event contract: refused until it is there, then judged, replayed and undone like any (P5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.drills.records import NOON, Record, body_of, micros, record
from jobs.drills.versions import of_version, write_second_version
from jobs.lake.file_topics import file_topics
from jobs.lake.ingest import steps
from jobs.lake.ledger import Ledger
from jobs.lake.patches import Patch
from jobs.lake.settings import Settings
from jobs.produce.again import note, tried
from jobs.produce.foretelling import entries
from tests.lake.small_shop import ingest, only, put

FACTS = {"version": 1, "owner": "o", "why": "w", "topic": "views"}
AS_IT_IS = Patch.model_validate({"name": "as_it_is", **FACTS})
AS_SECOND = Patch.model_validate({"name": "as_second", "steps": [{"do": "version", "to": 2}], **FACTS})
Row = dict[str, Any]


def first(number: int, **fields: Any) -> Record:
    """A view by v1."""
    return record("views", body_of("views", number, **fields))


def second(number: int, version: int = 2, **fields: Any) -> Record:
    """A view by v2, which calls watch_ms by another name."""
    body = body_of("views", number, watch_ms=None, **{"watched_ms": 7000} | fields)
    return of_version(version, body)


def lake_at(home: Path, small_run_rows: int) -> Settings:
    """A lake with contracts of its own, of which views have one version; so many rows and more are Spark's."""
    schemas = only("content_to_purchase", home)
    topics = f"file:{home / 'topics'}"
    return Settings(
        home=home, lake_uri="", schemas_dir=schemas, kafka_bootstrap_servers=topics, small_run_rows=small_run_rows
    )


def views(settings: Settings) -> dict[int, Row]:
    """What silver has, by the numbers of the bodies."""
    return {row["producer_seq"]: row for row in Ledger(settings).read("silver.views").to_pylist()}


def refused(settings: Settings) -> dict[int, tuple[str, ...]]:
    """Offset → reasons."""
    rows = Ledger(settings).read("silver.quarantine").to_pylist()
    return {row["kafka_offset"]: tuple(sorted(row["reasons"])) for row in rows if row["topic"] == "views"}


def books(settings: Settings) -> tuple[int, ...]:
    """All that the books say of views."""
    rows = [row for row in Ledger(settings).read("ops.books").to_pylist() if row["topic"] == "views"]
    return tuple(sum(row[name] for row in rows) for name in ("received", "accepted", "duplicate", "quarantined"))


def replayed(settings: Settings, patch: Patch, reason: str) -> str:
    """Send what passes, as the broker would have it; the replay's name."""
    found, topics = tried(settings, patch, reason), file_topics(settings)
    assert topics is not None
    for entry in entries(found, NOON):
        topics.append("views", 0, entry)
    note(settings, found, NOON)
    return found.replay_id


BEFORE = [first(0, mood="sad"), first(1), second(2, mood="calm"), second(3, beats=[1]), second(4, watched_ms=None),
          second(5, version=1)]  # fmt: skip
AFTER = [
    first(0, mood="sad"),  # again: it is the same content as before there was a v2
    first(6, mood=5),  # a field that v1 does not know is not judged by v2
    first(7, watched_ms=9),
    second(8, mood="loud", flag=True),
    second(9, mood="sad", watched_ms=-1),
    second(10, version=3),
    second(8, mood="loud", flag=True),
    second(11, watched_ms="x"),
]


UNKNOWN = dict.fromkeys((2, 3, 4), ("unknown_version",)) | {5: ("missing:watch_ms",)}
NEWS = {10: ("not_allowed:mood", "out_of_range:watched_ms"), 11: ("unknown_version",), 13: ("wrong_type:watched_ms",)}
TAKEN = {
    0: (1, 4000, {"mood": "sad"}), 1: (1, 4000, {}), 6: (1, 4000, {"mood": "5"}), 7: (1, 4000, {"watched_ms": "9"}),
    8: (2, 7000, {"mood": "loud", "flag": "true"}),
}  # fmt: skip
MENDED = {2: (2, 7000, {"mood": "calm"}), 3: (2, 7000, {"beats": "[1]"}), 5: (2, 7000, {})}


def told(settings: Settings) -> dict[int, tuple[int, int, Row]]:
    """What silver says of views: by which version, how long, and what else."""
    return {n: (row["schema_version"], row["watch_ms"], dict(row["rest"] or ())) for n, row in views(settings).items()}


def test_a_version_is_refused_until_it_is_promised_and_then_replayed_and_undone(
    tmp_path: Path, spark: SparkSession
) -> None:
    lake = lake_at(tmp_path, 50)
    put(lake, BEFORE)
    ingest(lake, spark)
    assert refused(lake) == UNKNOWN
    assert dict(tried(lake, AS_IT_IS, "unknown_version").faults) == {"unknown_version": 3}, "v1 is not what they say"
    was = views(lake)

    write_second_version(lake.schemas_dir)
    put(lake, AFTER)
    ingest(lake, spark)
    assert told(lake) == TAKEN
    assert {number: row for number, row in views(lake).items() if number in was} == was
    assert refused(lake) == UNKNOWN | NEWS
    assert books(lake) == (14, 5, 2, 7)

    replay = tried(lake, AS_IT_IS, "unknown_version")
    assert dict(replay.faults) == {"missing:watched_ms": 1, "unknown_version": 1}
    assert replay.days(lake.business_zone).total() == 2
    names = [replayed(lake, AS_IT_IS, "unknown_version"), replayed(lake, AS_SECOND, "missing:watch_ms")]
    assert tried(lake, AS_IT_IS, "unknown_version").sent_before == 2
    ingest(lake, spark)
    assert told(lake) == TAKEN | MENDED
    assert {row["event_time"] for number, row in views(lake).items() if number in MENDED} == {NOON}

    put(lake, [retraction(n, name) for n, name in enumerate(names)])
    ingest(lake, spark)
    assert told(lake) == TAKEN
    assert books(lake) == (17, 5, 2, 10)


def retraction(number: int, replay_id: str) -> Record:
    """The statement on `control` that undoes a replay."""
    said = {"kind": "retract", "source": "app:quarantine", "topic": "views", "replay_id": replay_id, "why": "wrong",
            "since": micros(NOON), "offsets": [{"partition": 0, "next_offset": 17}], "complete_until": None,
            "is_final": None}  # fmt: skip
    return record("control", body_of("control", 120 + number, **said))


def test_a_batch_is_ended_by_the_versions_that_it_began_with(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when silver had its rows; the version that came since would take what silver lacks by now."""

    def die(point: str) -> None:
        if point == "ingest.after_views":
            raise InterruptedError

    lake = lake_at(tmp_path, 0)
    put(lake, BEFORE)
    with monkeypatch.context() as patch:
        patch.setattr(steps, "reach", die)
        with pytest.raises(InterruptedError):
            ingest(lake, spark)
    write_second_version(lake.schemas_dir)
    put(lake, AFTER)
    ingest(lake, spark)
    assert refused(lake) == UNKNOWN | NEWS
    assert told(lake) == TAKEN
    assert books(lake) == (14, 5, 2, 7)
