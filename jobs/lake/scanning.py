"""Delta tables as Arrow datasets, read through Arrow's own file systems.

delta-rs would hand Arrow's threads a file system made of Python objects. Such a thread may still be letting go of a
file while the interpreter ends, and then takes the whole process down (one `reelhouse pending` in seven ended so).
"""

import os
import re
from collections.abc import Iterator
from functools import reduce
from operator import and_
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable
    from pyarrow.compute import Expression
    from pyarrow.fs import FileSystem

# (column, operator, value), of which all of one list must be true; no value is an empty text, to delta-rs that is null.
AnyOf = list[list[tuple[str, str, Any]]]
LOG = "_delta_log"
LOGGED = re.compile(r"\d{20}\.(json|checkpoint.*\.parquet)")  # a commit, or all of them until then


def dataset_of(delta: "DeltaTable", near: "AnyOf | None" = None) -> "ds.Dataset":
    """The rows of an opened table, of the version it was opened at; nothing is read yet.

    With `near`, of those files alone that may have such rows by the log's statistics: of each file that is not left out
    the statistics of all columns become conditions of Arrow, a millisecond's work.
    """
    return delta.to_pyarrow_dataset(filesystem=file_system_at(delta.table_uri), file_pruning_predicate=near)


def fragments_of(delta: "DeltaTable", near: "AnyOf") -> "Iterator[tuple[ds.Fragment, int | None]]":
    """The files that may have such rows, each with its count of rows where the log tells it; for plain names only.

    Of a file nothing but the values it is partitioned by is told to Arrow, so many are no work.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    names = {uri.rsplit("/", 1)[-1] for uri in delta.file_uris(file_pruning_predicate=near)}
    parts = {f"partition.{name}": pc.field(name) for name in delta.metadata().partition_columns}
    wanted = ["path", "num_records", *parts]  # of a hundred columns, most of them statistics
    form, place = ds.ParquetFileFormat(), file_system_at(delta.table_uri)
    for file in pa.table(delta.get_add_actions(flatten=True)).select(wanted).to_pylist():
        if file["path"].rsplit("/", 1)[-1] in names:
            values = [part.is_null() if file[name] is None else part == file[name] for name, part in parts.items()]
            yield form.make_fragment(file["path"], place, reduce(and_, values) if values else None), file["num_records"]


def rows_near(delta: "DeltaTable", near: "AnyOf") -> int:
    """How many rows there are in the files that may have such rows."""
    return sum(file.count_rows() if rows is None else rows for file, rows in fragments_of(delta, near))


def is_any_of(near: "AnyOf") -> "Expression":
    """The condition as Arrow's."""
    import pyarrow.parquet as pq

    return pq.filters_to_expression(near)


def is_local(uri: str) -> bool:
    """Whether it lies on a disk of this machine, and in no object store."""
    return urlsplit(uri).scheme in ("", "file")


def is_table(uri: str) -> bool:
    """Whether a Delta table lies there; on a local disk one file of its log tells, where delta-rs lists them all."""
    from deltalake import DeltaTable

    if not is_local(uri):
        return DeltaTable.is_deltatable(uri)
    log = folder_of(uri) / LOG
    return log.is_dir() and any(LOGGED.fullmatch(file.name) for file in os.scandir(log))


def folder_of(uri: str) -> Path:
    """The folder that a local place is: of a `file:` address its path in plain letters, a path as it is written."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path) if parts.scheme else uri)


def local_files(delta: "DeltaTable") -> list[Path]:
    """Where the files of an opened table lie on a local disk; `file_uris` of delta-rs spells a blank as `%20`."""
    import pyarrow as pa

    folder = folder_of(delta.table_uri)
    return [folder / path for path in pa.table(delta.get_add_actions())["path"].to_pylist()]


def file_system_at(uri: str) -> "FileSystem | None":
    """Arrow's file system with the table as its root; None (delta-rs's own) for a store that Arrow does not know."""
    from pyarrow.fs import FileSystem, LocalFileSystem, SubTreeFileSystem

    parts = urlsplit(uri)
    if is_local(uri):
        return SubTreeFileSystem(unquote(parts.path), LocalFileSystem())
    if parts.scheme not in ("s3", "s3a", "gs"):
        return None
    store, path = FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
    return SubTreeFileSystem(path, store)
