"""Tables that are looked up by one value lie so that the few rows of it are found without reading the others.

Their files come in small groups of rows, each with a Bloom filter of the values that are in it: a reader skips the
groups that cannot have the one it asks for. Order would do the same only until the first merge (docs/adr/0021).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobs.lake.contract_model import Contract

if TYPE_CHECKING:
    from deltalake import WriterProperties
    from pyspark.sql import SparkSession

GROUP_ROWS = 50_000  # of fewer, a file's footer grows longer than what is left out; of more, reading one takes longer
WRONG_SHARE = 0.01  # of the groups that a filter lets be read for nothing
ROW_GROUP, BLOOM = "parquet.block.row.count.limit", "parquet.bloom.filter"


@contextmanager
def laid_out(spark: "SparkSession", promised: Contract) -> Iterator[None]:
    """What Spark writes meanwhile lies as the contract has it; Delta takes such settings from the session only."""
    conf = spark_conf(promised)
    try:
        for key, value in conf.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key in conf:
            spark.conf.unset(key)


def spark_conf(promised: Contract) -> dict[str, str]:
    """Settings of Spark's Parquet writer for a table."""
    column = promised.looked_up_by
    if column is None:
        return {}
    return {
        ROW_GROUP: str(GROUP_ROWS),
        f"{BLOOM}.enabled#{column}": "true",
        f"{BLOOM}.expected.ndv#{column}": str(GROUP_ROWS),
        f"{BLOOM}.fpp#{column}": str(WRONG_SHARE),
    }


def writer_properties(column: str | None, rows: int) -> "WriterProperties | None":
    """Of delta-rs's writer, for a file of at most so many rows looked up by a column; None where none is."""
    from deltalake import BloomFilterProperties, ColumnProperties, WriterProperties

    if column is None:
        return None
    # A filter is as long as the values it may hold: for ten rows it need not have room for all of a group.
    bloom = BloomFilterProperties(True, fpp=WRONG_SHARE, ndv=max(1, min(rows, GROUP_ROWS)))
    return WriterProperties(
        compression="SNAPPY",  # as Spark does; without a word delta-rs would not compress at all
        max_row_group_size=GROUP_ROWS,
        column_properties={column: ColumnProperties(bloom_filter_properties=bloom)},
    )
