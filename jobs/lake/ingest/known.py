"""What silver holds of a batch's ids, looked up in Arrow where few rows lie in their ranges.

As a rule silver holds none of them, and a Spark job that says so takes longer than all else of the look.
A file never changes, so the ids of small ones are remembered: between two compactions each batch adds a file to what
the next one looks through, and to open it again takes longer than to look through its ids.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs.lake.plain_scan import PlainScan
from jobs.lake.scanning import AnyOf, fragments_of, is_any_of

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable

FEW_ROWS = 2_000_000  # ids of 36 letters: some 100 MB
SMALL_FILE = 50_000  # rows
MOST_REMEMBERED = 128 * 2**20  # bytes of ids
ID = "event_id"


@dataclass
class Remembered:
    """Ids by table and file, of those asked for last; no more than so many bytes."""

    most: int
    size: int = 0
    ids: "OrderedDict[tuple[str, str], pa.Array]" = field(default_factory=OrderedDict)

    def of(self, table: str, file: "ds.Fragment", schema: pa.Schema) -> pa.Array:
        """All ids of a file."""
        key = (table, file.path)
        if key in self.ids:
            self.ids.move_to_end(key)
            return self.ids[key]
        found = file.to_table(schema=schema, columns=[ID])[ID].combine_chunks()
        self.ids[key] = found
        self.size += found.nbytes
        while self.size > self.most and len(self.ids) > 1:
            self.size -= self.ids.popitem(last=False)[1].nbytes
        return found


REMEMBERED = Remembered(MOST_REMEMBERED)


@dataclass(frozen=True)
class Near:
    """The files of a table that may hold rows for which a condition is true, and whether each is a small one."""

    table: str
    schema: pa.Schema
    where: pc.Expression
    files: "tuple[tuple[ds.Fragment, bool], ...]"

    def rows_with(self, ids: pa.Table, columns: list[str]) -> pa.Table | None:
        """The rows, for all of which the condition is true, that have one of the ids; null when there are none."""
        wanted = ids[ID].combine_chunks()
        held = ((file, self._among(file, wanted, is_small=is_small)) for file, is_small in self.files)
        parts = [
            file.to_table(schema=self.schema, columns=columns, filter=self.where & pc.field(ID).isin(known))
            for file, known in held
            if len(known)
        ]
        return pa.concat_tables(parts) if parts else None

    def _among(self, file: "ds.Fragment", wanted: pa.Array, *, is_small: bool) -> pa.Array:
        """Which of the ids the file has."""
        if is_small:
            told = REMEMBERED.of(self.table, file, self.schema)
        else:
            told = file.to_table(schema=self.schema, columns=[ID], filter=self.where)[ID].combine_chunks()
        return told.filter(pc.is_in(told, wanted))


def near_rows(delta: "DeltaTable", near: AnyOf) -> Near | None:
    """What of an opened table is near, if so few rows are that this process looks at them itself.

    Small files are counted whole, by the log; of large ones the pieces that may be near.
    """
    if not PlainScan(delta.table_uri, delta).is_safe:
        return None
    schema, where = pa.schema(delta.schema().to_arrow()), is_any_of(near)
    files, count = [], 0
    for file, rows in fragments_of(delta, near):
        small = rows if rows is not None and rows <= SMALL_FILE else None
        pieces = file.subset(where, schema=schema).row_groups if small is None else ()
        count += small or sum(piece.num_rows for piece in pieces)
        if count > FEW_ROWS:
            return None
        files.append((file, small is not None))
    return Near(delta.table_uri, schema, where, tuple(files))
