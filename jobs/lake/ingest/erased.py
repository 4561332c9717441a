"""Records of erased people: told by the keyed hash of the id they bear, emptied in bronze, and not read any more.

A batch that is done again from bronze therefore counts them as `erased`, and makes nothing of them.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.definitions.events.reading import as_text, header
from jobs.definitions.workers import settle
from jobs.lake.erasures import PERSONAL, erased_records, horizons, is_erased, micros
from jobs.lake.identity import keys_at, read_keys
from jobs.lake.ledger import Ledger
from jobs.lake.tables import Lake
from jobs.lake.topics import ERASED_HEADER

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame

Place = tuple[str, str, int, int]  # topic, topic id, partition, offset


def erased_of(ledger: Ledger, ingest_seq: int) -> tuple[Place, ...]:
    """Where the erased records of a batch lie."""
    found = erased_records(ledger, horizons(ledger), ingest_seq)
    return tuple((row["topic"], row["topic_id"], row["partition"], row["offset"]) for row in found)


def without_erased(lake: Lake, records: "DataFrame", erased: Collection[Place]) -> "DataFrame":
    """Records of bronze less the erased ones."""
    if not erased:
        return records
    columns = "topic_id string, partition int, offset long"
    places = lake.spark.createDataFrame([place for _, *place in erased], columns)
    return records.join(F.broadcast(places), on=places.columns, how="left_anti")


def emptied_at_landing(lake: Lake, rows: "DataFrame", ingest_seq: int) -> "DataFrame":
    """New rows of bronze: those that are erased before they lie there keep their place only."""
    until = horizons(Ledger(lake.settings))
    if not until:
        return rows
    marked = rows.withColumn("_mark", mark_of_record(lake, until))
    return marked.transform(emptied, F.lit(ingest_seq)).drop("_mark")


def mark_of_record(lake: Lake, until: Mapping[str, datetime]) -> Column:
    """Of a row of bronze the mark by which it is erased, or null: by its key, else by the user that its body names.

    What cannot be read says no time of its own; it is of when it arrived.
    """
    read_keys(lake.settings.keys_path)  # never a fresh key: under it nobody is told
    body, told = F.col("value").cast("string"), mark_function(lake.settings.keys_path, until)
    arrived = F.unix_micros("kafka_time")
    said = F.unix_micros(F.try_to_timestamp(header("ce_time")))
    happened = F.coalesce(F.get_json_object(body, "$.event_time").try_cast("bigint"), said, arrived)
    by_body = told(F.get_json_object(body, "$.user_id"), happened, arrived)
    found = F.coalesce(told(key_of_record(), happened, arrived), by_body)
    return F.when(F.col("topic").isin(*PERSONAL), found)


def key_of_record() -> Column:
    """Of a row of bronze the key, a raw id, as text; null where it is none."""
    return as_text(F.col("key"))


def mark_function(path: "Path", until: Mapping[str, datetime]) -> Callable[[Column, Column, Column], Column]:
    """A function: raw id, µs of happening and arrival → the mark by which the record is erased, or null."""
    import pyarrow as pa
    from pyspark.sql.pandas.functions import arrow_udf
    from pyspark.sql.types import StringType  # a type by its name would be asked of whichever session is active

    place, limits = str(path), {mark: micros(at) for mark, at in until.items()}

    def marks(ids: pa.Array, happened: pa.Array, arrived: pa.Array) -> pa.Array:
        found = is_erased(keys_at(place), ids, happened, arrived, limits)
        settle("marks")
        return found

    made: Any = arrow_udf(marks, StringType())  # type: ignore[call-overload]
    return cast("Callable[[Column, Column, Column], Column]", made)


def emptied(rows: "DataFrame", by: Column) -> "DataFrame":
    """Rows of bronze; those with a `_mark` lose key, value and headers to the mark and the batch that did it."""
    is_gone, nothing = F.col("_mark").isNotNull(), F.lit(None).cast("binary")
    told = F.concat_ws(":", "_mark", by.cast("string")).cast("binary")
    sign = F.array(F.struct(F.lit(ERASED_HEADER).alias("key"), told.alias("value")))
    return rows.withColumns(
        {
            "key": F.when(is_gone, nothing).otherwise(F.col("key")),
            "value": F.when(is_gone, nothing).otherwise(F.col("value")),
            "headers": F.when(is_gone, sign).otherwise(F.col("headers")),
        }
    )
