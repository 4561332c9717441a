"""Leases: who may write a table family or run an ingest now, with a token that grows by one at every change of hands.

A holder renews its lease while it works and checks its token before every commit; whoever lost the lease to another
learns it there and stops. A store that fails for a moment ends no lease: the next beat, or the next check, renews it.
Taking one is a compare-and-swap on `ops.leases`, by Delta's optimistic concurrency.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from jobs.lake.clock import now
from jobs.lake.errors import LeaseError, ReelhouseError
from jobs.lake.ledger import Ledger
from jobs.lake.lifetimes import has_ended, this_process
from jobs.lake.small_commits import retrying

TABLE = "ops.leases"
LEASE_SECONDS = 60
BEATS = 3  # per length of a lease

Look = Callable[[], None]  # LeaseError when a lease is another's by now


@dataclass(frozen=True)
class Lease:
    """One row of `ops.leases`; `token` fences: a write with a smaller one is by somebody who lost the lease."""

    name: str
    token: int
    holder: str
    acquired_at: datetime
    expires_at: datetime


class Leases:
    """The leases of one lake."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime] = now, seconds: float = LEASE_SECONDS) -> None:
        self.ledger = ledger
        self.clock = clock
        self.duration = timedelta(seconds=seconds)

    def acquire(self, name: str, run_id: str) -> Lease:
        """Take the lease with the next token; LeaseError names the holder when it is held by a living other."""
        holder = holder_of(run_id)

        def take(leases: dict[str, Lease]) -> Lease:
            present, moment = leases.get(name), self.clock()
            if present and is_held(present, moment):
                raise LeaseError(
                    f"{name} is held by {present.holder} since {present.acquired_at:%Y-%m-%d %H:%M:%S} UTC "
                    f"(until {present.expires_at:%H:%M:%S} unless renewed); wait for it, or end that run"
                )
            return Lease(name, present.token + 1 if present else 1, holder, moment, moment + self.duration)

        return self._swap(take)

    def renew(self, lease: Lease) -> Lease:
        """Hold on for another while; LeaseError if it was lost."""

        def extend(leases: dict[str, Lease]) -> Lease:
            self._own(leases.get(lease.name), lease)
            return replace(lease, expires_at=self.clock() + self.duration)

        return self._swap(extend)

    def check(self, *held: Lease) -> None:
        """Return if the tokens are still the newest; LeaseError if another run has taken over."""
        present = self.read()
        for lease in held:
            own = self._own(present.get(lease.name), lease)
            if own.expires_at - self.clock() < self.duration / BEATS:
                self.renew(lease)  # beats failed, or we stood still: another may take it at any moment

    def release(self, lease: Lease) -> None:
        """Give the lease back; nothing happens if it was lost before. The token stays, to grow from."""
        try:
            self._swap(lambda leases: self._given_back(leases.get(lease.name), lease))
        except LeaseError:
            return

    @contextmanager
    def held(self, name: str, run_id: str) -> Iterator[Lease]:
        """Hold a lease for the length of a block, renewed from a thread some times per its length."""
        lease = self.acquire(name, run_id)
        done = threading.Event()
        heart = threading.Thread(target=self._beat, args=(lease, done), name=f"lease:{name}", daemon=True)
        heart.start()
        try:
            yield lease
        finally:
            done.set()
            heart.join()
            self.release(lease)

    def read(self) -> dict[str, Lease]:
        """All leases ever taken, by name."""
        return _by_name(self.ledger.read(TABLE).to_pylist())

    def _beat(self, lease: Lease, done: threading.Event) -> None:
        from deltalake.exceptions import DeltaError

        while not done.wait(self.duration.total_seconds() / BEATS):
            try:
                self.renew(lease)
            except LeaseError:  # lost: the holder learns it at its next check, before it commits anything
                return
            except (ReelhouseError, DeltaError, OSError):  # a store that is away, a full disk, others that commit
                continue  # there may be another beat before it expires; if not, the holder's next check fails as this

    def _own(self, present: Lease | None, lease: Lease) -> Lease:
        if present is None or present.token != lease.token:
            by = f"{present.holder} took it at {present.acquired_at:%Y-%m-%d %H:%M:%S} UTC" if present else "it is gone"
            raise LeaseError(
                f"{lease.name}: the lease with token {lease.token} was lost, {by}; nothing more is written"
            )
        return present

    def _given_back(self, present: Lease | None, lease: Lease) -> Lease:
        self._own(present, lease)
        return replace(lease, expires_at=min(self.clock(), lease.expires_at))

    def _swap(self, change: Callable[[dict[str, Lease]], Lease]) -> Lease:
        """Replace one row by what `change` makes of all rows, from exactly the version it saw."""
        for attempt in retrying():
            with attempt:
                rows, version = self.ledger.read_versioned(TABLE)
                leases = _by_name(rows.to_pylist())
                changed = change(leases)
                leases[changed.name] = changed
                self.ledger.replace(TABLE, [asdict(lease) for lease in leases.values()], on_version=version)
                return changed
        raise LeaseError(f"{TABLE} could not be changed")


def holder_of(run_id: str) -> str:
    """This process, in words another process can look up: run, host, process id and its start."""
    host, pid, started = this_process()
    return f"{run_id} host={host} pid={pid} began={started}"


def is_held(lease: Lease, moment: datetime) -> bool:
    """Whether the lease still binds others: not expired, and its holder not known to be dead."""
    return moment < lease.expires_at and not is_dead(lease.holder)


def is_dead(holder: str) -> bool:
    """Whether the holder was a process of this host that is no more; of another host nobody can know."""
    facts = dict(word.split("=", 1) for word in holder.split() if "=" in word)
    return has_ended(*(facts.get(name, "") for name in ("host", "pid", "began")))


def _by_name(rows: list[dict[str, Any]]) -> dict[str, Lease]:
    return {row["name"]: Lease(**row) for row in rows}
