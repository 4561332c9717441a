"""However Spark cuts a partition into Arrow batches, the attempts are the same; a user-day beyond reason is counted."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from jobs.definitions.funnel import in_arrow
from jobs.definitions.funnel.in_arrow import Judging
from jobs.definitions.funnel.model import Definition
from tests.jobs.definitions.funnel.drawn import KINDS, MOST_EVENTS, UNIT_US, definition, history
from tests.jobs.definitions.funnel.oracle import Event

SCHEMA = pa.schema([
    ("user_id", pa.string()), ("at", pa.int64()), ("event_id", pa.string()), ("reversed_at", pa.int64()),
    ("object", pa.string()), ("steps_0", pa.int64()), ("exclusions_0", pa.int64()), ("flags_0", pa.int64()),
    ("act", pa.int32()),
])  # fmt: skip


HOLD = pa.field("hold_0", pa.string())  # there only where the definition holds something


def row(user: str, found: Definition, event: Event) -> dict[str, Any]:
    """The event in the kernel's columns."""
    return {
        "user_id": user,
        "at": event.time,
        "event_id": event.id,
        "act": 0,
        "steps_0": sum(1 << n for n in event.fits),
        "exclusions_0": sum(1 << n for n in event.bars),
        "flags_0": event.in_scope * in_arrow.IN_SCOPE | event.is_opening * in_arrow.IS_OPENING,
        "hold_0": None if event.hold is None or not found.hold else str(event.hold),
    }


def outcomes(judging: Judging, rows: list[dict[str, Any]], cuts: list[int]) -> list[dict[str, Any]]:
    """What comes out of the rows, cut into batches before these numbers."""
    edges = [0, *cuts, len(rows)]
    schema = SCHEMA.append(HOLD) if judging.definitions[0].hold else SCHEMA
    parts = [rows[begin:end] for begin, end in pairwise(edges) if end > begin]
    batches = iter([pa.RecordBatch.from_pylist(part, schema) for part in parts])
    told = [one for batch in judging(batches) for one in batch.to_pylist()]
    return sorted(told, key=lambda one: (one["user_id"], str(one["entry_event_id"]), one["entry_day"]))


@pytest.mark.parametrize("kind", KINDS)
def test_batches_may_end_anywhere(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = Random(f"{kind} batches")
    for _ in range(4):
        found = definition(draw, kind)
        rows = [
            row(f"u{n:02}", found, event)
            for n in range(20)
            for event in sorted(history(draw, found, n, MOST_EVENTS.get(kind, 10)), key=lambda event: event.time)
        ]
        whole = outcomes(Judging((found,)), rows, [])
        with monkeypatch.context() as small:
            small.setattr(in_arrow, "EVENTS_AT_ONCE", 12)
            for _ in range(3):
                assert outcomes(Judging((found,)), rows, sorted(draw.sample(range(len(rows)), 9))) == whole


def test_a_user_day_beyond_reason_is_set_aside_and_counted_and_no_other() -> None:
    draw = Random("busy")
    found = definition(draw, "plain")
    plays = [Event(f"e{n:03}", n * UNIT_US // 60, frozenset({0})) for n in range(40)]
    late = Event("late", 50 * UNIT_US, frozenset({0}))
    rows = [row("busy", found, event) for event in [*plays, late]] + [row("calm", found, event) for event in plays[:5]]
    told = outcomes(Judging((found,), most_a_day=20), rows, [])
    aside = [(one["user_id"], one["attempt_count"]) for one in told if one["set_aside"]]
    assert aside == [("busy", 40)]
    entries = {
        user: sum(one["entry_count"] or 0 for one in told if one["user_id"] == user) for user in ("busy", "calm")
    }
    assert entries == {"busy": 1, "calm": 5}
