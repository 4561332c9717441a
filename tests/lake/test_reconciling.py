"""Before a release bronze, silver and gold are counted anew, against each other; a row too few or too many stops it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from jobs.drills.records import NOON, body_of, record
from jobs.lake.errors import BooksError, QualityError
from jobs.lake.ledger import Ledger
from jobs.lake.owing import owed
from jobs.lake.publications import latest
from jobs.lake.reconciling import reconciled
from jobs.lake.recounting import recounted
from jobs.lake.repairing import mend
from jobs.lake.runner import Runner, family_module
from jobs.lake.settings import Settings
from jobs.lake.small_engine import small_lake
from jobs.lake.staging import Line, Verdict
from jobs.lake.tables import Lake
from jobs.lake.work import pending
from tests.lake.conftest import as_it_was
from tests.lake.small_shop import ingest, put, watched

AT = datetime(2026, 12, 1, tzinfo=UTC)
FAMILIES = ("sessions", "profiles", "funnels")
TOLD_BY_OTHERS = ("gold.funnel_attempts", "gold.funnel_openings")  # of what is summed up from them
FRIDAY, SATURDAY = date(2026, 11, 20), date(2026, 11, 21)
MIDNIGHT = NOON + timedelta(hours=12)  # in Shanghai
STAGED = {
    "sessions": ("silver.sessions",),
    "profiles": ("gold.user_days", "gold.user_interest_days", "gold.user_interests", "gold.user_profiles",
                 "gold.user_profiles_history"),
    "funnels": ("gold.funnel_attempts", "gold.funnel_openings", "gold.funnel_daily", "gold.funnel_conversions",
                "gold.funnel_paths"),
}  # fmt: skip


@pytest.fixture(scope="session")
def shop(published: Settings, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of the small shop in which every family is staged: somebody buys, and is there over midnight."""
    home = tmp_path_factory.mktemp("reconciled") / "shop"
    made = at(published, Path(shutil.copytree(as_it_was(published), home)))
    put(made, [watched(7, 88, MIDNIGHT - timedelta(minutes=20), is_refused=False), *bought(), nobody(), described()])
    ingest(made, spark)
    for family in FAMILIES:
        Runner(made, family, "before", none_here).build(AT)
    return made


def bought() -> Iterator[object]:
    """What the seventh person does after a video, the last of it after midnight."""
    steps = [("likes", {"kind": "like"}), ("views", {"kind": "product_view", "product_id": "p1", "video_id": None}),
             ("orders", {"kind": "placed"}), ("orders", {"kind": "paid"}),
             ("orders", {"kind": "shipped"})]  # fmt: skip
    for number, (topic, fields) in enumerate(steps):
        when = MIDNIGHT + timedelta(minutes=7 * (number - 2))
        yield record(topic, body_of(topic, 200 + number, at=when, user_id="u7", **fields), at=when)


def described() -> object:
    """What the seventh person says of themselves, and agrees to."""
    body = body_of("users", 301, at=NOON, user_id="u7", birth_year=1990, consent=["personalisation", "marketing"])
    return record("users", body, at=NOON)


def nobody() -> object:
    """A view on a device on which nobody ever logged in."""
    body = body_of("views", 300, at=NOON, user_id="d77", device_id="d77", watch_ms=60_000, duration_ms=60_000)
    return record("views", body, at=NOON)


@pytest.fixture(scope="session")
def grown(shop: Settings, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of it with profiles released; what two people do since, and the scores, are staged on top of them."""
    home = tmp_path_factory.mktemp("grown") / "shop"
    made = at(shop, Path(shutil.copytree(shop.home, home)))
    approved(Runner(made, "profiles", "first", none_here)).release()
    Runner(made, "scores", "scores", lambda _: spark).build(AT)
    later = MIDNIGHT + timedelta(hours=1)
    put(made, [watched(person, 82 + person, later, is_refused=False) for person in (7, 10)])
    ingest(made, spark)
    Runner(made, "profiles", "second", none_here).build(AT + timedelta(hours=1))
    return made


def at(settings: Settings, home: Path) -> Settings:
    changed = {"home": home, "schemas_dir": home / "schemas", "kafka_bootstrap_servers": f"file:{home / 'topics'}"}
    return settings.model_copy(update=changed)


def none_here(_: Settings) -> SparkSession:
    raise AssertionError("a small run asked for Spark")


@pytest.fixture
def mine(shop: Settings, tmp_path: Path) -> Settings:
    """A copy for a test that does harm."""
    return at(shop, Path(shutil.copytree(shop.home, tmp_path / "shop")))


def lines_of(lake: Lake, family: str) -> list[Line]:
    staging = Runner(lake.settings, family, "look", none_here).staging
    manifest = staging.manifest()
    assert manifest is not None
    return reconciled(lake, family_module(family), staging, manifest)


def staged(settings: Settings, table: str) -> DeltaTable:
    return DeltaTable(f"{settings.lake_root}/staging/{table.replace('.', '/')}")


def without_a_row(place: DeltaTable) -> None:
    rows = place.to_pyarrow_table()
    at = next(n for n, row in enumerate(rows.to_pylist()) if is_counted(row))
    kept = pa.concat_tables([rows.slice(0, at), rows.slice(at + 1)])
    write_deltalake(place, kept, mode="overwrite")


def with_a_row_twice(place: DeltaTable) -> None:
    rows = place.to_pyarrow_table()
    at = next(n for n, row in enumerate(rows.to_pylist()) if is_counted(row))
    write_deltalake(place, rows.slice(at, 1), mode="append")


def without_any(place: DeltaTable) -> None:
    write_deltalake(place, place.to_pyarrow_table().slice(0, 0), mode="overwrite")


BOTH = (without_a_row, with_a_row_twice)
HARMS: dict[str, tuple[Callable[[DeltaTable], None], ...]] = {
    "gold.funnel_paths": (without_any,),  # of which whole groups are compared
    "gold.user_profiles_history": (without_a_row,),  # a state may well be there twice; its grain is for the contract
}
MADE_LATER: dict[str, tuple[str, tuple[Callable[[DeltaTable], None], ...]]] = {
    "gold.user_interest_days": ("profiles", (with_a_row_twice,)),  # of a row less, the one that is out stays
    "gold.user_interests": ("profiles", (with_a_row_twice,)),
    "gold.user_profiles": ("profiles", BOTH),
    "gold.user_profiles_history": ("profiles", (without_a_row,)),
    "gold.user_scores": ("scores", BOTH),
    "gold.retention_weekly": ("scores", BOTH),
    "gold.segment_daily": ("scores", BOTH),
}


def test_an_unchanged_staging_adds_up_on_either_engine(shop: Settings, spark: SparkSession) -> None:
    with small_lake(shop) as lake:
        found = {family: lines_of(lake, family) for family in FAMILIES}
    assert found == {family: lines_of(Lake(shop, spark), family) for family in FAMILIES}
    assert [line for lines in found.values() for line in lines if not line.adds_up] == []
    told = {(line.table, line.equation, line.slice): line for lines in found.values() for line in lines}
    friday, saturday = (told["silver.sessions", "acts", day] for day in (FRIDAY, SATURDAY))
    assert (friday.left_out, saturday.left_out) == (
        {"of_sessions_that_go_on": -2}, {"of_sessions_begun_before": 2}
    )  # fmt: skip
    assert told["gold.user_days", "views", FRIDAY].left_out == {"of_nobody_we_know": 1}
    assert told["gold.user_days", "acts", SATURDAY].output_rows == 2  # what is shipped is nobody's own act
    assert {
        line.output_rows for key, line in told.items() if key[:2] == ("gold.funnel_conversions", "conversions")
    } == {1}
    assert {line.table for line in told.values()} >= {"gold.funnel_daily", "gold.funnel_paths"}


def test_a_row_too_few_or_too_many_in_staging_is_found_in_every_table(shop: Settings) -> None:
    with small_lake(shop) as lake:
        for family, tables in STAGED.items():
            for table in tables:
                for harm in HARMS.get(table, BOTH):
                    assert is_found(lake, family, table, harm), (table, harm.__name__)


def is_found(lake: Lake, family: str, table: str, harm: Callable[[DeltaTable], None]) -> bool:
    """Whether a line of that table, or of one that is summed up from it, is off then."""
    place = staged(lake.settings, table)
    version = place.version()
    harm(place)
    lines = as_staged_now(lake, family, table)
    place.restore(version)
    return any(line.is_off and (line.table == table or table in TOLD_BY_OTHERS) for line in lines)


def test_what_is_merged_and_what_is_scored_adds_up_on_either_engine(grown: Settings, spark: SparkSession) -> None:
    """Of profiles only those of whom anything is new are looked at; scores are made anew."""
    with small_lake(grown) as lake:
        found = {family: lines_of(lake, family) for family in ("profiles", "scores")}
    assert found == {family: lines_of(Lake(grown, spark), family) for family in found}
    assert [line for lines in found.values() for line in lines if not line.adds_up] == []
    told = {(line.table, line.equation, line.part): line.output_rows for lines in found.values() for line in lines}
    of_profiles = {equation: n for (table, equation, _), n in told.items() if table == "gold.user_profiles"}
    assert (of_profiles["people"], of_profiles["orders"]) == (2, 1)
    assert of_profiles["net_fen"] == told["gold.user_scores", "net_fen", ""] > 0
    assert told["gold.user_profiles_history", "states", ""] == 2
    assert told["gold.user_interest_days", "purchases", ""] == 1
    assert told["gold.user_interests", "interest", ""] > 0
    assert told["gold.user_scores", "buyers", ""] == 1
    everybody = told["gold.segment_daily", "people", "lifecycle"]
    assert everybody == told["gold.retention_weekly", "people", "calendar 2026-11-16"] > 2


@pytest.mark.parametrize("table", MADE_LATER)
def test_a_row_too_few_or_too_many_is_found_in_what_is_merged_and_scored(grown: Settings, table: str) -> None:
    family, harms = MADE_LATER[table]
    with small_lake(grown) as lake:
        for harm in harms:
            assert is_found(lake, family, table, harm), harm.__name__


def is_counted(row: dict[str, object]) -> bool:
    """A row that has anything: days without have rows of zeros."""
    if row.get("fact") in ("views", "likes"):  # of interest, only purchases are counted
        return False
    named = ("event_count", "attempts_count", "conversions_count", "attempt_count", "people_count", "active_count")
    return any(row.get(name) for name in named) or not any(name in row for name in named)


def as_staged_now(lake: Lake, family: str, table: str) -> list[Line]:
    """As `lines_of`, for a staging that was tampered with: of the table what lies there now."""
    staging = Runner(lake.settings, family, "look", none_here).staging
    manifest = staging.manifest()
    assert manifest is not None
    now = [
        each.model_copy(update={"version": staged(lake.settings, table).version()}) if each.table == table else each
        for each in manifest.tables
    ]
    return reconciled(lake, family_module(family), staging, manifest.model_copy(update={"tables": tuple(now)}))


def test_a_day_that_does_not_add_up_is_not_released_and_held(mine: Settings) -> None:
    runner = Runner(mine, "sessions", "harmed", none_here)
    manifest, place = runner.staging.manifest(), staged(mine, "silver.sessions")
    assert manifest is not None
    write_deltalake(place, place.to_pyarrow_table().slice(0, 0), mode="overwrite")
    one = manifest.tables[0].model_copy(update={"version": place.version()})
    runner.staging.put(manifest.model_copy(update={"tables": (one,)}))
    with pytest.raises(
        QualityError, match=r"silver.sessions on 2026-11-20: acts_add_up failed .*2026-11-20: \d+ acts in"
    ):
        runner.check()
    with pytest.raises(QualityError, match="has not passed"):
        runner.release()
    assert latest(runner.ledger, "sessions") is None
    assert FRIDAY in pending(runner.ledger, mine, "sessions").held
    assert "sessions" not in Ledger(mine).read("ops.reconciliations")["family"].to_pylist()


def approved(runner: Runner) -> Runner:
    """Say that what is staged has passed."""
    manifest = runner.staging.manifest()
    assert manifest is not None
    runner.staging.put(Verdict(fingerprint=manifest.fingerprint, verdict="passed"))
    return runner


def test_a_silver_row_removed_behind_our_back_stops_the_release_until_it_is_back(
    mine: Settings, spark: SparkSession
) -> None:
    ledger, runner = Ledger(mine), Runner(mine, "sessions", "run-1", none_here)
    views = ledger.open("silver.views")
    before = sorted(views.to_pyarrow_table().to_pylist(), key=repr)
    views.delete(f"event_id = '{before[0]['event_id']}'")
    words = (
        r"silver.views: batch \d+, views/0: the books say \d+, there are \d+. Nothing was released.*repair silver.views"
    )
    with pytest.raises(BooksError, match=words):
        runner.check()
    with pytest.raises(BooksError, match=words):
        approved(runner).release()
    runner.staging.put(Verdict(fingerprint="none", verdict="passed"))
    assert owed(ledger).lacking("silver.views") == 1
    assert mend(mine, "silver.views", "repair", lambda _: spark) is not None
    assert sorted(ledger.read("silver.views").to_pylist(), key=repr) == before
    assert mend(mine, "silver.views", "repair", lambda _: spark) is None
    assert runner.check().outcome == "done"
    runner.release()
    ours = pc.field("family") == "sessions"
    booked = {
        (row["table"], row["equation"], row["day"]): row
        for row in ledger.read("ops.reconciliations", filter=ours).to_pylist()
    }
    assert {row["release_id"] for row in booked.values()} == {"sessions-000001"}
    ledger.open("silver.views").delete(f"event_id = '{before[1]['event_id']}'")
    with pytest.raises(
        BooksError, match=r"silver.views: the books say \d+ rows of all batches, there are \d+ \(perhaps"
    ):
        recounted(ledger, ("silver.views",), int(max(ledger.read("ops.books")["ingest_seq"].to_pylist())))
    assert booked["silver.views", "rows_of_batches", None]["rows_in"] == len(before)
    assert booked["silver.sessions", "acts", FRIDAY]["left_out"] == [("of_sessions_that_go_on", -2)]
