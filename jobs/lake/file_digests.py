"""`ops.file_digests`: what each data file was when it was noted, so that one that was changed since is told.

What delta-rs writes has no checksums of its pages, and one flipped bit may read as another value (docs/adr/0030). Files
of a table never change, so one that is not what was noted of it is hurt, whatever its reader makes of it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

from jobs.lake.contracts import all_tables
from jobs.lake.errors import DamageError
from jobs.lake.leases import TABLE as LEASES
from jobs.lake.ledger import Ledger
from jobs.lake.scanning import folder_of, is_local

TABLE = "ops.file_digests"
UNNOTED = (TABLE, LEASES)  # lines of the one prove themselves, files of the other live for seconds
SEAL = 16
NAMES = ("table", "path", "byte_count", "digest", "noted_at")


@dataclass(frozen=True)
class Note:
    """What one file was."""

    table: str
    path: str
    byte_count: int
    digest: str
    noted_at: datetime

    @property
    def seal(self) -> str:
        """By which its row proves itself: this table's own files have no checksums either."""
        said = f"{self.table}\n{self.path}\n{self.byte_count}\n{self.digest}\n{self.noted_at}"
        return hashlib.sha256(said.encode()).hexdigest()[:SEAL]

    def row(self) -> dict[str, Any]:
        """For the table."""
        return {**vars(self), "seal": self.seal}


Known: TypeAlias = Mapping[str, Mapping[str, Note]]  # by table and path


def noted(ledger: Ledger) -> Known:
    """What was noted of files; DamageError where that is hurt itself."""
    return by_table(held(ledger)[0]) if ledger.exists(TABLE) else {}


def by_table(notes: Iterable[Note]) -> Known:
    """Notes as they are looked up; of two of one file the older."""
    found: dict[str, dict[str, Note]] = {}
    for note in sorted(notes, key=lambda each: each.noted_at, reverse=True):
        found.setdefault(note.table, {})[note.path] = note
    return found


def held(ledger: Ledger) -> tuple[list[Note], int]:
    """The rows, and the version they are of; DamageError where a file has others than were written."""
    import pyarrow as pa

    delta, folder, notes = ledger.open(TABLE), folder_of(ledger.path(TABLE)), list[Note]()
    for line in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        file = folder / unquote(line["path"])
        proven, wrong = read(file, line["num_records"])
        if wrong:
            raise DamageError(f"{TABLE}: {file} {wrong}; run `reelhouse repair {TABLE}`, see docs/runbooks/lake.md")
        notes += proven
    return notes, delta.version()


def read(file: Path, count: int) -> tuple[list[Note], str]:
    """The rows of a file of this table that prove themselves; and what is wrong where they are not `count`."""
    import pyarrow as pa

    try:
        proven = list(proving(rows_in(file)))
    except (pa.ArrowException, OSError, ValueError, OverflowError, LookupError) as wrong:  # a time zone that is none
        return [], f"cannot be read: {str(wrong).splitlines()[0][:120]}"
    if len(proven) == count:
        return proven, ""
    return proven, f"has {len(proven)} rows that prove to be what was written, the log says {count}"


def proving(rows: Iterable[Mapping[str, Any]]) -> Iterator[Note]:
    """The rows that are what was written."""
    for row in rows:
        values: list[Any] = [row.get(name) for name in NAMES]
        if None not in values and (note := Note(*values)).seal == row.get("seal"):
            yield note


def rows_in(file: Path) -> list[dict[str, Any]]:
    """The rows of one file of this table."""
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.ParquetFile(file).read().to_pylist()
    return rows


def changed(file: Path, note: Note | None) -> str:
    """How a file that is there differs from what was noted of it; empty where it does not, or nothing was noted."""
    try:
        if note is None or file_digest(file) == note.digest:
            return ""
    except OSError as wrong:
        return f"cannot be read: {wrong}"
    return f"is not what was noted of it on {note.noted_at:%Y-%m-%d %H:%M} UTC"


def file_digest(file: Path) -> str:
    """The SHA-256 of a file, read from its beginning to its end: of what hashlib has, the quickest here."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def live_files(ledger: Ledger, table: str) -> list[str]:
    """The files of a table's newest version, by their places below its folder."""
    import pyarrow as pa

    return [unquote(path) for path in pa.table(ledger.open(table).get_add_actions())["path"].to_pylist()]


def notable(ledger: Ledger, tables: Iterable[str]) -> list[str]:
    """Of these tables those that are there and whose files are noted."""
    if not is_local(ledger.settings.lake_root):
        return []
    return [table for table in tables if table not in UNNOTED and ledger.exists(table)]


def unnoted(ledger: Ledger, known: Known) -> int:
    """How many live files of the lake nothing was noted of."""
    tables = notable(ledger, all_tables(ledger.settings.schemas_dir))
    return sum(path not in known.get(table, {}) for table in tables for path in live_files(ledger, table))


def note_of(ledger: Ledger, table: str, path: str, at: datetime) -> Note | None:
    """What a file is now; None for one that is gone or cannot be read, which others will tell."""
    file = folder_of(ledger.path(table)) / path
    try:
        return Note(table, path, file.stat().st_size, file_digest(file), at.astimezone(UTC))
    except OSError:
        return None
