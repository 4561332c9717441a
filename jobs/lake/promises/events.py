"""Checks of event contracts: files are JSON Schema, examples do as they say, silver promises every field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs.lake.column_types import parse
from jobs.lake.contracts import all_tables, contract
from jobs.lake.errors import ContractError
from jobs.lake.event_contracts import EventContract, all_topics, event_contract, versions
from jobs.lake.event_validator import validator
from jobs.lake.event_versions import held_fields
from jobs.lake.promises.problem import Problem
from jobs.lake.reasons import reason_named

KEPT_AS = {  # envelope field -> how silver keeps it
    "event_id": ("event_id",),
    "event_time": ("event_time", "valid_from"),
    "sent_time": ("sent_at",),
    "producer": ("producer_id",),
    "kind": ("kind",),
}


def check_events(schemas_dir: Path) -> list[Problem]:
    """Everything wrong with any event's contract, its examples, or silver's promise of its fields."""
    problems = []
    for topic in all_topics(schemas_dir):
        known = []
        for version in versions(topic, schemas_dir):
            file = f"{schemas_dir.name}/events/{topic}/v{version}.json"
            try:
                promised = event_contract(topic, version, schemas_dir)
                known.append(promised)
                held_fields(known)
            except ContractError as bad:
                message, _, remedy = str(bad).partition("; ")
                problems.append(Problem(file, "", message.removeprefix(f"{schemas_dir.parent}/{file}: "), remedy))
                continue
            problems += _metaschema(file, promised)
            problems += _in_silver(file, promised, schemas_dir, is_first=len(known) == 1)
            problems += _enveloped(file, promised)
        problems += _examples(topic, schemas_dir)
    return problems


def _metaschema(file: str, promised: EventContract) -> Iterator[Problem]:
    """The file is a schema of 2020-12 and says who it is."""
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(promised.schema)
    except SchemaError as bad:
        yield Problem(file, bad.json_path, bad.message[:200], "write it as JSON Schema 2020-12 does")
    if promised.schema.get("$id") != promised.data_schema:
        yield Problem(file, "$id", f"is {promised.schema.get('$id')!r}", f"write {promised.data_schema!r}")


def _enveloped(file: str, promised: EventContract) -> Iterator[Problem]:
    """The body carries what every event carries."""
    required = {each.name for each in promised.fields if each.required}
    for name in promised.envelope:
        if name not in required:
            yield Problem(file, name, "is not asked for", 'begin allOf with {"$ref": "../envelope/v1.json"}')


def _in_silver(file: str, promised: EventContract, schemas_dir: Path, *, is_first: bool) -> Iterator[Problem]:
    """Every field of the body is a column of silver, of the type that goes with it; a later version's may have none."""
    table = f"silver.{promised.topic}"
    if table not in all_tables(schemas_dir):
        return  # control is for the platform itself
    try:
        silver = contract(table, schemas_dir)
    except ContractError:
        return  # told by the check of the table itself
    for field in promised.own_fields:
        wanted = str(parse(field.ddl(silver=True)))
        found = next((column.type for column in silver.columns if column.name == field.column), None)
        if found is None and not is_first and not field.silver_name and not field.is_pseudonym:
            continue  # silver keeps it in `rest`
        if found != wanted:
            yield Problem(file, field.name, f"{table} has {found or 'no such column'}", f"promise it there as {wanted}")
    for name in promised.envelope:
        if not set(KEPT_AS.get(name, (name,))) & set(silver.names):
            yield Problem(file, name, f"{table} does not keep it", "promise it there")


def _examples(topic: str, schemas_dir: Path) -> Iterator[Problem]:
    """Good examples pass, bad ones fail for exactly the reasons they state, and there are some of each."""
    known = versions(topic, schemas_dir)
    folder = schemas_dir / "events" / topic / "examples"
    for kind in ("valid", "invalid"):
        paths = sorted((folder / kind).glob("*.json"))
        for version in known:
            if not any(version_of(path, known) == version for path in paths):
                which, ending = (f" of v{version}", f", ending in .v{version}.json") if version > known[0] else ("", "")
                yield Problem(
                    f"{schemas_dir.name}/events/{topic}",
                    "examples",
                    f"no {kind} ones{which}",
                    f"show at least one{ending}",
                )
        for path in paths:
            yield from _example(topic, path, schemas_dir)


def version_of(path: Path, known: list[int]) -> int:
    """The version that an example is of: `<name>.v2.json` of the second, one that names none of the first."""
    told = re.search(r"\.v(\d+)$", path.stem)
    return int(told[1]) if told else known[0]


def _example(topic: str, path: Path, schemas_dir: Path) -> Iterator[Problem]:
    """One example against its version of the contract."""
    file = str(path.relative_to(schemas_dir.parent))
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
        is_bad = path.parent.name == "invalid"
        body, stated = (told["body"], told["reasons"]) if is_bad else (told, [])
        version = version_of(path, versions(topic, schemas_dir))
        found = [fault.reason for fault in validator(topic, version, schemas_dir).faults(body)]
        for reason in stated:
            reason_named(reason)
    except (ValueError, KeyError, TypeError, ContractError) as bad:
        yield Problem(
            file, "", f"cannot be judged: {bad}", 'a bad example is {"reasons": […], "body": {…}}, a good one a body'
        )
        return
    if sorted(found) != sorted(stated):
        said, got = ", ".join(stated) or "nothing", ", ".join(found) or "nothing"
        yield Problem(file, "", f"is refused for {got}, should be for {said}", "correct the example or the contract")
