"""The four ways to look at judged events: best per subject, attempts, a person once a day, and the steps' counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.definitions.funnel.attempts import best_of
from jobs.definitions.funnel.calendar import local_days
from jobs.definitions.funnel.judged import Attempts, Entries, Flags, Ints
from jobs.definitions.funnel.model import Definition

if TYPE_CHECKING:
    import pyarrow as pa

Rows = list[dict[str, Any]]
Columns = dict[str, Sequence[Any]]  # of one length, by name, as a view shows them
VIEWS = ("subject_best", "attempts", "subject_period", "steps")


@dataclass(frozen=True)
class Judged:
    """Events judged, with what is needed to tell about them.

    `masks` are of step bits, `xmasks` of exclusion bits, `watermark` is in epoch µs.
    """

    definition: Definition
    entries: Entries
    attempts: Attempts
    subjects: Sequence[str | int]
    event_ids: Sequence[str] | pa.ChunkedArray
    times: Sequence[int] | Ints
    masks: Sequence[int] | Ints
    watermark: int | None
    xmasks: Ints | None = None

    def is_mature(self, deadlines: Ints) -> Columns:
        """Whether windows that end there are over; nothing without a watermark."""
        return {} if self.watermark is None else {"mature": (deadlines < self.watermark).tolist()}


def view(judged: Judged, name: str) -> Rows:
    """The rows of a view, by subject."""
    columns = view_columns(judged, name)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def view_columns(judged: Judged, name: str) -> Columns:
    """The same as columns."""
    made: dict[str, Callable[[Judged], Columns]] = {
        "subject_best": subject_best, "attempts": attempts, "subject_period": subject_period, "steps": steps,
    }  # fmt: skip
    return made[name](judged)


def subject_best(judged: Judged) -> Columns:
    """Rule 9a: each subject's furthest entry."""
    best = _best(judged)
    latest = np.full(len(judged.subjects), -(2**62), np.int64)
    np.maximum.at(latest, judged.entries.subject, judged.entries.deadline)
    subject = judged.entries.subject[best]
    return {"subject": _subjects(judged, subject)} | _result(judged, best, best) | judged.is_mature(latest[subject])


def attempts(judged: Judged) -> Columns:
    """Rule 9b: every attempt, numbered by subject."""
    entries, found = judged.entries, judged.attempts
    order, number = numbered(judged)
    identity, first = found.identity[order], found.first[order]
    subject, got_at = entries.subject[identity], entries.got_at[identity]
    done = entries.is_converted[identity]
    return {
        "subject": _subjects(judged, subject),
        "attempt": number.tolist(),
        **_result(judged, identity, found.steps[order]),
        "entries": found.size[order].tolist(),
        "decision_us": _where(done, got_at - entries.time[identity]),
        "deliberation_us": _where(done, got_at - entries.time[first]),
        **judged.is_mature(entries.deadline[found.last[order]]),
    }


def numbered(judged: Judged) -> tuple[Ints, Ints]:
    """Attempts by subject, then by rule 2 of the entry that names them; and the number of each, from 1 by subject."""
    named = judged.attempts.identity
    order = np.lexsort((judged.entries.place[named], judged.entries.subject[named]))
    subject = judged.entries.subject[named[order]]
    return order, np.arange(order.size) - np.searchsorted(subject, subject) + 1


def subject_period(judged: Judged) -> Columns:
    """Rule 9c: a subject once per day on which an attempt is entered, by the best attempt (rule 9a) of the day."""
    entries, found = judged.entries, judged.attempts
    subject, shown = entries.subject[found.identity], found.steps
    days = local_days(entries.time[found.identity], judged.definition.zone)[0]
    order = np.lexsort((entries.place[shown], -entries.got_at[shown], entries.reached[shown], days, subject))
    is_new = np.ones(order.size, np.bool_)
    is_new[1:] = (np.diff(subject[order]) != 0) | (np.diff(days[order]) != 0)
    starts = np.flatnonzero(is_new)
    ends = np.append(starts[1:], order.size)[: starts.size]  # none where there is no attempt
    best = order[ends - 1]
    deadline = entries.deadline[found.last[order]]
    return {
        "subject": _subjects(judged, subject[best]),
        "entry_date": np.datetime_as_string(days[best].astype("datetime64[D]")).tolist(),
        **_result(judged, found.identity[best], shown[best]),
        "attempts": (ends - starts).tolist(),
        **judged.is_mature(np.maximum.reduceat(deadline, starts) if starts.size else deadline),
    }


def steps(judged: Judged) -> Columns:
    """How many subjects and attempts got to each step."""
    best, shown = _best(judged), judged.attempts.steps
    numbers = range(len(judged.definition.steps))
    tried = [_counts(judged, shown, number) for number in numbers]
    columns: Columns = {
        "step": [step.name for step in judged.definition.steps],
        "people": [int(_counts(judged, best, number).sum()) for number in numbers],
        "attempts": [int(some.sum()) for some in tried],
    }
    if judged.watermark is not None:
        is_over = judged.entries.deadline[judged.attempts.last] < judged.watermark
        columns["mature"] = [int((some & is_over).sum()) for some in tried]
    return columns


def _counts(judged: Judged, entries: Ints, number: int) -> Flags:
    """Rule 14: a mandatory step counts who got there or further, an optional one who filled it."""
    if judged.definition.steps[number].is_optional:
        return np.asarray(judged.entries.chain[entries, number] >= 0)
    return np.asarray(judged.entries.reached[entries] > number)


def _best(judged: Judged) -> Ints:
    """The best entry of each subject that has one, over all hold keys, by subject."""
    order = np.arange(judged.entries.place.size)  # they come by subject, key and rule 2
    if judged.definition.hold:
        order = np.lexsort((judged.entries.place, judged.entries.subject))
    best = best_of(judged.entries.subject, len(judged.subjects), order, judged.entries.reached, judged.entries.got_at)
    return best[best >= 0]


def _result(judged: Judged, identity: Ints, shown: Ints) -> Columns:
    """How far entries got and with what; `identity` names each."""
    entries = judged.entries
    chains = entries.chain[shown]
    lengths = _lengths(chains)
    events = chains[np.arange(chains.shape[1])[None, :] < lengths[:, None]]
    times = np.asarray(judged.times, np.int64)
    return {
        "reached": entries.reached[shown].tolist(),
        "converted": entries.is_converted[shown].tolist(),
        "excluded": entries.is_excluded[shown].tolist(),
        "entry_event_id": _ids(judged, entries.row[identity]),
        "step_event_ids": _cut(_ids(judged, events), lengths),
        "step_times": _cut(_where(events >= 0, times[events] if times.size else events), lengths),
    }


def _lengths(chains: Ints) -> Ints:
    """How many steps a chain has up to the furthest that is filled."""
    filled = chains >= 0
    return np.where(filled.any(axis=1), chains.shape[1] - np.argmax(filled[:, ::-1], axis=1), 0)


def _cut(values: list[Any], lengths: Ints) -> list[list[Any]]:
    """Values one after another as lists of these lengths."""
    ends = np.cumsum(lengths).tolist()
    return [values[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def _ids(judged: Judged, rows: Ints) -> list[str | None]:
    """The ids of events, None for -1."""
    import pyarrow as pa

    ids = judged.event_ids
    texts = pa.array(ids, pa.string()) if isinstance(ids, Sequence) else ids
    found: list[str | None] = texts.take(pa.array(rows, mask=rows < 0)).cast(pa.string()).to_pylist()
    return found


def _subjects(judged: Judged, codes: Ints) -> list[str | int]:
    return [judged.subjects[code] for code in codes.tolist()]


def _where(is_there: Flags, values: Ints) -> list[int | None]:
    """Values as numbers, None where there is none."""
    return [value if there else None for there, value in zip(is_there.tolist(), values.tolist(), strict=True)]
