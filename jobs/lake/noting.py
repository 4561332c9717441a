"""What new data files are is noted in `ops.file_digests`; what is gone is forgotten there.

The names of files are not known before a commit, so they are noted after it: by upkeep's rounds, at the end of an
ingest that ends, and of a release.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from jobs.lake.ailments import HISTORY
from jobs.lake.errors import DamageError
from jobs.lake.file_digests import (
    TABLE,
    Known,
    Note,
    by_table,
    changed,
    held,
    live_files,
    notable,
    note_of,
    noted,
)
from jobs.lake.ledger import Ledger
from jobs.lake.publications import TABLE as PUBLICATIONS
from jobs.lake.scanning import folder_of, is_local
from jobs.lake.small_commits import retrying

OLDER_TOO = (HISTORY, PUBLICATIONS)  # mended by files of their past, of which it must be known that they are whole


def note_files(ledger: Ledger, tables: Iterable[str], at: datetime, kept: Iterable[Note] = ()) -> int:
    """Note each live file of these tables of which nothing is noted; how many there were.

    `kept` are notes from elsewhere. Those of files that are live no more go in the same commit; with nothing to
    change there is none.
    """
    chosen, told = notable(ledger, tables), {*kept}
    cached = [*told]
    if not chosen:
        return 0
    for attempt in retrying():
        with attempt:
            there, version = held(ledger)
            known, live = by_table([*there, *cached]), {table: live_files(ledger, table) for table in chosen}
            new = [note for table in chosen for note in _new(ledger, table, live[table], known.get(table, {}), at)]
            cached += new  # if others commit first no file is read again
            lines = {*_kept(ledger, live, known), *new}
            if lines != {*there}:
                rows = [note.row() for note in sorted(lines, key=lambda each: (each.table, each.path))]
                ledger.replace(TABLE, rows, on_version=version)
            return len(lines - told - {*there})
    return 0


def _new(ledger: Ledger, table: str, live: Iterable[str], known: Mapping[str, Note], at: datetime) -> Iterator[Note]:
    """What the live files of a table are of which nothing is known."""
    notes = (note_of(ledger, table, path, at) for path in live if path not in known)
    return (note for note in notes if note)


def _kept(ledger: Ledger, live: Mapping[str, Collection[str]], known: Known) -> Iterator[Note]:
    """What is known and still of use; all of it of tables that were not looked at."""
    for table, notes in known.items():
        folder, files = folder_of(ledger.path(table)), {*live.get(table, notes)}
        for path, note in notes.items():
            if path in files or (table in OLDER_TOO and (folder / path).exists()):
                yield note


def refuse_changed(ledger: Ledger, table: str, below: int) -> None:
    """DamageError for a live file, of fewer bytes than these, that is not what was noted of it.

    Written into another file its rows would pass for what they were.
    """
    known = noted(ledger).get(table, {}) if is_local(ledger.settings.lake_root) else {}
    for path in live_files(ledger, table) if known else ():
        note, file = known.get(path), folder_of(ledger.path(table)) / path
        if note and note.byte_count < below and (wrong := changed(file, note)):
            raise DamageError(
                f"{table}: {file} {wrong}; `reelhouse doctor --lake` names what to do, see docs/runbooks/lake.md"
            )
