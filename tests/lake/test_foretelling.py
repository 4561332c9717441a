"""What a replay is said to change in gold is what it changes, and to say so changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.drills.records import NOON, Record, body_of, record
from jobs.lake.clock import now
from jobs.lake.copies import COPIES, copied
from jobs.lake.errors import UsageError
from jobs.lake.file_topics import Entry, FileTopics, file_topics
from jobs.lake.ingest.loop import Ingest
from jobs.lake.ledger import Ledger
from jobs.lake.patches import Patch
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.produce import foretelling
from jobs.produce.again import note, tried
from jobs.produce.foretelling import entries, foretold

PATCH = Patch.model_validate({"name": "watched_ms", "version": 1, "owner": "o", "why": "w", "topic": "views",
                              "steps": [{"do": "rename", "from": "watched_ms", "to": "watch_ms"}]})  # fmt: skip
PEOPLE, REFUSED = 6, (1, 3)
FUNNEL = "content_to_purchase"
TABLES = ("silver.views", "silver.quarantine", "gold.funnel_daily", "gold.funnel_attempts", "ops.books", "ops.replays",
          "ops.publications", "ops.restatements")  # fmt: skip


def views() -> Iterator[Record]:
    """Each watches a video for long; the app of some calls that by another name. One more comes later."""
    for person in range(PEOPLE):
        renamed = {"watch_ms": None, "watched_ms": 60_000} if person in REFUSED else {"watch_ms": 60_000}
        yield record("views", body_of("views", person, user_id=f"u{person}", duration_ms=60_000, **renamed))
    later = NOON + timedelta(hours=1)
    yield record("views", body_of("views", 50, at=later, user_id="u9", watch_ms=60_000, duration_ms=60_000), at=later)


def only(funnel: str, home: Path) -> Path:
    """The schemas with a single funnel among them: to build ten says no more here."""
    schemas = Path(shutil.copytree(Settings().schemas_dir, home / "schemas"))
    for file in (schemas / "funnels").glob("*.yaml"):
        if file.stem != funnel:
            file.unlink()
    return schemas


def put(settings: Settings, records: Iterator[Record]) -> None:
    topics = file_topics(settings)
    assert topics is not None
    for each in records:
        topics.append(each.topic, 0, Entry(each.key, each.value, each.headers, each.at))


def ingest(settings: Settings, spark: SparkSession) -> None:
    Ingest(settings, "test", now, lambda _: spark).until_caught_up()


def publish(settings: Settings, spark: SparkSession) -> None:
    runner = Runner(settings, "funnels", "test", lambda _: spark)
    runner.build(now())
    runner.check()
    runner.release()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Settings:
    """A lake that has published the funnels of who was not refused, and then took in one more view."""
    home = tmp_path_factory.mktemp("foretelling")
    made = Settings(
        home=home, lake_uri="", schemas_dir=only(FUNNEL, home), kafka_bootstrap_servers=f"file:{home / 'topics'}"
    )
    *first, last = views()
    put(made, iter(first))
    ingest(made, spark)
    publish(made, spark)
    put(made, iter([last]))
    ingest(made, spark)
    return made


def test_what_is_foretold_is_what_happens(
    settings: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foretelling, "_families", lambda _: ["funnels"])
    ledger = Ledger(settings)
    found, before = tried(settings, PATCH, "missing:watch_ms"), {table: ledger.version(table) for table in TABLES}
    moves = foretold(settings, found, now(), lambda _: spark)
    assert {table: ledger.version(table) for table in TABLES} == before, "to foretell changes nothing"
    assert list((settings.home / COPIES).iterdir()) == [], "and leaves nothing"
    people = {
        move.by for move in moves
        if move.row | {"breakdown": "total", "step_number": 1, "funnel": FUNNEL} == move.row
        and move.measure == "people_count"
    }  # fmt: skip
    assert people == {len(REFUSED)}

    at = now()
    put_again = ((PATCH.topic, entry) for entry in entries(found, at))
    topics = file_topics(settings)
    assert topics is not None
    for topic, entry in put_again:
        topics.append(topic, 0, entry)
    note(settings, found, at)
    ingest(settings, spark)
    publish(settings, spark)
    lines = Ledger(settings).read("ops.restatements").to_pylist()
    happened = {
        (line["table"], line["row_key"], line["measure"], line["old_value"], line["new_value"], line["part"])
        for line in lines
        if line["cause"] == "replay"
    }
    told = {(move.table, move.row_key, move.measure, move.old, move.new, move.by) for move in moves}
    assert told == happened
    assert {line["cause"] for line in lines} > {"replay"}, "the view that came in meanwhile is not put down to it"


def test_a_family_comes_after_those_it_reads() -> None:
    names = foretelling._families(Settings())
    assert sorted(names) == ["funnels", "profiles", "scores"]
    assert names.index("profiles") < names.index("scores")


def test_only_a_lake_on_a_disk_is_copied(tmp_path: Path) -> None:
    away = Settings(home=tmp_path, lake_uri="s3a://bucket/lake")
    with pytest.raises(UsageError, match="lies in an object store"), copied(away, "test"):
        pass
    assert not (tmp_path / COPIES).exists()


def test_a_copy_has_what_the_lake_has_and_shares_no_log(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, lake_uri="")
    Ledger(settings).append("ops.replays", [row(1)])
    Ledger(settings).append("ops.leases", [])
    killed = tmp_path / COPIES / "test-999999999"
    killed.mkdir(parents=True)
    with copied(settings, "test") as copy:
        assert not killed.exists(), "what a killed process left"
        assert Ledger(copy).read("ops.replays").num_rows == 1
        assert not Ledger(copy).exists("ops.leases")
        Ledger(copy).append("ops.replays", [row(2)])
        assert Ledger(copy).read("ops.replays").num_rows == 2
        assert Ledger(settings).read("ops.replays").num_rows == 1
    assert list((tmp_path / COPIES).iterdir()) == []


def row(offset: int) -> dict[str, object]:
    return {"patch": "p", "patch_version": 1, "topic": "views", "kafka_topic_id": "t", "kafka_partition": 0,
            "kafka_offset": offset, "event_id": "e", "run_id": "p-1.1", "recorded_at": NOON}  # fmt: skip


def test_topics_go_on_where_others_were_read_to(tmp_path: Path) -> None:
    topics = FileTopics(tmp_path)
    topics.succeed("views", "an id", {0: 7, 1: 0})
    assert topics.ids(["views"]) == {"views": "an id"}
    assert topics.begins(["views"]) == topics.ends(["views"]) == {"views": {0: 7, 1: 0}}
    assert topics.append("views", 0, Entry(b"k", b"v", None, NOON)) == 7
    assert [(each[3], each[4], each[1]) for each in topics.rows({"views": {0: (7, 8), 1: (0, 0)}})] == [(0, 7, b"v")]
