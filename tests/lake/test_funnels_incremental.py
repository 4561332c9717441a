"""The funnel tables after any number of small runs equal those made from silver at once, row for row."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from shutil import copytree
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.lake.backfills.slices import DaysSlice, FunnelSlice, UsersSlice
from jobs.lake.errors import DefinitionError
from jobs.lake.families import funnels
from jobs.lake.families.backfilled import Backfilled, is_of
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

USERS, BATCHES = 90, 3
LAST = BATCHES + 1
SLICE = DaysSlice((date(2026, 3, 4), date(2026, 3, 5)))
NEWCOMER = f"k1:{9999:032}"
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
STOOD = """
name: liked_by_standing
version: 1
window: 2h
steps:
  - {name: watched, event: play}
  - {name: liked,   event: like}
breakdowns: [lifecycle, city_tier]
breakdown_at: profile
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
    (schemas / "funnels" / "liked_by_standing.yaml").write_text(STOOD)
    first = (schemas / "funnels" / "content_to_purchase.yaml").read_text()
    short = [
        line for line in first.splitlines() if not any(step in line for step in ("considered", "ordered", "paid,"))
    ]
    second = "\n".join(short).replace("version: 1", "version: 2")
    (schemas / "funnels" / "content_to_purchase_2.yaml").write_text(second)
    return Lake(Settings(home=home, schemas_dir=schemas, spark_remote="", spark_master="", spark_memory_mb=1536), spark)


Days = dict[str, dict[date, list[str]]]


@dataclass(frozen=True)
class LastRun:
    """What the ledger's tables had by day before the last release, and which days that wrote."""

    before: Days
    written: dict[str, tuple[date, ...]]
    causes: dict[str, str]


@pytest.fixture(scope="module")
def last_run(lake: Lake) -> LastRun:
    """The lake filled and released batch by batch; the last one takes facts away from people, and brings late ones."""
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
    causes = causes_of(lake, BATCHES - 1, level(BATCHES - 1))
    displace(lake)
    come_late(lake)
    before = {table: by_day(lake.read(table)) for table in TABLES[:2]}
    staged = release(lake, work(BATCHES, LAST, level(BATCHES), level(BATCHES)), "displaced")
    return LastRun(before, {one.table: one.slices for one in staged}, causes)


@pytest.fixture(scope="module")
def grown(lake: Lake, last_run: LastRun) -> Lake:
    """The lake after its last run; what it published was made by the batches before."""
    assert last_run.written
    return lake


def displace(lake: Lake) -> None:
    """In a batch more, views turn out to be another user's, or of another time; whoever lost one is booked by name."""
    views = lake.read("silver.views").where(F.col("event_time") < F.lit(START + timedelta(days=3)))
    early = views.orderBy("event_id").limit(60).persist()
    someone = F.when(F.hash("event_id") % 2 == 0, F.lit(NEWCOMER)).otherwise(F.col("user_id"))
    moved = early.withColumns({"event_time": F.expr("event_time + INTERVAL 9 DAYS"), "user_id": someone,
                               "event_date": F.date_add("event_date", 9), "ingest_seq": F.lit(LAST)})  # fmt: skip
    lost = {(row["event_date"], row["user_id"]) for row in early.select("event_date", "user_id").collect()}
    lake.merge("silver.views", moved, ["event_id"], app="displaced", version=LAST)
    booked = {"ingest_seq": LAST, "table": "silver.views", "cause": "displaced", "rows": 1, "recorded_at": START}
    Ledger(lake.settings).append("ops.touched", [booked | {"day": day, "subject": whose} for day, whose in lost])


def come_late(lake: Lake) -> None:
    """In the same batch the first days of some users happen again 30 and 400 days ago, and old orders are refunded."""
    for table in FACTS:
        lives = lake.read(table).where("ingest_seq = 1 AND crc32(user_id) % 20 = 0")
        for days in (30, 400):
            lake.append(table, as_late(lives, days), app=f"{days} days late", version=LAST)
    paid = lake.read("silver.orders").where("kind = 'paid' AND ingest_seq = 1 AND crc32(user_id) % 20 = 1")
    refund = as_late(paid, -20).withColumns({"kind": F.lit("refunded"), "refund_fen": F.lit(100).cast("bigint")})
    lake.append("silver.orders", refund, app="refunds", version=LAST)


def as_late(facts: DataFrame, days: int) -> DataFrame:
    """The same facts so many days earlier, as other events that come in with the last batch."""
    when = {"event_time": F.expr(f"event_time - INTERVAL '{days}' DAY"), "event_date": F.date_sub("event_date", days)}
    name = {"event_id": F.concat("event_id", F.lit(f" {days} days ago"))}
    return facts.withColumns({**when, **name, "ingest_seq": F.lit(LAST).cast("bigint")})


def by_day(rows: DataFrame) -> dict[date, list[str]]:
    """Rows as sorted text, by the day of entry."""
    found: dict[date, list[str]] = {}
    for row in rows.collect():
        found.setdefault(row["entry_date"], []).append(repr(row))
    return {day: sorted(texts) for day, texts in found.items()}


@pytest.fixture(scope="module")
def full(grown: Lake) -> dict[str, DataFrame]:
    """The same from silver at once."""
    return {s.table: s.frame for s in funnels.stage(grown, work(-1, LAST, level(BATCHES), None, full=True))}


@pytest.mark.parametrize("table", TABLES)
def test_small_runs_add_up_to_a_full_rebuild(grown: Lake, full: dict[str, DataFrame], table: str) -> None:
    expected, published = told(full[table].select(*grown.read(table).columns)), told(grown.read(table))
    assert published == expected
    assert len(published) >= 50


def test_late_facts_of_any_age_rewrite_the_days_they_change_and_no_other(grown: Lake, last_run: LastRun) -> None:
    ages = set()
    for table, old in last_run.before.items():
        new, written = by_day(grown.read(table)), last_run.written[table]
        assert written == tuple(sorted(day for day in {*old, *new} if old.get(day) != new.get(day))), table
        assert len(written) < len(new), table
        ages |= {(START.date() - day).days for day in written}
    assert [any(age in near for age in ages) for near in (range(390, 401), range(20, 31))] == [True, True], ages


class Damaged(Lake):
    """The lake with every second user's rows of some days lost, and the sums of those days."""

    def read(self, table: str, version: int | None = None) -> DataFrame:
        rows = super().read(table, version)
        if table not in TABLES:
            return rows
        is_hurt = F.col("conversion_date" if table == "gold.funnel_conversions" else "entry_date").isin(*SLICE.days)
        is_lost = F.expr("crc32(user_id) % 2 = 0") if "user_id" in rows.columns else F.lit(True)
        return rows.where(~(is_hurt & is_lost))


def test_a_backfill_made_before_the_last_batches_mends_its_days_and_takes_nothing_new_away(grown: Lake) -> None:
    lake, early = Damaged(grown.settings, grown.spark), BATCHES - 1
    stale = replace(work(-1, early, None, None), silver_versions=dict.fromkeys(funnels.SILVER, early))
    made = {s.table: lake.keep(s.frame) for s in funnels.stage_slice(lake, stale, SLICE)}
    swap = work(early, LAST, level(BATCHES), level(BATCHES))
    staged = {s.table: s for s in funnels.stage(lake, swap, [Backfilled(SLICE, made)])}
    for table in TABLES:
        column, public = grown.contract(table).slice_column or "", grown.read(table)
        kept = lake.read(table).where(~F.col(column).isin(*staged[table].slices))
        assert told(kept.unionByName(staged[table].frame.select(*public.columns))) == told(public), table
    mine = grown.read(TABLES[0]).where(is_of(SLICE))
    assert told(made[TABLES[0]].select(*mine.columns)) != told(mine), "later batches have changed days of the slice"


@pytest.mark.parametrize("one", [UsersSlice(2, 3), FunnelSlice("checkout", 1)], ids=lambda one: one.name)
def test_a_slice_is_what_a_full_rebuild_has_of_it(grown: Lake, one: UsersSlice | FunnelSlice) -> None:
    for staged in funnels.stage_slice(grown, work(-1, LAST, None, None), one):
        public = grown.read(staged.table)
        assert told(staged.frame.select(*public.columns)) == told(public.where(is_of(one))), staged.table


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
    assert len(found) == 9
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
        for change in plain_changes(grown, table, before.versions, after.versions)
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


def test_each_part_is_what_the_people_of_its_cause_did(
    grown: Lake, last_run: LastRun, restated: list[dict[str, Any]]
) -> None:
    """Attempts at the first step, counted per person in plain Python from both ledgers."""
    before, after = releases(Ledger(grown.settings), "funnels")[-2:]
    causes = last_run.causes
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
    assert release(grown, work(LAST, LAST, level(BATCHES), level(BATCHES)), "again") == []


def test_where_some_funnels_of_a_day_ripen_it_equals_a_rebuild(grown: Lake) -> None:
    soon, daily = level(BATCHES) + timedelta(hours=6), "gold.funnel_daily"
    [staged] = release(grown, work(LAST, LAST, soon, level(BATCHES)), "soon")
    [whole] = [one.frame for one in funnels.stage(grown, work(-1, LAST, soon, None, full=True)) if one.table == daily]
    published = grown.read(daily)
    assert staged.table == daily
    assert told(published) == told(whole.select(*published.columns))
    seen = published.where(F.col("entry_date").isin(*staged.slices) & (F.col("attempts_count") > 0))
    windows = {row["window_us"] for row in seen.select("window_us").distinct().collect()}
    assert len(windows) >= 3  # only the attempts of one window, or two, can have ripened


def test_time_alone_ripens_days_without_new_events(grown: Lake) -> None:
    later = START + timedelta(days=40)
    staged = release(grown, work(LAST, LAST, later, level(BATCHES)), "later")
    assert [one.table for one in staged] == ["gold.funnel_daily"]  # what was done is done, whatever the time
    assert grown.read("gold.funnel_daily").where("open_attempts_count > 0").isEmpty()


def test_a_changed_meaning_needs_a_new_version(grown: Lake, tmp_path: Path) -> None:
    schemas = copytree(grown.settings.schemas_dir, tmp_path / "schemas")
    file = schemas / "funnels" / "content_to_purchase.yaml"
    file.write_text(file.read_text().replace("window: 24h", "window: 12h"))
    changed = Lake(grown.settings.model_copy(update={"schemas_dir": schemas}), grown.spark)
    with pytest.raises(DefinitionError, match="version: 2"):
        list(funnels.stage(changed, work(LAST, LAST, level(BATCHES), level(BATCHES))))
