"""Commits, rows and whole tables that went without a trace, as where a repair was killed: other tables tell."""

from collections.abc import Iterator
from pathlib import Path

from jobs.lake.ailments import BY_BATCH, LANDED, Ailment, Kind, ailments_of
from jobs.lake.begun_again import is_gone
from jobs.lake.ingest.progress import BOOKS, NOTHING, committed
from jobs.lake.ledger import Ledger
from jobs.lake.mending import is_only_newest, lacks_newest_batch
from jobs.lake.owing import Owed, is_of_bronze, owed
from jobs.lake.publications import TABLE as PUBLICATIONS
from jobs.lake.publications import Publication, families, published
from jobs.lake.release_notes import lost_releases
from jobs.lake.scanning import LOG, is_local
from jobs.lake.settings import Settings

SHOWN = 5


def lost_commits(settings: Settings) -> Iterator[Ailment]:
    """Of all that ingest writes and all that is published, in a lake whose files are whole."""
    if not is_local(settings.lake_root):
        return
    ledger = Ledger(settings)
    told, of_books = owed(ledger), _lost_commit(ledger, BOOKS)  # first what tells of others
    if not of_books:  # else they may tell of rows that an erasure took since
        yield from (one for table in BY_BATCH for one in lost_of(told, table))
    yield from of_books
    for table in (LANDED, PUBLICATIONS):
        yield from _lost_commit(ledger, table)
    for line in published(ledger).values():
        yield from _lost_of_family(ledger, line)


def lost_of(told: Owed, table: str) -> list[Ailment]:
    """All, the newest commit, or rows of a table that the books tell of."""
    folder, missing = Path(told.ledger.path(table)), told.missing(table)
    if missing and committed(told.ledger, table) == NOTHING:
        said = f"is not there, or has no commit of ingest, though {told_by(table)} knows of {len(missing)}"
        return [Ailment(table, Kind.gone, folder, said)]
    if missing:
        return [_newest(told.ledger, table, "")]
    lacking = told.lacking(table)
    return [Ailment(table, Kind.rows, folder, f"has {lacking} rows less than {BOOKS} says")] if lacking else []


def is_made_of_bronze(settings: Settings, table: str) -> bool:
    """Whether a table whose files are whole lacks what no batch brings back that is only done again: it is made again.

    That is a whole table, or a commit of other than the newest batch, or of that where another has begun.
    """
    if not is_of_bronze(table) or ailments_of(settings, BOOKS):
        return False
    ledger = Ledger(settings)
    missing = owed(ledger).missing(table)
    return bool(missing) and (not is_only_newest(ledger, missing) or committed(ledger, table) == NOTHING)


def lacks_rows(settings: Settings, table: str) -> bool:
    """Whether it has fewer rows than the books say."""
    return table in BY_BATCH and not ailments_of(settings, BOOKS) and owed(Ledger(settings)).lacking(table) > 0


def lost_commit_of(settings: Settings, table: str) -> list[Ailment]:
    """The newest commit of a table whose files are whole, if the books or the publications know of a younger one."""
    return [] if ailments_of(settings, told_by(table)) else _lost_commit(Ledger(settings), table)


def _lost_commit(ledger: Ledger, table: str) -> list[Ailment]:
    if table == PUBLICATIONS:
        return _lost_releases(ledger)
    if told_by(table) == PUBLICATIONS and (line := published(ledger).get(table)):
        return _lost_of_family(ledger, line)
    return [_newest(ledger, table, "")] if _is_known_younger(ledger, table) else []


def _lost_of_family(ledger: Ledger, line: Publication) -> list[Ailment]:
    """What a published table lacks of the version that readers ask for."""
    if is_gone(ledger, line.table, line.version):
        said = f"is not there, though {PUBLICATIONS} names its version {line.version}"
        return [Ailment(line.table, Kind.gone, Path(ledger.path(line.table)), said, line.family)]
    return [_newest(ledger, line.table, line.family)] if line.version > ledger.version(line.table) else []


def _newest(ledger: Ledger, table: str, family: str) -> Ailment:
    """The commit after all that are there, of which another table knows."""
    if table == LANDED and not ledger.exists(table):
        return Ailment(table, Kind.gone, Path(ledger.path(table)), f"is not there, though {BOOKS} knows of it")
    lost = Path(ledger.path(table)) / LOG / f"{ledger.version(table) + 1:020}.json"
    return Ailment(table, Kind.lost_commit, lost, f"is not there, though {told_by(table)} knows of it", family)


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
    return lacks_newest_batch(ledger, table)
