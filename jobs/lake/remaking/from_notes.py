"""The releases of all families as the notes of their tables' commits tell them, for `ops.publications`.

A release is told if a later one says that it was published; the newest, which no other tells of, if all its commits
are there and none was undone. Families that were rolled back together are told of together, or none of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby
from typing import Any

from jobs.lake.ledger import Ledger
from jobs.lake.publications import Publication, release_id
from jobs.lake.release_notes import Noted, notes, published_by

Lines = dict[str, Publication]  # by table
Told = dict[int, Lines]  # the releases of a family, by number; no lines where they cannot be told
Stamp = tuple[str, str]  # run and time of a rollback


@dataclass(frozen=True)
class Attempt:
    """One try at a release: what its commits say alike, and where they are, by table.

    A rollback has no commit in a family whose tables had the old files already; the other families' commits tell of it.
    """

    family: str
    number: int
    said: Mapping[str, Any]
    run_id: str = ""
    commits: Mapping[str, Noted] = field(default_factory=dict)

    @property
    def stamp(self) -> Stamp | None:
        """Which rollback it is of; None for a release, and for upkeep."""
        is_rollback = "rows_of" in self.said and "known_from" in self.said
        return (self.said["run_id"], self.said["known_from"]) if is_rollback else None

    @property
    def is_whole(self) -> bool:
        """Whether every commit is there that it was to make."""
        return self.commits.keys() >= set(self.said.get("written", ()))

    @property
    def parts(self) -> "dict[str, Attempt]":
        """Family → what the same rollback is to it, as far as this one tells."""
        shared = {name: self.said[name] for name in ("run_id", "known_from")}
        together = self.said.get("together", {})
        others = {name: Attempt(name, part["number"], {**part, **shared}) for name, part in together.items()}
        return {**others, self.family: self}


@dataclass
class Log:
    """What the commits of one family tell: which releases were published for sure, and the last try at each."""

    sure: set[int]
    newest: int
    attempts: dict[int, Attempt]

    def says(self, part: Attempt, in_files: Told) -> bool | None:
        """Whether a rollback was published; None when this family does not know."""
        lines, standing = in_files.get(part.number), self.attempts.get(part.number)
        if lines:
            return any(line.run_id == part.said["run_id"] for line in lines.values())
        if standing and standing.stamp != part.stamp:
            return False
        if part.number in self.sure and (standing or part.is_whole):
            return True
        return None if part.number >= self.newest and (standing or part).is_whole else False


def told_by_notes(ledger: Ledger, in_files: Mapping[str, Told]) -> dict[str, Told]:
    """Family → its releases as the notes tell them; `in_files` are those of which the table's own files tell."""
    logs = {family: log_of(ledger, family) for family in in_files}
    rolled_back = rollbacks(logs.values())
    for parts in rolled_back.values():
        said = [logs[family].says(part, in_files[family]) for family, part in parts.items() if family in logs]
        is_out = True in said or False not in said
        for family, part in parts.items():
            if family in logs and is_out:
                logs[family].attempts.setdefault(part.number, part)
                logs[family].sure.add(part.number)
            elif family in logs and logs[family].attempts.get(part.number) == part:
                del logs[family].attempts[part.number]
    return {family: releases_of(ledger, log, in_files[family]) for family, log in logs.items()}


def log_of(ledger: Ledger, family: str) -> Log:
    """The log of one family."""
    every = notes(ledger, family)
    newest = max((each.number for each in every), default=0)
    standing = [each for each in every if not each.is_undone]
    by_number = groupby(standing, key=lambda each: each.number)
    return Log(published_by(every), newest, {number: last_of(family, list(group)) for number, group in by_number})


def last_of(family: str, told: list[Noted]) -> Attempt:
    """The last try at a release; one that was killed may have had its number, too."""
    last = told[-1]
    own = {each.table: each for each in told if _release_said(each) == _release_said(last)}
    return Attempt(family, last.number, _release_said(last), last.run_id, own)


def rollbacks(logs: Iterable[Log]) -> dict[Stamp, dict[str, Attempt]]:
    """Rollback → family → what it is to that; what a family's own commits say goes before what others say of it."""
    found: dict[Stamp, dict[str, Attempt]] = {}
    own = [each for log in logs for each in log.attempts.values()]
    for attempt in own:
        if attempt.stamp:
            found[attempt.stamp] = attempt.parts | found.get(attempt.stamp, {}) | {attempt.family: attempt}
    return found


def releases_of(ledger: Ledger, log: Log, known: Told) -> Told:
    """The releases of one family; `known` are others, whose rows may have come back."""
    found: Told = {}
    for number, attempt in sorted(log.attempts.items()):
        if number in log.sure or (number == log.newest and attempt.is_whole):
            found[number] = lines_of(ledger, attempt, {**known, **found})
    return found


def lines_of(ledger: Ledger, attempt: Attempt, known: Told) -> Lines:
    """The lines of one release; none when they cannot be told."""
    said = attempt.said
    if not attempt.is_whole:
        return {}
    if "rows_of" in said:
        return lines_again(attempt, known.get(said["rows_of"], {}))
    slices = {table: each.said["slices"] for table, each in attempt.commits.items()}
    return {
        table: Publication(
            release_id=release_id(attempt.family, attempt.number),
            family=attempt.family,
            table=table,
            version=version,
            slices=tuple(date.fromisoformat(day) for day in slices.get(table, ())),
            ingest_seq=said["ingest_seq"],
            watermark=datetime.fromisoformat(said["watermark"]) if said["watermark"] else None,
            contract_version=contract_version,
            verdict=verdict,
            run_id=attempt.run_id,
            known_from=datetime.fromisoformat(said["known_from"]),
            rows=count_at(ledger, table, version) or 0,
        )
        for table, (version, contract_version, verdict) in said["tables"].items()
    }


def lines_again(attempt: Attempt, old: Lines) -> Lines:
    """The lines of a release whose rows are an older one's: of a rollback, or of upkeep."""
    versions = attempt.said.get("versions") or {table: each.version for table, each in attempt.commits.items()}
    changed: dict[str, Any] = {"release_id": release_id(attempt.family, attempt.number)}
    if attempt.stamp:
        run_id, known_from = attempt.stamp
        changed |= {"known_from": datetime.fromisoformat(known_from), "run_id": run_id}
    return {table: replace(line, version=versions.get(table, line.version), **changed) for table, line in old.items()}


def count_at(ledger: Ledger, table: str, version: int) -> int | None:
    """The rows of a version, by the log; None when the log has it no more."""
    from deltalake.exceptions import DeltaError

    delta = ledger.open(table)
    try:
        delta.load_as_version(version)
    except DeltaError:
        return None
    return int(delta.count())


def _release_said(commit: Noted) -> dict[str, Any]:
    """What a commit says of its release, and not of its own table."""
    return {name: said for name, said in commit.said.items() if name != "slices"}
