"""Profiles, sessions and scores on a real lake: released piece by piece they equal one release of everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from jobs.lake import runner
from jobs.lake.backfills.slices import UsersSlice
from jobs.lake.contracts import contract
from jobs.lake.families import profiles, sessions
from jobs.lake.families.backfilled import Backfilled, is_of
from jobs.lake.ledger import Ledger
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from jobs.lake.work import Work, input_versions, pending
from tests.jobs.lake.profile_histories import AS_OF, STEPS, Histories, Row
from tests.jobs.stories import ZONE

FAMILIES = ("profiles", "sessions", "scores")  # scores read profiles
GROWING = ("profiles", "sessions")  # made little by little
DISPLACED = 8  # o'clock: the release after facts were taken away
EXACT = (
    "gold.user_days",
    "gold.user_interest_days",
    "gold.user_interests",
    "gold.user_profiles",
    "gold.user_scores",
    "silver.identity_edges",
    "silver.sessions",
)
HISTORY, SEGMENTS = "gold.user_profiles_history", "gold.segment_daily"
SESSIONS, HALF = "silver.sessions", UsersSlice(1, 2)
REMADE = (SESSIONS, "gold.user_days", "gold.user_interest_days")  # slice by slice
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
    versions: dict[int, dict[str, int]] = field(default_factory=dict)  # of all tables, after each step's release

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

    def release(self, hour: int, which: Sequence[str] = FAMILIES, *, full: bool = False) -> None:
        """Build, check and release whatever waits, family by family."""
        for family in which:
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

    def displace(self, many: int) -> None:
        """An earlier arrival gives every so many a view of one user to another, and takes another's away whole."""
        seq = STEPS[-1] + 1
        views = sorted(self.rows("silver.views"), key=lambda row: str(row["event_id"]))
        taken = views[:: len(views) // many]
        names = ", ".join(f"'{row['event_id']}'" for row in taken)
        self.ledger.open("silver.views").delete(f"event_id IN ({names})")
        moved = [row | {"user_id": other["user_id"], "ingest_seq": seq} for row, other in pairwise(taken[::2])]
        self._put("silver.views", moved)
        self._book(seq, moved)
        lost = {(row["user_id"], row["event_date"]) for row in taken}
        booked = {"ingest_seq": seq, "table": "silver.views", "cause": "displaced", "rows": 1, "recorded_at": NIGHT}
        self.ledger.append("ops.touched", [booked | {"subject": whose, "day": day} for whose, day in lost])

    def _complete(self, step: int) -> None:
        """The source says that the day of the step is over."""
        said = {
            "ingest_seq": step,
            "source": "tests",
            "complete_until": day_end(step),
            "is_final": False,
            "recorded_at": NIGHT,
        }
        lines = [said | {"topic": topic, "offsets_reached": True} for topic in FACTS]
        self.ledger.append("ops.watermarks", lines)


def day_end(step: int) -> datetime:
    """When the day of a step is over."""
    return datetime.combine(AS_OF[step] + timedelta(days=1), time(), ZONE).astimezone(UTC)


@pytest.fixture(scope="module", autouse=True)
def _papers_by_hand() -> Iterator[None]:
    """The books of this lake say one record a batch, and it has no bronze; they are not what is looked at here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "recounted", lambda *_: [])
        yield


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Shop:
    """A batch and a release at each step; the last batch takes facts away. Scores follow twice: they are made anew."""
    shop = Shop(Settings(home=tmp_path_factory.mktemp("step-by-step"), spark_remote="", spark_master=""), spark)
    histories = Histories(120, seed=11)
    for step in STEPS:
        shop.take_in(histories, step, since=step - 1)
        shop.release(step, FAMILIES if step == STEPS[0] else GROWING)
        named = {*EXACT, HISTORY} - {"gold.user_scores"}
        read = {
            name: seen
            for family in GROWING
            for name, seen in input_versions(shop.ledger, shop.settings, family).items()
        }
        shop.versions[step] = read | {name: shop.ledger.version(name) for name in named}
    shop.displace(40)
    shop.release(DISPLACED)
    return shop


class WithoutHalf(Lake):
    """The lake as it was after the release of a step, with what is made anew of half of the users lost."""

    def __init__(self, shop: Shop, released: int | None = None) -> None:
        super().__init__(shop.settings, shop.spark)
        self.versions = shop.versions[released] if released else {}

    def read(self, table: str, version: int | None = None) -> DataFrame:
        rows = super().read(table, self.versions.get(table) if version is None else version)
        return rows.where(~is_of(HALF)) if table in REMADE else rows


@pytest.fixture(scope="module")
def grown(shop: Shop) -> dict[str, list[Row]]:
    """All tables as the small releases left them."""
    return {table: shop.rows(table) for table in (*EXACT, HISTORY, SEGMENTS)}


@pytest.fixture(scope="module")
def rebuilt(shop: Shop, grown: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """All tables after building everything anew, by Spark."""
    by_spark = replace(shop, settings=shop.settings.model_copy(update={"small_run_rows": 0}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, "_judge", lambda *_: [])  # the comparison is stricter, and takes no half minute
        by_spark.release(DISPLACED + 1, full=True)
    return {table: shop.rows(table) for table in grown}


@pytest.mark.parametrize("table", [*EXACT, HISTORY, SEGMENTS])
def test_small_releases_equal_a_rebuild(table: str, grown: dict[str, list[Row]], rebuilt: dict[str, list[Row]]) -> None:
    assert len(grown[table]) >= 60
    assert grown[table] == rebuilt[table]


def test_a_backfill_of_sessions_made_before_the_last_batches_ends_in_what_they_are_now(shop: Shop) -> None:
    def work(seq_from: int, seq_to: int, versions: dict[str, int]) -> Work:
        return Work("sessions", "backfill", False, (), seq_from, seq_to, None, None, NIGHT, versions)

    lake, early = WithoutHalf(shop), STEPS[1]
    stale = sessions.stage_slice(lake, work(-1, early, shop.versions[STEPS[-1]]), HALF)
    made = {staged.table: lake.keep(staged.frame) for staged in stale}
    now = input_versions(shop.ledger, shop.settings, "sessions")
    (staged,) = sessions.stage(lake, work(early, DISPLACED, now), [Backfilled(HALF, made)])
    columns = lake.contract(SESSIONS).names
    mine, public = (made[SESSIONS].select(*columns).collect(), Lake(shop.settings, shop.spark).read(SESSIONS))
    assert staged.mode == "replace_all"
    assert sorted(map(repr, staged.frame.select(*columns).collect())) == sorted(map(repr, public.collect()))
    assert sorted(map(repr, mine)) != sorted(map(repr, public.where(is_of(HALF)).collect()))


def test_a_backfill_of_profiles_made_before_the_last_batches_ends_in_what_they_are_now(shop: Shop) -> None:
    """Slices of the facts of the first step, beside a live run that has released another since."""
    first, released, last = STEPS
    lake = WithoutHalf(shop, released)
    until, at = day_end(last), NIGHT + timedelta(hours=20)
    before = Work("profiles", "b", True, (), -1, first, until, None, at, shop.versions[first])
    made = {staged.table: lake.keep(staged.frame) for staged in profiles.stage_slice(lake, before, HALF)}
    now = Work("profiles", "b", False, (), min(first, released), last, until, None, at, shop.versions[last])
    found = {staged.table: staged for staged in profiles.stage(lake, now, [Backfilled(HALF, made)])}
    assert {table: staged.mode for table, staged in found.items() if staged.mode != "replace_all"} == {
        HISTORY: "append"
    }
    public = Lake(shop.settings, shop.spark)
    for table in ("silver.identity_edges", *REMADE[1:], "gold.user_interests", "gold.user_profiles"):
        columns = public.contract(table).names
        as_released = public.read(table, shop.versions[last][table]).select(*columns).collect()
        assert sorted(map(repr, found[table].frame.select(*columns).collect())) == sorted(map(repr, as_released)), table
    for table, rows in made.items():
        columns = public.contract(table).names
        theirs = public.read(table, shop.versions[last][table]).where(is_of(HALF))
        assert sorted(map(repr, rows.select(*columns).collect())) != sorted(
            map(repr, theirs.select(*columns).collect())
        )


def test_every_step_leaves_its_mark_in_the_history(grown: dict[str, list[Row]]) -> None:
    rows = grown[HISTORY]
    assert {row["known_from"] for row in rows} == {NIGHT + timedelta(hours=hour) for hour in (*STEPS, DISPLACED)}
    newest = {row["user_id"]: row for row in sorted(rows, key=lambda row: row["known_from"])}
    for profile in grown["gold.user_profiles"]:
        known = newest[profile["user_id"]]
        assert {name: known[name] for name in profile if name != "as_of_day"} == {
            name: value for name, value in profile.items() if name != "as_of_day"
        }


def test_segments_end_with_the_people_of_the_profiles_and_the_tiers_of_the_scores(grown: dict[str, list[Row]]) -> None:
    """And their days have no gap, from the first release's to the last one's."""
    rows = grown[SEGMENTS]
    days = {row["as_of_day"] for row in rows}
    assert days == {AS_OF[1] + timedelta(days=n) for n in range(8)}
    counts = Counter[tuple[str, str]]()
    for row in rows:
        if row["as_of_day"] == AS_OF[STEPS[-1]] and row["segment"] != "(outside)":
            counts[row["dimension"], row["segment"]] += row["people_count"]
    people = [row for row in grown["gold.user_profiles"] if not row["is_minor"]]
    assert {word: n for (name, word), n in counts.items() if name == "generation" and n} == Counter(
        row["generation"] for row in people
    )
    tiers = Counter(row["value_tier"] for row in grown["gold.user_scores"] if row["value_tier"])
    assert {tier: counts["value_tier", tier] for tier in tiers} == tiers
    assert len(tiers) == 3
