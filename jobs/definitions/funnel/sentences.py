"""A definition told in sentences, for the person who will read its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobs.definitions.funnel.analysis import route
from jobs.definitions.funnel.durations import told_duration
from jobs.definitions.funnel.model import Definition, Step

ROUTES = {
    "linear": "No event can fill two of its steps and nothing but their order binds them: the linear kernel is exact.",
    "gapped": "No event can fill two of its steps and only their order and gaps bind them: the gapped kernel is exact.",
    "search": "Its steps bind each other by more than their order: every way through is searched.",
    "unordered": "Its steps may come in any order: each entry's steps are matched to its events.",
}


def told(definition: Definition) -> Iterator[str]:
    """One sentence after the other."""
    yield f"Funnel {definition.name}, version {definition.version}, has {len(definition.steps)} steps."
    for number, step in enumerate(definition.steps, 1):
        yield _step(number, step)
    yield _order(definition)
    yield _window(definition)
    yield from _bonds(definition)
    yield from _entries(definition)
    yield f"A day is a local day in {definition.zone}: the day of the entry."
    if definition.broken_down:
        names = _listed(tuple(definition.broken_down))
        yield f"Numbers are broken down by {names}, read at the {_read_at(definition)}."
    yield ROUTES[route(definition)]


def _step(number: int, step: Step) -> str:
    text = f"Step {number}, {step.name}: {_listed(step.events, 'or')}"
    text += f" where {step.where}" if step.where else ""
    text += "; double taps within a second do not count" if step.distinct else ""
    return text + ("; it may be skipped." if step.is_optional else ".")


def _order(definition: Definition) -> str:
    if definition.mode == "unordered":
        return "The steps may come in any order, each by an event of its own; reached is how many were filled."
    strict = ", with no other event of the funnel in between" if definition.mode == "strict" else ""
    ties = "may follow at the same instant" if definition.ties == "allow" else "must come strictly later"
    scope = f" (nor {_listed(definition.strict_scope, 'or')})" if definition.strict_scope else ""
    return f"The steps come in this order{strict}{scope}; a step {ties}."


def _window(definition: Definition) -> str:
    if definition.window_us is None:
        return "All of it happens on the local day of the entry."
    return (
        f"All of it happens within {told_duration(definition.window_us)} of the entry, the last microsecond included."
    )


def _bonds(definition: Definition) -> Iterator[str]:
    if definition.hold:
        yield f"All steps must be about the same {_listed(definition.hold)}."
    for step in definition.steps:
        if step.gap_us is not None:
            yield f"{step.name} follows the mandatory step before it within {told_duration(step.gap_us)}."
    for rule in definition.exclusions:
        between = f"{definition.steps[rule.after].name} and {definition.steps[rule.before].name}"
        where = f" where {rule.where}" if rule.where else ""
        yield f"A {_listed(rule.events, 'or')}{where} between {between} forbids going on."


def _entries(definition: Definition) -> Iterator[str]:
    if definition.first_entry_only == "true":
        first = definition.steps[0]
        yield f"Only somebody's first {_listed(first.events, 'or')} ever is an entry, and only if it passes."
    elif definition.first_entry_only == "filtered":
        yield f"Only somebody's first {definition.steps[0].name} ever is an entry."
    else:
        yield "Every event that fits the first step is an entry; entries that overlap are one attempt."


def _read_at(definition: Definition) -> str:
    known = {"entry": "entry", "conversion": "conversion", "profile": "beginning of the entry's business day"}
    return known.get(definition.breakdown_at, f"step {definition.breakdown_at}")


def _listed(words: Sequence[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
