"""The four ways to look at judged events: best per subject, attempts, a person once a day, and the steps' counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from jobs.definitions.funnel.attempts import best_of
from jobs.definitions.funnel.calendar import EPOCH, local_days
from jobs.definitions.funnel.judged import Attempts, Entries
from jobs.definitions.funnel.model import Definition

Rows = list[dict[str, Any]]
VIEWS = ("subject_best", "attempts", "subject_period", "steps")


@dataclass(frozen=True)
class Judged:
    """Events judged, with what is needed to tell about them; `masks` of step bits, `watermark` in epoch µs."""

    definition: Definition
    entries: Entries
    attempts: Attempts
    subjects: Sequence[str | int]
    event_ids: Sequence[str]
    times: Sequence[int]
    masks: Sequence[int]
    watermark: int | None

    def is_mature(self, deadline: int) -> dict[str, bool]:
        """Whether a window that ends there is over; nothing without a watermark."""
        return {} if self.watermark is None else {"mature": bool(deadline < self.watermark)}


def view(judged: Judged, name: str) -> Rows:
    """The rows of a view, by subject."""
    made: dict[str, Callable[[Judged], Rows]] = {
        "subject_best": subject_best, "attempts": attempts, "subject_period": subject_period, "steps": steps,
    }  # fmt: skip
    return made[name](judged)


def subject_best(judged: Judged) -> Rows:
    """Rule 9a: each subject's furthest entry."""
    best = _best(judged)
    latest = np.full(len(judged.subjects), -(2**62), np.int64)
    np.maximum.at(latest, judged.entries.subject, judged.entries.deadline)
    return [
        {"subject": judged.subjects[judged.entries.subject[entry]]}
        | _result(judged, entry, entry)
        | judged.is_mature(int(latest[judged.entries.subject[entry]]))
        for entry in best
        if entry >= 0
    ]


def attempts(judged: Judged) -> Rows:
    """Rule 9b: every attempt, numbered by subject."""
    rows, number = [], dict[int, int]()
    for at in _by_subject(judged):
        subject = int(judged.entries.subject[judged.attempts.identity[at]])
        number[subject] = number.get(subject, 0) + 1
        rows.append(_attempt(judged, at, number[subject]))
    return rows


def _by_subject(judged: Judged) -> Sequence[int]:
    """Attempts by subject, then by rule 2 of the entry that names them."""
    named = judged.attempts.identity
    order = np.lexsort((judged.entries.place[named], judged.entries.subject[named]))
    return [int(at) for at in order]


def _attempt(judged: Judged, at: int, number: int) -> dict[str, Any]:
    entries, found = judged.entries, judged.attempts
    identity, first = int(found.identity[at]), int(found.first[at])
    done = bool(entries.is_converted[identity])
    return (
        {"subject": judged.subjects[entries.subject[identity]], "attempt": number}
        | _result(judged, identity, int(found.steps[at]))
        | {
            "entries": int(found.size[at]),
            "decision_us": int(entries.got_at[identity] - entries.time[identity]) if done else None,
            "deliberation_us": int(entries.got_at[identity] - entries.time[first]) if done else None,
        }
        | judged.is_mature(int(entries.deadline[found.last[at]]))
    )


def subject_period(judged: Judged) -> Rows:
    """Rule 9c: a subject once per day on which an attempt is entered, by the best attempt of the day."""
    rows: Rows = []
    for (subject, day), some in sorted(_by_day(judged).items()):
        best = _best_attempt(judged, some)
        deadline = max(int(judged.entries.deadline[judged.attempts.last[at]]) for at in some)
        rows.append(
            {"subject": judged.subjects[subject], "entry_date": (EPOCH + timedelta(days=day)).date().isoformat()}
            | _result(judged, int(judged.attempts.identity[best]), int(judged.attempts.steps[best]))
            | {"attempts": len(some)}
            | judged.is_mature(deadline)
        )
    return rows


def _by_day(judged: Judged) -> dict[tuple[int, int], list[int]]:
    """Attempts by (subject, day of entry)."""
    named = judged.attempts.identity
    days = local_days(judged.entries.time[named], judged.definition.zone)[0]
    found: dict[tuple[int, int], list[int]] = {}
    for at in range(named.size):
        found.setdefault((int(judged.entries.subject[named[at]]), int(days[at])), []).append(at)
    return found


def _best_attempt(judged: Judged, some: Sequence[int]) -> int:
    """The attempt whose steps are best by rule 9a."""
    entries, steps = judged.entries, judged.attempts.steps
    return max(some, key=lambda at: (entries.reached[steps[at]], -entries.got_at[steps[at]], entries.place[steps[at]]))


def steps(judged: Judged) -> Rows:
    """How many subjects and attempts got to each step."""
    best = [int(entry) for entry in _best(judged) if entry >= 0]
    shown = [int(entry) for entry in judged.attempts.steps]
    rows: Rows = []
    for number, step in enumerate(judged.definition.steps):
        people = sum(_counts(judged, entry, number) for entry in best)
        tried = [at for at, entry in enumerate(shown) if _counts(judged, entry, number)]
        row: dict[str, Any] = {"step": step.name, "people": people, "attempts": len(tried)}
        if judged.watermark is not None:
            last = judged.entries.deadline[judged.attempts.last]
            row["mature"] = sum(bool(last[at] < judged.watermark) for at in tried)
        rows.append(row)
    return rows


def _counts(judged: Judged, entry: int, number: int) -> bool:
    """Rule 14: a mandatory step counts who got there or further, an optional one who filled it."""
    if judged.definition.steps[number].is_optional:
        return bool(judged.entries.chain[entry, number] >= 0)
    return bool(judged.entries.reached[entry] > number)


def _best(judged: Judged) -> Sequence[int]:
    """The best entry of each subject, over all hold keys; -1 for a subject without."""
    order = np.lexsort((judged.entries.place, judged.entries.subject))
    found = best_of(judged.entries.subject, len(judged.subjects), order, judged.entries.reached, judged.entries.got_at)
    return [int(entry) for entry in found]


def _result(judged: Judged, identity: int, shown: int) -> dict[str, Any]:
    """How far an entry got and with what; `identity` names it."""
    entries = judged.entries
    chain = [int(row) for row in entries.chain[shown]]
    while chain and chain[-1] < 0:
        chain.pop()
    return {
        "reached": int(entries.reached[shown]),
        "converted": bool(entries.is_converted[shown]),
        "excluded": bool(entries.is_excluded[shown]),
        "entry_event_id": judged.event_ids[entries.row[identity]],
        "step_event_ids": [judged.event_ids[row] if row >= 0 else None for row in chain],
        "step_times": [judged.times[row] if row >= 0 else None for row in chain],
    }
