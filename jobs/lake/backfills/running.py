"""A backfill at work: slice by slice beside the live run, then one swap of all of them.

A slice is built from silver alone into an area of its own, under no lease that the live run wants. Every slice that is
done is booked, so a killed run goes on with the next. Before each slice, and before the swap is released, it looks
whether it was paused or cancelled.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from jobs.definitions.funnel.checking import read_definitions
from jobs.lake.backfills.area import Area, areas_of, clear
from jobs.lake.backfills.journal import Journal, Standing
from jobs.lake.backfills.planning import facts_of
from jobs.lake.backfills.request import Request
from jobs.lake.clock import now
from jobs.lake.erasures import newest_seq
from jobs.lake.errors import BackfillError, LeaseError, QualityError, StoppedError, WriteError
from jobs.lake.filling import fill
from jobs.lake.kill_points import reach
from jobs.lake.leases import Lease
from jobs.lake.ledger import as_json
from jobs.lake.publications import releases
from jobs.lake.releasing import Outcome
from jobs.lake.runner import Runner, family_module
from jobs.lake.staging import manifest_of
from jobs.lake.work import Pending, Work, complete_seq, contract_versions, input_versions, pending

PATIENCE_SECONDS = 900  # the live run holds the family's lease for as long as a build, a check or a release takes


@dataclass
class Backfill:
    """One request, `where` it is written, and the runner of its family; `told` hears of every slice."""

    request: Request
    where: str
    runner: Runner
    told: Callable[[str], None] = lambda words: None

    @cached_property
    def journal(self) -> Journal:
        """Where everything is booked."""
        return Journal(self.runner.ledger, self.runner.run_id)

    @cached_property
    def basis(self) -> str:
        """Changes with the contracts and definitions that slices are built by, and when a person is erased.

        A slice from before would bring them back.
        """
        settings = self.runner.settings
        meant = [one.fingerprint for one in read_definitions(settings.schemas_dir)]
        said = as_json([contract_versions(self.runner.family, settings), meant, newest_seq(self.runner.ledger)])
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @property
    def lease(self) -> str:
        """The lease of all backfills of the family."""
        return f"backfill:{self.runner.family}"

    def run(self, at: datetime) -> Outcome:
        """Build what slices are left, then swap; LeaseError while another backfill of the family is at work."""
        refuse_unready(self._pending(), self.where)
        with self.runner.leases.held(self.lease, self.runner.run_id) as lease:
            standing = self.journal.open(self.request, self.where, now())
            try:
                return self._finished(standing) or self._go_on(standing, lease, at)
            except StoppedError as stopped:
                return Outcome.nothing(str(stopped))

    def pause(self) -> str:
        """Let it end before its next slice; what is built stays. BackfillError when none is at work or waiting."""
        standing = self._open_one("open")
        self.journal.write(self.request, standing.backfill_id, "paused", now())
        return f"{standing.backfill_id} ends before its next slice; `reelhouse backfill resume {self.where}` goes on"

    def resume(self, at: datetime) -> Outcome:
        """Go on with one that was paused; BackfillError when none was."""
        self.journal.write(self.request, self._open_one("paused").backfill_id, "resumed", now())
        return self.run(at)

    def cancel(self) -> str:
        """Give it up: the public tables stay as they are. BackfillError when there is none at work or waiting."""
        standing = self._open_one("open", "paused")
        self.journal.write(self.request, standing.backfill_id, "cancelled", now())
        try:
            with self.runner.leases.held(self.lease, self.runner.run_id):
                clear(self.runner.settings, standing.backfill_id)
        except LeaseError:
            return f"{standing.backfill_id} is at work and ends before its next slice; nothing of it is published"
        return f"{standing.backfill_id} is cancelled; nothing of it was published"

    def _open_one(self, *states: str) -> Standing:
        found = self.journal.newest(self.request.name)
        if found is None or found.state not in states:
            is_now = f"{found.backfill_id} is {found.state}" if found else "it was never run"
            raise BackfillError(f"{self.where}: {is_now}, not {' or '.join(states)}; see `reelhouse backfill status`")
        return found

    def _go_on(self, standing: Standing, lease: Lease, at: datetime) -> Outcome:
        slices = self.request.slices.slices()
        areas = areas_of(self.runner.settings, self.runner.family, standing.backfill_id, slices)
        for area in areas:
            self._look(standing, lease)
            if not area.is_whole(standing, self.basis):
                self.told(f"slice {area.number} of {len(areas)}: {self._build(area, lease)}")
                reach("backfill.after_slice")
        return self._swap(standing, areas, lease, at)

    def _build(self, area: Area, lease: Lease) -> str:
        """Build one slice and book it; what it was, in words."""
        began, runner, one = time.monotonic(), self.runner, area.slice
        work = self._slice_work(area.backfill_id)
        frames = family_module(runner.family).stage_slice(runner.lake, work, one)
        tables = tuple(fill(runner.lake, area.staging, staged, ()) for staged in frames)
        area.staging.put(manifest_of(work, tables, "", is_progress=False))
        reach("backfill.before_booking")
        self._own(lease)
        rows, seconds = sum(table.rows for table in tables), round(time.monotonic() - began, 3)
        facts = {"basis": self.basis, "rows": rows, "seconds": seconds, "ingest_seq": work.ingest_seq_to}
        facts |= {"slice_name": one.name, "input_rows": facts_of(runner.ledger, runner.family).of(one)}
        self.journal.write(self.request, area.backfill_id, "built", now(), **facts)
        return f"{one.name}, {rows} rows in {seconds:.1f} s"

    def _slice_work(self, backfill_id: str) -> Work:
        """Everything up to the newest complete batch; read before the versions, for what is later is judged again."""
        seq = complete_seq(self.runner.ledger)
        return Work(
            family=self.runner.family,
            run_id=backfill_id,
            full=True,
            days=(),
            ingest_seq_from=-1,
            ingest_seq_to=seq,
            watermark=None,
            last_watermark=None,
            known_from=now(),
            silver_versions=input_versions(self.runner.ledger, self.runner.settings, self.runner.family),
        )

    def _swap(self, standing: Standing, areas: list[Area], lease: Lease, at: datetime) -> Outcome:
        """One release of all slices, and of what came in since the first of them was built."""
        reach("backfill.before_swap")
        since = min(area.manifest.ingest_seq_to for area in areas)
        self.told(f"swap of {len(areas)} slices, with what came in since batch {since}")
        attempts = Retrying(
            retry=retry_if_exception_type(LeaseError),
            wait=wait_fixed(1),
            stop=stop_after_delay(PATIENCE_SECONDS),
            reraise=True,
        )
        outcome = attempts(self._published, standing, areas, lease, since, at)
        reach("backfill.after_release")
        return self._finished(standing) or outcome

    def _published(self, standing: Standing, areas: list[Area], lease: Lease, since: int, at: datetime) -> Outcome:
        runner = replace(self.runner)  # the tables as they are now, not as earlier slices saw them
        done = [area.backfilled(runner) for area in areas]

        def look() -> None:
            try:
                self._look(standing, lease)
            except StoppedError:
                runner.staging.clear()
                raise

        return runner.publish(lambda: self._swap_work(standing, since, at), done, look)

    def _swap_work(self, standing: Standing, since: int, at: datetime) -> Work:
        """All that waits, from as far back as the slices know: whatever came later is judged again on top of them."""
        left = self._pending()
        refuse_unready(left, self.where)
        return Work(
            family=left.family,
            run_id=standing.backfill_id,
            full=False,
            days=left.days,
            ingest_seq_from=min(since, left.ingest_seq_from),
            ingest_seq_to=left.ingest_seq_to,
            watermark=left.watermark,
            last_watermark=left.last.facts.watermark if left.last else None,
            known_from=at,
            silver_versions=input_versions(self.runner.ledger, self.runner.settings, left.family),
            held=left.held,
        )

    def _finished(self, standing: Standing) -> Outcome | None:
        """Book the release that swapped this backfill, if there is one; a killed run may not have come to it."""
        every = releases(self.runner.ledger, self.runner.family)
        found = [release for release in every if release.facts.run_id == standing.backfill_id]
        if not found:
            return None
        seq = found[0].facts.ingest_seq
        self.journal.write(self.request, standing.backfill_id, "released", now(), ingest_seq=seq)
        clear(self.runner.settings, standing.backfill_id)
        return Outcome.released(found[0], f"{standing.backfill_id} is released")

    def _look(self, standing: Standing, lease: Lease) -> None:
        """StoppedError when it was paused or cancelled meanwhile; WriteError when another run has taken over."""
        self._own(lease)
        present = self.journal.newest(self.request.name)
        if present and present.state == "paused":
            raise StoppedError(f"{present.backfill_id} is paused; `reelhouse backfill resume {self.where}` goes on")
        if present and present.state == "cancelled":
            clear(self.runner.settings, standing.backfill_id)
            raise StoppedError(f"{present.backfill_id} was cancelled; nothing of it was published")

    def _own(self, lease: Lease) -> None:
        """Go on only while the backfill is ours; not a LeaseError, for nothing is to be waited for."""
        try:
            self.runner.leases.check(lease)
        except LeaseError as lost:
            raise WriteError(f"{self.where}: {lost}") from lost

    def _pending(self) -> Pending:
        return pending(self.runner.ledger, self.runner.settings, self.runner.family)


def refuse_unready(left: Pending, where: str) -> None:
    """An error while the family has nothing published to put slices into, or is held."""
    if left.last is None or "contract" in left.reasons:
        why = "was never released" if left.last is None else "has a new contract"
        raise BackfillError(
            f"{where}: {left.family} {why}: its next run builds everything anew; `reelhouse build {left.family}` first"
        )
    if left.is_held:
        raise QualityError(
            f"{where}: {left.family} is held by a failed check or a rollback; "
            f"`reelhouse release {left.family} --retry` lifts that, then run the backfill"
        )
