"""Settling: public tables brought back to what is published, when a killed release or upkeep left them ahead of it.

Readers never saw those commits (they read published versions), but the next build reads the newest version of a table.
"""

from collections.abc import Mapping, Sequence

from jobs.lake.begun_again import is_gone
from jobs.lake.errors import DamageError
from jobs.lake.leases import Look
from jobs.lake.ledger import Ledger
from jobs.lake.publications import TABLE, Release, family_of, name_of
from jobs.lake.release_notes import is_forgotten, noted


def settle(
    ledger: Ledger, tables: tuple[str, ...], last: Release | None, look: Look = lambda: None, *, is_anew: bool = False
) -> list[str]:
    """Undo what is not published, and name the tables where there was something; the family's lease must be held.

    `look` at the lease comes before each commit. DamageError where a table is gone, but for those that were begun again
    where the family is made `is_anew`.
    """
    refuse_forgotten(ledger, tables, last)
    versions = last.versions if last else {}
    wanted = {table: versions.get(table, 0) for table in tables}
    gone = [table for table, version in wanted.items() if is_gone(ledger, table, version)]
    refuse_gone([table for table in gone if not is_anew or not ledger.exists(table)], last)
    wanted = {table: version for table, version in wanted.items() if table not in gone}
    behind = astray(ledger, wanted)
    restore(ledger, {table: wanted[table] for table in behind}, look=look)
    return behind


def refuse_forgotten(ledger: Ledger, tables: tuple[str, ...], last: Release | None) -> None:
    """DamageError where a family was published, and nobody knows of it any more: its tables would be emptied."""
    family = family_of(tables[0], ledger.settings.schemas_dir)
    if last is None and is_forgotten(ledger, family):
        raise DamageError(
            f"{TABLE} has no release of {family}, though its tables have rows, or their commits tell of some; they "
            f"would be emptied, so nothing was built. Run `reelhouse repair {TABLE}` (docs/runbooks/lake.md)"
        )


def refuse_gone(tables: Sequence[str], last: Release | None) -> None:
    """DamageError for published tables that are not there: a build would take them for empty ones."""
    if tables and last:
        raise DamageError(
            f"{', '.join(tables)}: what {name_of(last)} published is not there any more; run `reelhouse build "
            f"{last.family} --anew`, `check` and `release` (docs/runbooks/lake.md)"
        )


def restore(
    ledger: Ledger, versions: Mapping[str, int], note: str | None = None, look: Look = lambda: None
) -> dict[str, int]:  # fmt: skip
    """Bring each table to the rows of an older version; table → the version that holds them now.

    One RESTORE commit each, which has the `note`; none when the table's files already are those.
    """
    for table in astray(ledger, versions):
        look()
        ledger.open(table).restore(versions[table], commit_properties=noted(note) if note else None)
    return {table: ledger.version(table) for table in versions}


def versions_after(ledger: Ledger, versions: Mapping[str, int]) -> dict[str, int]:
    """Table → the version that it would have then."""
    behind = astray(ledger, versions)
    return {table: ledger.version(table) + (table in behind) for table in versions}


def astray(ledger: Ledger, versions: Mapping[str, int]) -> list[str]:
    """The tables whose files are not those of these versions."""
    return [
        table
        for table, version in versions.items()
        if not has_same_files(ledger, table, ledger.open(table).version(), version)
    ]


def has_same_files(ledger: Ledger, table: str, one: int, other: int) -> bool:
    """Whether two versions of a table have the same rows, in the same files."""
    if one == other:
        return True
    delta, files = ledger.open(table), []
    for version in (one, other):
        delta.load_as_version(version)
        files.append(set(delta.file_uris()))
    return files[0] == files[1]
