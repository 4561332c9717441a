"""The ledger: small ops tables read and written without Spark, so a task with nothing to do ends in a second.

Delta's own log makes it safe: appends are idempotent by (app, version), and a replacement commits only on the version
it was computed from. Object stores take their credentials from the usual environment names (`AWS_…`, `AZURE_…`).
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from jobs.lake.contracts import contract
from jobs.lake.damage import damage_told, distance_told
from jobs.lake.errors import ContractError, DiskError, SettingsError, WriteError
from jobs.lake.opened import asked
from jobs.lake.room import REMEDY, is_full
from jobs.lake.scanning import AnyOf, dataset_of, is_any_of, is_table
from jobs.lake.settings import Settings
from jobs.lake.small_commits import commit_few, is_committed, retrying
from jobs.lake.table_properties import properties

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from pyarrow.compute import Expression
    from pyarrow.dataset import Dataset

T = TypeVar("T")
Row = Mapping[str, Any]
Rows: TypeAlias = "Sequence[Row] | pa.Table"


class Ledger:
    """The ops tables of one lake."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def path(self, table: str) -> str:
        """Where the table lies."""
        return self.settings.table_path(table)

    def schema(self, table: str) -> "pa.Schema":
        """The table's Arrow schema, by contract."""
        return contract(table, self.settings.schemas_dir).arrow_schema()

    def exists(self, table: str) -> bool:
        """Whether anything was ever written to the table."""
        with distance_told(table, self.path(table)):
            return is_table(self.path(table))

    def version(self, table: str) -> int:
        """The table's newest version; -1 for a table not made yet."""
        return self.asked(table, lambda delta: int(delta.version())) if self.exists(table) else -1

    def txn_version(self, table: str, app: str) -> int | None:
        """The highest version that `app` has committed to the table; None for none."""
        return self.asked(table, lambda delta: delta.transaction_version(app)) if self.exists(table) else None

    def asked(self, table: str, question: "Callable[[DeltaTable], T]") -> T:
        """The answer of a table that is there, at its newest version, which it must not change; errors as of `open`."""
        path = self.path(table)
        with damage_told(table), distance_told(table, path):
            return asked(path, question)

    def open(self, table: str) -> "DeltaTable":
        """The table at its newest version, made from its contract if it is not there; DamageError for a torn log."""
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        try:
            with damage_told(table), distance_told(table, self.path(table)):
                return DeltaTable(self.path(table))
        except TableNotFoundError:
            return self._create(table)

    def read(
        self, table: str, columns: Sequence[str] | None = None, filter: "Expression | AnyOf | None" = None
    ) -> "pa.Table":
        """The rows of a table, typed by its contract; a table not made yet has none.

        By an `AnyOf` files are left out first by the log's statistics, which pays where they are many.
        """
        schema = self.schema(table)
        if not self.exists(table):
            return schema.empty_table().select(columns or schema.names)
        near, where = (filter, is_any_of(filter)) if isinstance(filter, list) else (None, filter)
        return self._rows(self.asked(table, lambda delta: dataset_of(delta, near)), schema, columns, where)

    def append(self, table: str, rows: Rows, *, app: str | None = None, version: int | None = None) -> bool:
        """Add rows, once per (app, version); False when that pair is already there and nothing was added."""
        if (app is None) != (version is None):
            raise WriteError(f"{table}: give both app and version, or neither")
        return self.append_for(table, rows, {} if app is None or version is None else {app: version})

    def append_for(self, table: str, rows: Rows, marks: Mapping[str, int]) -> bool:
        """The same for several applications (app → version) in one commit: all of them are there, or none."""
        data = self._conform(table, rows)
        for attempt in retrying():
            with attempt:
                return self._append_once(table, data, marks)
        raise WriteError(f"{table}: no attempt was made")

    def replace_batches(self, table: str, rows: Rows, batches: Collection[int], *, app: str, version: int) -> None:
        """Put `rows` in place of all that have one of these `ingest_seq`s, in one commit, once per (app, version)."""
        data, condition = self._conform(table, rows), f"ingest_seq IN ({', '.join(map(str, sorted(batches)))})"
        self._widened(table)
        commit_few(table, self.path(table), app, version, None, lambda commit: commit.replace_where(data, condition))

    def replace(
        self, table: str, rows: Rows, *, on_version: int, app: str | None = None, version: int | None = None
    ) -> None:
        """Put `rows` in place of all rows, only if the table still is at `on_version`; else CommitFailedError.

        `app` and `version`: what the commit says is written, for a table that was made anew.
        """
        from deltalake import CommitProperties, Transaction, write_deltalake
        from deltalake.exceptions import CommitFailedError

        delta = self.open(table)
        if delta.version() != on_version:
            raise CommitFailedError(f"{table} is at version {delta.version()}, not {on_version}")
        data = self._conform(table, rows)
        # No retry inside the library: it would redo the commit on a version we never looked at.
        done = [Transaction(app, version)] if app is not None and version is not None else []
        properties = CommitProperties(max_commit_retries=0, app_transactions=done)
        with damage_told(table):
            write_deltalake(delta, data, mode="overwrite", commit_properties=properties)

    def read_versioned(self, table: str) -> "tuple[pa.Table, int]":
        """The rows of a table and the version they are of, for a later `replace`."""
        if not self.exists(table):
            self._create(table)
        dataset, version = self.asked(table, lambda delta: (dataset_of(delta), int(delta.version())))
        return self._rows(dataset, self.schema(table), None, None), version

    def widen(self, table: str) -> None:
        """Give a table, if it is there, the columns that its contract has got since; old rows have null there."""
        if self.exists(table):
            for attempt in retrying():
                with attempt:
                    self._widened(table)

    def _append_once(self, table: str, data: "pa.Table", marks: Mapping[str, int]) -> bool:
        from deltalake import CommitProperties, Transaction, write_deltalake

        delta = self._widened(table)
        there = {app for app, version in marks.items() if is_committed(delta, app, version)}
        if marks and there == marks.keys():
            return False
        if there:
            raise WriteError(
                f"{table}: {', '.join(sorted(there))} wrote under that number, or a later one, before; nothing was "
                "written. If it is still wanted run the command again"
            )
        # Two writers of one (app, version) conflict in Delta's log; the loser retries and finds the work done.
        properties = CommitProperties(app_transactions=[Transaction(app, version) for app, version in marks.items()])
        with damage_told(table):
            write_deltalake(delta, data, mode="append", commit_properties=properties)
        return True

    def _widened(self, table: str) -> "DeltaTable":
        """The table, opened, with the columns that its contract has got since it was made; old rows have null there."""
        import pyarrow as pa
        from deltalake import Schema

        delta, promised = self.open(table), self.schema(table)
        there = set(pa.schema(delta.schema().to_arrow()).names)
        if new := [field for field in promised if field.name not in there]:
            delta.alter.add_columns(Schema.from_arrow(pa.schema(new)).fields)
        return self.open(table) if new else delta

    def _create(self, table: str) -> "DeltaTable":
        from deltalake import DeltaTable

        described = contract(table, self.settings.schemas_dir)
        for attempt in retrying():
            with attempt, self._place_told(table):
                return DeltaTable.create(
                    self.path(table),
                    described.arrow_schema(),
                    mode="ignore",
                    partition_by=list(described.partitioned_by) or None,
                    configuration=properties(described),
                    description=described.description,
                )
        raise WriteError(f"{table}: no attempt was made")

    @contextmanager
    def _place_told(self, table: str) -> Iterator[None]:
        """SettingsError for a lake where no table can be made."""
        from deltalake.exceptions import TableNotFoundError

        try:
            yield
        except (TableNotFoundError, OSError) as refused:
            if is_full(refused):
                raise DiskError(f"{table}: {REMEDY}") from refused
            said = str(refused).splitlines()[0]
            remedy = "let REELHOUSE_HOME or REELHOUSE_LAKE_URI be a place that can be written"
            raise SettingsError(f"{table}: cannot be made at {self.path(table)} ({said}); {remedy}") from refused

    def _conform(self, table: str, rows: Rows) -> "pa.Table":
        """Rows as an Arrow table of the contract; a column it does not promise is a ContractError."""
        import pyarrow as pa

        schema = self.schema(table)
        told = rows.column_names if isinstance(rows, pa.Table) else {name for row in rows for name in row}
        unpromised = sorted(set(told) - set(schema.names))
        if unpromised:
            raise ContractError(f"{table}: the contract promises no column {', '.join(unpromised)}")
        try:
            if isinstance(rows, pa.Table):
                return with_all(rows, schema)
            return pa.Table.from_pylist([dict(row) for row in rows], schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as wrong:
            raise ContractError(f"{table}: a row does not fit the contract: {wrong}") from wrong

    def _rows(
        self,
        dataset: "Dataset",
        schema: "pa.Schema",
        columns: Sequence[str] | None,
        where: "Expression | None",
    ) -> "pa.Table":
        import pyarrow as pa

        names = list(columns or schema.names)
        rows = dataset.to_table(columns=[name for name in names if name in dataset.schema.names], filter=where)
        return with_all(rows, pa.schema([schema.field(name) for name in names]))  # its contract may have got some since


def with_all(rows: "pa.Table", schema: "pa.Schema") -> "pa.Table":
    """Rows with all columns of a schema, in its order and types; null where they have none of that name."""
    import pyarrow as pa

    for name in (each for each in schema.names if each not in rows.column_names):
        rows = rows.append_column(schema.field(name), pa.nulls(rows.num_rows, schema.field(name).type))
    return rows.select(schema.names).cast(schema)


def as_json(value: Any) -> str:
    """A value as one line of JSON with stable key order, for text columns of the ledger."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str, separators=(",", ":"))
