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


def compile_kernels() -> None:
    """Judge a toy history in every way there is."""
    toy = Definition("toy", 1, tuple(Step(name, (name,)) for name in "abc"), window_us=10)
    skipping = replace(toy, steps=(toy.steps[0], replace(toy.steps[1], is_optional=True), toy.steps[2]))
    distinct = replace(toy, steps=(replace(toy.steps[0], distinct=True), *toy.steps[1:]), first_entry_only="filtered")
    for definition in (toy, skipping, distinct, replace(toy, mode="strict"), replace(toy, mode="unordered")):
        entries, _ = judge(definition, EVENTS)
        best_of(entries.subject, 2, np.arange(entries.row.size), entries.reached, entries.got_at)
