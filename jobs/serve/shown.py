"""What a query sees of tables that hold text out of refused records as it came: names of ours, of others the form.

The rows keep it, for by a producer's id its numbers are put together over batches. DuckDB is given the masked rows and
never a path to the others, so no query reaches them, by whatever name.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from jobs.definitions.shown import safe_producer, safe_source
from jobs.lake.ingest.progress import QUARANTINE, SEQUENCES
from jobs.lake.ledger import Ledger
from jobs.lake.scanning import dataset_of
from jobs.lake.settings import Settings
from jobs.serve.sequences import is_good

if TYPE_CHECKING:
    import pyarrow as pa

Mask = Callable[[str | None], str | None]

MASKED = (SEQUENCES, QUARANTINE)
SOURCE, PRODUCER = "source_uri", "producer_id"


def shown_rows(settings: Settings, table: str, versions: Mapping[str, int]) -> "pa.Table":
    """All rows of a masked table at its version, as they may be shown; -1 is an empty table.

    Any text may name a producer, so that it is one is told by a good record alone, by `ops.sequences` at its version.
    """
    rows = _rows(settings, table, versions[table])
    columns: dict[str, Mask] = {SOURCE: safe_source}
    if PRODUCER in rows.column_names:  # an older quarantine has none
        good = _good(settings, versions.get(SEQUENCES, -1))
        columns[PRODUCER] = lambda name: safe_producer(name, good)
    for name, mask in columns.items():
        rows = rows.set_column(rows.column_names.index(name), name, _masked(rows[name], mask))
    return rows


def no_rows(settings: Settings, table: str, version: int) -> "pa.Table":
    """The columns of a masked table at its version."""
    return _rows(settings, table, version, is_empty=True)


def _rows(settings: Settings, table: str, version: int, *, is_empty: bool = False) -> "pa.Table":
    from deltalake import DeltaTable

    if version < 0:
        return Ledger(settings).schema(table).empty_table()
    rows = dataset_of(DeltaTable(settings.table_path(table), version=version))
    return rows.schema.empty_table() if is_empty else rows.to_table()


def _good(settings: Settings, version: int) -> set[str]:
    """The producers of at least one record that was not refused, by then."""
    from deltalake import DeltaTable

    if version < 0:
        return set()
    told = dataset_of(DeltaTable(settings.table_path(SEQUENCES), version=version))
    return set(told.to_table([PRODUCER], filter=is_good())[PRODUCER].unique().to_pylist())


def _masked(column: "pa.ChunkedArray", mask: Mask) -> "pa.ChunkedArray":
    """Each text as it may be shown; each different one is looked at once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    different = column.unique()
    shown = pa.array(map(mask, different.to_pylist()), pa.string())
    return pa.chunked_array([shown.take(pc.index_in(chunk, different)) for chunk in column.chunks], pa.string())
