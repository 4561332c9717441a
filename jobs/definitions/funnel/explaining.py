"""Event by event, why a subject got as far as they did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from jobs.definitions.funnel.calendar import EPOCH
from jobs.definitions.funnel.on_file import Row
from jobs.definitions.funnel.views import Judged, numbered


def explained(judged: Judged, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One row per event in time order: when (local), what, which steps it fits, and what it was good for."""
    entry_of = {at: number for number, at in enumerate(_numbers(judged.entries.row))}
    filled, nulls = _as_steps(judged), {*_numbers(judged.entries.nulls)}
    told = []
    for at in sorted(range(len(rows)), key=lambda at: (rows[at].time, rows[at].event_id)):
        opened = _as_entry(judged, entry_of[at]) if at in entry_of else _as_no_entry(judged, at, nulls)
        told.append(_explained(judged, rows[at], at, [*opened, *(filled[at] or _as_exclusion(judged, at))]))
    return told


def _explained(judged: Judged, row: Row, at: int, told: Sequence[str]) -> dict[str, Any]:
    fits = [step.name for number, step in enumerate(judged.definition.steps) if judged.masks[at] >> number & 1]
    return {
        "time": _local(judged, row.time),
        "event": row.event,
        "event_id": row.event_id,
        "fits": ", ".join(fits),
        "told": "; ".join(told) or "not used",
    }


def _numbers(values: Any) -> list[int]:
    return [int(value) for value in values]


def _local(judged: Judged, time: int) -> str:
    moment = (EPOCH + timedelta(microseconds=time)).astimezone(ZoneInfo(judged.definition.zone))
    return moment.isoformat(sep=" ", timespec="microseconds")


def _as_entry(judged: Judged, entry: int) -> list[str]:
    """What became of the entry."""
    entries, steps = judged.entries, judged.definition.steps
    reached = int(entries.reached[entry])
    got_to = steps[reached - 1].name
    if judged.definition.mode == "unordered":
        got_to = " and ".join(_filled(judged, entry, is_filled=True))
    text = f"entry: got to {got_to} ({reached} of {len(steps)})"
    if entries.is_excluded[entry]:
        text += ", an exclusion kept it from going further"
    elif not entries.is_converted[entry]:
        text += f", nothing that fits {_wanted(judged, entry)} by {_local(judged, int(entries.deadline[entry]))}"
    return [text]


def _as_no_entry(judged: Judged, at: int, nulls: Collection[int]) -> list[str]:
    """Why an event that fits the first step opens nothing."""
    definition = judged.definition
    if at in nulls:
        return [f"opens nothing, for want of {' or '.join(definition.hold)}"]
    if definition.mode == "unordered" or not judged.masks[at] & 1:
        return []
    if definition.first_entry_only != "no":
        return ["opens nothing, it is not the first"]
    return ["opens nothing, it is a double tap"] if definition.steps[0].distinct else []


def _wanted(judged: Judged, entry: int) -> str:
    """The step an entry lacks to go on; it never waits for one that may be skipped."""
    if judged.definition.mode == "unordered":
        return " or ".join(_filled(judged, entry, is_filled=False))
    reached = int(judged.entries.reached[entry])
    return next(step.name for step in judged.definition.steps[reached:] if not step.is_optional)


def _filled(judged: Judged, entry: int, *, is_filled: bool) -> list[str]:
    """The steps an entry filled, or those it did not."""
    chain = judged.entries.chain[entry] >= 0
    return [step.name for step, there in zip(judged.definition.steps, chain, strict=True) if there == is_filled]


def _as_steps(judged: Judged) -> defaultdict[int, list[str]]:
    """Which steps of which attempts each event filled; attempts are numbered as in the view of that name."""
    told = defaultdict(list)
    for attempt, number in zip(*map(_numbers, numbered(judged)), strict=True):
        for step, at in enumerate(_numbers(judged.entries.chain[judged.attempts.steps[attempt]])):
            told[at].append(f"fills {judged.definition.steps[step].name} of attempt {number}")
    return told


def _as_exclusion(judged: Judged, at: int) -> list[str]:
    """What an event that fills no step forbids."""
    bits, steps = 0 if judged.xmasks is None else int(judged.xmasks[at]), judged.definition.steps
    rules = [rule for number, rule in enumerate(judged.definition.exclusions) if bits >> number & 1]
    return [f"excludes between {steps[rule.after].name} and {steps[rule.before].name}" for rule in rules]
