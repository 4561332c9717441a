"""Rolling back: older releases are published again, of one family or of all, in one commit for readers.

All tables are brought to their old rows first, which nobody sees; killed before the commit, nothing has happened but
that the next build, or rollback, brings them forward again. Killed after it, the same command finds its work done.
Whoever stands still meanwhile until another run has the lease stops, and publishes nothing.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from jobs.lake.begun_again import first_told
from jobs.lake.clock import instant, now
from jobs.lake.contracts import contract
from jobs.lake.erasures import newest_seq
from jobs.lake.errors import UsageError
from jobs.lake.holds import ROLLED_BACK, Hold, hold, lacked, rolled_back
from jobs.lake.kill_points import reach
from jobs.lake.leases import Look
from jobs.lake.ledger import Ledger
from jobs.lake.publications import (
    Release,
    as_of,
    as_row,
    families,
    find_release,
    latest,
    name_of,
    publish_together,
    releases,
)
from jobs.lake.release_notes import of_rollback
from jobs.lake.releasing import Outcome, next_number, renumbered
from jobs.lake.settling import astray, has_same_files, restore, settle, versions_after
from jobs.lake.work import complete_seq

if TYPE_CHECKING:
    from jobs.lake.runner import Runner


@dataclass
class Aim:
    """Family → the release it goes back to; those that are back already; of all that stay, why, in words."""

    wanted: dict[str, Release] = field(default_factory=dict)
    back: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def stays(self, family: str, why: str) -> None:
        """A family stays as it is."""
        self.told.append(f"{family} {why}")

    def is_back(self, family: str, newest: Release) -> None:
        """A family was brought back before, perhaps by a run that was killed when all was published."""
        self.back.append(family)
        self.told.append(
            f"{family} is back already: {name_of(newest)}, by run {newest.facts.run_id}; to go elsewhere name a "
            "release (`--to`)"
        )


def wanted_of(ledger: Ledger, family: str, to: str) -> Aim:
    """Where one family goes back to; `to` is the id or number of a release, "" the one before the newest.

    "" takes back a release that was built, not a rollback: the same command again does nothing.
    """
    found, aim = releases(ledger, family), Aim()
    wanted = find_release(ledger, family, to) if to else _before_newest(found, family)
    if wanted.number == found[-1].number:
        raise UsageError(f"{family}: {name_of(wanted)} is what readers see; name an older release")
    if rolled_back(ledger, found[-1]) and (not to or _is_same(ledger, found[-1], wanted)):
        aim.is_back(family, found[-1])
    else:
        aim.wanted[family] = wanted
    return aim


def roll_back_one(runner: "Runner", to: str) -> Outcome:
    """One family back to an older release; it is held until something changes."""
    from jobs.lake.runner import lease_name

    with runner.leases.held(lease_name(runner.family), runner.run_id) as lease:
        look = partial(runner.leases.check, lease)
        return _rolled_back([runner], wanted_of(runner.ledger, runner.family, to), look)


def roll_back_all(runners: "Sequence[Runner]", to: str) -> Outcome:
    """Every family back to what readers saw at one moment; no other run of any of them comes between.

    `to` is an instant, or a release of any family: the moment it came out. "" is right before the newest of all.
    """
    from jobs.lake.runner import lease_name

    with ExitStack() as leases:
        held = [
            leases.enter_context(runner.leases.held(lease_name(runner.family), runner.run_id)) for runner in runners
        ]
        aim = wanted_of_all(runners[0].ledger, [runner.family for runner in runners], to)
        if not (aim.wanted or aim.back):
            raise UsageError(f"there is nothing to roll back to: {'; '.join(aim.told)}")
        return _rolled_back(runners, aim, partial(runners[0].leases.check, *held))


def wanted_of_all(ledger: Ledger, names: Sequence[str], to: str) -> Aim:
    """Where each of these families goes back to, or why it stays."""
    found, aim = releases(ledger), Aim()
    newest = {release.family: release for release in found}
    last = max(found, key=lambda release: release.facts.known_from, default=None)
    if last and not to and rolled_back(ledger, last):
        for release in (each for each in newest.values() if _made(each) == _made(last)):
            aim.is_back(release.family, release)
        return aim
    then = _then(found, to)
    for family in names:
        if family not in newest:
            aim.stays(family, "was never released")
        elif family not in then:
            aim.stays(family, "stays as it is, it had no release then and has nothing to go back to")
        elif then[family] is newest[family]:
            aim.stays(family, f"stays as it is, {name_of(then[family])} is what readers see")
        elif rolled_back(ledger, newest[family]) and _is_same(ledger, newest[family], then[family]):
            aim.is_back(family, newest[family])
        else:
            aim.wanted[family] = then[family]
    return aim


def _rolled_back(runners: "Sequence[Runner]", aim: Aim, look: Look) -> Outcome:
    """Do it, and book what it changed of numbers that were out, also of what a killed run did."""
    from jobs.lake.restating.booking import restate

    moved = [runner for runner in runners if runner.family in aim.wanted]
    wanted = [aim.wanted[runner.family] for runner in moved]
    outcome = roll_back(moved, wanted, look) if moved else Outcome.nothing("")
    for runner in runners:
        if runner.family in (*aim.wanted, *aim.back):
            restate(runner)
    return replace(outcome, message="; ".join(filter(None, [outcome.message, *aim.told])))


def roll_back(runners: "Sequence[Runner]", wanted: Sequence[Release], look: Look) -> Outcome:
    """Bring the tables of each family to the rows of its old release, hold it, and publish all in one commit.

    `look` at the leases comes before each commit.
    """
    ledger, moment = runners[0].ledger, now()
    for release in wanted:
        refuse_erased(ledger, release)
        refuse_untold(ledger, release)
    holds = {runner.family: _held(runner, old, moment) for runner, old in zip(runners, wanted, strict=True)}
    hold(ledger, runners[0].run_id, holds)
    reach("rollback.held")
    for runner in runners:
        look()
        runner.staging.clear()  # a release that was killed must not go on after its commits were undone
        settle(ledger, families(runner.settings.schemas_dir)[runner.family], latest(ledger, runner.family), look)
    parts = {runner.family: _part(runner, old) for runner, old in zip(runners, wanted, strict=True)}
    versions = [_restored(runner, old, moment, parts, look) for runner, old in zip(runners, wanted, strict=True)]
    again = [
        renumbered(ledger, runner.staging, old, held, run_id=runner.run_id, known_from=moment)
        for runner, old, held in zip(runners, wanted, versions, strict=True)
    ]
    reach("rollback.before_publications")
    look()
    publish_together(ledger, again)
    reach("rollback.after_publications")
    told = [f"{name_of(old)} is back, as {name_of(new)}" for old, new in zip(wanted, again, strict=True)]
    return Outcome("done", "; ".join(told), tuple(as_row(line) for new in again for line in new.tables.values()))


def _part(runner: "Runner", old: Release) -> dict[str, Any]:
    """What a rollback is to a family: the number it gets, whose rows, which tables it writes, and their versions."""
    ledger = runner.ledger
    return {
        "number": next_number(ledger, runner.staging, latest(ledger, runner.family)),
        "rows_of": old.number,
        "written": astray(ledger, old.versions),
        "versions": versions_after(ledger, old.versions),
    }


def _restored(
    runner: "Runner", old: Release, moment: datetime, parts: dict[str, dict[str, Any]], look: Look
) -> dict[str, int]:  # fmt: skip
    """Bring a family's tables to the rows of an old release; table → version.

    Each commit notes what it is for, and what the families that go back with it do.
    """
    ledger, family = runner.ledger, runner.family
    note = of_rollback(family, parts, releases(ledger, family), run_id=runner.run_id, known_from=moment.isoformat())
    versions = restore(ledger, old.versions, note, look)
    reach(f"rollback.after_{family}")
    return versions


def refuse_erased(ledger: Ledger, wanted: Release) -> None:
    """UsageError for a release that still has a person who was erased since."""
    if wanted.facts.ingest_seq < newest_seq(ledger):
        raise UsageError(
            f"{wanted.family}: {name_of(wanted)} is from before a person was erased (batch {newest_seq(ledger)}) and "
            f"would bring them back; name a younger one, or run `reelhouse build {wanted.family} --full`"
        )


def refuse_untold(ledger: Ledger, wanted: Release) -> None:
    """UsageError for a release with a table that was gone altogether, and begun again, since."""
    gone = [table for table, version in wanted.versions.items() if version < first_told(ledger, table)]
    if gone:
        raise UsageError(
            f"{wanted.family}: what {name_of(wanted)} had of {', '.join(gone)} is gone; name a younger one"
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


def _before_newest(found: Sequence[Release], family: str) -> Release:
    """The release before the newest, and before what upkeep made of that."""
    older = [release for release in found if _made(release) != _made(found[-1])]
    if not older:
        raise UsageError(f"{family} has no release before the newest; there is nothing to roll back to")
    return older[-1]


def _made(release: Release) -> tuple[str, datetime]:
    """By which run and when its rows were made, or brought back; upkeep changes neither."""
    return release.facts.run_id, release.facts.known_from


def _is_same(ledger: Ledger, newest: Release, old: Release) -> bool:
    """Whether nothing would change by going back from one to the other."""
    facts = [
        {table: (line.ingest_seq, line.watermark, line.contract_version) for table, line in release.tables.items()}
        for release in (newest, old)
    ]
    if facts[0] != facts[1]:
        return False
    return all(has_same_files(ledger, table, newest.versions[table], old.versions[table]) for table in old.tables)


def _held(runner: "Runner", old: Release, moment: datetime) -> list[Hold]:
    """The family waits until something changes, or somebody says `release --retry`; so do days that were held then."""
    schemas = runner.settings.schemas_dir
    first = next(iter(families(schemas)[runner.family]))
    whole = Hold(first, ROLLED_BACK, None, complete_seq(runner.ledger), contract(first, schemas).version, moment)
    return [whole, *(replace(one, recorded_at=moment) for one in lacked(runner.ledger, old))]
