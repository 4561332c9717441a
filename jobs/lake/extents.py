"""From when to when a table has rows, as its log tells it: no job, and no file is read."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyspark.sql import DataFrame

Ends = tuple[datetime, datetime]  # the first and the last instant, UTC
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def told_ends(delta: "DeltaTable", column: str) -> Ends | None:
    """The ends of a column of instants, cut to the millisecond, as logs are; None where a file says nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    files = pa.table(delta.get_add_actions(flatten=True))
    names = [f"{end}.{column}" for end in ("min", "max")]
    if any(name not in files.column_names or files[name].null_count for name in names):
        return None
    first, last = pc.min(files[names[0]]).as_py(), pc.max(files[names[1]]).as_py()
    return None if first is None or last is None else (first.astimezone(UTC), last.astimezone(UTC))


def found_ends(rows: "DataFrame", column: str) -> Ends | None:
    """The same from the rows, to the microsecond; None where there are none."""
    from pyspark.sql import functions as F

    at = F.unix_micros(column)
    first, last = rows.agg(F.min(at), F.max(at)).collect()[0]
    return None if first is None else (EPOCH + timedelta(microseconds=first), EPOCH + timedelta(microseconds=last))
