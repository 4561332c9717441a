"""Table contracts: `gold.funnel_daily` is promised in `schemas/gold/funnel_daily.yaml` (ODCS 3.1), and nowhere else.

Spark, Arrow, expectations, docs and the tests' fixtures all take a table's schema from here. A column whose description
or privacy class the contract leaves out has those of the glossary.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from open_data_contract_standard.model import DataQuality, OpenDataContractStandard, SchemaObject, SchemaProperty
from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.lake.column_types import parse
from jobs.lake.contract_model import Check, Column, Contract
from jobs.lake.errors import ContractError
from jobs.lake.glossary import Privacy, Term, glossary, read_yaml

__all__ = ["COMPARISONS", "LAYERS", "Check", "Column", "Contract", "all_tables", "contract", "read_contract"]

LAYERS = ("bronze", "silver", "gold", "ops")
COMPARISONS = ("mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan",
               "mustBeLessOrEqualTo", "mustBeBetween", "mustNotBeBetween")  # fmt: skip
Write = Literal["append", "replace_slice", "merge", "replace_all"]
Severity = Literal["critical", "warning", "info"]
SliceKind = Literal["days", "users", "funnels"]


class _Own(BaseModel):
    """The custom properties we add to ODCS, all of them."""

    model_config = ConfigDict(extra="forbid")
    write: Write
    inputs: tuple[str, ...] = ()
    family: str = ""
    slice: str = ""
    backfill: tuple[SliceKind, ...] = ()
    looked_up_by: str = ""
    adds_up: str = ""


class _Judged(BaseModel):
    """What our checks must state beyond ODCS: a name to record results by, and what a failure does."""

    name: str
    type: Literal["library", "sql"]
    severity: Severity
    description: str


def all_tables(schemas_dir: Path) -> list[str]:
    """Every promised table, layer by layer in the order data flows, sorted within."""
    return [f"{layer}.{path.stem}" for layer in LAYERS for path in sorted((schemas_dir / layer).glob("*.yaml"))]


@cache
def contract(table: str, schemas_dir: Path) -> Contract:
    """The contract of one table; ContractError names file, place and remedy."""
    layer, _, name = table.partition(".")
    path = schemas_dir / layer / f"{name}.yaml"
    if layer not in LAYERS or not path.is_file():
        known, write = ", ".join(all_tables(schemas_dir)), f"write {path}, or " if layer in LAYERS and name else ""
        raise ContractError(f"no table {table!r} is promised; {write}use one of {known}")
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
        looked_up_by=own.looked_up_by or None,
        adds_up=" ".join(own.adds_up.split()),
        inputs=own.inputs,
        backfill=own.backfill,
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
        ours = ", ".join(_Own.model_fields)
        raise _refused(bad, f"{where}: customProperties", f"ours are {ours}") from bad


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
        sources=tuple(prop.transformSourceObjects or ()),
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
