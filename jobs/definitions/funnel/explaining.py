"""Event by event, why a subject got as far as they did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from jobs.definitions.funnel.calendar import EPOCH
from jobs.definitions.funnel.on_file import Row
from jobs.definitions.funnel.views import Judged


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
    text = f"entry: got to {steps[reached - 1].name} ({reached} of {len(steps)})"
    if entries.is_excluded[entry]:
        text += ", an exclusion kept it from going further"
    elif not entries.is_converted[entry]:
        text += f", nothing that fits {steps[reached].name} by {_local(judged, int(entries.deadline[entry]))}"
    return text


def _as_step(judged: Judged, at: int) -> list[str]:
    """Which steps of which attempts the event filled."""
    told = []
    for number, shown in enumerate(_numbers(judged.attempts.steps), 1):
        chain = _numbers(judged.entries.chain[shown])
        if at in chain:
            told.append(f"fills {judged.definition.steps[chain.index(at)].name} of attempt {number}")
    return told
