"""Are the words of a definition known: its events, the properties it asks about, its breakdowns?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jobs.definitions.funnel.language import read_definition
from jobs.definitions.funnel.marked_yaml import MarkedYaml, read_marked
from jobs.definitions.funnel.marked_yaml import Path as Place
from jobs.definitions.funnel.model import Definition, Key
from jobs.definitions.funnel.predicate import duck_type, needed, properties_of, refuse_unfit
from jobs.definitions.funnel.vocabulary import (
    FROM_LINES,
    FROM_USERS,
    FROM_VIDEOS,
    did_you_mean,
    event_names,
    properties,
)
from jobs.lake.errors import DefinitionError


def read_definitions(schemas_dir: Path) -> tuple[Definition, ...]:
    """Every definition in schemas/funnels, by name and version; two files may hold two versions of one funnel."""
    found: dict[Key, Definition] = {}
    for file in sorted((schemas_dir / "funnels").glob("*.yaml")):
        definition = read_definition(file)
        check_words(definition, str(file), schemas_dir)
        if definition.key in found:
            raise DefinitionError(
                f"{file}: {definition.name} {definition.version} is in another file too; raise the version"
            )
        found[definition.key] = definition
    return tuple(found[key] for key in sorted(found))


def check_words(definition: Definition, file: str, schemas_dir: Path) -> None:
    """Raise a DefinitionError, with the line, for the first word nobody promised."""
    marked = read_marked(Path(file).read_text(encoding="utf-8"), file)
    events = event_names(schemas_dir)
    for place, name in named_events(definition):
        if name not in events:
            raise marked.refuse(place, f"{name!r} is no event; {did_you_mean(name, events)}")
    known = properties(schemas_dir)
    for place, where in predicates(definition):
        check_predicate(marked, place, where, known)
    _check_hold(definition, marked, schemas_dir)
    for place, name in broken_down_by(marked):
        if name not in known and name not in FROM_USERS:
            raise marked.refuse(place, f"{name!r} is no property; {did_you_mean(name, [*known, *FROM_USERS])}")


def named_events(definition: Definition) -> Iterable[tuple[Place, str]]:
    """Every event name and where it stands."""
    for index, step in enumerate(definition.steps):
        yield from ((("steps", index, "event"), name) for name in step.events)
    for index, exclusion in enumerate(definition.exclusions):
        yield from ((("exclusions", index, "event"), name) for name in exclusion.events)
    yield from ((("strict_scope", index), name) for index, name in enumerate(definition.strict_scope))


def broken_down_by(marked: MarkedYaml) -> Iterable[tuple[Place, str]]:
    """Every property that the numbers are broken down by, alone or in a pair, and where it stands."""
    named = marked.value.get("breakdowns", [])
    for index, one in enumerate([named] if isinstance(named, str) else named):
        if isinstance(one, list):
            yield from ((("breakdowns", index, place), name) for place, name in enumerate(one))
        else:
            yield ("breakdowns", index), one


def predicates(definition: Definition) -> Iterable[tuple[Place, str]]:
    """Every `where` and where it stands."""
    for index, step in enumerate(definition.steps):
        if step.where:
            yield ("steps", index, "where"), step.where
    for index, exclusion in enumerate(definition.exclusions):
        if exclusion.where:
            yield ("exclusions", index, "where"), exclusion.where


def check_predicate(marked: MarkedYaml, place: Place, where: str, known: dict[str, str]) -> set[str]:
    """Raise unless `where` is a predicate over known properties (Spark types); gives the ones it asks about."""
    try:
        asked = properties_of(where)
        for name in sorted(asked - set(known)):
            if name == "is_repeat":
                raise DefinitionError("asks for is_repeat; write distinct: true on the step instead")
            raise DefinitionError(f"{name!r} is no property; {did_you_mean(name, known)}")
        refuse_unfit(where, {name: duck_type(known[name]) for name in sorted(needed(asked)) if name in known})
    except DefinitionError as bad:
        raise marked.refuse(place, str(bad)) from bad
    return asked


def _check_hold(definition: Definition, marked: MarkedYaml, schemas_dir: Path) -> None:
    """Every event of a funnel that holds a property must be able to carry it."""
    from jobs.lake.contracts import contract

    events = event_names(schemas_dir)
    for index, name in enumerate(definition.hold):
        for event in definition.events:
            topic = events[event][0]
            columns = contract(f"silver.{topic}", schemas_dir).names
            is_derived = (name in FROM_VIDEOS and "video_id" in columns) or (name == FROM_LINES and "lines" in columns)
            if name not in columns and not is_derived:
                remedy = f"hold one of those {topic} has, or leave {event} out"
                raise marked.refuse(("hold", index), f"{event} has no property {name!r}; {remedy}")
