"""Commits of few rows by delta-rs: the same commit that Spark would make, in tens of milliseconds and without a JVM.

Spark's writes rebuild the table's state by jobs of their own, before and after, whatever the rows (docs/adr/0019).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from jobs.lake.damage import damage_told
from jobs.lake.errors import WriteError
from jobs.lake.look_ups import writer_properties
from jobs.lake.scanning import dataset_of

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import CommitProperties, DeltaTable
    from deltalake.transaction import AddAction
    from tenacity import Retrying

FEW_ROWS = 100_000  # as Arrow some tens of megabytes
SMALL_BYTES = 64 * 2**20  # of a table whose rows are looked at one by one
ROW = "_row"
InBronze = tuple[str, int, int]  # of a record: topic id, partition, offset
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class SmallCommit:
    """One commit to a table, once per (app, version), which the caller has looked up; `metadata` is what it notes.

    `looked_up_by` is that of the contract.
    """

    table: str
    delta: "DeltaTable"
    app: str
    version: int
    metadata: str | None
    looked_up_by: str | None = None

    def add_files(self, files: "list[AddAction]") -> None:
        """Say of files that lie there already that they are rows of the table."""
        self.delta.create_write_transaction(
            [*files], "append", self.delta.schema(), partition_by=list(self.delta.metadata().partition_columns),
            commit_properties=self._properties,
        )  # fmt: skip

    def append(self, rows: "pa.Table") -> None:
        """Add rows."""
        self._write(self._conform(rows), "append")

    def replace_all(self, rows: "pa.Table") -> None:
        """Put rows in place of all."""
        self._write(self._conform(rows), "overwrite")

    def replace_slices(self, rows: "pa.Table", column: str, slices: Sequence[date]) -> None:
        """Put rows in place of those of some days; WriteError for a row of another day."""
        import pyarrow.compute as pc

        strangers = set(pc.unique(rows[column]).to_pylist()) - set(slices)
        if strangers:
            raise WriteError(f"{self.table}: rows of {', '.join(map(str, sorted(strangers)))} are not in the slices")
        days = ", ".join(f"'{day.isoformat()}'" for day in sorted(set(slices)))
        self._write(self._conform(rows), "overwrite", f"{column} IN ({days})")

    def replace_where(self, rows: "pa.Table", condition: str) -> None:
        """Put rows, or none, in place of those for which a condition, in our own SQL, is true; the log will quote it.

        What else their files held is written as Arrow's readers can filter it; after a DELETE or MERGE of delta-rs
        they cannot (its texts are views).
        """
        self._write(self._conform(rows), "overwrite", condition)

    def replace_batch(self, rows: "pa.Table", places: Iterable[InBronze], ingest_seq: int) -> None:
        """Put rows, all of a batch that has none here yet, in place of those made of the records at `places`."""
        self.replace_where(rows, " OR ".join(filter(None, [made_of(places), f"ingest_seq = {ingest_seq}"])))

    def merge(self, rows: "pa.Table", keys: Sequence[str], removed: "pa.Table | None") -> None:
        """Insert or replace rows by key; those with the keys of `removed`, none of them in `rows`, go.

        WriteError for two rows of one key. Not by MERGE of delta-rs: texts that it leaves are views, which Arrow
        cannot filter (see `replace_where`).
        """
        import pyarrow as pa

        new, held = self._conform(rows), dataset_of(self.delta).to_table()
        if new.group_by(list(keys)).aggregate([]).num_rows != new.num_rows:
            raise WriteError(f"{self.table}: two rows of the same {', '.join(keys)} cannot be merged")
        named = new.select(list(keys))
        if removed is not None:
            named = pa.concat_tables([named, removed.select(list(keys)).cast(named.schema)])
        kept = _without(held, named)
        if kept.num_rows == held.num_rows:
            self._write(new, "append")
        else:
            self._write(pa.concat_tables([kept.cast(new.schema), new]), "overwrite")

    def _write(self, rows: "pa.Table", mode: Literal["append", "overwrite"], predicate: str | None = None) -> None:
        from deltalake import write_deltalake

        laid_out = writer_properties(self.looked_up_by, rows.num_rows)
        more: dict[str, Any] = {"predicate": predicate, "writer_properties": laid_out}
        write_deltalake(self.delta, rows, mode=mode, commit_properties=self._properties, **more)

    @property
    def _properties(self) -> "CommitProperties":
        """The commit's identity, and what it notes, where Spark's commits have them."""
        from deltalake import CommitProperties, Transaction

        return CommitProperties(
            custom_metadata={"userMetadata": self.metadata} if self.metadata is not None else None,
            app_transactions=[Transaction(self.app, self.version)],
            max_commit_retries=0,  # a redo would be on a version that nobody looked at
        )

    def _conform(self, rows: "pa.Table") -> "pa.Table":
        """In the columns and types of the table; WriteError for a null where it has none."""
        import pyarrow as pa

        schema = pa.schema(self.delta.schema().to_arrow())
        try:
            return rows.select(schema.names).cast(schema)
        except (ValueError, pa.ArrowInvalid) as wrong:
            raise WriteError(f"{self.table}: rows do not fit the table: {wrong}") from wrong


def made_of(places: Iterable[InBronze]) -> str:
    """The condition, in our own SQL, that a row of silver was made of one of these records; it quotes no name."""
    by_partition: dict[tuple[str, int], list[int]] = {}
    for topic_id, partition, offset in places:
        by_partition.setdefault((topic_id, partition), []).append(offset)
    return " OR ".join(
        f"(kafka_topic_id = '{topic_id}' AND kafka_partition = {partition} "
        f"AND kafka_offset BETWEEN {min(offsets)} AND {max(offsets)} "  # of a long list no file is left out
        f"AND kafka_offset IN ({', '.join(map(str, sorted(offsets)))}))"
        for (topic_id, partition), offsets in sorted(by_partition.items())
    )


def is_committed(delta: "DeltaTable", app: str, version: int) -> bool:
    """Whether the table has the commit of this pair, or a later one of the application."""
    done = delta.transaction_version(app)
    return done is not None and done >= version


def refuse_number(table: str, rows: int, exactly: int | None) -> None:
    """WriteError for other than `exactly` so many rows, where it is known how many there are."""
    if exactly is not None and rows != exactly:
        raise WriteError(f"{table}: {exactly:,} rows were handed over and {rows:,} were to be written; none of them is")


def commit_few(
    table: str, path: str, app: str, version: int, metadata: str | None, write: "Callable[[SmallCommit], None]",
    looked_up_by: str | None = None,
) -> None:  # fmt: skip
    """Make the commit unless it is there, anew when others commit meanwhile; DamageError for a log that is hurt."""
    from deltalake import DeltaTable

    for attempt in retrying():
        with attempt, damage_told(table):
            delta = DeltaTable(path)
            if not is_committed(delta, app, version):
                write(SmallCommit(table, delta, app, version, metadata, looked_up_by))


def retrying() -> "Retrying":
    """Try again while others commit to the same table, for a minute at most."""
    from deltalake.exceptions import CommitFailedError
    from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

    return Retrying(
        retry=retry_if_exception_type(CommitFailedError),
        wait=wait_random_exponential(multiplier=0.02, max=1),
        stop=stop_after_delay(PATIENCE_SECONDS),
        reraise=True,
    )


def note_of(commit: Mapping[str, Any]) -> dict[str, Any]:
    """What a commit notes of itself, as JSON; empty for one that notes nothing."""
    return dict(json.loads(commit.get("userMetadata") or "{}"))


def is_small(delta: "DeltaTable") -> bool:
    """Whether a table, opened with its files, is small enough to be looked through."""
    import pyarrow as pa

    sizes = pa.table(delta.get_add_actions())["size_bytes"]
    return sum(int(size) for size in sizes.to_pylist()) <= SMALL_BYTES


def rows_at(path: str, version: int) -> "pa.Table":
    """The rows of the Delta table at a path, as of a version."""
    from deltalake import DeltaTable

    return dataset_of(DeltaTable(path, version=version)).to_table()


def nullable(schema: "pa.Schema") -> "pa.Schema":
    """The same columns, every one of which may be null."""
    import pyarrow as pa

    return pa.schema([field.with_nullable(True) for field in schema])


def _without(held: "pa.Table", named: "pa.Table") -> "pa.Table":
    """The rows whose keys, the columns of `named`, are not among it; one with a null in its key is among none."""
    import numpy as np
    import pyarrow as pa

    keys = held.select(named.column_names).append_column(ROW, pa.array(np.arange(held.num_rows)))
    left = keys.join(named, keys=named.column_names, join_type="left anti")
    return held.take(left[ROW].sort())
