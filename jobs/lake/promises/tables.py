"""Checks of table contracts: the standard's own schema, our rules, and the glossary over all of them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs.lake.column_types import parse
from jobs.lake.contracts import Check, Column, Contract, all_tables, contract
from jobs.lake.errors import ContractError
from jobs.lake.event_contracts import all_topics
from jobs.lake.glossary import Term, glossary, read_yaml
from jobs.lake.promises.levels import wrong_levels
from jobs.lake.promises.problem import Problem, repeated

VERSION = re.compile(r"\d+\.\d+\.\d+")
NAME = re.compile(r"[a-z][a-z0-9_]*")
METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")
PERSONAL = re.compile(r"(^|_)(user_id|device_id)$")


def check_tables(schemas_dir: Path) -> list[Problem]:
    """Everything wrong with any table's contract or with what they share."""
    problems, contracts = [], []
    try:
        terms = glossary(schemas_dir)
    except ContractError as bad:
        path = schemas_dir / "glossary.yaml"
        return [_refused(str(path.relative_to(schemas_dir.parent)), str(path), bad)]
    for table in all_tables(schemas_dir):
        path = schemas_dir / (table.replace(".", "/") + ".yaml")
        file = str(path.relative_to(schemas_dir.parent))
        try:
            promised = contract(table, schemas_dir)
            raw = read_yaml(path)
            problems += [*_against_standard(file, raw), *_logical(file, raw), *_own_rules(file, promised, schemas_dir)]
            contracts.append((file, promised))
        except ContractError as bad:
            problems.append(_refused(file, str(path), bad))
    return problems + list(_shared(contracts, terms))


def _refused(file: str, path: str, bad: ContractError) -> Problem:
    """A contract that could not even be read."""
    text = str(bad).removeprefix(path).lstrip(": ")
    message, _, remedy = text.rpartition("; ")
    return Problem(file, "", message or text, remedy if message else "see schemas/README.md")


def _against_standard(file: str, raw: Any) -> Iterator[Problem]:
    """Misspelt and misplaced keys, by the JSON Schema that comes with ODCS."""
    seen = set()
    for error in _standard().iter_errors(raw):
        if (error.json_path, error.message) not in seen:
            seen.add((error.json_path, error.message))
            yield Problem(
                file, _place(error, raw), error.message[:200], "write it as ODCS 3.1 does, see schemas/README.md"
            )


def _logical(file: str, raw: Any) -> Iterator[Problem]:
    """The logical type of every column is the one that goes with its physical type."""
    for column in raw["schema"][0]["properties"]:
        wanted = parse(column["physicalType"]).logical
        if column.get("logicalType") != wanted:
            found = f"logicalType is {column.get('logicalType')!r}"
            yield Problem(
                file, f"column {column.get('name')}", found, f"write {wanted}, which goes with the physicalType"
            )


def _standard() -> Any:
    from jsonschema import Draft201909Validator
    from open_data_contract_standard.model import OpenDataContractStandard

    text = OpenDataContractStandard.json_schema()  # type: ignore[no-untyped-call]
    return Draft201909Validator(json.loads(text))


def _place(error: Any, raw: Any) -> str:
    """The JSON path, with names in place of numbers where the parts have names."""
    words, node = [], raw
    for step in error.absolute_path:
        node = node[step]
        named = isinstance(step, int) and isinstance(node, dict) and node.get("name")
        words.append(str(named or step))
    return ".".join(words)


def _own_rules(file: str, promised: Contract, schemas_dir: Path) -> Iterator[Problem]:
    """What we ask of every table."""
    for place, text, remedy in _whole(promised, schemas_dir):
        yield Problem(file, place, text, remedy)
    for column in promised.columns:
        for text, remedy in _of_column(column):
            yield Problem(file, f"column {column.name}", text, remedy)
    for check in promised.checks:
        for text, remedy in _of_check(check, promised):
            yield Problem(file, f"quality {check.name}", text, remedy)


def _of_family(promised: Contract) -> Iterator[tuple[str, str, str]]:
    """How one table is released."""
    if promised.name.startswith("gold.") and not promised.family:
        yield "customProperties.family", "is missing", "name the family the table is released with"
    if promised.family and not promised.adds_up:
        yield "customProperties.adds_up", "is missing", "say what is compared before a release, or why nothing is"


def _whole(promised: Contract, schemas_dir: Path) -> Iterator[tuple[str, str, str]]:
    """Grain, version, slice, family, inputs and names of one table."""
    if not promised.grain:
        yield "schema", "has no grain", "mark the columns that identify a row with primaryKey: true"
    if not (promised.description and promised.row_meaning and promised.owner):
        yield "description", "purpose, grain in words or team is missing", "write all three"
    if not VERSION.fullmatch(promised.version):
        yield "version", f"{promised.version!r} is no version", "write major.minor.patch, such as 1.0.0"
    if promised.write == "replace_slice" and promised.slice_column not in promised.names:
        yield "customProperties.slice", "is no column", "name the column whose values are replaced as one"
    if promised.looked_up_by and promised.looked_up_by not in promised.names:
        yield "customProperties.looked_up_by", "is no column", "name the column readers ask for single values of"
    yield from _of_family(promised)
    for stray in sorted(set(promised.inputs) - _sources(schemas_dir)):
        yield "customProperties.inputs", f"{stray!r} is no promised table or topic", "correct the name"
    yield from wrong_levels(promised)
    yield from _lineage(promised, schemas_dir)
    yield from _names(promised)


def _lineage(promised: Contract, schemas_dir: Path) -> Iterator[tuple[str, str, str]]:
    """What a column is said to be made from is a column of an input."""
    for column in promised.columns:
        for source in column.sources:
            table, _, name = source.rpartition(".")
            if table not in promised.inputs or table.startswith("topic:"):
                yield f"column {column.name}", f"is made from {source!r}, of no input table", "name one of the inputs"
            elif name not in contract(table, schemas_dir).names:
                yield f"column {column.name}", f"is made from {source!r}, which is not there", "correct the name"


def _names(promised: Contract) -> Iterator[tuple[str, str, str]]:
    """Columns and checks have names of their own."""
    for name in repeated(promised.names):
        yield f"column {name}", "is there twice", "leave one"
    for name in repeated(check.name for check in promised.checks):
        yield f"quality {name}", "two checks have this name", "give each its own; results are recorded by it"


def _sources(schemas_dir: Path) -> set[str]:
    """What a table may be made from: promised tables, and topics as `topic:<name>`."""
    return {*all_tables(schemas_dir), *(f"topic:{topic}" for topic in all_topics(schemas_dir))}


def _of_column(column: Column) -> Iterator[tuple[str, str]]:
    """Name, meaning, units and privacy of one column."""
    if not NAME.fullmatch(column.name):
        yield "is no column name of ours", "write lower case with underscores"
    if not column.description:
        yield "has no description", "say what it means, here or in schemas/glossary.yaml"
    if column.name.endswith("_fen") and column.kind.kind not in ("bigint", "decimal"):
        yield f"money is {column.type}", "money is integer fen: bigint or decimal(38,0)"
    if column.name.endswith("_at") and column.type != "timestamp":
        yield f"an instant is {column.type}", "names in _at are timestamps"
    if column.name.endswith("_date") and column.type != "date":
        yield f"a day is {column.type}", "names in _date are dates"
    if PERSONAL.search(column.name) and column.privacy != "personal":
        yield f"is classified {column.privacy}", "ids of people and devices are personal"


def _of_check(check: Check, promised: Contract) -> Iterator[tuple[str, str]]:
    """Whether a check can be made: its metric and the columns it names."""
    if check.type == "sql":
        return
    if check.metric not in METRICS:
        yield f"metric {check.metric!r} is none of ODCS", f"write one of {', '.join(METRICS)}"
    if check.metric in ("nullValues", "missingValues", "invalidValues") and not check.column:
        yield f"{check.metric} is about one column", "write the check under that column's quality"
    if check.metric == "invalidValues" and not {"validValues", "pattern"} & set(check.arguments):
        yield "says not what is valid", "give arguments: {validValues: […]} or {pattern: …}"
    for name in check.arguments.get("properties", []):
        if name not in promised.names:
            yield f"names the column {name!r}, which is not there", "correct the name"


def _shared(contracts: list[tuple[str, Contract]], terms: dict[str, Term]) -> Iterator[Problem]:
    """A column name has one type and one privacy class; one that two tables use stands in the glossary."""
    used: dict[str, list[tuple[str, Column]]] = defaultdict(list)
    for file, promised in contracts:
        for column in promised.columns:
            used[column.name].append((file, column))
    for name, places in used.items():
        term = terms.get(name)
        if term is None and len(places) > 1:
            files = ", ".join(file for file, _ in places)
            yield Problem(
                files, f"column {name}", "is shared and not in the glossary", "add it to schemas/glossary.yaml"
            )
        for file, column in places if term else []:
            yield from _against_term(file, column, term)
    for name in sorted(set(terms) - set(used)):
        yield Problem("schemas/glossary.yaml", name, "is used by no table", "remove it")


def _against_term(file: str, column: Column, term: Term | None) -> Iterator[Problem]:
    """One column against its line in the glossary."""
    if term and column.type != term.type:
        remedy = f"use the glossary's {term.type}, or another name for another thing"
        yield Problem(file, f"column {column.name}", f"is {column.type} here", remedy)
    if term and column.privacy != term.privacy:
        remedy = "leave classification out, or correct schemas/glossary.yaml"
        yield Problem(
            file, f"column {column.name}", f"is {column.privacy} here, {term.privacy} in the glossary", remedy
        )
