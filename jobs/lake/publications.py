"""Publications: which version of every public table was released when, so that readers see a family as one.

A release is one atomic commit of `ops.publications` that names a version for each table of its family, whether the
release changed it or not. What a table's log holds beyond its published version is not there for readers.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.lake.contracts import all_tables, contract
from jobs.lake.errors import UsageError, WriteError
from jobs.lake.ledger import Ledger

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = "ops.publications"


@dataclass(frozen=True)
class Publication:
    """One row of `ops.publications`: one table's part in one release."""

    release_id: str
    family: str
    table: str
    version: int
    slices: tuple[date, ...]
    ingest_seq: int
    watermark: datetime | None
    contract_version: str
    verdict: str
    run_id: str
    known_from: datetime
    rows: int


@dataclass(frozen=True)
class Release:
    """All that one release published; `number` grows by at least one with every release of a family."""

    family: str
    number: int
    tables: dict[str, Publication]

    @property
    def facts(self) -> Publication:
        """Any one line: run, sequence, watermark and times are the same on all of them."""
        return next(iter(self.tables.values()))

    @property
    def versions(self) -> dict[str, int]:
        """Table → published version."""
        return {table: line.version for table, line in self.tables.items()}


@cache
def families(schemas_dir: Path) -> dict[str, tuple[str, ...]]:
    """Family → its public tables, by contract, in a stable order."""
    found: dict[str, list[str]] = {}
    for table in all_tables(schemas_dir):
        family = contract(table, schemas_dir).family
        if family:
            found.setdefault(family, []).append(table)
    return {family: tuple(tables) for family, tables in sorted(found.items())}


def family_of(name: str, schemas_dir: Path) -> str:
    """The family meant by its own name or by one of its tables; UsageError lists what there is."""
    known = families(schemas_dir)
    for family, tables in known.items():
        if name == family or name in tables:
            return family
    choices = ", ".join([*known, *(table for tables in known.values() for table in tables)])
    raise UsageError(f"{name!r} is neither a family nor a public table; write one of {choices or '(none is promised)'}")


def inputs_of(family: str, schemas_dir: Path) -> tuple[str, ...]:
    """What a family reads: the inputs its contracts promise, less what it publishes itself."""
    tables = families(schemas_dir)[family]
    inputs = {name for table in tables for name in contract(table, schemas_dir).inputs}
    return tuple(sorted(inputs - set(tables)))


def releases(ledger: Ledger, family: str | None = None) -> list[Release]:
    """Every release, the newest of each family last."""
    import pyarrow.compute as pc

    return _as_releases(ledger.read(TABLE, filter=None if family is None else pc.field("family") == family))


def _as_releases(lines: "pa.Table") -> list[Release]:
    grouped: dict[tuple[str, int], dict[str, Publication]] = {}
    for row in lines.to_pylist():
        line = Publication(**{**row, "slices": tuple(row["slices"] or ())})
        grouped.setdefault((line.family, number_of(line.release_id)), {})[line.table] = line
    return [Release(name, number, dict(sorted(tables.items()))) for (name, number), tables in sorted(grouped.items())]


def latest(ledger: Ledger, family: str) -> Release | None:
    """The newest release of a family; None before the first."""
    import pyarrow.compute as pc

    found = _newest(ledger.read(TABLE, filter=pc.field("family") == family))
    return found[0] if found else None


def release_of(ledger: Ledger, family: str, number: int) -> Release | None:
    """The release of a family that has this number; None where it is not out."""
    import pyarrow.compute as pc

    found = _as_releases(ledger.read(TABLE, filter=pc.field("release_id") == release_id(family, number)))
    return found[0] if found else None


def _newest(lines: "pa.Table") -> list[Release]:
    """The newest release of each family; a lake may have a hundred thousand, and each step asks for it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = pc.cast(pc.replace_substring_regex(lines["release_id"], "^.*-", ""), pa.int64())
    newest = lines.append_column("number", numbers).group_by("family").aggregate([("number", "max")])
    names = [release_id(row["family"], row["number_max"]) for row in newest.to_pylist()]
    return _as_releases(lines.filter(pc.is_in(lines["release_id"], pa.array(names, pa.string()))))


def published(ledger: Ledger) -> dict[str, Publication]:
    """Public table → its part in the newest release of its family, all read at one moment."""
    lines: dict[str, Publication] = {}
    for release in _newest(ledger.read(TABLE)):
        lines.update(release.tables)
    return lines


def find_release(ledger: Ledger, family: str, wanted: str) -> Release:
    """The release of that id or number; UsageError names the newest ones."""
    found = releases(ledger, family)
    for release in found:
        if wanted in (str(release.number), release_id(family, release.number)):
            return release
    newest = ", ".join(release_id(family, release.number) for release in found[-3:]) or "none"
    raise UsageError(f"{family} has no release {wanted!r}; the newest are {newest}")


def as_of(found: Sequence[Release], moment: datetime) -> dict[str, Release]:
    """Family → its newest release that was known at that moment, of releases as `releases` gives them."""
    return {release.family: release for release in found if release.facts.known_from <= moment}


def publish(ledger: Ledger, family: str, number: int, lines: Sequence[Publication]) -> None:
    """Make a release visible, in one commit for all its tables; again does nothing.

    WriteError, and nothing is visible of it, where its number, or a later one, is another release's.
    """
    publish_together(ledger, [Release(family, number, {line.table: line for line in lines})])


def publish_together(ledger: Ledger, wanted: Sequence[Release]) -> None:
    """The same for releases of several families: readers see all of them, or none."""
    lines = [line for release in wanted for line in release.tables.values()]
    rows = [{**asdict(line), "slices": list(line.slices)} for line in lines]
    if ledger.append_for(TABLE, rows, {app_of(release.family): release.number for release in wanted}):
        return
    for release in wanted:
        if release != release_of(ledger, release.family, release.number):
            newest = latest(ledger, release.family)
            raise WriteError(
                f"{name_of(release)}: another run published {name_of(newest) if newest else 'one'} meanwhile, so "
                "nothing of this one is out; if it is still wanted run the same command again, of a release first "
                f"`reelhouse build {release.family}`"
            )


def begin(ledger: Ledger, family: str, number: int) -> None:
    """Say that no release of the family below this number is published, whatever its tables hold; again does nothing.

    Said before the first commit of a family's first release: rows without a release, of which this is not said, are of
    one that was forgotten.
    """
    if begun(ledger, family) is None:
        ledger.append(TABLE, [], app=_begun_by(family), version=number)


def begun(ledger: Ledger, family: str) -> int | None:
    """The number below which it is said that nothing is published; None where nothing is said."""
    return ledger.txn_version(TABLE, _begun_by(family))


def app_of(family: str) -> str:
    """The application id of a family's release commits; their version is the release's number."""
    return f"release:{family}"


def _begun_by(family: str) -> str:
    return f"begun:{family}"


def release_id(family: str, number: int) -> str:
    """`funnels-000012`."""
    return f"{family}-{number:06d}"


def name_of(release: Release) -> str:
    """The id of a release."""
    return release_id(release.family, release.number)


def number_of(identifier: str) -> int:
    """12 of `funnels-000012`."""
    return int(identifier.rsplit("-", 1)[1])


def as_row(line: Publication) -> dict[str, Any]:
    """A publication for people and JSON: dates and times as ISO 8601 text."""
    row = asdict(line)
    return {
        **row,
        "slices": [day.isoformat() for day in line.slices],
        "watermark": line.watermark.isoformat() if line.watermark else None,
        "known_from": line.known_from.isoformat(),
    }
