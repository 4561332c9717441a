"""One SQL query over the published tables, and its answer in the format asked for."""

import csv
import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.lake.contracts import all_tables
from jobs.lake.errors import QueryError, UsageError
from jobs.lake.settings import Settings
from jobs.serve.printing import inert, inert_json, plain, print_rows

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

UNSEEN = {  # by layer: why a promised table is not there
    "bronze": "is not for readers: it holds raw ids; `reelhouse quarantine show` has the form of refused records",
    "silver": "is about people, and there on request only: add --with-silver",
    "gold": "was not published yet, or not by then; `reelhouse tables` lists what is",
    "ops": "is not there",
}
SHOW_TABLES = re.compile(r"\s*SHOW\s+(ALL\s+)?TABLES\b", re.IGNORECASE)
NO_TABLE = "Catalog Error: Table with name"
EXPLAIN = re.compile(r"\s*EXPLAIN(\s+ANALYZE)?\b", re.IGNORECASE)


def answer(settings: Settings, text: str, versions: Mapping[str, int], *, as_it_came: bool = False) -> "pa.Table":
    """All rows of one reading statement; QueryError, in one line, for anything else.

    `as_it_came`: text out of refused records too, for whoever masks it.
    """
    return reader(settings, versions, as_it_came=as_it_came)(text)


def reader(settings: Settings, versions: Mapping[str, int], *, as_it_came: bool = False) -> "Callable[[str], pa.Table]":
    """A function that answers one statement after the other, as `answer` does, over tables that are opened once."""
    import duckdb

    from jobs.serve.duck import bring_masked, connect

    with _refused_in_one_line():
        connection = connect(settings, versions, as_it_came=as_it_came)

    def read(text: str) -> "pa.Table":
        with _refused_in_one_line():
            refuse_writing(connection, text)
            if not as_it_came:
                bring_masked(connection, settings, versions, text)
            try:
                return connection.execute(text).to_arrow_table()
            except duckdb.CatalogException:
                refuse_absent(settings, text, versions)
                raise

    return read


@contextmanager
def _refused_in_one_line() -> Iterator[None]:
    """What DuckDB says of a statement, as an error of ours."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        told = one_line(str(error))
        hint = "; `reelhouse tables` lists what is published" if NO_TABLE in told else ""
        raise QueryError(told + hint) from error


def refuse_writing(connection: "duckdb.DuckDBPyConnection", text: str) -> None:
    """QueryError unless the text is exactly one statement, and one that reads (DESCRIBE and SUMMARIZE do)."""
    statements = connection.extract_statements(text)
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} statements were given; write exactly one")
    if SHOW_TABLES.match(text):  # DuckDB would tell its own names
        raise QueryError("SHOW TABLES is not for readers: `reelhouse tables` lists what is published")
    kind = statements[0].type.name
    if kind == "EXPLAIN":  # EXPLAIN ANALYZE runs what it explains
        refuse_writing(connection, EXPLAIN.sub("", text, count=1))
    elif kind != "SELECT":
        raise QueryError(f"{kind} is not for readers: the tables change by releases only; write a SELECT")


def refuse_absent(settings: Settings, text: str, versions: Mapping[str, int]) -> None:
    """QueryError if the text names a promised table that these readers do not see, with what would show it."""
    plain_text = text.replace('"', "")
    for table in sorted(set(all_tables(settings.schemas_dir)) - versions.keys()):
        if re.search(rf"\b{re.escape(table)}\b", plain_text, re.IGNORECASE):
            raise QueryError(f"{table} {UNSEEN[table.partition('.')[0]]}")


def one_line(message: str) -> str:
    """What went wrong and DuckDB's hint, without the drawing of the query."""
    told = [line.strip() for line in message.splitlines() if line.strip()]
    kept = [line for line in told if not line.startswith(("LINE ", "^"))]
    return " ".join(kept) or message


def write_answer(rows: "pa.Table", format: str, output: Path | None) -> None:
    """The answer on stdout or in a file; Parquet only goes where bytes may go."""
    if format == "parquet":
        _write_parquet(rows, output)
    elif output is None:
        _print(rows, format)
    elif format == "table":
        raise UsageError("--output needs a format for files; add --format csv, json or parquet")
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(as_csv(rows) if format == "csv" else as_json(rows), encoding="utf-8")


def as_csv(rows: "pa.Table") -> str:
    """Comma-separated values with a header; lists, maps and structs as JSON."""
    import json

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(rows.column_names)
    for row in rows.to_pylist(maps_as_pydicts="strict"):
        values = (plain(value) for value in row.values())
        writer.writerow(json.dumps(v, ensure_ascii=False) if isinstance(v, dict | list) else v for v in values)
    return buffer.getvalue()


def as_json(rows: "pa.Table") -> str:
    """An array of objects."""
    import json

    return (
        inert_json(
            json.dumps([plain(row) for row in rows.to_pylist(maps_as_pydicts="strict")], ensure_ascii=False, indent=1)
        )
        + "\n"
    )


def _print(rows: "pa.Table", format: str) -> None:
    if format == "csv":
        sys.stdout.write(inert(as_csv(rows)) if sys.stdout.isatty() else as_csv(rows))  # a file has what there is
    elif format == "json":
        sys.stdout.write(as_json(rows))
    else:
        print_rows(rows.to_pylist(maps_as_pydicts="strict"), rows.column_names, format)


def _write_parquet(rows: "pa.Table", output: Path | None) -> None:
    import pyarrow.parquet as pq

    if output is None and sys.stdout.isatty():
        raise UsageError("Parquet is not for the terminal; add --output FILE")
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, output if output is not None else sys.stdout.buffer)
