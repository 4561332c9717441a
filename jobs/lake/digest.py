"""One number for the rows of a table, whatever their order: two runs that should agree have the same digest."""

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from jobs.lake.tables import Lake

PER_RUN = ("ingest_seq", "recorded_at", "run_id", "known_from", "release_id")  # differ between runs that agree


def digest_of(lake: Lake, table: str, leave_out: Collection[str] = PER_RUN) -> str:
    """The digest of a table's newest version; "absent" for a table not made yet."""
    return digest(lake.read(table), leave_out) if lake.exists(table) else "absent"


def digest(rows: DataFrame, leave_out: Collection[str] = PER_RUN) -> str:
    """`<rows>:<hash>` over all columns but those left out; equal rows count as often as they occur."""
    kept = sorted((field for field in rows.schema.fields if field.name not in leave_out), key=lambda field: field.name)
    parts = [part for field in kept for part in (F.lit(field.name), hashable(F.col(f"`{field.name}`"), field.dataType))]
    hashed = rows.select(F.xxhash64(*parts).cast("decimal(38,0)").alias("h"))
    found = hashed.agg(F.count("*").alias("n"), F.coalesce(F.sum("h"), F.lit(0)).alias("total")).first()
    return f"{found['n']}:{int(found['total']) & (2**128 - 1):032x}" if found else "0:0"


def hashable(value: Column, kind: DataType) -> Column:
    """A value as something whose hash tells nulls and empty lists apart, and forgets the order of a map."""
    if isinstance(kind, MapType):
        return F.to_json(F.sort_array(F.map_entries(value)))
    if isinstance(kind, (ArrayType, StructType)):
        return F.to_json(value, {"ignoreNullFields": "false"})
    return value
