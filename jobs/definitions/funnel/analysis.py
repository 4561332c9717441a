"""Which kernel is exact for a definition, and which definitions none of them can judge yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from jobs.definitions.funnel.model import Definition
from jobs.lake.errors import DefinitionError

Route = Literal["linear", "search", "unordered"]
Refuse = Callable[[tuple[str | int, ...], str], DefinitionError]


def route(definition: Definition) -> Route:
    """The kernel that is exact for the definition.

    `linear` needs steps that no event can share, and nothing between two steps but their order: then the first event
    of the next step is always the best choice. Steps that share an event name are taken to share events.
    """
    if definition.mode == "unordered":
        return "unordered"
    steps = [definition.steps[number] for number in definition.mandatory]
    names = [name for step in steps for name in step.events]
    is_disjoint = len(names) == len(set(names))
    has_gap = any(step.gap_us is not None for step in steps)
    plain = definition.mode == "ordered" and not has_gap and not definition.exclusions
    return "linear" if plain and is_disjoint else "search"


def refuse_what_cannot_be_judged(definition: Definition, refuse: Refuse) -> None:
    """Raise for combinations that have no meaning, and for those the engine does not know yet."""
    _refuse_unordered(definition, refuse)
    _refuse_strict(definition, refuse)
    _refuse_shared_exclusions(definition, refuse)
    if definition.breakdown_at == "profile":
        raise refuse(("breakdown_at",), "profile is not built yet; write entry, conversion or a step's name")


def _refuse_unordered(definition: Definition, refuse: Refuse) -> None:
    if definition.mode != "unordered":
        return
    if definition.exclusions:
        raise refuse(("exclusions",), "mean nothing without an order; remove them or write mode: ordered")
    if any(step.gap_us is not None for step in definition.steps):
        raise refuse(("gaps",), "mean nothing without an order; remove them or write mode: ordered")
    if any(step.is_optional for step in definition.steps):
        raise refuse(("optional",), "means nothing without an order; remove it or write mode: ordered")
    if definition.ties == "forbid":
        raise refuse(("ties",), "forbid means nothing without an order; write allow")
    if definition.first_entry_only != "no":
        raise refuse(("first_entry_only",), "needs a first step, which mode: unordered has not; remove it")


def _refuse_strict(definition: Definition, refuse: Refuse) -> None:
    if definition.mode != "strict" and definition.strict_scope:
        raise refuse(("strict_scope",), "is for mode: strict only; remove it or change the mode")
    if definition.mode == "strict" and any(step.is_optional for step in definition.steps):
        raise refuse(("optional",), "steps cannot be skipped in mode: strict; remove them or write mode: ordered")


def _refuse_shared_exclusions(definition: Definition, refuse: Refuse) -> None:
    """What fills a step never excludes, but an optional step is filled only once it is known what is excluded."""
    for index, exclusion in enumerate(definition.exclusions):
        between = definition.steps[exclusion.after + 1 : exclusion.before]
        shared = {name for step in between if step.is_optional for name in step.events} & set(exclusion.events)
        if shared:
            message = f"{sorted(shared)[0]!r} is also an optional step between the two; leave it out of one of them"
            raise refuse(("exclusions", index, "event"), message)
