"""The runner: write, audit, publish. A family is built into staging, checked there, and released as one.

Each step may be killed anywhere and run again: readers see the family as it was, or as it is afterwards.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property, partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from jobs.lake.balance import refuse_difference
from jobs.lake.begun_again import begin_again
from jobs.lake.clock import now
from jobs.lake.contracts import contract
from jobs.lake.costs import note_build, stopwatch
from jobs.lake.errors import QualityError, WriteError
from jobs.lake.filling import fill
from jobs.lake.holds import CHECKS, lift
from jobs.lake.kill_points import reach
from jobs.lake.leases import Lease, Leases
from jobs.lake.ledger import Ledger
from jobs.lake.publications import families, family_of, inputs_of, latest
from jobs.lake.recounting import recounted
from jobs.lake.releasing import Outcome, end_killed, is_overtaken, release_staging
from jobs.lake.restating.booking import restate
from jobs.lake.rolling_back import roll_back_one
from jobs.lake.settings import Settings
from jobs.lake.settling import refuse_forgotten, settle
from jobs.lake.small_runs import are_few, is_small, on_engine
from jobs.lake.staging import Accounts, Line, Manifest, StagedTable, Staging, Verdict, manifest_of
from jobs.lake.work import Staged, Work, contract_versions, plan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.lake.families.backfilled import Backfilled
    from jobs.lake.quality import Finding
    from jobs.lake.tables import Lake

RUNBOOK = "docs/runbooks/red-check.md"
SHOWN = 5
T = TypeVar("T")


@dataclass
class Runner:
    """One family's steps; Spark starts when a step needs it, and not before.

    `tells_new_days`: its restatements tell the numbers of days that were not out before, as if they had been nothing.
    """

    settings: Settings
    family: str
    run_id: str
    session: "Callable[[Settings], SparkSession] | None" = None
    tells_new_days: bool = False

    @cached_property
    def ledger(self) -> Ledger:
        """The ops tables."""
        return Ledger(self.settings)

    @cached_property
    def leases(self) -> Leases:
        """Who may write."""
        return Leases(self.ledger)

    @cached_property
    def staging(self) -> Staging:
        """Where the family is built."""
        return Staging(self.settings, self.family)

    @cached_property
    def lake(self) -> "Lake":
        """The tables, by Spark; the first use starts it."""
        from jobs.lake.session import open_session
        from jobs.lake.tables import Lake

        return Lake(self.settings, (self.session or open_session)(self.settings))

    def build(self, at: datetime, *, full: bool = False, days: tuple[date, ...] = (), is_anew: bool = False) -> Outcome:
        """Stage what is touched and unreleased (or the named days, or everything), from one state of silver.

        `is_anew`: everything, without a look at what is published; what silver cannot tell any more is then lost.
        """
        full = full or is_anew
        if self._plan(full, days, at) is None and not self._is_overtaken:
            return Outcome.nothing("every touched day is released")
        with self.leases.held(lease_name(self.family), self.run_id) as lease:
            end_killed(self, self.staging.manifest())  # before it is forgotten what that brought
            work = self._plan(full, days, at)  # again: another run may just have released it
            if work is None:
                if self._is_overtaken:
                    self.staging.clear()  # else each release would say so until something new comes
                return Outcome.nothing("every touched day is released")
            seconds = stopwatch()
            manifest = self._stage(replace(work, is_anew=is_anew), lease, is_progress=full or not days)
            note_build(self.ledger, self.staging, manifest, seconds(), now())
        return Outcome.staged(manifest, f"staged {manifest.cost}; `reelhouse check {self.family}` is next")

    def check(self) -> Outcome:
        """Judge the staging; QualityError when a critical expectation fails, and its days are held."""
        manifest = self.staging.manifest()
        if manifest is None:
            return Outcome.nothing("nothing is staged")
        passed = self.staging.verdict()
        if passed and passed.fingerprint == manifest.fingerprint:
            return Outcome.staged(manifest, f"checked before: {passed.verdict}", passed.verdict)
        counted = self._refuse_difference()
        with self.leases.held(lease_name(self.family), self.run_id):
            findings = self._judge(manifest, counted)
            verdict = self._pass(findings, manifest)
        warned = sum(not finding.success for finding in findings)
        words = f"{len(findings)} expectations, {warned} warnings; `reelhouse release {self.family}` is next"
        return Outcome.staged(manifest, words, verdict.verdict)

    def release(self) -> Outcome:
        """Make the checked staging visible: one commit per public table, then one for the family."""
        manifest = self.staging.manifest()
        if manifest is None:
            return Outcome.nothing("nothing is staged")
        verdict = self.staging.verdict()
        if verdict is None or verdict.fingerprint != manifest.fingerprint:
            raise QualityError(
                f"{self.family}: the staging has not passed its checks; run `reelhouse check {self.family}`"
            )
        if contract_versions(self.family, self.settings) != self._promised(manifest):
            raise WriteError(f"{self.family}: a contract changed since the build; run `reelhouse build {self.family}`")
        counted = self._refuse_difference()
        with self.leases.held(lease_name(self.family), self.run_id) as lease:
            self.staging.note_uncounted(counted)
            outcome = release_staging(self, manifest, verdict, lease)
            restate(self)
        return outcome

    def publish(self, plan_work: Callable[[], Work], done: "Sequence[Backfilled]", look: Callable[[], None]) -> Outcome:
        """All three steps under one lease, so that no other run comes between.

        The work is planned when the lease is there; `look` may raise before anything is released.
        """
        counted = self._refuse_difference()
        with self.leases.held(lease_name(self.family), self.run_id) as lease:
            manifest = self._stage(plan_work(), lease, done, is_progress=True)
            findings = self._judge(manifest, counted)
            look()
            return release_staging(self, manifest, self._pass(findings, manifest), lease)

    def retry(self, at: datetime) -> Outcome:
        """Lift what is held and go through all three steps."""
        lift(self.ledger, self.family, self.run_id, now())
        if self.build(at).outcome == "nothing_to_do":
            return Outcome.nothing("nothing is held or unreleased")
        self.check()
        return self.release()

    def rollback(self, to: str) -> Outcome:
        """Publish an older release again; the family is held until something changes."""
        return roll_back_one(self, to)

    def read_staged(self, path: str, version: int) -> "DataFrame":
        """Exactly the rows that were staged, whatever was staged since."""
        return self.lake.read_at(path, version)

    @property
    def _tables(self) -> tuple[str, ...]:
        return families(self.settings.schemas_dir)[self.family]

    @property
    def _is_overtaken(self) -> bool:
        return is_overtaken(self.staging, latest(self.ledger, self.family))

    def _refuse_difference(self) -> list[Line]:
        """BooksError when what came in since the last release does not add up; what was counted of silver."""
        last = latest(self.ledger, self.family)
        since = last.facts.ingest_seq if last else -1
        refuse_difference(self.ledger, since)
        return recounted(self.ledger, inputs_of(self.family, self.settings.schemas_dir), since, self.family)

    def _plan(self, full: bool, days: tuple[date, ...], at: datetime) -> Work | None:
        return plan(self.ledger, self.settings, self.family, full, days, at, self.run_id)

    def on_engine(self, is_for_few: bool, do: "Callable[[Lake], T]", lease: Lease | None = None) -> "T":
        """Little is done by the engine of small runs; all else, and what that leaves, by Spark if the lease is ours."""

        def by_spark() -> "Lake":
            if is_for_few and lease:
                self.leases.check(lease)
            return self.lake

        return on_engine(self.settings, self.family, is_for_few, do, by_spark)

    def _stage(
        self, work: Work, lease: Lease, done: "Sequence[Backfilled]" = (), *, is_progress: bool
    ) -> Manifest:  # fmt: skip
        """Fill the staging on the engine that the work is for."""
        last = latest(self.ledger, self.family)
        refuse_forgotten(self.ledger, self._tables, last)
        self.staging.clear()  # first: a release that was killed must not go on after its commits were undone
        if work.is_anew and last:
            begin_again(self.ledger, self.family, last.versions)
        settle(self.ledger, self._tables, last, partial(self.leases.check, lease), is_anew=work.is_anew)
        is_for_few = not done and is_small(work, self.settings)
        tables = self.on_engine(is_for_few, lambda lake: self._filled(lake, work, done), lease)
        manifest = manifest_of(work, tables, last.facts.run_id if last else "", is_progress=is_progress)
        self.staging.put(manifest)
        reach("build.staged")
        return manifest

    def _filled(self, lake: "Lake", work: Work, done: "Sequence[Backfilled]") -> tuple[StagedTable, ...]:
        """The family's own frames in staging; each is written before the next is asked for."""
        stage = family_module(self.family).stage
        frames: Iterable[Staged] = stage(lake, work, done) if done else stage(lake, work)
        return tuple(fill(lake, self.staging, staged, work.held) for staged in frames)

    def _judge(self, manifest: Manifest, counted: Sequence[Line]) -> "list[Finding]":
        """What the checks found; how the staging adds up, and what was `counted` before, is kept for the release."""
        findings: list[Finding] = []
        lines: list[Line] = []
        if manifest.tables:
            rows = sum(staged.rows for staged in manifest.tables)
            is_for_few = are_few(rows, self.settings)
            findings, lines = self.on_engine(is_for_few, lambda lake: self._findings(lake, manifest))
        self.staging.put(Accounts(fingerprint=manifest.fingerprint, lines=(*counted, *lines)))
        return findings

    def _findings(self, lake: "Lake", manifest: Manifest) -> "tuple[list[Finding], list[Line]]":
        """What the contracts say of the staging, and how it adds up to what it was made from.

        Were there no lake yet, the gate would start a Spark of its own.
        """
        from jobs.lake.quality import Gate
        from jobs.lake.reconciling import findings_of, reconciled

        gate, findings = Gate(), []
        for staged in manifest.tables:
            frame = lake.read_at(self.staging.path(staged.table), staged.version)
            findings += gate.judge(lake.contract(staged.table), frame, staged.slices)
        lines = reconciled(lake, family_module(self.family), self.staging, manifest)
        return [*findings, *findings_of(lake, lines)], lines

    def _pass(self, findings: "list[Finding]", manifest: Manifest) -> Verdict:
        """Book what was found, and the verdict; QualityError when a critical expectation failed."""
        self.ledger.append(CHECKS, [self._as_row(finding, manifest) for finding in findings])
        refuse_if_blocked(findings)
        warned = any(not finding.success for finding in findings)
        verdict = Verdict(fingerprint=manifest.fingerprint, verdict="warned" if warned else "passed")
        self.staging.put(verdict)
        reach("check.done")
        return verdict

    def _as_row(self, finding: "Finding", manifest: Manifest) -> dict[str, object]:
        """A finding as a line of `ops.check_results`."""
        return {
            "run_id": self.run_id,
            "family": self.family,
            "table": finding.table,
            "check": finding.rule.name,
            "severity": finding.rule.severity,
            "success": finding.success,
            "observed": finding.observed,
            "unexpected_rows": finding.unexpected_rows,
            "slice": finding.day,
            "ingest_seq": manifest.ingest_seq_to,
            "contract_version": contract(finding.table, self.settings.schemas_dir).version,
            "recorded_at": now(),
        }

    def _promised(self, manifest: Manifest) -> dict[str, str]:
        """The contract versions the staging was built for; a table that was not staged has today's."""
        today = contract_versions(self.family, self.settings)
        return today | {staged.table: staged.contract_version for staged in manifest.tables}


def runner_of(settings: Settings, target: str, run_id: str) -> Runner:
    """The runner of the family meant by `target`; a run without a name gets one from the clock."""
    return Runner(settings, family_of(target, settings.schemas_dir), run_id or by_hand())


def runners_of(settings: Settings, run_id: str) -> list[Runner]:
    """A runner of each family, all of the same run."""
    run_id = run_id or by_hand()
    return [Runner(settings, family, run_id) for family in families(settings.schemas_dir)]


def by_hand() -> str:
    """The name of a run that was given none."""
    return f"by-hand-{now():%Y%m%dT%H%M%S.%fZ}"


def family_module(family: str) -> ModuleType:
    """Where it is written what a run of the family reads and stages."""
    return import_module(f"jobs.lake.families.{family}")


def lease_name(family: str) -> str:
    """The lease under which a family is built, checked, released and kept up."""
    return f"family:{family}"


def refuse_if_blocked(findings: "Iterable[Finding]") -> None:
    """QualityError that says which expectations failed, on which days, for how many rows, and where to read on."""
    blocking = [finding for finding in findings if finding.blocks]
    if not blocking:
        return
    days = sorted({finding.day for finding in blocking if finding.day})
    words = "; ".join(_in_words(finding) for finding in blocking[:SHOWN])
    more = f"; and {len(blocking) - SHOWN} more" if len(blocking) > SHOWN else ""
    held = "the family is" if any(finding.day is None for finding in blocking) else f"{', '.join(map(str, days))} is"
    raise QualityError(f"{words}{more}. Nothing was released, {held} held; see {RUNBOOK}")


def _in_words(finding: "Finding") -> str:
    on = f" on {finding.day}" if finding.day else ""
    rows = f"{finding.unexpected_rows} rows" if finding.unexpected_rows is not None else f"observed {finding.observed}"
    return f"{finding.table}{on}: {finding.rule.name} failed for {rows} ({finding.rule.description})"
