"""Releasing: one commit per public table under a number of the release's own, then one line per table for readers.

A killed release goes on where it stopped: its number is kept on a ticket beside the staging, every commit carries it,
and a commit that is there already is not made again. One that stands still until another has taken over is stopped
before its next commit; where it has looked at its lease for the last time, it publishes the versions it made itself.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from jobs.lake.clock import now
from jobs.lake.contracts import contract
from jobs.lake.damage import damage_told
from jobs.lake.errors import WriteError
from jobs.lake.holds import make_good
from jobs.lake.kill_points import reach
from jobs.lake.leases import Lease, Look
from jobs.lake.ledger import Ledger
from jobs.lake.publications import (
    Publication,
    Release,
    app_of,
    as_row,
    begin,
    families,
    latest,
    name_of,
    publish,
    release_id,
    release_of,
    releases,
)
from jobs.lake.reconciliations import book
from jobs.lake.release_notes import NOTE, of_release
from jobs.lake.settling import settle
from jobs.lake.small_commits import FEW_ROWS, SmallCommit, is_small, rows_at
from jobs.lake.staging import Manifest, StagedTable, Staging, Ticket, Verdict

if TYPE_CHECKING:
    from jobs.lake.runner import Runner


@dataclass(frozen=True)
class Outcome:
    """How a step ended: `outcome` is done or nothing_to_do; `tables` has one row per table for people and JSON."""

    outcome: str
    message: str
    tables: tuple[dict[str, Any], ...] = ()
    facts: Mapping[str, Any] | None = None

    @classmethod
    def nothing(cls, message: str) -> "Outcome":
        """There was nothing to do."""
        return cls("nothing_to_do", message)

    @classmethod
    def staged(cls, manifest: Manifest, message: str, verdict: str = "unchecked") -> "Outcome":
        """Something is staged, checked or not."""
        tables = [{**table.model_dump(mode="json"), "verdict": verdict} for table in manifest.tables]
        facts = manifest.model_dump(mode="json", include={"full", "days", "held", "ingest_seq_to", "watermark"})
        return cls("done", message, tuple(tables), facts)

    @classmethod
    def released(cls, release: Release, message: str) -> "Outcome":
        """A release is out."""
        return cls("done", message, tuple(as_row(line) for line in release.tables.values()))


def release_staging(runner: "Runner", manifest: Manifest, verdict: Verdict, lease: Lease) -> Outcome:
    """Bring a checked staging to the readers; done before, it only says so."""
    ledger, staging = runner.ledger, runner.staging
    if done := end_killed(runner, manifest):
        return Outcome.released(done, f"released before, as {name_of(done)}")
    told, look = releases(ledger, manifest.family), partial(runner.leases.check, lease)
    last, ticket = told[-1] if told else None, staging.ticket()
    if is_of_another(manifest, last):
        raise WriteError(f"{manifest.family}: another release came between; run `reelhouse build {manifest.family}`")
    if ticket is None or ticket.fingerprint != manifest.fingerprint:
        ticket = open_ticket(ledger, staging, manifest, last, look)
    reach("release.before")
    for staged in manifest.tables:
        look()
        commit_staged(runner, staged, manifest, verdict, ticket, told)
        reach(f"release.after_{staged.table}")
    reach("release.before_publications")
    look()
    refuse_strangers(ledger, own_versions(manifest, ticket))
    if accounts := staging.accounts():
        book(ledger, manifest, ticket.number, accounts.lines, now())
    lines = _lines(ledger, manifest, verdict, ticket, last)
    look()
    reach("release.after_lease")  # whatever happens to the lease from here on, what was made is published, whole
    publish(ledger, manifest.family, ticket.number, lines)
    reach("release.after_publications")
    release = Release(manifest.family, ticket.number, {line.table: line for line in lines})
    _pay(runner, manifest, release)
    return Outcome.released(release, f"released as {name_of(release)}")


def end_killed(runner: "Runner", manifest: Manifest | None) -> Release | None:
    """What is staged, if it is out; what it brought is made good, to which a release that was killed had not come."""
    ticket = runner.staging.ticket()
    if manifest is None or ticket is None or ticket.fingerprint != manifest.fingerprint:
        return None
    release = release_of(runner.ledger, manifest.family, ticket.number)
    if release is None or release.facts.run_id != manifest.run_id:
        return None
    _pay(runner, manifest, release)
    return release


def _pay(runner: "Runner", manifest: Manifest, release: Release) -> None:
    """Make good what the days owed that a release brought; again does nothing."""
    brought = {staged.table: staged.slices for staged in manifest.tables}
    make_good(runner.ledger, manifest.family, runner.run_id, brought, now(), name_of(release))


def unfinished(ledger: Ledger, staging: Staging) -> int | None:
    """The number of a release that was begun and not published; None when there is no such."""
    ticket, last = staging.own_ticket(), latest(ledger, staging.family)
    if ticket is None:
        return None
    return ticket.number if last is None or last.number < ticket.number else None


def is_released(staging: Staging, last: Release) -> bool:
    """Whether what is staged is out, so that nobody needs it any more."""
    ticket = staging.own_ticket()
    return ticket is not None and ticket.number <= last.number


def is_of_another(manifest: Manifest, last: Release | None) -> bool:
    """Whether what is staged was made of another state of the tables than the newest release."""
    return (last.facts.run_id if last else "") != manifest.base_run_id


def is_overtaken(staging: Staging, last: Release | None) -> bool:
    """Whether what is staged can never be released, for another release came between."""
    manifest = staging.manifest()
    return (
        manifest is not None and last is not None and is_of_another(manifest, last) and not is_released(staging, last)
    )


def own_versions(manifest: Manifest, ticket: Ticket) -> dict[str, int]:
    """Table → the version that a release makes of it, whatever it has got since."""
    written = {staged.table for staged in manifest.tables if not _is_empty(staged)}
    return {table: base + (table in written) for table, base in ticket.base.items()}


def refuse_strangers(ledger: Ledger, versions: Mapping[str, int]) -> None:
    """WriteError when a table holds a commit that is neither published nor this release's own."""
    for table, version in versions.items():
        if ledger.version(table) != version:
            raise WriteError(f"{table}: another writer committed under this release; run `reelhouse build` again")


def open_ticket(ledger: Ledger, staging: Staging, manifest: Manifest, last: Release | None, look: Look) -> Ticket:
    """Give the staging a number no release, killed or not, has had; every table starts from what is published."""
    tables = families(ledger.settings.schemas_dir)[manifest.family]
    # Where a table was begun again no other build has staged anything since.
    settle(ledger, tables, last, look, is_anew=True)
    number = next_number(ledger, staging, last)
    look()
    if last is None:
        begin(ledger, manifest.family, number)
    ticket = Ticket(
        fingerprint=manifest.fingerprint,
        number=number,
        base={table: ledger.open(table).version() for table in tables},
    )
    staging.put(ticket)
    return ticket


def next_number(ledger: Ledger, staging: Staging, last: Release | None) -> int:
    """One more than any number published, on a ticket, or in a table's log."""
    app, tables = app_of(staging.family), families(ledger.settings.schemas_dir)[staging.family]
    used = [ledger.txn_version(table, app) or 0 for table in tables]
    ticket = staging.ticket()
    return 1 + max(0, *used, last.number if last else 0, ticket.number if ticket else 0)


def republish(
    ledger: Ledger, staging: Staging, last: Release, versions: Mapping[str, int], look: Look
) -> Release:  # fmt: skip
    """Publish the rows of a release under other versions of its tables, as after a compaction.

    The number comes before the `look` at the lease: what another run publishes after that has it, or a later one.
    """
    again = renumbered(ledger, staging, last, versions)
    look()
    publish(ledger, again.family, again.number, list(again.tables.values()))
    return again


def renumbered(ledger: Ledger, staging: Staging, old: Release, versions: Mapping[str, int], **changed: Any) -> Release:
    """The release that has the rows of an old one under other versions; nobody sees it yet."""
    number = next_number(ledger, staging, latest(ledger, old.family))
    name = release_id(old.family, number)
    lines = {
        table: replace(
            line,
            release_id=name,
            version=versions.get(table, line.version),
            rows=ledger.open(table).count() if table in versions else line.rows,
            **changed,
        )
        for table, line in old.tables.items()
    }
    return Release(old.family, number, lines)


def commit_staged(
    runner: "Runner", staged: StagedTable, manifest: Manifest, verdict: Verdict, ticket: Ticket, told: Sequence[Release]
) -> None:
    """The one commit of one table, unless it is there; any commit of another writer stops the release.

    `told` are the releases that are published.
    """
    table, app = staged.table, app_of(manifest.family)
    public = runner.ledger.open(table)
    if (public.transaction_version(app) or 0) >= ticket.number:
        return
    if public.version() != ticket.base[table]:
        raise WriteError(
            f"{table}: another writer committed version {public.version()} under this release (it started from "
            f"{ticket.base[table]}); run `reelhouse build {manifest.family}` again"
        )
    metadata: dict[str, Any] = {
        "run_id": manifest.run_id,
        "release": release_id(manifest.family, ticket.number),
        "contract_version": staged.contract_version,
        "verdict": verdict.verdict,
    }
    if not _is_empty(staged):
        tables = families(runner.settings.schemas_dir)[manifest.family]
        contracts = {each: contract(each, runner.settings.schemas_dir).version for each in tables}
        written = [each.table for each in manifest.tables if not _is_empty(each)]
        publication = of_release(manifest, verdict, ticket, told, written, contracts)
        metadata[NOTE] = publication | {"slices": [day.isoformat() for day in staged.slices]}
        note = json.dumps(metadata, sort_keys=True)
        is_few = staged.rows <= FEW_ROWS and (staged.mode != "merge" or is_small(public))
        write = _write_few if is_few else _write_many
        looked_up_by = contract(table, runner.settings.schemas_dir).looked_up_by
        write(runner, staged, SmallCommit(table, public, app, ticket.number, note, looked_up_by))


def _is_empty(staged: StagedTable) -> bool:
    """Whether a table was staged without anything to write."""
    if staged.mode == "replace_slices":
        return not staged.slices
    return staged.mode != "replace_all" and not staged.rows and staged.removed_version is None


def _write_few(runner: "Runner", staged: StagedTable, commit: SmallCommit) -> None:
    """Replace, merge or append, as the family said, without Spark."""
    staging, promised = runner.staging, contract(staged.table, runner.settings.schemas_dir)
    rows, version = rows_at(staging.path(staged.table), staged.version), staged.removed_version
    removed = None if version is None else rows_at(staging.removed_path(staged.table), version)
    with damage_told(staged.table):
        if staged.mode == "replace_slices":
            commit.replace_slices(rows, promised.slice_column or "", staged.slices)
        elif staged.mode == "replace_all":
            commit.replace_all(rows)
        elif staged.mode == "append":
            commit.append(rows)
        else:
            commit.merge(rows, promised.grain, removed)


def _write_many(runner: "Runner", staged: StagedTable, commit: SmallCommit) -> None:
    """The same by Spark."""
    lake, table = runner.lake, staged.table
    frame = runner.read_staged(runner.staging.path(table), staged.version)
    promised, app, number, note = lake.contract(table), commit.app, commit.version, commit.metadata
    if staged.mode == "replace_slices":
        column = promised.slice_column or ""
        lake.replace_slices(table, frame, column, staged.slices, app=app, version=number, metadata=note)
    elif staged.mode == "replace_all":
        lake.replace_all(table, frame, app=app, version=number, metadata=note)
    elif staged.mode == "append":
        lake.append(table, frame, app=app, version=number, metadata=note)
    else:
        path = runner.staging.removed_path(table)
        removed = None if staged.removed_version is None else runner.read_staged(path, staged.removed_version)
        lake.merge(table, frame, promised.grain, app=app, version=number, metadata=note, removed=removed)


def _lines(
    ledger: Ledger, manifest: Manifest, verdict: Verdict, ticket: Ticket, last: Release | None
) -> list[Publication]:
    """One line per table of the family; a table the run did not touch keeps its version."""
    staged, versions = {table.table: table for table in manifest.tables}, own_versions(manifest, ticket)
    return [
        Publication(
            release_id=release_id(manifest.family, ticket.number),
            family=manifest.family,
            table=table,
            version=versions[table],
            slices=staged[table].slices if table in staged else (),
            ingest_seq=manifest.released_seq,
            watermark=manifest.watermark,
            contract_version=contract(table, ledger.settings.schemas_dir).version,
            verdict=verdict.verdict if table in staged else _old_verdict(last, table),
            run_id=manifest.run_id,
            known_from=manifest.known_from,
            rows=_count(ledger, table, versions[table]),
        )
        for table in versions
    ]


def _count(ledger: Ledger, table: str, version: int) -> int:
    """The rows of a version, by the log."""
    delta = ledger.open(table)
    if delta.version() != version:
        delta.load_as_version(version)
    return delta.count()


def _old_verdict(last: Release | None, table: str) -> str:
    line = last.tables.get(table) if last else None
    return line.verdict if line else "unchecked"
