"""The proof of an erasure: every file of the lake is read, and looked through for a person's id and pseudonyms.

Newest versions must have none. Files of older versions may, until upkeep takes them away.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.lake.contracts import all_tables
from jobs.lake.errors import DamageError
from jobs.lake.identity import PSEUDONYM, read_keys
from jobs.lake.ingest.finding import names_of, quoted
from jobs.lake.ledger import Ledger
from jobs.lake.publications import published
from jobs.lake.scanning import LOG, folder_of, is_local
from jobs.lake.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("table", "column", "values", "where")
LIVE, OLD = "live", "old files"


@dataclass(frozen=True)
class Trace:
    """So many values of a column hold one of the names: in the files that readers and jobs see, or in older ones."""

    table: str
    column: str
    values: int
    where: str


def traces(settings: Settings, user: str) -> list[Trace]:
    """Wherever the lake has a person, by the id the app sends (and its pseudonyms) or by a pseudonym alone."""
    keys, ledger = read_keys(settings.keys_path), Ledger(settings)
    names = [re.escape(name) for name in names_of(user, keys)]
    # A raw id as a whole value, or in quotes, as bodies have it.
    raw = [] if PSEUDONYM.fullmatch(user) else [rf"^{re.escape(user)}$", quoted(user)]
    pattern, of_names = "|".join([*names, *raw]), "|".join(names)
    tables = [table for table in all_tables(settings.schemas_dir) if ledger.exists(table)]
    found = [trace for table in tables for trace in _of_table(ledger, table, pattern)]
    logs = [trace for table in tables for trace in _of_log(ledger, table, of_names)]
    return [*found, *logs, *_of_staging(settings, pattern)]


def is_all_seen(settings: Settings) -> bool:
    """Whether old files were looked through as well: those in a store are not listed."""
    return is_local(settings.lake_root)


def _of_table(ledger: Ledger, table: str, pattern: str) -> Iterator[Trace]:
    """Of one table: what its newest and its published version hold, and what else lies in its folder."""
    from deltalake import DeltaTable

    newest, public = ledger.open(table), published(ledger).get(table)
    live = {
        *newest.file_uris(),
        *(DeltaTable(ledger.path(table), version=public.version).file_uris() if public else ()),
    }
    yield from _told(table, LIVE, live, pattern)
    yield from _told(table, OLD, _files(ledger.path(table)) - {_local(uri) for uri in live}, pattern)


def _of_log(ledger: Ledger, table: str, pattern: str) -> Iterator[Trace]:
    """Of its log, which outlives the files: least and greatest values, notes, conditions. Raw ids never come there."""
    if is_local(ledger.path(table)):
        log, sought = folder_of(ledger.path(table)) / LOG, re.compile(pattern)
        lines = (line for file in log.glob("*.json") for line in _lines(file))
        yield from (Trace(table, LOG, n, LIVE) for n in [sum(sought.search(line) is not None for line in lines)] if n)
        yield from _told(table, LIVE, {str(file) for file in log.glob("*.parquet")}, pattern)


def _lines(commit: Path) -> list[str]:
    """Of a commit; none of one that upkeep has cut off meanwhile."""
    try:
        return commit.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _of_staging(settings: Settings, pattern: str) -> Iterator[Trace]:
    """Of what builds have staged, whatever of it is still needed."""
    for file in sorted(_files(f"{settings.lake_root}/staging")):
        yield from _told("staging", LIVE, {file}, pattern)


def _files(folder: str) -> set[str]:
    """Data files under a folder on a disk; a store's are not listed."""
    if not is_local(folder):
        return set()
    return {str(file) for file in Path(folder_of(folder)).rglob("*.parquet") if LOG not in file.parts}


def _local(uri: str) -> str:
    return str(folder_of(uri)) if is_local(uri) else uri


def _told(table: str, where: str, files: Collection[str], pattern: str) -> Iterator[Trace]:
    counts: Counter[str] = Counter()
    for file in files:
        for column, array in _columns(file):
            counts[column] += _hits(array, pattern)
    yield from (Trace(table, column, n, where) for column, n in sorted(counts.items()) if n)


def _columns(file: str) -> Iterator[tuple[str, "pa.Array"]]:
    """(column, values) of a file, row group by row group; DamageError for one that cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow.fs import FileSystem

    system, path = (None, _local(file)) if is_local(file) else FileSystem.from_uri(file.replace("s3a://", "s3://", 1))
    try:
        with pq.ParquetFile(path, filesystem=system) as parts:
            for batch in parts.iter_batches():
                yield from zip(batch.schema.names, batch.columns, strict=True)
    except pa.ArrowInvalid as hurt:
        raise DamageError(
            f"{file}: cannot be read ({str(hurt).splitlines()[0]}), so whom it has nobody can say; `reelhouse doctor "
            "--lake` says whether a table needs it; if none does, delete it, and prove again (docs/runbooks/lake.md)"
        ) from hurt


def _hits(array: Any, pattern: str) -> int:
    """Texts and bytes in an array, however deep, that match."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_nested(kind):
        return sum(_hits(part, pattern) for part in _parts(array))
    if pa.types.is_dictionary(kind):
        return _hits(array.dictionary_decode(), pattern)
    is_view = pa.types.is_string_view(kind), pa.types.is_binary_view(kind)  # as delta-rs writes what it merges
    if any(is_view):
        array = array.cast(pa.large_string() if is_view[0] else pa.large_binary())
    is_text = str(array.type) in ("string", "large_string", "binary", "large_binary")
    return (pc.sum(pc.match_substring_regex(array, pattern)).as_py() or 0) if is_text else 0


def _parts(array: Any) -> list[Any]:
    """What structs, maps and lists are made of."""
    import pyarrow as pa

    if pa.types.is_map(array.type):
        return [array.keys, array.items]
    return list(array.flatten()) if pa.types.is_struct(array.type) else [array.flatten()]
