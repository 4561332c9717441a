"""By what a definition breaks its counts down: properties, pairs of them, and where their values are taken from."""

from __future__ import annotations

from typing import Any

from jobs.definitions.funnel.marked_yaml import Path
from jobs.definitions.funnel.model import Step
from jobs.definitions.funnel.values import Values
from jobs.definitions.funnel.vocabulary import did_you_mean


def breakdowns_of(values: Values) -> tuple[str, ...]:
    """The breakdowns by one property."""
    named = [(index, one) for index, one in enumerate(_broken_down(values)) if isinstance(one, str)]
    for index, name in named:
        values.named_property(("breakdowns", index), name)
    return tuple(name for _, name in named)


def pairs_of(values: Values) -> tuple[tuple[str, str], ...]:
    """The breakdowns by two properties at once."""
    named = enumerate(_broken_down(values))
    return tuple(_pair(values, ("breakdowns", index), pair) for index, pair in named if isinstance(pair, list))


def breakdown_at_of(values: Values, steps: tuple[Step, ...]) -> str:
    """At which step, or of which profile, the values of breakdowns are taken."""
    value = values.raw.get("breakdown_at", "entry")
    known = ["entry", "conversion", "profile", *(step.name for step in steps)]
    if value not in known:
        raise values.refuse(("breakdown_at",), f"{value!r} is no step; {did_you_mean(str(value), known)}")
    return str(value)


def _broken_down(values: Values) -> list[Any]:
    """Every breakdown as it stands: names, and lists for pairs; no two that say the same."""
    value = values.raw.get("breakdowns", [])
    named = [value] if isinstance(value, str) else value
    if not isinstance(named, list) or not all(isinstance(one, (str, list)) for one in named):
        raise values.refuse(("breakdowns",), f"is {value!r}; write properties and pairs: [scene, [scene, source]]")
    sets = [{one} if isinstance(one, str) else {str(name) for name in one} for one in named]
    for index, one in enumerate(sets):
        if one in sets[:index]:
            raise values.refuse(("breakdowns", index), f"{named[index]!r} is there already; remove one")
    return named


def _pair(values: Values, path: Path, pair: list[Any]) -> tuple[str, str]:
    if len(pair) != 2 or not all(isinstance(name, str) for name in pair) or pair[0] == pair[1]:
        raise values.refuse(path, f"is {pair!r}; write a pair of different properties, such as [scene, source]")
    for name in pair:
        values.named_property(path, name)
    return pair[0], pair[1]
