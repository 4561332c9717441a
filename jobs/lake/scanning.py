"""Delta tables as Arrow datasets, read through Arrow's own file systems.

delta-rs would hand Arrow's threads a file system made of Python objects. Such a thread may still be letting go of a
file while the interpreter ends, and then takes the whole process down (one `reelhouse pending` in seven ended so).
"""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable
    from pyarrow.fs import FileSystem


def dataset_of(delta: "DeltaTable") -> "ds.Dataset":
    """The rows of an opened table, of the version it was opened at; nothing is read yet."""
    return delta.to_pyarrow_dataset(filesystem=file_system_at(delta.table_uri))


def is_local(uri: str) -> bool:
    """Whether it lies on a disk of this machine, and in no object store."""
    return urlsplit(uri).scheme in ("", "file")


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
