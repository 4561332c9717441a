"""The funnel tables after any number of small runs equal those made from silver at once, row for row."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from shutil import copytree

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.lake.backfills.slices import DaysSlice, FunnelSlice, UsersSlice
from jobs.lake.errors import DefinitionError
from jobs.lake.families import funnels
from jobs.lake.families.backfilled import Backfilled, is_of
from jobs.lake.ledger import Ledger
from jobs.lake.settings import ROOT, Settings
from jobs.lake.tables import Lake
from tests.lake.funnel_histories import (
    FACTS,
    HOURS,
    START,
    TABLES,
    facts,
    films,
    frame,
    people,
    release,
    told,
    versions,
    work,
)

USERS, BATCHES = 150, 3
SLICE = DaysSlice((date(2026, 3, 4), date(2026, 3, 5)))
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
        release(lake, work(-1 if first else seq - 1, seq, level(seq), None if first else level(seq - 1)), "funnels")
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


class Damaged(Lake):
    """The lake with every second user's rows of some days lost, and the sums of those days."""

    def read(self, table: str, version: int | None = None) -> DataFrame:
        rows = super().read(table, version)
        if table not in TABLES:
            return rows
        is_hurt = F.col("conversion_date" if table == "gold.funnel_conversions" else "entry_date").isin(*SLICE.days)
        is_lost = F.expr("crc32(user_id) % 2 = 0") if "user_id" in rows.columns else F.lit(True)
        return rows.where(~(is_hurt & is_lost))


def test_a_backfill_made_before_the_last_batch_mends_its_days_and_takes_nothing_new_away(grown: Lake) -> None:
    lake, before = Damaged(grown.settings, grown.spark), BATCHES - 1
    stale = replace(work(-1, before, None, None), silver_versions=dict.fromkeys(funnels.SILVER, before))
    made = {s.table: lake.keep(s.frame) for s in funnels.stage_slice(lake, stale, SLICE)}
    swap = work(before, BATCHES, level(BATCHES), level(BATCHES))
    staged = {s.table: s for s in funnels.stage(lake, swap, [Backfilled(SLICE, made)])}
    for table in TABLES:
        column, public = grown.contract(table).slice_column or "", grown.read(table)
        kept = lake.read(table).where(~F.col(column).isin(*staged[table].slices))
        assert told(kept.unionByName(staged[table].frame)) == told(public), table
    mine = grown.read(TABLES[0]).where(is_of(SLICE))
    assert told(made[TABLES[0]].select(*mine.columns)) != told(mine), "the last batch has changed days of the slice"


@pytest.mark.parametrize("one", [UsersSlice(2, 3), FunnelSlice("checkout", 1)], ids=lambda one: one.name)
def test_a_slice_is_what_a_full_rebuild_has_of_it(grown: Lake, one: UsersSlice | FunnelSlice) -> None:
    for staged in funnels.stage_slice(grown, work(-1, BATCHES, None, None), one):
        public = grown.read(staged.table)
        assert told(staged.frame.select(*public.columns)) == told(public.where(is_of(one))), staged.table


def test_a_run_with_nothing_new_writes_nothing(grown: Lake) -> None:
    assert release(grown, work(BATCHES, BATCHES, level(BATCHES), level(BATCHES)), "again") == []


def test_time_alone_ripens_days_without_new_events(grown: Lake) -> None:
    later = START + timedelta(days=40)
    staged = release(grown, work(BATCHES, BATCHES, later, level(BATCHES)), "later")
    assert [one.table for one in staged] == ["gold.funnel_daily"]  # what was done is done, whatever the time
    assert grown.read("gold.funnel_daily").where("open_attempts_count > 0").isEmpty()


def test_late_facts_of_any_age_rewrite_the_days_they_change_and_no_other(grown: Lake) -> None:
    """The first days of some users happen again 30 and 400 days ago, and an old order is refunded."""
    seq, before = BATCHES + 1, {table: by_day(grown.read(table)) for table in TABLES[:2]}
    for table in FACTS:
        lives = grown.read(table).where("ingest_seq = 1 AND crc32(user_id) % 50 = 0")
        for days in (30, 400):
            grown.append(table, as_late(lives, days, seq), app=f"{days} days late", version=seq)
    paid = grown.read("silver.orders").where("kind = 'paid' AND ingest_seq = 1 AND crc32(user_id) % 50 = 1").limit(9)
    refund = as_late(paid, -20, seq).withColumns({"kind": F.lit("refunded"), "refund_fen": F.lit(100).cast("bigint")})
    grown.append("silver.orders", refund, app="refunds", version=seq)
    written = {s.table: s.slices for s in release(grown, work(BATCHES, seq, level(BATCHES), level(BATCHES)), "late")}
    full = {s.table: s.frame for s in funnels.stage(grown, work(-1, seq, level(BATCHES), None, full=True))}
    for table, old in before.items():
        new = by_day(full[table].select(*grown.read(table).columns))
        assert by_day(grown.read(table)) == new
        assert written[table] == tuple(sorted(day for day in old.keys() | new.keys() if old.get(day) != new.get(day)))
        ages = {(START.date() - day).days for day in written[table]}
        assert [any(low <= age <= low + 8 for age in ages) for low in (390, 20)] == [True, True], ages
        assert any(age <= 0 for age in ages) == (table == TABLES[0]), "the refund reaches back to the order"
        assert len(written[table]) < len(new)


def by_day(rows: DataFrame) -> dict[date, list[str]]:
    """Rows as sorted text, by the day of entry."""
    found: dict[date, list[str]] = {}
    for row in rows.collect():
        found.setdefault(row["entry_date"], []).append(repr(row))
    return {day: sorted(texts) for day, texts in found.items()}


def as_late(facts: DataFrame, days: int, seq: int) -> DataFrame:
    """The same facts so many days earlier, as other events that come in with batch `seq`."""
    when = {"event_time": F.expr(f"event_time - INTERVAL '{days}' DAY"), "event_date": F.date_sub("event_date", days)}
    name = {"event_id": F.concat("event_id", F.lit(f" {days} days ago"))}
    return facts.withColumns({**when, **name, "ingest_seq": F.lit(seq).cast("bigint")})


def test_a_fact_that_an_earlier_arrival_moved_away_leaves_nothing_behind(grown: Lake) -> None:
    seq, views = BATCHES + 2, grown.read("silver.views")
    early = views.where(F.col("event_time") < F.lit(START + timedelta(days=3))).orderBy("event_id").limit(60).persist()
    moved = early.withColumns({"event_time": F.expr("event_time + INTERVAL 9 DAYS"),
                               "event_date": F.date_add("event_date", 9), "ingest_seq": F.lit(seq)})  # fmt: skip
    days = [row["event_date"] for row in early.select("event_date").union(moved.select("event_date")).collect()]
    grown.merge("silver.views", moved, ["event_id"], app="displaced", version=seq)
    booked = {"ingest_seq": seq, "table": "silver.views", "cause": "new_facts", "recorded_at": START}
    Ledger(grown.settings).append("ops.touched", [booked | {"day": day, "rows": days.count(day)} for day in {*days}])
    release(grown, work(seq - 1, seq, level(BATCHES), level(BATCHES)), "displaced")
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
