"""A Parquet file of events as columns; one whose types or nulls are not plainly right is read row by row."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.definitions.funnel.columns import ENVELOPE, Asked, EventColumns
from jobs.definitions.funnel.gathering import Gatherer
from jobs.definitions.funnel.judged import Ints
from jobs.definitions.funnel.on_file import Row, gather
from jobs.lake.errors import UsageError
from jobs.serve.event_rows import FURTHEST_US, BadLines, good_and_bad

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS_AT_ONCE = 10_000
INSTANT = "TIMESTAMP WITH TIME ZONE"
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
PLAIN = {  # DuckDB's types whose values need no second look → Arrow's
    **dict.fromkeys(WHOLE, pa.int64()), "VARCHAR": pa.string(), "BOOLEAN": pa.bool_(),
    "FLOAT": pa.float64(), "DOUBLE": pa.float64(),
}  # fmt: skip


def parquet_columns(path: Path, asked: Asked, *, skip_bad: bool) -> tuple[EventColumns, BadLines]:
    """The events of a file, and its bad rows; without `skip_bad` only what stands before the first bad one."""
    import duckdb

    with duckdb.connect() as duck:
        kinds = _kinds(duck, path)
        gathered = Gatherer(asked)
        if _add_plain(gathered, asked, duck, path, kinds):
            return gathered.done(), []
        gathered, bad = Gatherer(asked), BadLines()
        rows = _rows(duck, path, kinds)
        while some := [*islice(rows, ROWS_AT_ONCE)]:
            good, wrong = good_and_bad(some, skip_bad=skip_bad)
            gather(gathered, good, asked)
            bad += wrong
            if bad and not skip_bad:
                break
        return gathered.done(), bad


def parquet_rows(path: Path, wanted: Collection[int]) -> dict[int, Row]:
    """The events of some rows (from 1) that are known to be right."""
    import duckdb

    with duckdb.connect() as duck:
        some = ((line, row) for line, row in _rows(duck, path, _kinds(duck, path)) if line in wanted)
        rows, _ = good_and_bad(some, skip_bad=True)
        return {row.line: row for row in rows}


def _kinds(duck: DuckDBPyConnection, path: Path) -> dict[str, str]:
    """DuckDB's type of each column; UsageError for what is no such file."""
    import duckdb

    try:
        described = duck.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    except duckdb.Error as bad:
        raise UsageError(f"{path}: is no Parquet file: {str(bad).splitlines()[0]}") from bad
    kinds = {name: kind for name, kind, *_ in described}
    if kinds.get("event_time", "").startswith("TIMESTAMP") and kinds["event_time"] != INSTANT:
        raise UsageError(f"{path}: event_time has no time zone; write UTC instants or integer microseconds")
    return kinds


def _rows(duck: DuckDBPyConnection, path: Path, kinds: dict[str, str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row with its number; instants become epoch microseconds, a null property is none."""
    replaced = "REPLACE (epoch_us(event_time) AS event_time)" if kinds.get("event_time") == INSTANT else ""
    rows = duck.execute(f"SELECT * {replaced} FROM read_parquet(?)", [str(path)])  # noqa: S608 - our own words
    line = 0
    while some := rows.fetchmany(ROWS_AT_ONCE):
        for row in some:
            line += 1
            named = zip(kinds, row, strict=True)
            yield line, {name: value for name, value in named if value is not None or name in ENVELOPE}


def _add_plain(gathered: Gatherer, asked: Asked, duck: DuckDBPyConnection, path: Path, kinds: dict[str, str]) -> bool:
    """Append a file whose every row is an event by its columns; False when some may not be."""
    are_known = all(kinds.get(name) in (*WHOLE, "VARCHAR") for name in ("subject", "event_id"))
    is_timed = kinds.get("event_time") in (*WHOLE, INSTANT)
    if not are_known or not is_timed or kinds.get("event") != "VARCHAR":
        return False
    plain = [name for name in ENVELOPE if kinds[name] != INSTANT]
    found = _columns(path, {name: kinds[name] for name in plain})
    subjects, ids, events = (found[name] for name in ("subject", "event_id", "event"))
    times = found["event_time"] if "event_time" in found else _times(duck, path)
    if not all(_has_no_gap(column) for column in (subjects, ids, events, times)):
        return False
    instants = _numbers(times)
    if instants.min(initial=0) < -FURTHEST_US or instants.max(initial=0) > FURTHEST_US:
        return False
    lines = np.arange(1, len(ids) + 1)
    gathered.add(lines, subjects, instants, ids, events)
    for name in asked.names:
        gathered.add_property(name, _property(duck, path, name, kinds, lines.size), lines)
    if asked.tested:
        gathered.given.update(_given(duck, path, kinds))
    return True


def _columns(path: Path, kinds: Mapping[str, str]) -> dict[str, pa.ChunkedArray]:
    """Columns of plain types, read side by side; texts as codes, for a name or a subject comes again and again."""
    encoded = [name for name, kind in kinds.items() if kind == "VARCHAR" and name != "event_id"]
    with pq.ParquetFile(path, read_dictionary=encoded) as file:
        table = file.read(columns=[*kinds])
    found = {name: table.column(name) for name in kinds}
    return {name: column if name in encoded else column.cast(PLAIN[kinds[name]]) for name, column in found.items()}


def _times(duck: DuckDBPyConnection, path: Path) -> pa.ChunkedArray:
    query = "SELECT epoch_us(event_time) AS at FROM read_parquet(?)"
    return duck.execute(query, [str(path)]).to_arrow_table().column("at")


def _has_no_gap(column: pa.ChunkedArray) -> bool:
    """Whether no value is null or an empty text."""
    if column.null_count:
        return False
    if pa.types.is_dictionary(column.type):
        return all(_has_no_gap(pa.chunked_array([chunk.dictionary])) for chunk in column.chunks)
    return not pa.types.is_string(column.type) or bool(pc.min(pc.binary_length(column)).as_py() != 0)


def _numbers(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.to_numpy(), np.int64)


def _property(duck: DuckDBPyConnection, path: Path, name: str, kinds: dict[str, str], size: int) -> Any:
    """A property's column: Arrow's where its type is plain, else as Python has its values."""
    kind = kinds.get(name)
    if kind is None or name in ENVELOPE:
        return pa.nulls(size)
    if kind in PLAIN and name in pq.read_schema(path).names:  # not a folder's name=value, nor one that DuckDB renamed
        return _columns(path, {name: kind})[name]
    named = '"' + name.replace('"', '""') + '"'
    return [row[0] for row in duck.execute(f"SELECT {named} FROM read_parquet(?)", [str(path)]).fetchall()]  # noqa: S608


def _given(duck: DuckDBPyConnection, path: Path, kinds: dict[str, str]) -> list[str]:
    """The properties that some row has."""
    names = [name for name in kinds if name not in ENVELOPE]
    if not names:
        return []
    counted = ", ".join('count("' + name.replace('"', '""') + '")' for name in names)
    counts = duck.execute(f"SELECT {counted} FROM read_parquet(?)", [str(path)]).fetchone()  # noqa: S608
    return [name for name, count in zip(names, counts or (), strict=True) if count]
