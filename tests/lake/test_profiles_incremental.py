"""Profiles, sessions and scores on a real lake: released piece by piece they equal one release of everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from jobs.lake.backfills.slices import UsersSlice
from jobs.lake.contracts import contract
from jobs.lake.families.backfilled import Backfilled, is_of
from jobs.lake.ledger import Ledger
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from jobs.lake.work import Work, input_versions, pending
from tests.jobs.lake.profile_histories import AS_OF, STEPS, Histories, Row
from tests.jobs.stories import ZONE

FAMILIES = ("profiles", "sessions", "scores")  # scores read profiles
EXACT = (
    "gold.user_days",
    "gold.user_interest_days",
    "gold.user_interests",
    "gold.user_profiles",
    "gold.user_scores",
    "silver.sessions",
)
HISTORY, SEGMENTS = "gold.user_profiles_history", "gold.segment_daily"
FACTS = ("views", "likes", "orders")
NIGHT = datetime(2026, 11, 1, tzinfo=UTC)
FILLED = {
    "string": "0",
    "bigint": 0,
    "int": 0,
    "boolean": False,
    "date": date(2026, 1, 1),
    "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
}


@dataclass
class Shop:
    """A lake that takes in the steps of random histories, as ingest would leave it."""

    settings: Settings
    spark: SparkSession
    versions: dict[int, dict[str, int]] = field(default_factory=dict)  # of the inputs, after each step

    @property
    def ledger(self) -> Ledger:
        """The small tables."""
        return Ledger(self.settings)

    def take_in(self, histories: Histories, step: int, since: int = 0) -> None:
        """Facts of the steps after `since`, entities as they are known now, and the papers of the batch."""
        silver = histories.silver(step)
        for name in FACTS:
            self._put(f"silver.{name}", [row for row in silver[name] if row["ingest_seq"] > since])
        for name in ("users", "videos", "products"):
            table = f"silver.{name}"
            rows = [self._filled(table, row) for row in silver[name]]
            self.ledger.replace(table, rows, on_version=self.ledger.open(table).version())
        for seq in range(since + 1, step + 1):
            self._book(seq, [row for name in FACTS for row in silver[name] if row["ingest_seq"] == seq])
        self._complete(step)
        self.versions[step] = input_versions(self.ledger, self.settings, "profiles")

    def release(self, hour: int, *, full: bool = False) -> None:
        """Build, check and release whatever waits, family by family."""
        for family in FAMILIES:
            runner = Runner(self.settings, family, f"run-{hour}", lambda _: self.spark)
            for outcome in (runner.build(NIGHT + timedelta(hours=hour), full=full), runner.check(), runner.release()):
                assert outcome.outcome == "done", (family, outcome.message)
            assert pending(self.ledger, self.settings, family).reasons == ()

    def rows(self, table: str) -> list[Row]:
        """All rows of a table, in the order of its grain."""
        keys = contract(table, self.settings.schemas_dir).grain
        found: list[Row] = DeltaTable(self.settings.table_path(table)).to_pyarrow_table().to_pylist()
        return sorted(found, key=lambda row: [row[key] for key in keys])

    def _put(self, table: str, rows: Sequence[Row]) -> None:
        self.ledger.append(table, [self._filled(table, row) for row in rows])

    def _filled(self, table: str, row: Row) -> Row:
        """Every required column has something in it, and structs have names."""
        promised = contract(table, self.settings.schemas_dir)
        full = {column.name: FILLED[column.type] for column in promised.columns if column.required} | row
        for name in ("lines", "refund_lines"):
            if full.get(name):
                fields = [field for field, _ in promised.column(name).kind.children[0][1].children]
                full[name] = [dict(zip(fields, line, strict=True)) for line in full[name]]
        return full

    def _book(self, seq: int, facts: Sequence[Row]) -> None:
        known: dict[str, Any] = {"ingest_seq": seq, "recorded_at": NIGHT}
        counts = {"received": 1, "accepted": 1, "duplicate": 0, "conflict": 0, "quarantined": 0, "balanced": True}
        place = {"topic": "views", "topic_id": "t", "partition": 0, "offset_from": seq, "offset_to": seq + 1}
        days = sorted({row["event_date"] for row in facts})
        touched = [known | {"table": "silver.views", "day": day, "cause": "new_facts", "rows": 1} for day in days]
        self.ledger.append("ops.touched", touched)
        self.ledger.append("ops.books", [known | {"run_id": "r"} | place | counts])

    def _complete(self, step: int) -> None:
        """The source says that the day of the step is over."""
        until = datetime.combine(AS_OF[step] + timedelta(days=1), time(), ZONE).astimezone(UTC)
        said = {"ingest_seq": step, "source": "tests", "complete_until": until, "is_final": False, "recorded_at": NIGHT}
        lines = [said | {"topic": topic, "offsets_reached": True} for topic in FACTS]
        self.ledger.append("ops.watermarks", lines)


@pytest.fixture(scope="module")
def histories() -> Histories:
    return Histories(120, seed=11)


@pytest.fixture(scope="module")
def at_once(histories: Histories, tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Shop:
    """One batch, one release."""
    shop = _shop(tmp_path_factory.mktemp("at-once"), spark)
    shop.take_in(histories, STEPS[-1])
    shop.release(0)
    return shop


@pytest.fixture(scope="module")
def step_by_step(histories: Histories, tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Shop:
    """A batch and a release at each step."""
    shop = _shop(tmp_path_factory.mktemp("step-by-step"), spark)
    for step in STEPS:
        shop.take_in(histories, step, since=step - 1)
        shop.release(step)
    return shop


@pytest.mark.parametrize("table", EXACT)
def test_step_by_step_equals_at_once(table: str, at_once: Shop, step_by_step: Shop) -> None:
    assert len(at_once.rows(table)) >= (60 if table == "gold.user_scores" else 120)
    assert step_by_step.rows(table) == at_once.rows(table)


def test_every_step_leaves_its_mark_in_the_history(step_by_step: Shop) -> None:
    rows = step_by_step.rows(HISTORY)
    assert {row["known_from"] for row in rows} == {NIGHT + timedelta(hours=step) for step in STEPS}
    newest = {row["user_id"]: row for row in sorted(rows, key=lambda row: row["known_from"])}
    for profile in step_by_step.rows("gold.user_profiles"):
        known = newest[profile["user_id"]]
        assert {name: known[name] for name in profile if name != "as_of_day"} == {
            name: value for name, value in profile.items() if name != "as_of_day"
        }


def test_segments_end_with_the_people_of_the_profiles_and_the_tiers_of_the_scores(step_by_step: Shop) -> None:
    """And their days have no gap, from the first release's to the last one's."""
    rows = step_by_step.rows(SEGMENTS)
    days = {row["as_of_day"] for row in rows}
    assert days == {AS_OF[1] + timedelta(days=n) for n in range(8)}
    counts = Counter[tuple[str, str]]()
    for row in rows:
        if row["as_of_day"] == AS_OF[STEPS[-1]] and row["segment"] != "(outside)":
            counts[row["dimension"], row["segment"]] += row["people_count"]
    people = [row for row in step_by_step.rows("gold.user_profiles") if not row["is_minor"]]
    assert {word: n for (name, word), n in counts.items() if name == "generation" and n} == Counter(
        row["generation"] for row in people
    )
    tiers = Counter(row["value_tier"] for row in step_by_step.rows("gold.user_scores") if row["value_tier"])
    assert {tier: counts["value_tier", tier] for tier in tiers} == tiers
    assert len(tiers) == 3


@dataclass
class Damaged:
    """A lake in which what the family has published of some users is lost, with inputs as a step left them."""

    shop: Shop
    family: str
    lost: UsersSlice

    def lake(self, *, is_hurt: bool) -> Lake:
        """The lake, hurt or not."""
        made, read = Lake(self.shop.settings, self.shop.spark), Lake.read
        if is_hurt:
            made.read = lambda table, version=None: self._hurt(table, read(made, table, version))  # type: ignore[method-assign]
        return made

    def work(self, seq_from: int, seq_to: int) -> Work:
        """A run on the inputs as they were when step `seq_to` was the newest."""
        versions = self.shop.versions[seq_to]
        level = pending(self.shop.ledger, self.shop.settings, self.family).watermark
        return Work(self.family, "backfill", False, (), seq_from, seq_to, level, level, NIGHT, versions)

    def _hurt(self, table: str, rows: DataFrame) -> DataFrame:
        is_own = contract(table, self.shop.settings.schemas_dir).family == self.family and table != HISTORY
        return rows.where(~is_of(self.lost)) if is_own else rows


@pytest.mark.parametrize("family", ["profiles", "sessions"])
def test_a_backfill_made_before_the_last_step_restores_its_users_as_they_are_now(
    family: str, step_by_step: Shop
) -> None:
    here, module = Damaged(step_by_step, family, UsersSlice(1, 2)), import_module(f"jobs.lake.families.{family}")
    *_, before, last = STEPS
    lake = here.lake(is_hurt=False)
    made = {s.table: lake.keep(s.frame) for s in module.stage_slice(lake, here.work(-1, before), here.lost)}
    swap = module.stage(here.lake(is_hurt=True), here.work(before, last), [Backfilled(here.lost, made)])
    for staged in [each for each in swap if each.table != HISTORY]:
        assert staged.mode == "replace_all"
        found = sorted(map(repr, staged.frame.select(*lake.read(staged.table).columns).collect()))
        assert found == sorted(map(repr, lake.read(staged.table).collect())), staged.table


def test_building_everything_anew_changes_no_number_and_no_history(step_by_step: Shop) -> None:
    before = {table: step_by_step.rows(table) for table in (*EXACT, HISTORY, SEGMENTS)}
    step_by_step.release(9, full=True)
    assert {table: step_by_step.rows(table) for table in before} == before


def _shop(home: Path, spark: SparkSession) -> Shop:
    return Shop(Settings(home=home, spark_remote="", spark_master=""), spark)
