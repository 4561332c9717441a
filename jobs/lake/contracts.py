"""Table contracts: `gold.funnel_daily` is promised in `schemas/gold/funnel_daily.yaml` (ODCS 3.1), and nowhere else.

Spark, Arrow, expectations, docs and the tests' fixtures all take a table's schema from here. A column whose description
or privacy class the contract leaves out has those of the glossary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from open_data_contract_standard.model import DataQuality, OpenDataContractStandard, SchemaObject, SchemaProperty
from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.lake.column_types import ColumnType, parse, to_arrow, to_spark
from jobs.lake.errors import ContractError
from jobs.lake.glossary import Privacy, Term, glossary, read_yaml

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

LAYERS = ("bronze", "silver", "gold", "ops")
COMPARISONS = ("mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan",
               "mustBeLessOrEqualTo", "mustBeBetween", "mustNotBeBetween")  # fmt: skip
Write = Literal["append", "replace_slice", "merge", "replace_all"]
Severity = Literal["critical", "warning", "info"]


class _Own(BaseModel):
    """The custom properties we add to ODCS, all of them."""

    model_config = ConfigDict(extra="forbid")
    write: Write
    inputs: tuple[str, ...] = ()
    family: str = ""
    slice: str = ""


class _Judged(BaseModel):
    """What our checks must state beyond ODCS: a name to record results by, and what a failure does."""

    name: str
    type: Literal["library", "sql"]
    severity: Severity
    description: str


@dataclass(frozen=True, slots=True)
class Column:
    """One promised column; `type` is Spark DDL text, `unit` empty when it has none."""

    name: str
    type: str
    required: bool
    description: str
    privacy: str
    partitioned: bool = False
    unit: str = ""

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
    """All that is promised about one table; `grain` names the columns that identify a row."""

    name: str
    version: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    write: str
    description: str
    row_meaning: str
    slice_column: str | None = None
    family: str | None = None
    inputs: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    limitations: str = ""
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


def all_tables(schemas_dir: Path) -> list[str]:
    """Every promised table, layer by layer in the order data flows, sorted within."""
    return [f"{layer}.{path.stem}" for layer in LAYERS for path in sorted((schemas_dir / layer).glob("*.yaml"))]


@cache
def contract(table: str, schemas_dir: Path) -> Contract:
    """The contract of one table; ContractError names file, place and remedy."""
    layer, _, name = table.partition(".")
    path = schemas_dir / layer / f"{name}.yaml"
    if layer not in LAYERS or not path.is_file():
        known = ", ".join(all_tables(schemas_dir))
        raise ContractError(f"no table {table!r} is promised; write {path}, or use one of {known}")
    return read_contract(table, read_yaml(path), str(path), glossary(schemas_dir))


def read_contract(table: str, raw: Any, where: str, terms: dict[str, Term]) -> Contract:
    """Turn one parsed contract file into a Contract; `where` names it in errors."""
    odcs = _standard(raw, where)
    if odcs.id != table:
        raise ContractError(f"{where}: id: is {odcs.id!r}; a table's name is its path, write {table!r}")
    if not odcs.schema_ or len(odcs.schema_) != 1 or not odcs.schema_[0].properties:
        raise ContractError(f"{where}: schema: one contract promises one table with its columns; write exactly one")
    schema = odcs.schema_[0]
    own = _own(odcs, where)
    columns = tuple(_column(prop, where, terms) for prop in schema.properties or [])
    return Contract(
        name=table,
        version=odcs.version or "",
        grain=tuple(prop.name or "" for prop in schema.properties or [] if prop.primaryKey),
        columns=columns,
        write=own.write,
        description=" ".join(((odcs.description and odcs.description.purpose) or "").split()),
        row_meaning=" ".join((schema.description or "").split()),
        slice_column=own.slice or None,
        family=own.family or None,
        inputs=own.inputs,
        checks=tuple(_checks(schema, where)),
        limitations=" ".join(((odcs.description and odcs.description.limitations) or "").split()),
        owner=getattr(odcs.team, "name", None) or "",
        promises={sla.property or "": f"{sla.value} {sla.unit or ''}".strip() for sla in odcs.slaProperties or []},
    )


def _standard(raw: Any, where: str) -> OpenDataContractStandard:
    if not isinstance(raw, dict):
        raise ContractError(f"{where}: is no mapping; begin with apiVersion: v3.1.0")
    try:
        return OpenDataContractStandard.model_validate(raw)
    except ValidationError as bad:
        raise _refused(bad, where, "see the skeleton in schemas/README.md") from bad


def _refused(bad: ValidationError, where: str, remedy: str) -> ContractError:
    """One line for pydantic's first complaint."""
    first = bad.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return ContractError(f"{where}: {place}: {first['msg']}; {remedy}")


def _own(odcs: OpenDataContractStandard, where: str) -> _Own:
    given = {str(custom.property): custom.value for custom in odcs.customProperties or []}
    try:
        return _Own.model_validate(given)
    except ValidationError as bad:
        raise _refused(bad, f"{where}: customProperties", "ours are write, inputs, family, slice") from bad


def _column(prop: SchemaProperty, where: str, terms: dict[str, Term]) -> Column:
    """One column, completed from the glossary; its type canonical."""
    place = f"{where}: column {prop.name}"
    term = terms.get(prop.name or "")
    try:
        kind = parse(prop.physicalType or "")
    except ContractError as bad:
        raise ContractError(f"{place}: physicalType: {bad}") from bad
    privacy = prop.classification or (term.privacy if term else "")
    if privacy not in Privacy.__args__:  # type: ignore[attr-defined]
        raise ContractError(f"{place}: classification is {privacy!r}; write public, internal or personal")
    return Column(
        name=prop.name or "",
        type=str(kind),
        required=bool(prop.primaryKey if prop.required is None else prop.required),
        description=" ".join((prop.description or (term.meaning if term else "")).split()),
        privacy=privacy,
        partitioned=bool(prop.partitioned),
        unit=term.unit if term else "",
    )


def _checks(schema: SchemaObject, where: str) -> list[Check]:
    """The checks of the table, then those written under its columns."""
    found = [_check(quality, where, None) for quality in schema.quality or []]
    for prop in schema.properties or []:
        found += [_check(quality, where, prop.name) for quality in prop.quality or []]
    return found


def _check(quality: DataQuality, where: str, column: str | None) -> Check:
    place = f"{where}: quality {quality.name or column or '(unnamed)'}"
    try:
        judged = _Judged.model_validate(quality.model_dump(exclude_none=True))
    except ValidationError as bad:
        remedy = "a check has name, type (library, sql), severity (critical, warning, info) and description"
        raise _refused(bad, place, remedy) from bad
    must = [(word, getattr(quality, word)) for word in COMPARISONS if getattr(quality, word) is not None]
    if len(must) != 1:
        raise ContractError(f"{place}: states {len(must)} comparisons; write exactly one of {', '.join(COMPARISONS)}")
    if judged.type == "sql" and "{table}" not in (quality.query or ""):
        raise ContractError(f"{place}: query: does not read {{table}}; write FROM {{table}}")
    if judged.type == "library" and not quality.metric:
        raise ContractError(f"{place}: metric: is missing; write nullValues, invalidValues, duplicateValues, rowCount…")
    return Check(
        judged.name, judged.type, judged.severity, " ".join(judged.description.split()), must[0], column,
        quality.metric, quality.arguments or {}, quality.query, quality.unit or "rows",
    )  # fmt: skip
