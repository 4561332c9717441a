"""Several versions of one event contract: what bodies of all of them hold together, and what silver has no column for.

A version calls a column of silver by another name with `x-silver`; a field that silver has no column for is kept in
`rest`, as an unknown one is, until silver promises it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from jobs.lake.errors import ContractError
from jobs.lake.event_contracts import EventContract, EventField, all_topics, versions

Contracts = Mapping[str, tuple[int, ...]]  # topic → versions of its event contract


def contracts_of(schemas_dir: Path) -> Contracts:
    """The versions of the event contracts of those topics that have more than one."""
    known = {topic: tuple(versions(topic, schemas_dir)) for topic in all_topics(schemas_dir)}
    return {topic: numbers for topic, numbers in known.items() if len(numbers) > 1}


def held_fields(promised: Iterable[EventContract]) -> tuple[EventField, ...]:
    """The fields of all versions, each once under silver's name for it; ContractError where its types differ."""
    held: dict[str, EventField] = {}
    for version in promised:
        for field in version.fields:
            known = held.setdefault(field.column, replace(field, name=field.column, silver_name=""))
            if (known.ddl(silver=True), known.is_pseudonym) != (field.ddl(silver=True), field.is_pseudonym):
                raise ContractError(
                    f"{version.path}: {field.name}: is {_told(field)}, an older version has {_told(known)}; "
                    "give a field of another type another name"
                )
    return tuple(held.values())


def unpromised_fields(promised: EventContract, columns: Iterable[str]) -> tuple[str, ...]:
    """The fields that silver has no column for; ContractError where a person's id would be kept as it is."""
    there = set(columns)
    found = [each for each in promised.own_fields if each.column not in there]
    for each in found:
        if each.is_pseudonym or any(part.is_pseudonym for part in (*each.parts, *filter(None, [each.item]))):
            raise ContractError(
                f"{promised.path}: {each.name}: silver.{promised.topic} has no such column, which a person's id "
                "needs for its pseudonym; promise it there"
            )
    return tuple(each.name for each in found)


def _told(field: EventField) -> str:
    return field.ddl(silver=True) + " of a person" * field.is_pseudonym
