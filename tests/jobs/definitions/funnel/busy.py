"""Histories of one subject with very many events, at their worst for each kernel, and the work they take."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import numpy as np

from jobs.definitions.funnel.engine import judge
from jobs.definitions.funnel.judged import Events, Ints
from jobs.definitions.funnel.model import Definition, Exclusion, Step

HOUR = 3_600_000_000
PLAIN = Definition("busy", 1, tuple(Step(f"s{n}", (f"e{n}",)) for n in range(4)), window_us=24 * HOUR)
FUNNELS = {
    "plain": PLAIN,
    "same event": replace(PLAIN, steps=tuple(replace(step, events=("e",)) for step in PLAIN.steps)),
    "forbid": replace(PLAIN, ties="forbid"),
    "gaps": replace(
        PLAIN, steps=tuple(replace(step, gap_us=HOUR if n else None) for n, step in enumerate(PLAIN.steps))
    ),
    "exclusion": replace(PLAIN, exclusions=(Exclusion(("x",), None, 0, 3),)),
    "strict": replace(PLAIN, mode="strict"),
    "optional": replace(PLAIN, steps=tuple(replace(step, is_optional=n == 1) for n, step in enumerate(PLAIN.steps))),
    "unordered": replace(PLAIN, mode="unordered"),
}


def _spread(size: int) -> Ints:
    return np.sort(np.random.default_rng(2).integers(0, 24 * HOUR, size))


def _any_step(size: int) -> Ints:
    return 1 << np.random.default_rng(3).integers(0, 4, size)


def _many_steps(size: int) -> Ints:
    return np.random.default_rng(4).integers(1, 16, size)


def _entries_first(size: int) -> Ints:
    return np.where(np.arange(size) < size - 3, 1, 1 << np.clip(np.arange(size) - size + 4, 0, 3))


SHAPES: dict[str, tuple[Callable[[int], Ints], Callable[[int], Ints]]] = {  # times, step bits
    "spread over a day": (_spread, _any_step),
    "in one instant": (lambda size: np.zeros(size, np.int64), _any_step),
    "all entries but the last": (_spread, _entries_first),
    "each fits many steps": (_spread, _many_steps),
    "each fits many steps in one instant": (lambda size: np.zeros(size, np.int64), _many_steps),
}


def busy(shape: str, size: int) -> Events:
    """The events of one subject."""
    times, masks = SHAPES[shape]
    return Events(
        subject=np.zeros(size, np.int64),
        time=times(size),
        event_id=np.array([f"{number:07}" for number in range(size)], object),
        mask=masks(size).astype(np.int64),
        xmask=(np.arange(size) % 97 == 5).astype(np.int64),
        in_scope=np.ones(size, np.bool_),
    )


def lines_run(funnel: str, shape: str, size: int) -> int:
    """How many lines of the funnel's code run to judge so many events."""
    events, count = busy(shape, size), 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if "/funnel/" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        judge(FUNNELS[funnel], events)
    finally:
        sys.settrace(None)
    return count
