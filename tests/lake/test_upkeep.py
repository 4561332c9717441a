"""Upkeep changes how many files there are, never what anybody reads."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake import kill_points
from jobs.lake.clock import now
from jobs.lake.errors import LeaseError, UsageError
from jobs.lake.kill_points import Killed, heard
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.publications import Publication, latest, publish, published, release_id
from jobs.lake.runner import lease_name
from jobs.lake.settings import Settings
from jobs.lake.staging import Manifest, Staging, Ticket
from jobs.serve.duck import connect
from jobs.serve.tables import open_table
from jobs.upkeep import files
from jobs.upkeep.between import Between
from jobs.upkeep.files import MANY_SMALL, Tidied
from jobs.upkeep.rounds import LEDGER_LEASE, Round, chosen_tables, groups
from tests.lake.toys import FAMILY, MONDAY, NOON, TABLES, Toys, take_over
from tests.lake.toys import toys as make_toys

WEEK = timedelta(days=7)


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    """A lake with one release, in many small files; all of it without Spark."""
    toys = make_toys(tmp_path, spark=None)
    add_rows(toys, MANY_SMALL)
    publish_all(toys, 1, now())
    return toys


def add_rows(toys: Toys, count: int) -> None:
    """So many users, a file each, in every gold table."""
    for number in range(count):
        user = {"user_id": f"user-{number}", "play_count": number}
        toys.ledger.append("gold.toy_users", [user])
        toys.ledger.append("gold.toy_log", [{**user, "known_from": NOON}])
        toys.ledger.append("gold.toy_days", [{"event_date": MONDAY + timedelta(days=number), "play_count": number}])


def publish_all(toys: Toys, number: int, at: datetime) -> None:
    """Publish the newest version of every table."""
    common: dict[str, Any] = {"slices": (), "ingest_seq": 1, "watermark": None, "contract_version": "1.0.0", "rows": 1}
    facts = {"release_id": release_id(FAMILY, number), "family": FAMILY, "verdict": "passed", "run_id": f"run-{number}"}
    lines = [Publication(table=t, version=toys.ledger.version(t), known_from=at, **facts, **common) for t in TABLES]
    publish(toys.ledger, FAMILY, number, lines)


def tidy(toys: Toys, *tables: str, keep: timedelta = WEEK, at: datetime | None = None) -> dict[str, Tidied]:
    """One round over the tables, `at` (default: now)."""
    turn = Round(toys.settings, "upkeep", keep, at or now(), print)
    return {done.table: done for done in turn.tidy(tables)}


def read(toys: Toys) -> dict[str, list[Any]]:
    return {table: toys.rows(table, line.version) for table, line in published(toys.ledger).items()}


def test_many_small_files_become_one_and_the_rows_stay(toys):
    before = read(toys)
    done = tidy(toys, *TABLES)
    assert {table: (one.files, one.compacted) for table, one in done.items()} == dict.fromkeys(TABLES, (1, MANY_SMALL))
    assert read(toys) == before


def test_readers_get_the_compacted_version_as_the_same_release_rewritten(toys):
    old = latest(toys.ledger, FAMILY)
    tidy(toys, *TABLES)
    new = latest(toys.ledger, FAMILY)
    assert old is not None
    assert new is not None
    assert (new.number, new.facts.run_id, new.facts.known_from) == (2, old.facts.run_id, old.facts.known_from)
    files = {
        table: len(DeltaTable(toys.ledger.path(table), version=v).file_uris()) for table, v in new.versions.items()
    }
    assert files == dict.fromkeys(TABLES, 1)


def test_a_tidy_lake_is_left_alone(toys):
    tidy(toys, *TABLES)
    versions = {table: toys.ledger.version(table) for table in TABLES}
    again = tidy(toys, *TABLES)
    assert {table: toys.ledger.version(table) for table in TABLES} == versions
    assert {one.compacted + one.vacuumed for one in again.values()} == {0}


def test_killed_before_it_publishes_readers_stay_where_they_were_and_the_next_round_ends_it(toys, monkeypatch):
    before, old = read(toys), latest(toys.ledger, FAMILY)
    monkeypatch.setenv(kill_points.VARIABLE, "raise:upkeep.before_publications")
    with pytest.raises(Killed):
        tidy(toys, *TABLES)
    monkeypatch.delenv(kill_points.VARIABLE)
    assert latest(toys.ledger, FAMILY) == old
    done = tidy(toys, *TABLES)
    assert {one.files for one in done.values()} == {1}
    assert read(toys) == before


def test_a_release_half_done_is_left_to_be_finished(toys):
    staging = Staging(toys.settings, FAMILY)
    manifest = Manifest(
        family=FAMILY, run_id="run-2", base_run_id="run-1", full=False, days=(), held=(), ingest_seq_from=1,
        ingest_seq_to=2, released_seq=2, watermark=None, known_from=NOON, silver_versions={}, tables=(),
    )  # fmt: skip
    staging.put(manifest)
    staging.put(Ticket(fingerprint=manifest.fingerprint, number=2, base={}))
    assert tidy(toys, *TABLES) == {}


def test_vacuum_keeps_the_files_of_every_release_young_enough_and_of_the_newest(toys):
    tidy(toys, *TABLES)
    month_later = now() + timedelta(days=30)
    assert tidy(toys, "gold.toy_days")["gold.toy_days"].vacuumed == 0
    done = tidy(toys, *TABLES, keep=timedelta(0), at=month_later)
    assert {one.vacuumed for one in done.values()} == {MANY_SMALL}
    assert len(open_table("gold.toy_users", "arrow", settings=toys.settings)) == MANY_SMALL


def test_vacuum_leaves_an_older_release_readable_for_as_long_as_promised(toys):
    tidy(toys, *TABLES)
    tidy(toys, *TABLES, keep=timedelta(minutes=30))  # to the vacuum itself, this is no time at all
    old = open_table("gold.toy_users", "arrow", release="toys-000001", settings=toys.settings)
    assert len(old) == MANY_SMALL


def test_vacuum_is_refused_below_the_oldest_run_at_work(toys):
    before = now()
    with (
        Leases(toys.ledger).held("family:others", "a reader"),
        pytest.raises(UsageError, match="--keep-days: a run at work reads what was there at"),
    ):
        tidy(toys, *TABLES, keep=timedelta(0), at=before + timedelta(minutes=1))


def test_a_family_at_work_is_not_tidied_meanwhile(toys):
    with (
        Leases(toys.ledger).held(lease_name(FAMILY), "a release"),
        pytest.raises(LeaseError, match="held by a release"),
    ):
        tidy(toys, *TABLES)


def test_upkeep_that_stood_still_until_another_run_released_publishes_nothing_over_that(toys):
    stood: list[int] = []

    def release_more() -> None:
        add_rows(toys, 1)
        publish_all(toys, 2, now())

    def another(point: str) -> None:
        if point == "upkeep.before_publications":
            take_over(toys.ledger, FAMILY, release_more)
            stood.append(toys.ledger.version("ops.publications"))

    with heard(another), pytest.raises(LeaseError, match="was lost, another"):
        tidy(toys, *TABLES)
    last = latest(toys.ledger, FAMILY)
    assert last is not None
    assert (last.number, last.facts.run_id) == (2, "run-2")
    assert stood == [toys.ledger.version("ops.publications")]


def test_an_ingest_that_never_ends_tidies_its_tables_between_batches(toys):
    for _ in range(MANY_SMALL):
        toys.ingest(("ann", MONDAY, 1))
    began, told, written = now(), [], ("ops.books", "ops.touched", "silver.plays")
    at = began
    before = toys.rows("silver.plays")

    def files() -> int:
        return sum(len(toys.ledger.open(table).file_uris()) for table in written)

    many = files()
    with Leases(toys.ledger, seconds=timedelta(days=9).total_seconds()).held("ingest", "the service"):
        between = Between(toys.settings, "the service", lambda: at, told.append)
        at = began + timedelta(minutes=4)
        between()
        assert (told, files()) == ([], many)
        at = began + timedelta(minutes=6)
        left = []
        while not told:
            between()
            left.append(files())
        assert left == [many - n * (MANY_SMALL - 1) for n in range(1, len(left))] + [left[-1]], "a table a time"
        assert len(left) >= len(written)
        assert len(toys.ledger.open("silver.plays").file_uris()) == 1
        at = began + timedelta(days=8)
        while len(told) < 2:
            between()  # also what lists whole tables, though this very run began long before what is kept
    checkpoints = (Path(toys.ledger.path("silver.plays")) / "_delta_log").glob("*.checkpoint.parquet")
    assert len(list(checkpoints)) == 1
    assert toys.rows("silver.plays") == before


def all_at_once(between, told):
    """Let a whole round pass; what it said."""
    told.clear()
    while not told or "written together" not in told[-1]:
        between()
    return [words for words in told if " waits: " in words]


def test_two_compactions_of_a_table_at_once_double_nothing(toys, monkeypatch):
    """Delta-rs lets the second one through, and every row would be there twice."""
    for _ in range(MANY_SMALL):
        toys.ingest(("ann", MONDAY, 1))
    began, told, promised, before = now(), [], files.contract, toys.rows("ops.books")
    at = began

    def overtaken(table, schemas):
        """Another compacts the table between its opening here and its compaction."""
        if table == "ops.books":
            toys.ledger.open(table).optimize.compact()
        return promised(table, schemas)

    between = Between(toys.settings, "the service", lambda: at, told.append)
    monkeypatch.setattr(files, "contract", overtaken)
    at = began + timedelta(minutes=6)
    (waits,) = all_at_once(between, told)
    assert waits.startswith("upkeep: ops.books waits: ops.books: another wrote its small files together")
    assert toys.rows("ops.books") == before
    at = began + timedelta(minutes=12)
    monkeypatch.setattr(files, "contract", promised)
    assert all_at_once(between, told) == []
    assert toys.rows("ops.books") == before


def test_an_ingest_that_never_ends_goes_on_where_upkeep_has_to_wait(toys):
    for _ in range(MANY_SMALL):
        toys.ingest(("ann", MONDAY, 1))
    began, told = now(), []
    at = began
    between = Between(toys.settings, "the service", lambda: at, told.append)
    at = began + timedelta(minutes=6)
    with Leases(toys.ledger).held(LEDGER_LEASE, "the nightly upkeep"):
        waits = all_at_once(between, told)
        with pytest.raises(LeaseError, match="upkeep:ledger is held by the nightly upkeep"):
            tidy(toys, "ops.touched")
    assert any(
        words.startswith("upkeep: ops.books waits: upkeep:ledger is held by the nightly upkeep") for words in waits
    )
    assert not any("silver.plays" in words for words in waits)
    at = began + timedelta(days=8)
    with Leases(toys.ledger, seconds=timedelta(days=9).total_seconds()).held("family:others", "a long backfill"):
        assert any("silver.plays waits: --keep-days: a run at work" in words for words in all_at_once(between, told))


def test_silver_waits_for_ingest_and_the_ledger_for_nobody(toys):
    for _ in range(MANY_SMALL):
        toys.ingest(("ann", MONDAY, 1))
    with Leases(toys.ledger).held("ingest", "the service"):
        assert tidy(toys, "ops.touched")["ops.touched"].files == 1
        with pytest.raises(LeaseError, match="ingest is held by the service"):
            tidy(toys, "silver.plays")
    assert tidy(toys, "silver.plays")["silver.plays"].files == 1


def test_heartbeats_leave_few_files_behind(toys):
    leases = Leases(toys.ledger)
    lease = leases.acquire("ingest", "the service")
    for _ in range(30):
        leases.renew(lease)
    leases.release(lease)
    done = tidy(toys, "ops.leases", at=now() + timedelta(hours=2))["ops.leases"]
    assert (done.files, done.rows) == (1, 2), "that of upkeep itself, too"


def test_no_personal_value_gets_into_the_log_by_compaction(toys):
    tidy(toys, *TABLES)
    log = Path(toys.ledger.path("gold.toy_users")) / "_delta_log"
    assert "play_count" in "".join(file.read_text() for file in log.glob("*.json"))
    assert "user-3" not in "".join(file.read_text() for file in log.glob("*.json"))


def test_groups_bring_every_table_once(toys):
    every = [table for members in groups(toys.settings).values() for table in members]
    assert sorted(every) == sorted(chosen_tables(toys.settings, [], []))
    assert len(set(every)) == len(every)
    assert set(chosen_tables(toys.settings, [FAMILY], [])) == set(TABLES)
    assert {"silver.plays", "ops.books"} <= set(chosen_tables(toys.settings, ["silver"], []))
    with pytest.raises(UsageError, match="'gold.nonsense' is no group or table; write all, ledger, toys, silver"):
        chosen_tables(toys.settings, [], ["gold.nonsense"])


def test_a_reader_at_work_keeps_its_files_unless_somebody_says_that_nobody_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    settings = Settings(home=tmp_path)
    ledger, told = Ledger(settings), {"command": "c", "table_or_family": "t", "outcome": "done", "detail": ""}
    for number in range(MANY_SMALL):
        ledger.append("ops.runs", [{**told, "run_id": str(number), "started_at": now(), "finished_at": now()}])
    reader = connect(settings, {"ops.runs": ledger.version("ops.runs")})
    words, count = ["upkeep", "--table", "ops.runs", "--keep-days", "0"], "SELECT count(run_id) FROM ops.runs"
    with pytest.raises(UsageError, match="--keep-days 0: whoever reads now may lose.*least 0.0833.*upkeep.md"):
        CliRunner().invoke(build_app(), words, catch_exceptions=False)
    CliRunner().invoke(build_app(), [*words[:-1], "0.0834"], catch_exceptions=False)
    assert reader.sql(count).fetchone() == (MANY_SMALL,)
    CliRunner().invoke(build_app(), [*words, "--despite-readers"], catch_exceptions=False)
    with pytest.raises(duckdb.Error):
        reader.sql(count).fetchone()
