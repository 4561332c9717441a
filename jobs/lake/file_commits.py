"""Appends of many rows: Spark writes plain Parquet files, delta-rs says in the table's log that they are there.

Spark's own append plans jobs of Delta before and after the write, and works out statistics row by row that the files'
footers have already (docs/adr/0019). On local disks only: in an object store a rename is a copy.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jobs.lake.contracts import Contract
from jobs.lake.errors import WriteError
from jobs.lake.scanning import is_local
from jobs.lake.small_commits import commit_few, is_committed, refuse_number
from jobs.lake.table_properties import measured

if TYPE_CHECKING:
    from deltalake.transaction import AddAction
    from pyarrow.parquet import ColumnChunkMetaData, FileMetaData

LONGEST = 32  # characters of a text in the log, as Delta cuts them
LAST_LETTER = chr(0x10FFFF)  # no letter is greater
TOLD = (int, str, date)  # decimals and floats are no sure bounds once they are JSON; an instant is a date, too
NESTED = ("array", "map", "struct")


@dataclass(frozen=True)
class FileCommit:
    """One append to a table at a path, once per (app, version); `metadata` is what the commit notes.

    Of rows that are not `exactly` as many as were handed over, none is committed.
    """

    promised: Contract
    path: str
    app: str
    version: int
    metadata: str | None
    exactly: int | None = None

    @property
    def is_possible(self) -> bool:
        """Whether the table lies on a local disk and its files tell all that must be looked at.

        A footer counts no lists and maps that are missing; a folder names dates as the log does.
        """
        kinds = {column.name: column.type for column in self.promised.columns}
        is_told = not any(column.required and column.type.startswith(NESTED) for column in self.promised.columns)
        by_date = all(kinds[name] == "date" for name in self.promised.partitioned_by)
        return is_local(self.path) and is_told and by_date

    def make(self, write: Callable[[str], None]) -> None:
        """Have `write` fill a new folder with files and commit them, unless the commit is there already."""
        from deltalake import DeltaTable
        from pyarrow.parquet import read_metadata

        if is_committed(DeltaTable(self.path), self.app, self.version):
            return
        home = self.folder / f"rows-{uuid4().hex}"
        try:
            write(str(home))
            footers = {file: read_metadata(file) for file in sorted(home.rglob("*.parquet"))}
            for file, footer in footers.items():
                self._refuse_nulls(file, footer)
            refuse_number(self.promised.name, sum(footer.num_rows for footer in footers.values()), self.exactly)
            files = [self._put(file, home, footer) for file, footer in footers.items()]
        finally:
            shutil.rmtree(home, ignore_errors=True)
        name, adding = self.promised.name, lambda commit: commit.add_files(files)
        commit_few(name, self.path, self.app, self.version, self.metadata, adding)

    @property
    def folder(self) -> Path:
        """Where the table lies."""
        return Path(self.path.removeprefix("file://"))

    def _put(self, file: Path, home: Path, footer: "FileMetaData") -> "AddAction":
        """Put a file where Delta would have written it; what the log says of it."""
        place = file.relative_to(home)
        (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
        file.rename(self.folder / place)
        values = dict(_named(part) for part in place.parts[:-1])
        return added(self.folder / place, self.folder, values, statistics(footer, measured(self.promised)))

    def _refuse_nulls(self, file: Path, footer: "FileMetaData") -> None:
        """WriteError for a null where none is promised; a column of which the footer does not tell is counted."""
        from pyarrow.parquet import ParquetFile

        required = {column.name for column in self.promised.columns if column.required}
        for name, chunks in _chunks(footer):
            if name not in required:
                continue
            told = [chunk.statistics for chunk in chunks]
            if all(one and one.has_null_count for one in told):
                nulls = sum(one.null_count for one in told)
            else:  # values of thousands of characters
                nulls = ParquetFile(file).read(columns=[name]).column(0).null_count
            if nulls:
                raise WriteError(f"{self.promised.name}: rows do not fit the table: {name} is null in some")


def added(file: Path, folder: Path, partition_values: Mapping[str, str | None], stats: dict[str, Any]) -> "AddAction":
    """What the log of the table in a folder says of a file that lies below it."""
    from deltalake.transaction import AddAction

    status = file.stat()
    return AddAction(
        path=file.relative_to(folder).as_posix(),
        size=status.st_size,
        partition_values=dict(partition_values),
        modification_time=status.st_mtime_ns // 1_000_000,
        data_change=True,
        stats=json.dumps(stats, ensure_ascii=False),  # delta-rs takes letters such as U+20BB7, in escapes, for others
    )


def statistics(footer: "FileMetaData", columns: tuple[str, ...]) -> dict[str, Any]:
    """A file's rows, and of some columns the least and greatest value and the nulls, in the words of Delta's log."""
    least, greatest, nulls = {}, {}, {}
    for name, chunks in _chunks(footer):
        told = [chunk.statistics for chunk in chunks]
        if name not in columns or not all(one and one.has_null_count for one in told):
            continue
        nulls[name] = sum(one.null_count for one in told)
        valued = [one for one in told if one.num_values]
        if valued and all(one.has_min_max and isinstance(one.min, TOLD) for one in valued):
            least[name] = _as_told(min(one.min for one in valued), is_greatest=False)
            greatest[name] = _as_told(max(one.max for one in valued), is_greatest=True)
    return {"numRecords": footer.num_rows, "minValues": least, "maxValues": greatest, "nullCount": nulls}


def _chunks(footer: "FileMetaData") -> "Iterator[tuple[str, list[ColumnChunkMetaData]]]":
    """Each column that is no list, map or struct, with its piece of every row group."""
    for number in range(footer.num_columns):
        chunks = [footer.row_group(group).column(number) for group in range(footer.num_row_groups)]
        name = footer.schema.column(number).path
        if "." not in name:
            yield name, chunks


def _as_told(value: Any, *, is_greatest: bool) -> Any:
    """A value as JSON; of a long text what is no greater (or no less) than it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and len(value) > LONGEST:
        cut = value[LONGEST:]
        last = len(cut) - len(cut.lstrip(LAST_LETTER)) + 1
        return value[:LONGEST] + LAST_LETTER * last * is_greatest
    return value


def _named(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return name, value
