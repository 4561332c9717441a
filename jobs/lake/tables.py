"""The lake: Delta tables at their addresses, written idempotently by Spark and conforming to their contracts.

Every write names an application and a version; Delta skips the repeat of a pair it already holds, so a write may be
retried at any time. Works alike on a classic session and on Spark Connect (SQL and DataFrames only).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.lake.contracts import Contract, contract
from jobs.lake.damage import distance_told
from jobs.lake.errors import ContractError, WriteError
from jobs.lake.extents import Ends, found_ends, told_ends
from jobs.lake.file_commits import FileCommit
from jobs.lake.look_ups import laid_out
from jobs.lake.plain_scan import PlainScan
from jobs.lake.scanning import is_table
from jobs.lake.settings import Settings
from jobs.lake.small_commits import SmallCommit, commit_few, is_small, refuse_number
from jobs.lake.table_properties import properties

if TYPE_CHECKING:
    from deltalake import DeltaTable

TXN_APP = "spark.databricks.delta.write.txnAppId"
TXN_VERSION = "spark.databricks.delta.write.txnVersion"
METADATA = "spark.databricks.delta.commitInfo.userMetadata"


class Lake:
    """The tables of one lake as one run sees them; make a new one for each run."""

    def __init__(self, settings: Settings, spark: SparkSession) -> None:
        self.settings = settings
        self.spark = spark
        self._written: dict[tuple[str, str], int] = {}  # (table, app) → last version this run wrote
        self._there: set[str] = set()

    def contract(self, table: str) -> Contract:
        """What the table promises."""
        return contract(table, self.settings.schemas_dir)

    def path(self, table: str) -> str:
        """`gold.funnel_daily` lies at `<lake>/gold/funnel_daily`."""
        return self.settings.table_path(table)

    def exists(self, table: str) -> bool:
        """Whether the table was made; costs no Spark job."""
        with distance_told(table, self.path(table)):
            return table in self._there or is_table(self.path(table))

    def version(self, table: str) -> int:
        """The newest version, -1 for a table not made yet."""
        return self._log(table).version() if self.exists(table) else -1

    def txn_version(self, table: str, app: str) -> int:
        """The highest version that `app` has committed to the table, -1 for none."""
        if not self.exists(table):
            return -1
        done = self._log(table).transaction_version(app)
        return -1 if done is None else done

    def ensure(self, table: str) -> None:
        """Make the table, empty, from its contract; one that exists stays as it is."""
        if self.exists(table):
            self._there.add(table)
            return
        from deltalake import DeltaTable

        promised = self.contract(table)
        DeltaTable.create(
            self.path(table),
            promised.arrow_schema(),
            mode="ignore",
            partition_by=list(promised.partitioned_by) or None,
            description=promised.description,
            configuration=properties(promised),
        )
        self._there.add(table)

    def read(self, table: str, version: int | None = None) -> DataFrame:
        """The rows of a table, as of a version if one is given; a table not made yet is made and is empty."""
        self.ensure(table)
        return self.read_at(self.path(table), version)

    def nothing(self, table: str) -> DataFrame:
        """A table's columns without a row; whatever lies there is not looked at."""
        return self.spark.createDataFrame([], self.contract(table).spark_schema(enforced=False))

    def read_at(self, path: str, version: int | None = None) -> DataFrame:
        """The rows of the Delta table that lies at a path, as of a version if one is given."""
        from deltalake import DeltaTable

        scan = PlainScan(path, DeltaTable(path, version=version))
        if scan.is_safe:
            return scan.frame(self.spark)
        reader = self.spark.read.format("delta")
        return (reader if version is None else reader.option("versionAsOf", version)).load(path)

    def ends(self, table: str, column: str, version: int | None = None) -> Ends | None:
        """The first and last instant of a column, right to the millisecond; None for a table without rows."""
        from deltalake import DeltaTable

        self.ensure(table)
        version = None if version is None or version < 0 else version
        delta = DeltaTable(self.path(table), version=version)
        told = told_ends(delta, column)
        return found_ends(self.read(table, version), column) if told is None and delta.file_uris() else told

    @staticmethod
    def keep(frame: DataFrame) -> DataFrame:
        """The same rows, worked out once, when first needed; what is built on them does not plan their making again.

        They lie with the workers, without a way to make them anew: a run that loses a worker fails and is repeated.
        """
        return frame.localCheckpoint(eager=False)

    @staticmethod
    def hold(frame: DataFrame) -> DataFrame:
        """The same rows, worked out once, when first needed; `unpersist` lets them go."""
        return frame.persist()

    @staticmethod
    def planned_apart(frame: DataFrame) -> DataFrame:
        """The same rows; an engine to which long plans are dear does not plan them together with what follows."""
        return frame

    def expect(self, rows: int | DataFrame) -> None:
        """Told how many rows are to be worked on, before that begins; an engine for few may refuse."""

    def leave_to_spark(self, what: str) -> None:
        """Told of work that only Spark does: an engine for few refuses it."""

    @property
    def reads_kafka(self) -> bool:
        """Whether the engine has a source of its own for what lies on topics."""
        return True

    @property
    def merges(self) -> bool:
        """Whether the engine changes rows of a table of any size itself."""
        return True

    @property
    def keeps_readings(self) -> bool:
        """Whether it takes longer to plan a reading of few records again than to keep what was read."""
        return True

    def append(
        self, table: str, frame: DataFrame, *, app: str, version: int, metadata: str | None = None,
        exactly: int | None = None,
    ) -> None:  # fmt: skip
        """Add rows, once per (app, version); WriteError, and nothing is added, if they are not `exactly` so many."""
        commit = FileCommit(self.contract(table), self.path(table), app, version, metadata, exactly)
        if not commit.is_possible:
            if exactly is not None:
                refuse_number(table, frame.count(), exactly)
            self._write(table, frame, "append", app, version, {}, metadata)
            return
        self._claim(table, app, version)
        rows = self.conform(table, frame)
        self.ensure(table)
        days = commit.promised.partitioned_by
        with laid_out(self.spark, commit.promised):
            commit.make(lambda folder: rows.write.partitionBy(*days).parquet(folder))

    def append_few(
        self, table: str, frame: DataFrame, *, app: str, version: int, metadata: str, exactly: int | None = None
    ) -> None:
        """The same for so few rows that this process may hold them."""
        self._claim(table, app, version)
        rows = self.conform(table, frame).toArrow()
        refuse_number(table, rows.num_rows, exactly)
        self.ensure(table)
        self._commit_few(table, app, version, metadata, lambda commit: commit.append(rows))

    def replace_slices(
        self,
        table: str,
        frame: DataFrame,
        column: str,
        slices: Sequence[date],
        *,
        app: str,
        version: int,
        metadata: str | None = None,
    ) -> None:
        """Put `frame` in place of all rows of those days, in one commit; rows of other days are refused by Delta."""
        if not slices:
            raise WriteError(f"{table}: no slice is named; use replace_all to replace the whole table")
        days = ", ".join(f"DATE'{day.isoformat()}'" for day in sorted(set(slices)))
        self._write(table, frame, "overwrite", app, version, {"replaceWhere": f"`{column}` IN ({days})"}, metadata)

    def replace_all(self, table: str, frame: DataFrame, *, app: str, version: int, metadata: str | None = None) -> None:
        """Put `frame` in place of every row, in one commit."""
        self._write(table, frame, "overwrite", app, version, {}, metadata)

    def merge(
        self,
        table: str,
        frame: DataFrame,
        keys: Sequence[str],
        *,
        app: str,
        version: int,
        metadata: str | None = None,
        bounds: str = "TRUE",
        removed: DataFrame | None = None,
    ) -> None:
        """Insert or replace rows by key, in one commit; `keys` identify a row of `frame` and are never null.

        `bounds` is a SQL condition on `t` (the table) that is true of every row that could match; it saves reading.
        `removed` has keys, none of them in `frame`, whose rows go in the same commit.
        """
        self._claim(table, app, version)
        rows = self.conform(table, frame).withColumn("_is_removed", F.lit(False))
        if removed is not None:
            gone = removed.select(*keys).withColumn("_is_removed", F.lit(True))
            rows = rows.unionByName(gone, allowMissingColumns=True)
        self.ensure(table)
        view = f"merged_{table.replace('.', '_')}"
        rows.createOrReplaceTempView(view)
        on = " AND ".join(f"t.`{key}` = s.`{key}`" for key in keys)
        try:
            with self._transaction(app, version, metadata), laid_out(self.spark, self.contract(table)):
                self.spark.sql(
                    f"MERGE INTO delta.`{self.path(table)}` t USING {view} s ON {on} AND ({bounds}) "
                    "WHEN MATCHED AND s._is_removed THEN DELETE WHEN MATCHED THEN UPDATE SET * "
                    "WHEN NOT MATCHED AND NOT s._is_removed THEN INSERT *"
                ).collect()
        finally:
            self.spark.catalog.dropTempView(view)

    def merge_few(
        self, table: str, frame: DataFrame, keys: Sequence[str], *, app: str, version: int, metadata: str,
        removed: DataFrame | None = None,
    ) -> None:  # fmt: skip
        """As `merge`, for so few rows that this process may hold them; a table that is not small is left to Spark."""
        if not self._is_small(table):
            self.merge(table, frame, keys, app=app, version=version, metadata=metadata, removed=removed)
            return
        self._claim(table, app, version)
        rows = self.conform(table, frame).toArrow()
        gone = None if removed is None else removed.select(*keys).toArrow()
        self._commit_few(table, app, version, metadata, lambda commit: commit.merge(rows, keys, gone))

    def replace_few(
        self, table: str, frame: DataFrame, places: DataFrame, *, app: str, version: int, metadata: str
    ) -> None:
        """Put few rows of batch `version` in place of those made of the records at `places` (PLACE), in one commit.

        Of the table, whatever its size, files that the log tells to have none of them are not looked at.
        """
        self._claim(table, app, version)
        rows = self.conform(table, frame).toArrow()
        at = [(row[0], row[1], row[2]) for row in places.collect()]
        self._commit_few(table, app, version, metadata, lambda commit: commit.replace_batch(rows, at, version))

    def conform(self, table: str, frame: DataFrame) -> DataFrame:
        """The frame in the contract's columns, order and types; ContractError names what is missing or unpromised."""
        promised = self.contract(table)
        given = set(frame.columns)
        missing, unpromised = sorted(set(promised.names) - given), sorted(given - set(promised.names))
        if missing or unpromised:
            words = [f"missing {', '.join(missing)}"] * bool(missing)
            words += [f"not promised {', '.join(unpromised)}"] * bool(unpromised)
            raise ContractError(f"{table}: columns do not keep the contract: {'; '.join(words)}")
        given_types = {field.name: field.dataType.simpleString() for field in frame.schema}
        wanted = promised.spark_schema(enforced=False)
        if all(given_types[field.name] == field.dataType.simpleString() for field in wanted):
            return frame.select(*promised.names)  # `to` would build every list and struct anew, row by row
        return frame.to(wanted)

    def _write(
        self,
        table: str,
        frame: DataFrame,
        mode: str,
        app: str,
        version: int,
        options: dict[str, str],
        metadata: str | None,
    ) -> None:
        self._claim(table, app, version)
        rows = self.conform(table, frame)
        self.ensure(table)
        writer = rows.write.format("delta").mode(mode).options(txnAppId=app, txnVersion=str(version), **options)
        if metadata is not None:
            writer = writer.option("userMetadata", metadata)
        with laid_out(self.spark, self.contract(table)):
            writer.save(self.path(table))

    def _commit_few(
        self, table: str, app: str, version: int, metadata: str, write: Callable[[SmallCommit], None]
    ) -> None:
        commit_few(table, self.path(table), app, version, metadata, write, self.contract(table).looked_up_by)

    def _claim(self, table: str, app: str, version: int) -> None:
        """Refuse an (app, version) used before in this run: Delta would skip the second write and say nothing."""
        last = self._written.get((table, app))
        if last is not None and version <= last:
            raise WriteError(
                f"{table}: ({app}, {version}) follows ({app}, {last}) in the same run: Delta would skip it silently; "
                "give each logical write an app of its own"
            )
        self._written[(table, app)] = version

    @contextmanager
    def _transaction(self, app: str, version: int, metadata: str | None) -> Iterator[None]:
        """MERGE takes its identity from the session only; it must never leak into the next write."""
        conf = {TXN_APP: app, TXN_VERSION: str(version)} | ({METADATA: metadata} if metadata else {})
        try:
            for key, value in conf.items():
                self.spark.conf.set(key, value)
            yield
        finally:
            for key in conf:
                self.spark.conf.unset(key)

    def _is_small(self, table: str) -> bool:
        self.ensure(table)
        return is_small(self._log(table))

    def _log(self, table: str) -> "DeltaTable":
        from deltalake import DeltaTable

        return DeltaTable(self.path(table))
