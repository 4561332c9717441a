"""Small Delta tables read as the Parquet files they are: Delta's log is read by delta-rs, in milliseconds.

Delta plans each scan by Spark jobs of its own (it rebuilds the state of the log, then filters files by it): tenths of
a second for a table of a dozen files, in every query that touches it; more than half of what a small run costs
(docs/adr/0019). Where files are many that work pays, so such tables are left to Delta.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructField, StructType

from jobs.lake.scanning import is_local

if TYPE_CHECKING:
    from deltalake import DeltaTable

FEW_FILES = 200  # each is looked up, and its footer read, where Delta would know from its log what to leave out
FEW_FILES_AFAR = 32  # a look-up in an object store is a request


@dataclass(frozen=True)
class PlainScan:
    """A table at one version; `delta` was opened at it, with its files, some of which are left out."""

    path: str
    delta: "DeltaTable"
    left_out: frozenset[str] = frozenset()

    @property
    def is_safe(self) -> bool:
        """Whether its rows are what its files hold, and its files are few.

        Protocol 1 for readers means just that: no deletion vectors, no mapped columns.
        """
        protocol = self.delta.protocol()
        few = FEW_FILES if is_local(self.path) else FEW_FILES_AFAR
        is_plain = protocol.min_reader_version == 1 and not protocol.reader_features
        return is_plain and len(self._files) <= few and all(map(is_inside, self._files))

    def frame(self, spark: SparkSession) -> DataFrame:
        """The rows, in the columns and types of the log."""
        log = StructType.fromJson(json.loads(self.delta.schema().to_json()))
        schema = StructType([StructField(each.name, each.dataType) for each in log])  # as files: any may be null
        if not self._files:
            return spark.createDataFrame([], schema)
        reader = spark.read.schema(schema).option("basePath", self.path)
        rows = reader.parquet(*[f"{self.path}/{name}" for name in self._files])
        return rows.select(*schema.names)  # of files, Spark puts the columns a table is partitioned by last

    @cached_property
    def _files(self) -> list[str]:
        names = pa.table(self.delta.get_add_actions())["path"].to_pylist()
        return [name for name in names if name not in self.left_out]


def is_inside(name: str) -> bool:
    """Whether a file of the log lies under its table, with a name that needs no decoding."""
    return not ("%" in name or name.startswith(("/", "..")) or urlsplit(name).scheme)
