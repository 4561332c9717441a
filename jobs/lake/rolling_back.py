"""Rolling back: older releases are published again, of one family or of all, in one commit for readers.

All tables are brought to their old rows first, which nobody sees; killed before the commit, nothing has happened but
that the next build brings them forward again.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING

from jobs.lake.clock import instant, now
from jobs.lake.contracts import contract
from jobs.lake.erasures import newest_seq
from jobs.lake.errors import UsageError
from jobs.lake.holds import hold
from jobs.lake.kill_points import reach
from jobs.lake.ledger import Ledger
from jobs.lake.publications import (
    Release,
    as_of,
    as_row,
    families,
    find_release,
    name_of,
    publish_together,
    releases,
)
from jobs.lake.release_notes import of_rows
from jobs.lake.releasing import Outcome, next_number, renumbered
from jobs.lake.settling import astray, restore, versions_after
from jobs.lake.work import complete_seq

if TYPE_CHECKING:
    from jobs.lake.runner import Runner


def wanted_of(ledger: Ledger, family: str, to: str) -> Release:
    """The release of one family to go back to; `to` is its id or number, "" the one before the newest."""
    found = releases(ledger, family)
    if to:
        wanted = find_release(ledger, family, to)
    elif len(found) > 1:
        wanted = found[-2]
    else:
        raise UsageError(f"{family} has no release before the newest; there is nothing to roll back to")
    if wanted.number == found[-1].number:
        raise UsageError(f"{family}: {name_of(wanted)} is what readers see; name an older release")
    return wanted


def roll_back_all(runners: "Sequence[Runner]", to: str) -> Outcome:
    """Every family back to what readers saw at one moment; no other run of any of them comes between.

    `to` is an instant, or a release of any family: the moment it came out. "" is right before the newest of all.
    """
    from jobs.lake.restating.booking import restate
    from jobs.lake.runner import lease_name

    with ExitStack() as leases:
        for runner in runners:
            leases.enter_context(runner.leases.held(lease_name(runner.family), runner.run_id))
        wanted, told = wanted_of_all(runners[0].ledger, [runner.family for runner in runners], to)
        moved = [runner for runner in runners if runner.family in wanted]
        if not moved:
            raise UsageError(f"there is nothing to roll back to: {'; '.join(told)}")
        outcome = roll_back(moved, [wanted[runner.family] for runner in moved])
        for runner in moved:
            restate(runner)
    return Outcome("done", "; ".join([outcome.message, *told]), outcome.tables)


def wanted_of_all(ledger: Ledger, names: Sequence[str], to: str) -> tuple[dict[str, Release], list[str]]:
    """Family → the release it goes back to, for those that do; of each of the others, why it stays, in words."""
    found = releases(ledger)
    newest = {release.family: release for release in found}
    then = _then(found, to)
    wanted = {family: then[family] for family in names if family in then and then[family] is not newest[family]}
    told = []
    for family in (each for each in names if each not in wanted):
        if family in then:
            told.append(f"{family} stays as it is, {name_of(then[family])} is what readers see")
        elif family in newest:
            told.append(f"{family} stays as it is, it had no release then and has nothing to go back to")
        else:
            told.append(f"{family} was never released")
    return wanted, told


def roll_back(runners: "Sequence[Runner]", wanted: Sequence[Release]) -> Outcome:
    """Bring the tables of each family to the rows of its old release, hold it, and publish all in one commit."""
    ledger = runners[0].ledger
    for release in wanted:
        refuse_erased(ledger, release)
    moment = now()
    versions = [_restored(runner, old, moment) for runner, old in zip(runners, wanted, strict=True)]
    for runner in runners:
        _hold(runner, moment)
    again = [
        renumbered(ledger, runner.staging, old, held, run_id=runner.run_id, known_from=moment)
        for runner, old, held in zip(runners, wanted, versions, strict=True)
    ]
    reach("rollback.before_publications")
    publish_together(ledger, again)
    told = [f"{name_of(old)} is back, as {name_of(new)}" for old, new in zip(wanted, again, strict=True)]
    return Outcome("done", "; ".join(told), tuple(as_row(line) for new in again for line in new.tables.values()))


def _restored(runner: "Runner", old: Release, moment: datetime) -> dict[str, int]:
    """Bring a family's tables to the rows of an old release; table → version. Each commit notes what it is for."""
    ledger, family = runner.ledger, runner.family
    found = releases(ledger, family)
    number = next_number(ledger, runner.staging, found[-1])
    told = {"written": astray(ledger, old.versions), "versions": versions_after(ledger, old.versions)}
    note = of_rows(family, number, old.number, found, run_id=runner.run_id,
                   known_from=moment.isoformat(), **told)  # fmt: skip
    return restore(ledger, old.versions, note)


def refuse_erased(ledger: Ledger, wanted: Release) -> None:
    """UsageError for a release that still has a person who was erased since."""
    if wanted.facts.ingest_seq < newest_seq(ledger):
        raise UsageError(
            f"{wanted.family}: {name_of(wanted)} is from before a person was erased (batch {newest_seq(ledger)}) and "
            f"would bring them back; name a younger one, or run `reelhouse build {wanted.family} --full`"
        )


def _then(found: Sequence[Release], to: str) -> dict[str, Release]:
    """Family → what readers saw of it at the moment meant; a release that is named is taken as it is."""
    if not to:
        newest = max((release.facts.known_from for release in found), default=None)
        return as_of([release for release in found if release.facts.known_from != newest], newest) if newest else {}
    named = next((release for release in found if name_of(release) == to), None)
    if named:
        return as_of(found, named.facts.known_from) | {named.family: named}
    if to[:1].isdigit():
        return as_of(found, instant(to, "--to"))
    some = ", ".join(name_of(release) for release in found[-3:]) or "none"
    raise UsageError(f"--to {to!r} is no release and no instant; write 2026-11-23T03:00:00Z, or one such as {some}")


def _hold(runner: "Runner", moment: datetime) -> None:
    """The family waits until something changes, or somebody says `release --retry`."""
    ledger, schemas = runner.ledger, runner.settings.schemas_dir
    first = next(iter(families(schemas)[runner.family]))
    version = contract(first, schemas).version
    hold(ledger, runner.family, runner.run_id, first, version, complete_seq(ledger), moment)
