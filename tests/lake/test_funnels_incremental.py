"""The funnel tables after any number of small runs equal those made from silver at once, row for row."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from shutil import copytree
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.lake.errors import DefinitionError
from jobs.lake.families import funnels
from jobs.lake.ledger import Ledger
from jobs.lake.publications import release_id, releases
from jobs.lake.restating.booking import restate
from jobs.lake.restating.cells import RESTATED
from jobs.lake.runner import Runner
from jobs.lake.settings import ROOT, Settings
from jobs.lake.tables import Lake
from jobs.serve.funnel_board import funnel_rows
from tests.lake.funnel_histories import (
    FACTS,
    HOURS,
    START,
    TABLES,
    book_replays,
    facts,
    films,
    frame,
    make_public,
    people,
    release,
    told,
    versions,
    work,
)
from tests.lake.plain_restatements import causes_of, first_steps, plain_changes

USERS, BATCHES = 150, 3
CHECKOUT = """
name: same_day_checkout
version: 1
window: same_local_day
zone: America/New_York
hold: [order_id]
steps:
  - {name: ordered, event: order_placed}
  - {name: paid,    event: order_paid}
exclusions: [{event: order_cancelled, between: [ordered, paid]}]
breakdowns: [scene]
"""


def level(seq: int) -> datetime:
    """The watermark when batch `seq` is in."""
    return START + timedelta(hours=HOURS * seq / BATCHES)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Lake:
    """An empty lake of a shop with all its funnels, one of them in two versions, and one by another clock."""
    home = tmp_path_factory.mktemp("grown")
    schemas = copytree(ROOT / "schemas", home / "schemas")
    for file in (schemas / "funnels").glob("log_*.yaml"):
        file.unlink()
    (schemas / "funnels" / "same_day_checkout.yaml").write_text(CHECKOUT)
    first = (schemas / "funnels" / "content_to_purchase.yaml").read_text()
    short = [
        line for line in first.splitlines() if not any(step in line for step in ("considered", "ordered", "paid,"))
    ]
    second = "\n".join(short).replace("version: 1", "version: 2")
    (schemas / "funnels" / "content_to_purchase_2.yaml").write_text(second)
    return Lake(Settings(home=home, schemas_dir=schemas, spark_remote="", spark_master="", spark_memory_mb=1536), spark)


@pytest.fixture(scope="module")
def grown(lake: Lake) -> Lake:
    """The lake, filled and released batch by batch."""
    draw = Random(7)
    rows, users, videos = facts(draw, USERS, BATCHES), people(draw, USERS, BATCHES), films(draw, BATCHES)
    for seq in range(1, BATCHES + 1):
        for table in FACTS:
            lake.append(
                table, frame(lake, table, [r for r in rows[table] if r["ingest_seq"] == seq]), app="in", version=seq
            )
        for table, key, things in (("silver.users", "user_id", users), ("silver.videos", "video_id", videos)):
            known = [row for name, history in things for row in versions(key, name, history, seq)]
            lake.replace_all(table, frame(lake, table, known), app="in", version=seq)
        first = seq == 1
        task = work(-1 if first else seq - 1, seq, level(seq), None if first else level(seq - 1))
        if seq == BATCHES:
            book_replays(lake, [row["event_id"] for row in rows["silver.likes"] if row["ingest_seq"] == seq][::9])
        make_public(lake, task, release(lake, task, "funnels"))
        restate(Runner(lake.settings, "funnels", f"run-{seq}", session=lambda _: lake.spark))
    return lake


@pytest.mark.parametrize("table", TABLES)
def test_small_runs_add_up_to_a_full_rebuild(grown: Lake, table: str) -> None:
    full = {s.table: s.frame for s in funnels.stage(grown, work(-1, BATCHES, level(BATCHES), None, full=True))}
    expected, published = told(full[table].select(*grown.read(table).columns)), told(grown.read(table))
    assert published == expected
    assert len(published) >= 50


@pytest.mark.parametrize("table", TABLES)
def test_two_versions_of_a_funnel_stand_side_by_side(grown: Lake, table: str) -> None:
    rows = grown.read(table).where("funnel = 'content_to_purchase'").drop("definition_hash", "window_us")
    one, other = (told(rows.where(f"funnel_version = {n}").drop("funnel_version")) for n in (1, 2))
    assert min(len(one), len(other)) >= 5
    assert one != other


def test_the_funnels_of_the_histories_have_conversions_some_of_them_undone(grown: Lake) -> None:
    rows = grown.read("gold.funnel_conversions").where("breakdown = 'total'").groupBy("funnel").agg(
        F.sum("conversions_count").alias("done"), F.sum("reversed_conversions_count").alias("undone")
    )  # fmt: skip
    found = {row.funnel: row for row in rows.collect()}
    assert len(found) == 8
    assert sum(row.done > 0 for row in found.values()) >= 6
    assert sum(row.undone > 0 for row in found.values()) >= 2


@pytest.fixture(scope="module")
def restated(grown: Lake) -> list[dict[str, Any]]:
    """Every line of ops.restatements, once all is published."""
    return Ledger(grown.settings).read("ops.restatements").to_pylist()


@pytest.mark.parametrize("table", [table for table in RESTATED if table in TABLES])
def test_every_change_of_a_published_number_is_booked(grown: Lake, restated: list[dict[str, Any]], table: str) -> None:
    """Told apart from a plain comparison of whole tables, release by release."""
    found = releases(Ledger(grown.settings), "funnels")
    expected = {
        (release_id("funnels", after.number), *change)
        for before, after in pairwise(found)
        for change in plain_changes(grown, table, before.versions[table], after.versions[table])
    }
    names = ("release_id", "row_key", "measure", "old_value", "new_value")
    assert {tuple(line[name] for name in names) for line in restated if line["table"] == table} == expected
    assert len(expected) >= 100


def test_the_parts_of_a_change_add_up_to_it_and_are_all_explained(restated: list[dict[str, Any]]) -> None:
    changes: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for line in restated:
        cell = tuple(line[name] for name in ("release_id", "table", "row_key", "measure"))
        changes.setdefault(cell, []).append(line)
    for lines in changes.values():
        assert len({(line["old_value"], line["new_value"]) for line in lines}) == 1
        amount = (lines[0]["new_value"] or 0) - (lines[0]["old_value"] or 0)
        assert sum(line["part"] for line in lines) == amount
        assert len({line["cause"] for line in lines}) == len(lines)
    causes = {line["cause"] for line in restated}
    assert causes == {"replay", "reversal", "late_data", "correction", "on_time", "maturity", "several"}
    assert sum(len(lines) > 2 for lines in changes.values()) >= 10


def test_each_part_is_what_the_people_of_its_cause_did(grown: Lake, restated: list[dict[str, Any]]) -> None:
    """Attempts at the first step, counted per person in plain Python from both ledgers."""
    before, after = releases(Ledger(grown.settings), "funnels")[-2:]
    causes = causes_of(grown, before.facts.ingest_seq, level(before.facts.ingest_seq))
    expected: dict[str, Counter[str]] = defaultdict(Counter)
    for side, sign in ((before, -1), (after, 1)):
        for key, user, attempts in first_steps(grown, side.versions):
            expected[key][causes.get(user, "nobody")] += sign * attempts
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for line in restated:
        is_first = (line["table"], line["measure"]) == ("gold.funnel_daily", "attempts_count")
        if is_first and line["release_id"] == "funnels-000003" and line["row_key"] in expected:
            found[line["row_key"]][line["cause"]] = int(line["part"])
    assert found == {key: {c: n for c, n in parts.items() if n} for key, parts in expected.items() if key in found}
    assert len(found) >= 20
    assert len({cause for parts in found.values() for cause in parts}) >= 3


def test_a_funnel_is_shown_as_it_was_published_then(grown: Lake) -> None:
    asked = (grown.settings, "content_to_purchase", "total", "", "", 0)
    shown = []
    for made in releases(Ledger(grown.settings), "funnels"):
        rows = grown.read("gold.funnel_daily", made.versions["gold.funnel_daily"]).where(
            "funnel = 'content_to_purchase' AND funnel_version = 2 AND breakdown = 'total' AND step_number = 1"
        )
        (attempts,) = rows.agg(F.sum("attempts_count")).first() or (None,)
        assert funnel_rows(*asked, as_of=made.facts.known_from)[0]["attempts"] == attempts
        shown.append(attempts)
    assert funnel_rows(*asked)[0]["attempts"] == shown[-1]
    assert len(set(shown)) == len(shown) == BATCHES


def test_restated_twice_is_restated_once(grown: Lake) -> None:
    version = Ledger(grown.settings).version("ops.restatements")
    assert restate(Runner(grown.settings, "funnels", "again", session=lambda _: grown.spark)) == 0
    assert Ledger(grown.settings).version("ops.restatements") == version


def test_a_run_with_nothing_new_writes_nothing(grown: Lake) -> None:
    assert release(grown, work(BATCHES, BATCHES, level(BATCHES), level(BATCHES)), "again") == []


def test_time_alone_ripens_days_without_new_events(grown: Lake) -> None:
    later = START + timedelta(days=40)
    staged = release(grown, work(BATCHES, BATCHES, later, level(BATCHES)), "later")
    assert [one.table for one in staged] == ["gold.funnel_daily"]  # what was done is done, whatever the time
    assert grown.read("gold.funnel_daily").where("open_attempts_count > 0").isEmpty()


def test_a_fact_that_an_earlier_arrival_moved_away_leaves_nothing_behind(grown: Lake) -> None:
    seq, views = BATCHES + 1, grown.read("silver.views")
    early = views.where(F.col("event_time") < F.lit(START + timedelta(days=3))).orderBy("event_id").limit(60).persist()
    moved = early.withColumns({"event_time": F.expr("event_time + INTERVAL 9 DAYS"),
                               "event_date": F.date_add("event_date", 9), "ingest_seq": F.lit(seq)})  # fmt: skip
    days = [row["event_date"] for row in early.select("event_date").union(moved.select("event_date")).collect()]
    grown.merge("silver.views", moved, ["event_id"], app="displaced", version=seq)
    booked = {"ingest_seq": seq, "table": "silver.views", "cause": "new_facts", "recorded_at": START}
    Ledger(grown.settings).append("ops.touched", [booked | {"day": day, "rows": days.count(day)} for day in {*days}])
    release(grown, work(BATCHES, seq, level(BATCHES), level(BATCHES)), "displaced")
    full = {s.table: s.frame for s in funnels.stage(grown, work(-1, seq, level(BATCHES), None, full=True))}
    for table in TABLES[:2]:
        assert told(full[table].select(*grown.read(table).columns)) == told(grown.read(table)), table


def test_a_changed_meaning_needs_a_new_version(grown: Lake, tmp_path: Path) -> None:
    schemas = copytree(grown.settings.schemas_dir, tmp_path / "schemas")
    file = schemas / "funnels" / "content_to_purchase.yaml"
    file.write_text(file.read_text().replace("window: 24h", "window: 12h"))
    changed = Lake(grown.settings.model_copy(update={"schemas_dir": schemas}), grown.spark)
    with pytest.raises(DefinitionError, match="version: 2"):
        list(funnels.stage(changed, work(BATCHES, BATCHES, level(BATCHES), level(BATCHES))))
