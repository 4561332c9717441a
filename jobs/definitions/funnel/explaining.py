"""Event by event, why a subject got as far as they did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from jobs.definitions.funnel.calendar import EPOCH
from jobs.definitions.funnel.on_file import Row
from jobs.definitions.funnel.views import Judged, numbered


def explained(judged: Judged, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One row per event in time order: when (local), what, which steps it fits, and what it was good for."""
    entry_of = {at: number for number, at in enumerate(_numbers(judged.entries.row))}
    order = sorted(range(len(rows)), key=lambda at: (rows[at].time, rows[at].event_id))
    return [_explained(judged, rows[at], at, entry_of.get(at)) for at in order]


def _explained(judged: Judged, row: Row, at: int, entry: int | None) -> dict[str, Any]:
    told = ([] if entry is None else [_as_entry(judged, entry)]) + _as_step(judged, at)
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


def _as_entry(judged: Judged, entry: int) -> str:
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
    return text


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


def _as_step(judged: Judged, at: int) -> list[str]:
    """Which steps of which attempts the event filled; attempts are numbered as in the view of that name."""
    told = []
    for attempt, number in zip(*map(_numbers, numbered(judged)), strict=True):
        chain = _numbers(judged.entries.chain[judged.attempts.steps[attempt]])
        if at in chain:
            told.append(f"fills {judged.definition.steps[chain.index(at)].name} of attempt {number}")
    return told
