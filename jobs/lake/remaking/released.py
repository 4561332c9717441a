"""A published table without its newest commit: the release goes on as if it had been killed before that commit.

What was staged for a release stays until the next build, so the very rows are committed again, under the same version.
"""

from collections.abc import Callable
from typing import Any

from jobs.lake.ailments import Ailment
from jobs.lake.aside import Mended
from jobs.lake.compacting import write_together
from jobs.lake.contracts import contract
from jobs.lake.errors import WriteError
from jobs.lake.ledger import Ledger
from jobs.lake.look_ups import writer_properties
from jobs.lake.mending import paths, proven, taken_out
from jobs.lake.publications import Release, releases
from jobs.lake.release_notes import of_rows
from jobs.lake.releasing import commit_staged, unfinished
from jobs.lake.runner import Runner, lease_name, runner_of
from jobs.lake.scanning import local_files
from jobs.lake.settings import Settings
from jobs.lake.staging import StagedTable


def release_again(
    settings: Settings, table: str, found: list[Ailment], run_id: str, open_spark: Callable[[Settings], Any]
) -> Mended:
    """Set the commit aside, under the family's lease; one that is published is made again.

    WriteError, with every file back in its place, when nothing holds its rows any more.
    """
    runner = runner_of(settings, table, run_id)
    runner.session = open_spark
    ledger, staging = runner.ledger, runner.staging
    held = runner.leases.held(lease_name(runner.family), run_id)
    with held as lease, taken_out(settings, table, found) as moved:
        version, _ = proven(ledger, table)
        told = releases(ledger, runner.family)
        if told and told[-1].versions.get(table, 0) > version:
            runner.leases.check(lease)
            commit_again(runner, table, told)
    delta = ledger.open(table)
    is_left = unfinished(ledger, staging) is not None
    next_step = f"reelhouse release {runner.family}" if is_left else ""
    return Mended(table, paths(moved), delta.version(), delta.count(), next_step)


def commit_again(runner: Runner, table: str, told: list[Release]) -> None:
    """Make the published commit of one table again; WriteError unless it is that version with as many rows."""
    line = told[-1].tables[table]
    if not (of_staging(runner, table, told) or of_upkeep(runner.ledger, table, told)):
        raise WriteError(
            f"{table}: {line.release_id} published its version {line.version}, and what was staged for that is gone; "
            "nothing was changed. Put the file back from a copy; see docs/runbooks/lake.md"
        )
    delta = runner.ledger.open(table)
    if (delta.version(), delta.count()) != (line.version, line.rows):
        raise WriteError(
            f"{table}: came back as version {delta.version()} with {delta.count()} rows, {line.release_id} published "
            f"{line.version} with {line.rows}; nothing was changed. Put the file back from a copy"
        )


def of_staging(runner: Runner, table: str, told: list[Release]) -> bool:
    """Commit the staged rows again, if they are those of the version that is published."""
    manifest, verdict, ticket = runner.staging.manifest(), runner.staging.verdict(), runner.staging.own_ticket()
    if manifest is None or verdict is None or ticket is None:
        return False
    published = {release.versions.get(table) for release in told if release.number == ticket.number}
    staged = [each for each in manifest.tables if each.table == table]
    if not staged or published != {told[-1].versions[table]} or not is_there(runner, staged[0]):
        return False
    commit_staged(runner, staged[0], manifest, verdict, ticket, told)
    return True


def is_there(runner: Runner, staged: StagedTable) -> bool:
    """Whether the staged rows are where they were: where people were erased upkeep empties what is released."""
    from deltalake import DeltaTable

    path = runner.staging.path(staged.table)
    return all(file.exists() for file in local_files(DeltaTable(path, version=staged.version)))


def of_upkeep(ledger: Ledger, table: str, told: list[Release]) -> bool:
    """Write small files together again, if that is what the newest release did to the table and no more."""
    last, before = told[-1], told[-2] if len(told) > 1 else None
    if before is None or before.versions[table] != ledger.version(table):
        return False
    if (before.facts.run_id, before.facts.known_from) != (last.facts.run_id, last.facts.known_from):
        return False
    delta, looked_up_by = ledger.open(table), contract(table, ledger.settings.schemas_dir).looked_up_by
    note = of_rows(last.family, last.number, before.number, told[:-1])
    laid_out = writer_properties(looked_up_by, delta.count())
    write_together(table, delta, laid_out, note)
    return True
