"""The engine over many subjects at once: what matters of their events, shared out among threads by subject."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import partial
from typing import TypeVar

import numpy as np

from jobs.definitions.funnel.engine import judge
from jobs.definitions.funnel.judged import Attempts, Entries, Events, Flags, Ints
from jobs.definitions.funnel.model import Definition

T = TypeVar("T", Entries, Attempts)
EVENTS_AT_ONCE = 1_000_000  # so many go to a thread at a time, or a thread's share if that is less
FEW_EVENTS = 100_000  # that are not worth a second thread


def judge_in_threads(definition: Definition, events: Events, threads: int) -> tuple[Entries, Attempts]:
    """The same as `judge`, in threads."""
    rows = np.flatnonzero(_matters(definition, events))
    at_once = min(EVENTS_AT_ONCE, max(rows.size // threads + 1, FEW_EVENTS))
    firsts, parts = _shares(events.subject, rows, at_once)
    with ThreadPoolExecutor(threads) as pool:
        return _together([*pool.map(partial(_judge_part, definition, events), firsts, parts)], pool)


def _matters(definition: Definition, events: Events) -> Flags:
    """Which events can change an answer; with double taps any that may be a tap."""
    if events.object_key is not None:
        return np.ones(events.time.size, np.bool_)
    matters: Flags = events.mask != 0
    for more in (events.xmask, events.in_scope):
        matters |= more != 0 if more is not None else False
    if definition.first_entry_only == "true" and events.is_opening is not None:
        matters |= events.is_opening
    return matters


def _shares(subject: Ints, rows: Ints, at_once: int) -> tuple[list[int], list[Ints]]:
    """Rows shared out by subject in parts of about one size: the first subject of each part, and its rows."""
    whose = subject[rows]
    so_far = np.cumsum(np.bincount(whose, minlength=1))
    part_of = np.clip((so_far - 1) // at_once, 0, 2**16 - 1).astype(np.uint16)
    part = part_of[whose]
    in_order = rows[np.argsort(part, kind="stable")]  # sorts so short a number by its digits
    firsts = np.flatnonzero(np.diff(part_of, prepend=part_of[:1] - 1))
    return firsts.tolist(), np.split(in_order, (so_far[firsts[1:] - 1]))


def _judge_part(definition: Definition, events: Events, first: int, mine: Ints) -> tuple[Entries, Attempts]:
    """Judge some rows, of subjects from `first` on; rows and subjects are told as those of all events."""
    entries, attempts = judge(definition, events.of(mine, first))
    chain = np.where(entries.chain >= 0, mine[entries.chain], -1) if mine.size else entries.chain
    found = replace(
        entries, row=mine[entries.row], subject=entries.subject + first, chain=chain, nulls=mine[entries.nulls]
    )
    return found, attempts


def _together(parts: Sequence[tuple[Entries, Attempts]], pool: ThreadPoolExecutor) -> tuple[Entries, Attempts]:
    """Entries and attempts one part after another; attempts name entries by number."""
    entries = [entries for entries, _ in parts]
    before = np.cumsum([0, *(part.row.size for part in entries)])
    attempts = [
        replace(part, **{name: getattr(part, name) + shift for name in ("identity", "steps", "first", "last")})
        for (_, part), shift in zip(parts, before, strict=False)
    ]
    return _joined(Entries, entries, pool), _joined(Attempts, attempts, pool)


def _joined(kind: type[T], parts: Sequence[T], pool: ThreadPoolExecutor) -> T:
    if len(parts) == 1:
        return parts[0]
    columns = ([getattr(part, field.name) for part in parts] for field in fields(kind))
    return kind(*pool.map(np.concatenate, columns))
