"""One run at a time holds a lease, and whoever lost it learns so before writing."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import psutil
import pytest
from deltalake.exceptions import CommitFailedError

from jobs.lake.errors import DiskError, LeaseError, ServiceError
from jobs.lake.leases import Lease, Leases, holder_of, is_dead
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def leases(settings: Settings) -> Leases:
    return Leases(Ledger(settings))


def at(settings: Settings, moment: datetime) -> Leases:
    return Leases(Ledger(settings), clock=lambda: moment, seconds=60)


def token_or_refusal(leases: Leases, run_id: str) -> int | str:
    try:
        return leases.acquire("funnels", run_id).token
    except LeaseError as refusal:
        return str(refusal)


def hold_and_die(settings: Settings) -> None:
    """A process that takes the lease for an hour and ends without giving it back."""
    Leases(Ledger(settings), seconds=3600).acquire("funnels", "dying")


def take_in_turn(settings: Settings, rounds: int) -> None:
    """A process that takes and gives back the lease again and again."""
    leases = Leases(Ledger(settings))
    taken = 0
    while taken < rounds:
        try:
            leases.release(leases.acquire("funnels", "turn"))
            taken += 1
        except LeaseError:
            time.sleep(0.01)


def test_a_held_lease_names_its_holder_and_since_when(settings):
    at(settings, NOON).acquire("funnels", "run-1")
    with pytest.raises(LeaseError, match=r"funnels is held by run-1 .*pid=\d+.* since 2026-11-23 12:00:00 UTC"):
        at(settings, NOON + timedelta(seconds=59)).acquire("funnels", "run-2")


def test_an_expired_lease_changes_hands_with_a_greater_token(settings):
    first = at(settings, NOON).acquire("funnels", "run-1")
    second = at(settings, NOON + timedelta(seconds=61)).acquire("funnels", "run-2")
    assert (first.token, second.token) == (1, 2)


def test_a_renewed_lease_does_not_expire(settings):
    first = at(settings, NOON).acquire("funnels", "run-1")
    at(settings, NOON + timedelta(seconds=50)).renew(first)
    with pytest.raises(LeaseError, match="run-1"):
        at(settings, NOON + timedelta(seconds=100)).acquire("funnels", "run-2")


def test_who_lost_the_lease_is_told_at_the_next_check_and_renewal(settings):
    leases = at(settings, NOON)
    first = leases.acquire("funnels", "run-1")
    leases.check(first)
    at(settings, NOON + timedelta(seconds=61)).acquire("funnels", "run-2")
    for step in (leases.check, leases.renew):
        with pytest.raises(LeaseError, match="token 1 was lost, run-2 .* took it at 2026-11-23 12:01:01"):
            step(first)


def test_giving_back_a_lost_lease_does_not_take_it_from_the_next(settings):
    first = at(settings, NOON).acquire("funnels", "run-1")
    later = at(settings, NOON + timedelta(seconds=61))
    second = later.acquire("funnels", "run-2")
    later.release(first)
    later.check(second)
    with pytest.raises(LeaseError, match="run-2"):
        later.acquire("funnels", "run-3")


def test_a_given_back_lease_is_free_and_its_token_still_grows(leases):
    leases.release(leases.acquire("funnels", "run-1"))
    assert leases.acquire("funnels", "run-2").token == 2


def test_leases_of_different_names_do_not_hinder_each_other(leases):
    assert leases.acquire("funnels", "run-1").token == 1
    assert leases.acquire("profiles", "run-2").token == 1


def test_the_lease_of_a_dead_process_is_free_at_once(settings, leases):
    process = get_context("spawn").Process(target=hold_and_die, args=(settings,))
    process.start()
    process.join(60)
    assert is_dead(leases.read()["funnels"].holder)
    assert leases.acquire("funnels", "next").token == 2


def test_only_a_process_known_to_be_dead_is_dead():
    holder = holder_of("run-1")
    reused_number = holder.replace("began=", "began=1")
    assert not is_dead(holder)
    assert is_dead(reused_number)
    assert not is_dead(reused_number.replace("host=", "host=elsewhere-"))


def test_nobody_dies_of_a_clock_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    holder, machine_began = holder_of("run-1"), psutil.boot_time()
    monkeypatch.setattr("psutil._psplatform.boot_time", lambda: machine_began + 3600)
    assert psutil.Process().create_time() > time.time(), "of which nobody would say that it began so late"
    assert not is_dead(holder)


def test_of_one_who_says_not_when_they_began_nobody_knows() -> None:
    assert not is_dead(holder_of("run-1").rpartition(" began=")[0])


def test_of_many_threads_at_once_exactly_one_gets_it(settings):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: token_or_refusal(Leases(Ledger(settings)), f"run-{n}"), range(8)))
    assert [answer for answer in answers if isinstance(answer, int)] == [1]
    assert all("held by run-" in answer for answer in answers if isinstance(answer, str))


def test_every_change_of_hands_between_processes_has_a_token_of_its_own(settings, leases):
    context = get_context("spawn")
    processes = [context.Process(target=take_in_turn, args=(settings, 5)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert leases.read()["funnels"].token == 15


def test_a_held_block_renews_its_lease_and_gives_it_back(settings):
    leases = Leases(Ledger(settings), seconds=1.5)
    with leases.held("funnels", "run-1") as lease:
        first_expiry = lease.expires_at
        wait_until(lambda: leases.read()["funnels"].expires_at > first_expiry)
        leases.check(lease)
    assert leases.acquire("funnels", "run-2").token == 2


@pytest.mark.parametrize(
    "failure", [ServiceError("away"), DiskError("full"), CommitFailedError("others"), OSError("?")]
)
def test_a_heart_that_failed_beats_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    leases, failures = Leases(Ledger(settings), seconds=3), [failure] * 2
    renew = leases.renew

    def renewed(lease: Lease) -> Lease:
        if failures:
            raise failures.pop()
        return renew(lease)

    monkeypatch.setattr(leases, "renew", renewed)
    with leases.held("funnels", "run-1") as lease:
        wait_until(lambda: leases.read()["funnels"].expires_at > lease.expires_at)
    assert not failures


def test_a_heart_stops_where_the_lease_was_lost(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    leases, beats = Leases(Ledger(settings), seconds=0.3), []

    def lost(lease: Lease) -> Lease:
        beats.append(lease)
        raise LeaseError("lost")

    monkeypatch.setattr(leases, "renew", lost)
    with leases.held("funnels", "run-1"):
        wait_until(lambda: bool(beats))
        wait_until(lambda: not any(thread.name == "lease:funnels" for thread in threading.enumerate()))
    assert len(beats) == 1


def test_who_let_a_lease_run_out_that_nobody_took_has_it_again_after_the_next_check(settings: Settings) -> None:
    mine = at(settings, NOON).acquire("funnels", "run-1")
    for seconds, until in ((39, 60), (41, 101), (300, 360)):  # the heart beat last when a third was gone, or earlier
        at(settings, NOON + timedelta(seconds=seconds)).check(mine)
        assert at(settings, NOON).read()["funnels"].expires_at == NOON + timedelta(seconds=until)
    with pytest.raises(LeaseError, match="is held by run-1"):
        at(settings, NOON + timedelta(seconds=301)).acquire("funnels", "run-2")


def test_who_cannot_renew_what_ran_out_is_told_at_the_next_check(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, later = at(settings, NOON).acquire("funnels", "run-1"), at(settings, NOON + timedelta(seconds=61))

    def away(*_: object, **__: object) -> None:
        raise ServiceError("ops.leases: the store is away")

    monkeypatch.setattr(later.ledger, "replace", away)
    with pytest.raises(ServiceError, match="away"):
        later.check(mine)


def test_several_leases_are_looked_at_at_once(leases: Leases) -> None:
    held = [leases.acquire(name, "run-1") for name in ("funnels", "profiles")]
    leases.check(*held)
    leases.release(held[1])
    leases.acquire("profiles", "run-2")
    with pytest.raises(LeaseError, match="profiles: the lease with token 1 was lost"):
        leases.check(*held)


def test_a_lease_read_back_is_the_one_taken(leases):
    lease = leases.acquire("funnels", "run-1")
    assert leases.read() == {"funnels": lease}
    assert isinstance(lease, Lease)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
