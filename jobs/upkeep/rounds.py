"""Rounds of upkeep: who may tidy which tables when, and how readers get to see the tidied files.

Each group of tables has one writer at a time, by its lease. A family of gold tables is published again after a
compaction: the same rows, under the versions that hold them in fewer files.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from jobs.lake.contracts import all_tables
from jobs.lake.erasures import newest_seq
from jobs.lake.errors import UsageError
from jobs.lake.file_digests import TABLE as DIGESTS
from jobs.lake.ingest.counting import begun_at
from jobs.lake.ingest.landings import keep as keep_plans
from jobs.lake.ingest.progress import BRONZE, TOUCHED
from jobs.lake.kill_points import reach
from jobs.lake.leases import Leases, is_held
from jobs.lake.ledger import Ledger
from jobs.lake.noting import note_files
from jobs.lake.publications import Release, families, latest, releases
from jobs.lake.release_notes import of_rows
from jobs.lake.releasing import is_released, next_number, republish, unfinished
from jobs.lake.runner import lease_name
from jobs.lake.scanning import is_table
from jobs.lake.settings import Settings
from jobs.lake.settling import settle
from jobs.lake.small_runs import forget_the_killed
from jobs.lake.staging import Staging
from jobs.upkeep.files import MANY_SMALL, Tidied, compact, refresh_log, refuse_too_young, statistics, vacuum
from jobs.upkeep.forgetting import forget_names
from jobs.upkeep.logs import WORTH, cut, is_long

SILVER, LEDGER = "silver", "ledger"
LEDGER_LEASE = "upkeep:ledger"  # two compactions of one table at once would double its rows
LEASES = "ops.leases"
REWRITTEN = (LEASES, DIGESTS)  # overwritten at every heartbeat, or round: one file to read, many to throw away
KEEP_REWRITTEN = timedelta(hours=1)


@dataclass
class Round:
    """One round over some tables, keeping what was readable `keep` ago."""

    settings: Settings
    run_id: str
    keep: timedelta
    now: datetime
    told: Callable[[str], None]
    many: int = MANY_SMALL  # small files of a table that are worth a commit
    log_kept: timedelta | None = None  # of logs that are cut; by default as the settings say
    log_from: int = WORTH  # files of a log that are worth a cut

    @cached_property
    def ledger(self) -> Ledger:
        """The tables, by delta-rs."""
        return Ledger(self.settings)

    @cached_property
    def leases(self) -> Leases:
        """Who may write."""
        return Leases(self.ledger)

    def tidy(self, tables: Sequence[str]) -> list[Tidied]:
        """Tidy these tables, group by group; LeaseError when the writer of a group is at work."""
        refuse_too_young(self.keep, self._oldest(), self.now)
        forget_the_killed(self.settings)
        killed = ("a batch that was killed", "end it with `reelhouse ingest`")
        refuse_too_young(self.keep, begun_at(self.ledger), self.now, *killed)
        done: list[Tidied] = []
        for group, members in groups(self.settings).items():
            chosen = [table for table in members if table in tables and self.ledger.exists(table)]
            if chosen:
                done += self._group(group, chosen)
        if new := self.note(tables):
            self.told(f"{new} new files noted in {DIGESTS}")
        return done

    def note(self, tables: Sequence[str]) -> int:
        """Note what their new files are, so that it is seen when one is changed; how many there were."""
        return note_files(self.ledger, tables, self.now)

    def of_held_ingest(self) -> list[str]:
        """The tables that an ingest which goes on for ever tidies itself, for it never gives up its lease."""
        known = groups(self.settings)
        return [table for group in (LEDGER, SILVER) for table in known[group] if self.ledger.exists(table)]

    def tidy_held(self, table: str) -> int:
        """Tidy one of them between two batches; how many files went into larger ones."""
        refuse_too_young(self.keep, self._oldest(but=lease_of(SILVER)), self.now)
        with self._alone(table):
            if table == TOUCHED:
                forget_names(self.ledger)
            return self._plain(table, but=lease_of(SILVER)).compacted

    def compact_held(self, table: str) -> int:
        """Only write its small files together, and cut its log; how many files there were."""
        with self._alone(table):
            compacted = self._compact(table)
            self._cut(table, but=lease_of(SILVER))
            return compacted

    def _alone(self, table: str) -> AbstractContextManager[object]:
        """For who holds ingest's lease: that of upkeep beside it, for a table of the ledger."""
        return self.leases.held(LEDGER_LEASE, self.run_id) if table.startswith("ops.") else nullcontext()

    def _oldest(self, but: str | None = None) -> datetime | None:
        """Since when the run is at work that began first; None when none is."""
        held = [
            lease.acquired_at for name, lease in self.leases.read().items() if name != but and is_held(lease, self.now)
        ]
        return min(held, default=None)

    def _group(self, group: str, tables: Sequence[str]) -> Iterator[Tidied]:
        with self.leases.held(lease_of(group), self.run_id):
            if TOUCHED in tables:
                forget_names(self.ledger)
            if group in (LEDGER, SILVER):
                yield from (self._plain(table) for table in tables)
            else:
                yield from self._family(group, tables)

    def _plain(self, table: str, but: str | None = None) -> Tidied:
        """A table whose newest version is what readers see. Appends do not collide with a compaction."""
        compacted = self._compact(table)
        keep = KEEP_REWRITTEN if table in REWRITTEN else self.keep
        gone = vacuum(self.ledger.open(table), keep)
        if table == BRONZE:
            keep_plans(self.ledger)
        refresh_log(self.ledger, table)
        self._cut(table, but)
        return statistics(self.ledger, table, compacted, gone)

    def _cut(self, table: str, but: str | None = None) -> int:
        """Cut its log, as far as no run at work (but ours), and no batch that is to be ended, may look back."""
        if not is_long(self.ledger, table, self.log_from):
            return 0
        kept = self.log_kept if self.log_kept is not None else timedelta(hours=self.settings.log_hours)
        at_work = [since for since in (self._oldest(but), begun_at(self.ledger)) if since]
        return cut(self.ledger, table, min([self.now - kept, *at_work]), self.log_from)

    def _compact(self, table: str) -> int:
        return 0 if table in REWRITTEN else compact(self.ledger, table, self.many)

    def _family(self, family: str, tables: Sequence[str]) -> Iterator[Tidied]:
        """Published tables: compact, publish the new versions, and keep the files of every release kept."""
        staging, last = Staging(self.settings, family), latest(self.ledger, family)
        if last is None or unfinished(self.ledger, staging):
            self.told(
                f"{family}: nothing is released, or a release is half done; `reelhouse release {family}` comes first"
            )
            return
        settle(self.ledger, families(self.settings.schemas_dir)[family], last)
        note = of_rows(family, next_number(self.ledger, staging, last), last.number, releases(self.ledger, family))
        compacted = {table: compact(self.ledger, table, self.many, note) for table in tables}
        reach("upkeep.before_publications")
        if any(compacted.values()):
            versions = {table: self.ledger.version(table) for table, files in compacted.items() if files}
            last = republish(self.ledger, staging, last, versions)
        for table in tables:
            gone = vacuum(self.ledger.open(table), self.keep, self._kept(family, table))
            refresh_log(self.ledger, table)
            yield statistics(self.ledger, table, compacted[table], gone)
        self._sweep(staging, last)

    def _kept(self, family: str, table: str) -> list[int]:
        """Versions of the releases readers may still name: the younger ones, and always the newest."""
        found = releases(self.ledger, family)
        young = [release for release in found[:-1] if release.facts.known_from >= self.now - self.keep]
        return [release.tables[table].version for release in [*young, found[-1]] if table in release.tables]

    def _sweep(self, staging: Staging, last: Release) -> None:
        """Staging keeps its newest build only; we hold the lease, so nobody is reading it.

        Where people were erased it keeps none that is released: a build stages the names of whom it takes away.
        """
        from deltalake import DeltaTable

        is_emptied = newest_seq(self.ledger) >= 0 and is_released(staging, last)
        for table in last.tables:
            for path in (staging.path(table), staging.removed_path(table)):
                if is_table(path):
                    if is_emptied:
                        DeltaTable(path).delete()
                    vacuum(DeltaTable(path), timedelta(0))


def groups(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Group → its tables: what ingest writes, each family of published tables, and the ledger."""
    tables, published = all_tables(settings.schemas_dir), families(settings.schemas_dir)
    theirs = {table for members in published.values() for table in members}
    silver = tuple(table for table in tables if table.startswith(("bronze.", "silver.")) and table not in theirs)
    ledger = tuple(table for table in tables if table.startswith("ops."))
    return {LEDGER: ledger, **published, SILVER: silver}


def lease_of(group: str) -> str:
    """Under which lease a group is tidied; that of the ledger is upkeep's own, for its writers only append."""
    from jobs.lake.ingest.loop import LEASE

    return {LEDGER: LEDGER_LEASE, SILVER: LEASE}.get(group, lease_name(group))


def chosen_tables(settings: Settings, names: Sequence[str], tables: Sequence[str]) -> list[str]:
    """Tables of the named groups (`silver` brings the ledger) and the tables named one by one; none means all."""
    known = groups(settings)
    every = [table for members in known.values() for table in members]
    unknown = [name for name in names if name not in (*known, "all")] + [
        table for table in tables if table not in every
    ]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no group or table; write all, {', '.join(known)}, or --table with a table")
    if "all" in names or not (names or tables):
        return every
    wanted = {*names, *([LEDGER] if SILVER in names else [])}
    return [table for group in wanted for table in known[group]] + list(tables)
