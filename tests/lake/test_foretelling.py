"""What a replay is said to change in gold is what it changes; to say so changes nothing; to undo it takes it back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jobs.drills.records import NOON, Record, body_of, micros, record
from jobs.lake.clock import now
from jobs.lake.contracts import contract
from jobs.lake.copies import COPIES, copied
from jobs.lake.errors import UsageError
from jobs.lake.file_topics import Entry, FileTopics, file_topics
from jobs.lake.ledger import Ledger
from jobs.lake.patches import Patch
from jobs.lake.publications import release_id, releases
from jobs.lake.restating.cells import measures
from jobs.lake.settings import Settings
from jobs.produce import foretelling
from jobs.produce.again import note, tried
from jobs.produce.foretelling import GONE, NEW, entries, foretold
from tests.lake.plain_restatements import key_of
from tests.lake.small_shop import FUNNEL, REFUSED, ingest, late_view, publish, put

PATCH = Patch.model_validate({"name": "watched_ms", "version": 1, "owner": "o", "why": "w", "topic": "views",
                              "steps": [{"do": "rename", "from": "watched_ms", "to": "watch_ms"}]})  # fmt: skip
TABLES = ("silver.views", "silver.quarantine", "gold.funnel_daily", "gold.funnel_attempts", "ops.books", "ops.replays",
          "ops.publications", "ops.restatements")  # fmt: skip
PATHS = "gold.funnel_paths"
FUNNEL_TABLES = ("gold.funnel_daily", "gold.funnel_conversions", PATHS)
SEGMENTS, SEGMENTS_OF_PROFILES = "gold.segment_daily", ("generation", "lifecycle")
Rows = dict[str, dict[str, dict[str, Any]]]


def lines(settings: Settings, release: int) -> list[dict[str, Any]]:
    """What a release restated."""
    told = Ledger(settings).read("ops.restatements").to_pylist()
    return [line for line in told if line["release_id"] == release_id("funnels", release)]


def test_of_days_that_go_on_all_is_foretold_where_nothing_else_is_new(
    published: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restatements put such days down to no news in particular."""
    monkeypatch.setattr(foretelling, "_families", lambda _: ["profiles", "scores"])
    with copied(published, "shop") as settings:
        for family in ("profiles", "scores"):
            publish(settings, spark, family)
        found = tried(settings, PATCH, "missing:watch_ms")
        moves = foretold(settings, found, now(), lambda _: spark)
        before = keyed(settings, SEGMENTS)
    assert {move.table for move in moves} == {SEGMENTS, "gold.retention_weekly"}
    for dimension in SEGMENTS_OF_PROFILES:
        by = sum(move.by for move in moves if move.table == SEGMENTS and move.row["dimension"] == dimension)
        assert by == len(REFUSED), "so many people are seen for the first time"
    told = {move.row_key: move for move in moves if move.table == SEGMENTS}
    assert {key for key, move in told.items() if move.row_is == NEW}.isdisjoint(before)
    assert all(move.old == before[key]["people_count"] for key, move in told.items() if move.row_is != NEW)
    assert {move.by for move in moves if move.measure == "cohort_count"} == {len(REFUSED)}


def test_what_is_foretold_is_what_happens_and_what_an_undoing_takes_back(
    published: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = published
    put(settings, [late_view()])
    ingest(settings, spark)
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

    at, before_rows = now(), {table: keyed(settings, table) for table in FUNNEL_TABLES}
    topics = file_topics(settings)
    assert topics is not None
    for entry in entries(found, at):
        topics.append(PATCH.topic, 0, entry)
    note(settings, found, at)
    ingest(settings, spark)
    publish(settings, spark)
    restated = lines(settings, releases(ledger, "funnels")[-1].number)
    happened = {
        (line["table"], line["row_key"], line["measure"], line["old_value"], line["new_value"], line["part"])
        for line in restated
        if line["cause"] == "replay"
    }
    told = {(move.table, move.row_key, move.measure, move.old, move.new, move.by) for move in moves}
    assert told == happened
    after_rows = {table: keyed(settings, table) for table in FUNNEL_TABLES}
    appeared = {cell: value for table in FUNNEL_TABLES for cell, value in numbers(table, after_rows, before_rows)}
    assert {(one.table, one.row_key, one.measure): one.new for one in moves if one.row_is == NEW} == appeared
    assert {scene(key) for table, key, _ in appeared if table != PATHS} == {"search"}, (
        "who was refused was the only one there"
    )
    went = {cell for table in FUNNEL_TABLES for cell, _ in numbers(table, before_rows, after_rows)}
    assert {(one.table, one.row_key, one.measure) for one in moves if one.row_is == GONE} == went
    assert {scene(key) for table, key, _ in went if table != PATHS} == {"live"}, (
        "their journey began somewhere else, by an earlier view"
    )
    assert {line["cause"] for line in restated} > {"replay"}, "the view that came in meanwhile is not put down to it"

    views = ledger.read("silver.views", ["event_id"]).num_rows
    ledger.append("ops.retractions", [{"replay_id": found.replay_id, "topic": "views", "records": len(found.passing),
                                       "why": "wrong", "recorded_at": now()}])  # fmt: skip
    put(settings, [taken_back(found.replay_id, topics.ends(["views"])["views"])])
    ingest(settings, spark)
    assert ledger.read("silver.views", ["event_id"]).num_rows == views - len(found.passing)
    publish(settings, spark)
    undone = {
        (line["table"], line["row_key"], line["measure"], line["part"])
        for line in lines(settings, releases(ledger, "funnels")[-1].number)
        if line["cause"] == "replay"
    }
    assert undone >= {(one.table, one.row_key, one.measure, -one.by) for one in moves if one.row_is != GONE}
    assert {table: keyed(settings, table).keys() for table in FUNNEL_TABLES} == {
        table: rows.keys() for table, rows in before_rows.items()
    }


def keyed(settings: Settings, table: str) -> dict[str, dict[str, Any]]:
    """The newest rows of a table by their keys."""
    grain = contract(table, settings.schemas_dir).grain
    return {key_of(row, grain): row for row in DeltaTable(settings.table_path(table)).to_pyarrow_table().to_pylist()}


def numbers(table: str, of: Rows, without: Rows) -> Iterator[tuple[tuple[str, str, str], int]]:
    """The numbers, other than nothing, of rows that are in one and not in the other."""
    for key in of[table].keys() - without[table].keys():
        for name in measures(contract(table, Settings().schemas_dir)):
            if of[table][key][name]:
                yield (table, key, name), int(of[table][key][name])


def scene(key: str) -> str:
    return str(json.loads(key)["breakdown_value"])


def taken_back(replay_id: str, ends: dict[int, int]) -> Record:
    """The statement on `control` that undoes a replay."""
    offsets = [{"partition": number, "next_offset": end} for number, end in sorted(ends.items())]
    said = {"kind": "retract", "source": "app:quarantine", "topic": "views", "replay_id": replay_id, "why": "wrong",
            "since": micros(NOON), "offsets": offsets, "complete_until": None, "is_final": None}  # fmt: skip
    return record("control", body_of("control", 120, **said))


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
