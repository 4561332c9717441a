"""Compile every kernel ahead of its first use: a few seconds once, on a machine or after a change of theirs."""

from dataclasses import replace

import numpy as np

from jobs.definitions.funnel.attempts import best_of
from jobs.definitions.funnel.engine import judge
from jobs.definitions.funnel.judged import Events
from jobs.definitions.funnel.model import Definition, Step

EVENTS = Events(
    subject=np.array([0, 0, 0, 1], np.int64),
    time=np.array([1, 2, 2, 3], np.int64),
    event_id=np.array(["a", "b", "c", "d"], object),
    mask=np.array([1, 2, 4, 1], np.int64),
    object_key=np.array([0, 0, 1, 2], np.int64),
)


TOY = Definition("toy", 1, tuple(Step(name, (name,)) for name in "abc"), window_us=10)


def compile_ordered() -> None:
    """Judge a toy history in every way that has an order."""
    skipping = replace(TOY, steps=(TOY.steps[0], replace(TOY.steps[1], is_optional=True), TOY.steps[2]))
    distinct = replace(TOY, steps=(replace(TOY.steps[0], distinct=True), *TOY.steps[1:]), first_entry_only="filtered")
    gapped = replace(TOY, steps=(*TOY.steps[:2], replace(TOY.steps[2], gap_us=5)))
    for definition in (TOY, skipping, distinct, gapped, replace(TOY, mode="strict")):
        _judge(definition)


def compile_unordered() -> None:
    """Judge it without an order."""
    _judge(replace(TOY, mode="unordered"))


def _judge(definition: Definition) -> None:
    entries, _ = judge(definition, EVENTS)
    best_of(entries.subject, 2, np.arange(entries.row.size), entries.reached, entries.got_at)
