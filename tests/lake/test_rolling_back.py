"""`reelhouse rollback` without a family: all go back to one moment, and readers see that of all or of none."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs.lake.clock import now
from jobs.lake.errors import LeaseError, UsageError, WriteError
from jobs.lake.holds import lift, make_good, rolled_back
from jobs.lake.kill_points import heard
from jobs.lake.leases import Leases
from jobs.lake.publications import Publication, publish, published, release_id, releases
from jobs.lake.releasing import republish
from jobs.lake.restating import booking
from jobs.lake.rolling_back import roll_back_all
from jobs.lake.runner import Runner, lease_name
from jobs.lake.settling import settle
from jobs.lake.work import pending
from tests.lake.toys import DAYS, FAMILY, MONDAY, NOON, TABLES, TUESDAY, Toys, killed_at, take_over, write_contract
from tests.lake.toys import toys as make_toys

RANKS, LATE = "gold.toy_ranks", "gold.toy_late"
OF = {FAMILY: TABLES, "ranks": (RANKS,), "late": (LATE,)}
HOURS = [timedelta(hours=hour) for hour in range(6)]


@pytest.fixture
def toys(tmp_path) -> Toys:
    """Three families: at noon and an hour later toys and ranks, two hours later ranks again, and then late."""
    made = make_toys(tmp_path, spark=None)
    for family, table in (("ranks", RANKS), ("late", LATE)):
        write_contract(
            made.settings.schemas_dir, table, DAYS, ["event_date"], write="replace_all", family=family,
            inputs=["silver.plays"],
        )  # fmt: skip
    made.ingest(("ann", MONDAY, 1))
    release(made, FAMILY, 1, 0)
    release(made, "ranks", 1, 0)
    release(made, FAMILY, 2, 1)
    release(made, "ranks", 2, 1)
    release(made, "ranks", 3, 2)
    release(made, "late", 1, 3)
    return made


def release(toys: Toys, family: str, number: int, hour: int) -> None:
    """Publish a family: its days tell the number of the release, its other tables have no row."""
    for table in OF[family]:
        days = [{"event_date": MONDAY, "play_count": number, "watched_rate": 1.0}]
        rows = days if table in ("gold.toy_days", RANKS, LATE) else []
        ledger = toys.ledger
        ledger.replace(table, rows, on_version=ledger.open(table).version())
    common: dict[str, Any] = {"slices": (), "verdict": "passed", "run_id": f"run-{number}"}
    common |= {"contract_version": "1.0.0", "watermark": None, "known_from": NOON + HOURS[hour], "ingest_seq": 1}
    lines = [
        Publication(release_id(family, number), family, table, toys.ledger.version(table),
                    rows=toys.ledger.open(table).count(), **common)
        for table in OF[family]
    ]  # fmt: skip
    publish(toys.ledger, family, number, lines)


def runners(toys: Toys, run_id: str = "oops") -> list[Runner]:
    return [Runner(toys.settings, family, run_id) for family in (FAMILY, "ranks", "late")]


def seen(toys: Toys) -> dict[str, int]:
    """Table → which release's rows readers see."""
    told = published(toys.ledger)
    counted = {table: toys.rows(table, told[table].version) for table in ("gold.toy_days", RANKS, LATE)}
    return {table.removeprefix("gold.toy_"): rows[0][1] for table, rows in counted.items()}


def held(toys: Toys) -> list[str]:
    return [family for family in OF if pending(toys.ledger, toys.settings, family).is_held]


def at(hours: float) -> str:
    moment: datetime = NOON + timedelta(hours=hours)
    return moment.isoformat()


def test_all_families_go_back_to_what_was_seen_at_one_moment(toys):
    before, versions = len(releases(toys.ledger)), toys.ledger.version("ops.publications")
    outcome = roll_back_all(runners(toys), at(0.5))
    assert seen(toys) == {"days": 1, "ranks": 1, "late": 1}
    assert "toys-000001 is back, as toys-000003; ranks-000001 is back, as ranks-000004" in outcome.message
    assert "late stays as it is, it had no release then and has nothing to go back to" in outcome.message
    assert toys.ledger.version("ops.publications") == versions + 1
    assert len(releases(toys.ledger)) == before + 2
    assert held(toys) == [FAMILY, "ranks"]
    assert len({line.known_from for table, line in published(toys.ledger).items() if table != LATE}) == 1


@pytest.mark.parametrize(
    ("to", "then"),
    [
        ("ranks-000001", {"days": 1, "ranks": 1, "late": 1}),
        ("toys-000002", {"days": 2, "ranks": 2, "late": 1}),
        (at(1.5), {"days": 2, "ranks": 2, "late": 1}),
    ],
)
def test_a_release_of_any_family_stands_for_the_moment_it_came_out(toys, to, then):
    roll_back_all(runners(toys), to)
    assert seen(toys) == then
    assert held(toys) == [family for family in (FAMILY, "ranks") if then["ranks"] < 2 or family == "ranks"]


def test_by_default_the_newest_release_of_all_is_taken_back(toys):
    with pytest.raises(UsageError, match="nothing to roll back to: toys stays.*toys-000002 is what readers see"):
        roll_back_all(runners(toys), "")
    release(toys, "ranks", 4, 4)
    roll_back_all(runners(toys), "")
    assert seen(toys) == {"days": 2, "ranks": 3, "late": 1}


def test_killed_before_the_one_commit_readers_see_nothing_of_it_and_again_all(toys, monkeypatch):
    old = seen(toys)
    with killed_at("rollback.before_publications", monkeypatch):
        roll_back_all(runners(toys), at(0.5))
    assert seen(toys) == old
    last = published(toys.ledger)
    assert settle(toys.ledger, (RANKS,), next(r for r in releases(toys.ledger) if r.tables.get(RANKS) == last[RANKS]))
    roll_back_all(runners(toys, "again"), at(0.5))
    assert seen(toys) == {"days": 1, "ranks": 1, "late": 1}


KILL_POINTS = ["rollback.held", "rollback.after_toys", "rollback.after_ranks", "rollback.before_publications",
               "rollback.after_publications"]  # fmt: skip


@pytest.mark.parametrize("point", KILL_POINTS)
def test_killed_anywhere_nothing_is_held_that_readers_still_see_and_the_same_command_ends_it(
    point: str, toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, before = seen(toys), len(releases(toys.ledger))
    booked: list[str] = []
    monkeypatch.setattr(booking, "restate", lambda runner: booked.append(runner.family))
    with killed_at(point, monkeypatch):
        roll_back_all(runners(toys), at(0.5))
    is_out = point == "rollback.after_publications"
    assert (seen(toys) == old, held(toys) == []) == (not is_out, not is_out)
    again = roll_back_all(runners(toys, "again"), at(0.5))
    assert booked == [FAMILY, "ranks"]
    once_more = roll_back_all(runners(toys, "once more"), at(0.5))
    by_default = roll_back_all(runners(toys, "by default"), "")
    assert [again.outcome, once_more.outcome] == ["nothing_to_do" if is_out else "done", "nothing_to_do"]
    for outcome in (once_more, by_default):
        by = "oops" if is_out else "again"
        assert f"toys is back already: toys-000003, by run {by}; to go elsewhere name a release" in outcome.message
    assert (seen(toys), held(toys)) == ({"days": 1, "ranks": 1, "late": 1}, [FAMILY, "ranks"])
    assert len(releases(toys.ledger)) == before + 2


def test_what_was_rolled_back_before_stays_held_when_another_rollback_is_killed(toys, monkeypatch):
    runners(toys, "first")[1].rollback("2")
    assert held(toys) == ["ranks"]
    with killed_at("rollback.before_publications", monkeypatch):
        roll_back_all(runners(toys), at(0.5))
    assert held(toys) == ["ranks"]


def test_the_newest_release_of_a_family_is_taken_back_once_and_not_put_back_by_the_same_command(toys):
    last = releases(toys.ledger, "ranks")[-1]
    republish(toys.ledger, runners(toys)[1].staging, last, {}, lambda: None)  # as upkeep does: the same rows
    first, again = (runners(toys, run)[1].rollback("") for run in ("oops", "again"))
    assert (first.outcome, again.outcome) == ("done", "nothing_to_do")
    assert seen(toys) == {"days": 2, "ranks": 2, "late": 1}


def test_the_release_that_lifts_what_a_rollback_held_is_none_itself(toys):
    runners(toys)[1].rollback("")
    release(toys, "ranks", 5, 5)
    *_, back, new = releases(toys.ledger, "ranks")
    make_good(toys.ledger, "ranks", "run-5", {}, NOON + HOURS[5])
    assert (rolled_back(toys.ledger, back), rolled_back(toys.ledger, new)) == (True, False)


@pytest.mark.parametrize("booked", ["toys-000002", None])  # lines of an older lake do not say which release paid
@pytest.mark.parametrize(("to", "is_without"), [("1", True), ("2", False)])
def test_a_day_that_was_held_then_is_held_again(toys, booked, to, is_without):
    """Its rows are older than the release that is back, so nothing else would bring them."""
    fails = {"table": "gold.toy_days", "check": "unlucky_day", "slice": TUESDAY, "success": False, "ingest_seq": 1}
    row = {"run_id": "a", "family": FAMILY, "severity": "critical", "contract_version": "1.0.0", "recorded_at": NOON}
    toys.ledger.append("ops.check_results", [fails | row])
    paid_at = NOON + (
        HOURS[5] if booked else HOURS[1]
    )  # of a run that ended when the next, which had waited, was named
    make_good(toys.ledger, FAMILY, "b", {"gold.toy_days": (TUESDAY,)}, paid_at, booked)
    family = runners(toys)[0]
    tidied = republish(toys.ledger, family.staging, releases(toys.ledger, FAMILY)[-1], {}, lambda: None)
    release(toys, FAMILY, tidied.number + 1, 4)
    family.rollback(to)
    found = pending(toys.ledger, toys.settings, FAMILY)
    assert (found.held, found.is_held) == ((TUESDAY,) * is_without, True)
    lift(toys.ledger, FAMILY, "retry", now())
    assert pending(toys.ledger, toys.settings, FAMILY).days == (TUESDAY,) * is_without
    make_good(toys.ledger, FAMILY, "c", {"gold.toy_days": (TUESDAY,)}, now(), "toys-000006")
    release(toys, FAMILY, 6, 5)
    runners(toys, "further")[0].rollback("2")
    assert pending(toys.ledger, toys.settings, FAMILY).held == ()
    runners(toys, "once more")[0].rollback("5")
    assert pending(toys.ledger, toys.settings, FAMILY).held == (TUESDAY,) * is_without


def test_a_day_that_is_held_is_not_held_again_by_a_rollback_that_was_killed(toys, monkeypatch):
    fails = {"table": "gold.toy_days", "check": "unlucky_day", "slice": TUESDAY, "success": False, "ingest_seq": 1}
    row = {"run_id": "a", "family": FAMILY, "severity": "critical", "contract_version": "1.0.0", "recorded_at": NOON}
    toys.ledger.append("ops.check_results", [fails | row])
    make_good(toys.ledger, FAMILY, "b", {"gold.toy_days": (TUESDAY,)}, NOON + HOURS[1], "toys-000002")
    with killed_at("rollback.before_publications", monkeypatch):
        runners(toys)[0].rollback("1")
    assert pending(toys.ledger, toys.settings, FAMILY).held == ()


@pytest.mark.parametrize("point", KILL_POINTS[:-1])
def test_a_rollback_that_stood_still_until_another_run_released_stops_and_what_that_brought_stays(
    point: str, toys: Toys
) -> None:
    stood: list[int] = []

    def another(passed: str) -> None:
        if passed == point:
            take_over(toys.ledger, "ranks", lambda: release(toys, "ranks", 4, 5))
            stood.append(toys.ledger.version("gold.toy_days"))

    with heard(another), pytest.raises(LeaseError, match="family:ranks: the lease with token 1 was lost, another"):
        roll_back_all(runners(toys), at(0.5))
    assert (seen(toys), held(toys)) == ({"days": 2, "ranks": 4, "late": 1}, [])
    assert stood == [toys.ledger.version("gold.toy_days")]


def test_a_rollback_that_another_release_came_before_is_no_success(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands still after its last look at the lease: what it brings is not published, and it says so."""
    monkeypatch.setattr(Leases, "check", lambda *_: None)

    def another(passed: str) -> None:
        if passed == "rollback.before_publications":
            take_over(toys.ledger, "ranks", lambda: release(toys, "ranks", 4, 5))

    with heard(another), pytest.raises(WriteError, match="ranks-000004: another run published ranks-000004 meanwhile"):
        runners(toys)[1].rollback("")
    assert (seen(toys), held(toys)) == ({"days": 2, "ranks": 4, "late": 1}, [])


def test_a_rollback_of_all_families_publishes_none_where_another_release_of_one_came_before(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Leases, "check", lambda *_: None)

    def another(passed: str) -> None:
        if passed == "rollback.before_publications":
            take_over(toys.ledger, "ranks", lambda: release(toys, "ranks", 4, 5))

    with (
        heard(another),
        pytest.raises(WriteError, match="release:ranks wrote under that number.*run the command again"),
    ):
        roll_back_all(runners(toys), at(0.5))
    assert (seen(toys), held(toys)) == ({"days": 2, "ranks": 4, "late": 1}, [])


def test_no_family_is_touched_while_another_run_holds_one_of_them(toys):
    with (
        Leases(toys.ledger).held(lease_name("ranks"), "a build"),
        pytest.raises(LeaseError, match="family:ranks is held by a build"),
    ):
        roll_back_all(runners(toys), at(0.5))
    assert (seen(toys), held(toys)) == ({"days": 2, "ranks": 3, "late": 1}, [])


def test_one_release_from_before_an_erasure_stops_all(toys):
    facts = {"marks": [], "erased_at": NOON, "is_later_refused": False, "asked_by": "op", "why": "asked"}
    counts = {"record_counts": {}, "row_counts": {"silver.plays": 1}, "run_id": "erase", "recorded_at": NOON}
    toys.ledger.append("ops.erasures", [{"ingest_seq": 2, **facts, **counts}])
    with pytest.raises(UsageError, match="toys-000001 is from before a person was erased"):
        roll_back_all(runners(toys), at(0.5))
    assert (seen(toys), held(toys)) == ({"days": 2, "ranks": 3, "late": 1}, [])


def test_words_that_are_no_moment_are_refused(toys):
    for words, told in (("yesterday", "no release and no instant"), ("2026-11-23T12:00:00", "has no zone")):
        with pytest.raises(UsageError, match=told):
            roll_back_all(runners(toys), words)
