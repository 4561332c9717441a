"""Newest commits that went without a trace in their table's log, as where a repair was killed: other tables tell."""

from collections.abc import Iterator
from pathlib import Path

from jobs.lake.ailments import BY_BATCH, LANDED, Ailment, Kind, ailments_of
from jobs.lake.ingest.progress import BOOKS, committed
from jobs.lake.ledger import Ledger
from jobs.lake.mending import lacks_newest_batch
from jobs.lake.publications import TABLE as PUBLICATIONS
from jobs.lake.publications import families, family_of, published
from jobs.lake.release_notes import lost_releases
from jobs.lake.scanning import LOG, is_local
from jobs.lake.settings import Settings

SHOWN = 5


def lost_commits(settings: Settings) -> Iterator[Ailment]:
    """Of bronze, the books and what is published, in a lake whose files are whole."""
    if is_local(settings.lake_root):
        for table in (LANDED, BOOKS, PUBLICATIONS, *published(Ledger(settings))):
            yield from _lost_commit(Ledger(settings), table)


def lost_commit_of(settings: Settings, table: str) -> list[Ailment]:
    """The newest commit of a table whose files are whole, if the books or the publications know of a younger one."""
    return [] if ailments_of(settings, told_by(table)) else _lost_commit(Ledger(settings), table)


def _lost_commit(ledger: Ledger, table: str) -> list[Ailment]:
    if table == PUBLICATIONS:
        return _lost_releases(ledger)
    if not _is_known_younger(ledger, table):
        return []
    by = told_by(table)
    family = family_of(table, ledger.settings.schemas_dir) if by == PUBLICATIONS else ""
    lost = Path(ledger.path(table)) / LOG / f"{ledger.version(table) + 1:020}.json"
    return [Ailment(table, Kind.lost_commit, lost, f"is not there, though {by} knows of it", family)]


def _lost_releases(ledger: Ledger) -> list[Ailment]:
    lost = [name for family in families(ledger.settings.schemas_dir) for name in lost_releases(ledger, family)]
    file = Path(ledger.path(PUBLICATIONS)) / LOG
    said = f"has no {', '.join(lost[:SHOWN])}{' …' if len(lost) > SHOWN else ''}, of which the tables' commits tell"
    return [Ailment(PUBLICATIONS, Kind.lost_commit, file, said)] if lost else []


def told_by(table: str) -> str:
    """The table that tells what the newest commit of another should be."""
    if table == BOOKS:
        return LANDED
    return BOOKS if table == LANDED or table in BY_BATCH else PUBLICATIONS


def _is_known_younger(ledger: Ledger, table: str) -> bool:
    if table == BOOKS:  # a batch is begun when that before it is booked
        return committed(ledger, LANDED) > committed(ledger, BOOKS) + 1
    if table == LANDED:
        return committed(ledger, LANDED) < committed(ledger, BOOKS)
    if table in BY_BATCH:
        return lacks_newest_batch(ledger, table)
    line = published(ledger).get(table)
    return line is not None and line.version > ledger.version(table)
