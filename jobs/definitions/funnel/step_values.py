"""The steps of a definition and what is said about them: which may be skipped, gaps, and what must not lie between."""

from __future__ import annotations

from typing import Any

from jobs.definitions.funnel.marked_yaml import Path
from jobs.definitions.funnel.model import Exclusion, Step
from jobs.definitions.funnel.values import PROPERTY, Values
from jobs.definitions.funnel.vocabulary import did_you_mean

MAX_STEPS = MAX_EXCLUSIONS = 64  # a bit of an integer for each


def steps_of(values: Values) -> tuple[Step, ...]:
    """Every step, with its gap and whether it may be skipped; names are different."""
    raw = values.listed("steps", "steps, each {name: …, event: …}")
    if not 1 <= len(raw) <= MAX_STEPS:
        raise values.refuse(("steps",), f"are {len(raw)}; write 1 to {MAX_STEPS}")
    names: list[str] = []
    for index, step in enumerate(raw):
        names.append(_step_name(values, index, step))
        if names[-1] in names[:-1]:
            raise values.refuse(("steps", index, "name"), f"{names[-1]!r} is taken by an earlier step; write another")
    optional, gaps = _optional(values, names), _gaps(values, names)
    return tuple(_step(values, index, step, names[index] in optional, gaps) for index, step in enumerate(raw))


def _step_name(values: Values, index: int, step: Any) -> str:
    path: Path = ("steps", index)
    if not isinstance(step, dict):
        raise values.refuse(path, f"is {step!r}; write {{name: watched, event: play}}")
    values.known_keys(step, path, ("name", "event", "where", "distinct"))
    for key in ("name", "event"):
        if key not in step:
            raise values.refuse(path, f"{key}: is missing; write it, as in {{name: watched, event: play}}")
    name = step["name"]
    if not isinstance(name, str) or not PROPERTY.fullmatch(name):
        raise values.refuse((*path, "name"), f"is {name!r}; write letters, digits and _, such as watched")
    return name


def _step(values: Values, index: int, step: dict[str, Any], is_optional: bool, gaps: dict[str, int]) -> Step:
    path: Path = ("steps", index)
    distinct = step.get("distinct", False)
    if not isinstance(distinct, bool):
        raise values.refuse((*path, "distinct"), f"is {distinct!r}; write true or false")
    return Step(
        name=step["name"],
        events=values.names((*path, "event"), step["event"], least=1),
        where=values.where((*path, "where"), step.get("where")),
        distinct=distinct,
        gap_us=gaps.get(step["name"]),
        is_optional=is_optional,
    )


def _step_named(values: Values, path: Path, name: Any, names: list[str]) -> int:
    if name not in names:
        raise values.refuse(path, f"{name!r} is no step; {did_you_mean(str(name), names)}")
    return names.index(name)


def _optional(values: Values, names: list[str]) -> set[str]:
    what = "names of different steps that may be skipped, such as [considered]"
    optional = values.names(("optional",), values.raw.get("optional", []), what=what)
    for index, name in enumerate(optional):
        place = _step_named(values, ("optional", index), name, names)
        if place in (0, len(names) - 1):
            raise values.refuse(("optional", index), f"{name!r} is the first or last step, which cannot be skipped")
    return set(optional)


def _gaps(values: Values, names: list[str]) -> dict[str, int]:
    gaps = values.raw.get("gaps", {})
    if not isinstance(gaps, dict):
        raise values.refuse(("gaps",), f"is {gaps!r}; write {{step: 30m}}")
    for name in gaps:
        if _step_named(values, ("gaps", name), name, names) == 0:
            raise values.refuse(("gaps", name), "is the first step, which has none before it; remove it")
    return {name: values.duration(("gaps", name), gap) for name, gap in gaps.items()}


def exclusions_of(values: Values, steps: tuple[Step, ...]) -> tuple[Exclusion, ...]:
    """What must not lie between two mandatory steps."""
    raw = values.listed("exclusions", "{event: …, between: [step, step]}")
    if len(raw) > MAX_EXCLUSIONS:
        raise values.refuse(("exclusions",), f"are {len(raw)}; write at most {MAX_EXCLUSIONS}, joined by lists and OR")
    return tuple(_exclusion(values, ("exclusions", index), part, steps) for index, part in enumerate(raw))


def _exclusion(values: Values, path: Path, part: Any, steps: tuple[Step, ...]) -> Exclusion:
    if not isinstance(part, dict) or "event" not in part or "between" not in part:
        raise values.refuse(path, "write {event: order_cancelled, between: [ordered, paid]}")
    values.known_keys(part, path, ("event", "where", "between"))
    between, names = part["between"], [step.name for step in steps]
    if not isinstance(between, list) or len(between) != 2:
        raise values.refuse((*path, "between"), f"is {between!r}; write two steps, such as [ordered, paid]")
    places = [_step_named(values, (*path, "between"), name, names) for name in between]
    if places[0] >= places[1]:
        raise values.refuse((*path, "between"), f"{between[0]!r} does not come before {between[1]!r}; swap them")
    for name, place in zip(between, places, strict=True):
        if steps[place].is_optional:
            raise values.refuse((*path, "between"), f"{name!r} is optional; an exclusion lies between mandatory steps")
    events = values.names((*path, "event"), part["event"], least=1)
    return Exclusion(events, values.where((*path, "where"), part.get("where")), places[0], places[1])
