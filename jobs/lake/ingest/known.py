"""What silver holds of a batch's ids, looked up in Arrow where few rows lie in their ranges.

As a rule silver holds none of them, and a Spark job that says so takes longer than all else of the look.
"""

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs.lake.plain_scan import PlainScan
from jobs.lake.scanning import dataset_of

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable

FEW_ROWS = 2_000_000  # ids of 36 letters: some 100 MB


def few_rows(delta: "DeltaTable", near: pc.Expression) -> "ds.Dataset | None":
    """The rows of an opened table, if so few of them may be `near` that this process looks at them itself."""
    if not PlainScan(delta.table_uri, delta).is_safe:
        return None
    dataset = dataset_of(delta)
    groups = (group for each in dataset.get_fragments(near) for group in each.subset(near).row_groups)
    return dataset if sum(group.num_rows for group in groups) <= FEW_ROWS else None


def rows_with(dataset: "ds.Dataset", near: pc.Expression, ids: pa.Table, columns: list[str]) -> pa.Table | None:
    """The rows, all of them `near`, that have one of the ids; null when there are none."""
    told = dataset.to_table(columns=["event_id"], filter=near)["event_id"]
    known = told.filter(pc.is_in(told, ids["event_id"].combine_chunks())).combine_chunks()
    return dataset.to_table(columns=columns, filter=near & pc.field("event_id").isin(known)) if len(known) else None
