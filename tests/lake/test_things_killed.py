"""Killed behind the table of videos, of products or of merchants, a batch is ended as if nothing had been.

The schedules by chance (tests/drills/test_chance.py) send no such records, and so never come by these points.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.lake.balance import refuse_difference
from jobs.lake.digest import digest_of
from jobs.lake.ingest.loop import Ingest
from jobs.lake.settings import Settings
from tests.lake.logs import NOON, Log, Record, body_of, micros, record
from tests.lake.test_ingest import COUNTED, run
from tests.lake.toys import killed_at

TOPICS = ("videos", "products", "merchants")
TABLES = (*(f"silver.{topic}" for topic in TOPICS), "silver.quarantine")
CHANGED = {"videos": "category", "products": "brand", "merchants": "region"}


def piece(number: int) -> list[Record]:
    """Of each topic: a new thing, a change of one that was there before, one said twice, one too broken to take."""
    at = NOON + timedelta(hours=number)
    told = []
    for topic in TOPICS:
        key, first = f"{topic.removesuffix('s')}_id", 10 * number
        new = record(topic, body_of(topic, first, at, **{key: f"{topic}-{number}"}), at=at)
        change = body_of(topic, first + 1, at, **{key: f"{topic}-{max(0, number - 1)}", CHANGED[topic]: f"c{number}"})
        broken = body_of(topic, first + 2, at, event_time="late")
        told += [new, record(topic, change, at=at), replace(new, at=at + timedelta(minutes=1))]
        told.append(record(topic, broken, at=at))
    return [record("views", body_of("views", 10 * number + 5, at, event_time=micros(at)), at=at), *told]


def held(ingest: Ingest) -> dict[str, object]:
    """What the tables hold, and the books' sums."""
    refuse_difference(ingest.ledger, 0)
    lines = ingest.ledger.read("ops.books").to_pylist()
    tables: dict[str, object] = {table: digest_of(ingest.lake(), table) for table in TABLES}
    return tables | {fate: sum(line[fate] for line in lines) for fate in COUNTED}


def test_a_batch_killed_behind_each_of_them_is_ended_as_if_nothing_had_been(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakes = {name: Settings(home=tmp_path / name, key_file=tmp_path / "keys.json") for name in ("killed", "clean")}
    log = Log()
    log.put(piece(0))
    run(lakes["killed"], spark, log)
    log.put(piece(1))
    for topic in TOPICS:
        with killed_at(f"ingest.after_{topic}", monkeypatch):
            run(lakes["killed"], spark, log)
    killed = run(lakes["killed"], spark, log)
    assert held(killed) == held(run(lakes["clean"], spark, log))
    assert [held(killed)[fate] for fate in COUNTED] == [26, 14, 6, 6]
