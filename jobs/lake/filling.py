"""Filling: a family's frames written into its staging tables, which are made anew for every build."""

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from jobs.lake.errors import SliceError
from jobs.lake.file_commits import added
from jobs.lake.scanning import folder_of, is_local
from jobs.lake.small_commits import nullable
from jobs.lake.staging import StagedTable, Staging
from jobs.lake.work import Staged

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction, RemoveAction
    from pyspark.sql import DataFrame

    from jobs.lake.tables import Lake

FEW_ROWS = 10_000


def fill(lake: "Lake", staging: Staging, staged: Staged, held: Collection[date]) -> StagedTable:
    """Write one frame into staging, less the days that are held."""
    from pyspark.sql import functions as F

    promised = lake.contract(staged.table)
    frame, slices = staged.frame, staged.slices
    if staged.mode == "replace_slices":
        if promised.slice_column is None:
            raise SliceError(f"{staged.table}: replace_slices needs `slice` among the contract's customProperties")
        slices = tuple(day for day in staged.slices if day not in held)
        if held:
            frame = frame.where(~F.col(promised.slice_column).isin(*held))
    rows = lake.conform(staged.table, frame)
    some = rows.limit(FEW_ROWS).toArrow() if staged.mode in ("merge", "append") else None
    # What is missing is for the checks to find, not for Delta.
    delta = _filled(rows, some, nullable(promised.arrow_schema()), staging.path(staged.table))
    removed = None if staged.removed is None else _remove(lake, staging, staged.table, staged.removed)
    return StagedTable(
        table=staged.table, mode=staged.mode, slices=slices, version=delta.version(),
        table_id=str(delta.metadata().id), rows=delta.count(), removed_version=removed,
        contract_version=promised.version,
    )  # fmt: skip


def _remove(lake: "Lake", staging: Staging, table: str, removed: "DataFrame") -> int | None:
    """Stage the keys that a merge takes away; None when there are none."""
    import pyarrow as pa

    promised, path = lake.contract(table), staging.removed_path(table)
    schema = nullable(promised.arrow_schema())
    keys = removed.select(*promised.grain)
    some = keys.limit(FEW_ROWS).toArrow()
    if some.num_rows == 0:
        return None
    return _filled(keys, some, pa.schema([schema.field(name) for name in promised.grain]), path).version()


def _filled(frame: "DataFrame", some: "pa.Table | None", schema: "pa.Schema", path: str) -> "DeltaTable":
    """A staging table made anew with the rows of the frame in it; `some` are its first, where few are likely.

    Few need no Spark write: that costs a small run more than thousands of rows do.
    """
    from deltalake import DeltaTable, write_deltalake

    fresh = _made_anew(path, schema)
    if some is not None and some.num_rows < FEW_ROWS:
        write_deltalake(fresh, some.cast(schema), mode="append")
    elif not is_local(path):  # where a rename is a copy, files are written once and under their last names
        frame.write.format("delta").mode("append").save(path)
    else:
        fresh.create_write_transaction(_written(frame, folder_of(path)), "append", schema)
    return DeltaTable(path)


def _written(frame: "DataFrame", folder: Path) -> "list[AddAction | RemoveAction]":
    """The rows as Parquet files in a folder of their own below the table's, and what its log says of them."""
    from pyarrow.parquet import read_metadata

    home = folder / f"rows-{uuid4().hex}"
    frame.write.parquet(str(home))
    files = sorted(home.glob("*.parquet"))
    return [added(file, folder, {}, {"numRecords": read_metadata(file).num_rows}) for file in files]


def _made_anew(path: str, schema: "pa.Schema") -> "DeltaTable":
    """An empty staging table in place of what was there.

    delta-rs makes it: what Spark Connect makes of a kernel's rows names a collation, which delta-rs cannot read.
    """
    from deltalake import DeltaTable

    # Least and greatest values in the log would be values of people; nobody searches staging.
    return DeltaTable.create(path, schema, mode="overwrite", configuration={"delta.dataSkippingNumIndexedCols": "0"})
