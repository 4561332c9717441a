"""What a contract says, as values: the table, its columns and its checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobs.lake.column_types import ColumnType, parse, to_arrow, to_spark
from jobs.lake.errors import ContractError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType


@dataclass(frozen=True, slots=True)
class Column:
    """One promised column; `type` is Spark DDL text, `unit` empty when it has none.

    `sources` are the columns of inputs it is made from, `<table>.<column>`, where that is declared.
    """

    name: str
    type: str
    required: bool
    description: str
    privacy: str
    partitioned: bool = False
    unit: str = ""
    sources: tuple[str, ...] = ()

    @property
    def kind(self) -> ColumnType:
        """The type as a tree."""
        return parse(self.type)


@dataclass(frozen=True, slots=True)
class Check:
    """One promised quality of the slice: a library metric or a SQL query over `{table}`, compared as `must` says.

    `column` is set for checks written under a column; critical stops a release, warning and info are recorded.
    """

    name: str
    type: str
    severity: str
    description: str
    must: tuple[str, Any]
    column: str | None = None
    metric: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    query: str | None = None
    unit: str = "rows"


@dataclass(frozen=True, slots=True)
class Contract:
    """All that is promised about one table; `grain` names the columns that identify a row.

    `backfill` has the kinds of slices it can be made anew by, its family with it (docs/backfills.md); `looked_up_by`
    is the column whose single values readers ask for, which says how its files are laid out (jobs/lake/look_ups.py);
    `adds_up` says what its rows are compared with before each release, or why nothing is (jobs/lake/reconciling.py).
    """

    name: str
    version: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    write: str
    description: str
    row_meaning: str
    slice_column: str | None = None
    family: str | None = None
    looked_up_by: str | None = None
    inputs: tuple[str, ...] = ()
    backfill: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    limitations: str = ""
    adds_up: str = ""
    owner: str = ""
    promises: dict[str, str] = field(default_factory=dict)

    @property
    def partitioned_by(self) -> tuple[str, ...]:
        """Partition columns, in the order of the columns."""
        return tuple(column.name for column in self.columns if column.partitioned)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in the promised order."""
        return tuple(column.name for column in self.columns)

    @property
    def ddl(self) -> str:
        """Columns as Spark DDL, for CREATE TABLE."""
        return ", ".join(f"`{c.name}` {c.type}{' NOT NULL' if c.required else ''}" for c in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name; ContractError lists the ones there are."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ContractError(f"{self.name} has no column {name!r}; it has {', '.join(self.names)}")

    def spark_schema(self, *, enforced: bool = True) -> StructType:
        """The table's Spark schema; `enforced=False` lets every column be null (for frames on their way)."""
        from pyspark.sql.types import StructField, StructType

        return StructType([StructField(c.name, to_spark(c.kind), not (enforced and c.required)) for c in self.columns])

    def arrow_schema(self) -> pa.Schema:
        """The table's Arrow schema, which delta-rs writes as the same Delta schema."""
        import pyarrow as pa

        return pa.schema([pa.field(c.name, to_arrow(c.kind), not c.required) for c in self.columns])
