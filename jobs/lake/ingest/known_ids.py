"""Which ids of a batch a table of silver has: where they may lie, and which of a small batch do.

A small batch's are looked up in the files by Arrow: one in which nothing repeats, as most are, then costs no reading
of silver by Spark, and one in which a few do reads it for these few only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from operator import or_
from typing import TYPE_CHECKING, Any

from jobs.definitions.balanced import joined
from jobs.lake.plain_scan import FEW_FILES
from jobs.lake.scanning import dataset_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.compute import Expression

MANY_ROWS = 5_000_000  # more are looked through by Spark's workers sooner than by this process
MANY = 60  # days of ids; beyond, one range stands for all


@dataclass(frozen=True)
class IdRange:
    """The ids of one topic with one date in them: least, greatest, how many records and how many different ids."""

    day: Any
    least: str
    greatest: str
    records: int
    ids: int


def within(ranges: list[IdRange], column: Callable[[str], Any], *, dated: bool) -> Any:
    """A condition, of literals only, that is true of every row of silver with an id of these ranges; null for none.

    `column` is that of Spark or of Arrow.
    """
    if dated:
        ranges = [each for each in ranges if each.day is not None]  # other ids are refused in any case
    if not ranges:
        return None
    event_id, date_of_id = column("event_id"), column("id_date")
    least, greatest = min(each.least for each in ranges), max(each.greatest for each in ranges)
    whole = (event_id >= least) & (event_id <= greatest)
    if not dated:
        return whole
    days = sorted({each.day for each in ranges})
    if len(days) > MANY:
        return whole & (date_of_id >= days[0]) & (date_of_id <= days[-1])
    each_day = [(date_of_id == each.day) & (event_id >= each.least) & (event_id <= each.greatest) for each in ranges]
    return joined(or_, each_day)


def known_ids(path: str, version: int, ids: "pa.Array", near: "Expression") -> "pa.Table | None":
    """Those of `ids` that the table at a path has in rows for which `near` is true, each once, as `event_id`.

    None where so many rows may be near that they had better be looked through elsewhere.
    """
    from deltalake import DeltaTable
    from pyarrow.compute import field

    rows = dataset_of(DeltaTable(path, version=version))
    fragments = list(islice(rows.get_fragments(filter=near), FEW_FILES + 1))
    if len(fragments) > FEW_FILES or sum(each.count_rows() for each in fragments) > MANY_ROWS:
        return None
    found = rows.to_table(columns=["event_id"], filter=near & field("event_id").isin(ids))
    return found.group_by("event_id").aggregate([])
