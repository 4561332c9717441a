"""Which kernel is exact for a definition, and which definitions have no meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from jobs.definitions.funnel.model import Definition
from jobs.definitions.funnel.vocabulary import FROM_USERS
from jobs.lake.errors import DefinitionError

Route = Literal["linear", "gapped", "search", "unordered"]
Refuse = Callable[[tuple[str | int, ...], str], DefinitionError]


def route(definition: Definition) -> Route:
    """The kernel that is exact for the definition.

    `linear` needs steps that no event can share, and nothing between two steps but their order: then the first event
    of the next step is always the best choice. `gapped` is the same with gaps. Steps that share an event name are taken
    to share events.
    """
    if definition.mode == "unordered":
        return "unordered"
    steps = [definition.steps[number] for number in definition.mandatory]
    names = [name for step in steps for name in step.events]
    is_disjoint = len(names) == len(set(names))
    has_gap = any(step.gap_us is not None for step in steps)
    if definition.mode != "ordered" or definition.exclusions or not is_disjoint:
        return "search"
    return "gapped" if has_gap else "linear"


def refuse_what_cannot_be_judged(definition: Definition, refuse: Refuse) -> None:
    """Raise for combinations that have no meaning."""
    _refuse_unordered(definition, refuse)
    _refuse_strict(definition, refuse)
    if definition.breakdown_at == "profile":
        _refuse_beside_profiles(definition, refuse)


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


def _refuse_beside_profiles(definition: Definition, refuse: Refuse) -> None:
    """What people did is no part of their profile."""
    for name in definition.broken_down_by:
        if name not in FROM_USERS:
            words = ", ".join(FROM_USERS)
            raise refuse(("breakdowns",), f"{name!r} is not of a profile, which has {words}; write breakdown_at: entry")
