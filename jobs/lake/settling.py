"""Settling: public tables brought back to what is published, when a killed release or upkeep left them ahead of it.

Readers never saw those commits (they read published versions), but the next build reads the newest version of a table.
"""

from collections.abc import Mapping

from jobs.lake.ledger import Ledger
from jobs.lake.publications import Release


def settle(ledger: Ledger, tables: tuple[str, ...], last: Release | None) -> list[str]:
    """Undo what is not published, and name the tables where there was something; the family's lease must be held."""
    versions = last.versions if last else {}
    return [table for table in tables if _restore(ledger, table, versions.get(table, 0))]


def restore(ledger: Ledger, versions: Mapping[str, int]) -> dict[str, int]:
    """Bring each table to the rows of an older version; table → the version that holds them now."""
    for table, version in versions.items():
        _restore(ledger, table, version)
    return {table: ledger.version(table) for table in versions}


def _restore(ledger: Ledger, table: str, version: int) -> bool:
    """One RESTORE commit, or none when the table's files already are those of `version`."""
    delta = ledger.open(table)
    newest = delta.version()
    if newest == version:
        return False
    ahead = set(delta.file_uris())
    delta.load_as_version(version)
    if set(delta.file_uris()) == ahead:
        return False
    delta.load_as_version(newest)
    delta.restore(version)
    return True
