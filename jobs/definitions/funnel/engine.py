"""One definition judged over a set of events: entries, their chains, and the attempts they form.

Pure: arrays in, arrays out; the same on a file, in Spark and in tests. The order in which events come never matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.definitions.funnel.analysis import route
from jobs.definitions.funnel.attempts import describe_attempts, group_entries
from jobs.definitions.funnel.calendar import local_days
from jobs.definitions.funnel.gapped import gapped_chains
from jobs.definitions.funnel.judged import Attempts, Entries, Events, Flags, Ints
from jobs.definitions.funnel.linear import linear_chains
from jobs.definitions.funnel.model import Definition, Step
from jobs.definitions.funnel.nodes import Bonds, Stage
from jobs.definitions.funnel.optional import Course, fill_optional
from jobs.definitions.funnel.order import by_group_and_time, first_of_each, lowest_step, settle_ties, tied
from jobs.definitions.funnel.repeats import double_taps
from jobs.definitions.funnel.search import searched_chains
from jobs.definitions.funnel.unordered import unordered_chains


@dataclass(frozen=True)
class _Sorted:
    """The kernel's view: events that matter, by (group, rule 2), with times counted from the first."""

    row: Ints
    place: Ints
    starts: Ints
    time: Ints
    day: Ints
    deadline: Ints
    mask: Ints
    is_entry: Flags
    rank: Ints
    base: int


def judge(definition: Definition, events: Events) -> tuple[Entries, Attempts]:
    """All entries of all subjects with how far each got, and the attempts they form."""
    mask = _without_double_taps(definition, events)
    view, nulls = _arrange(definition, events, mask)
    entries = np.flatnonzero(view.is_entry)
    group_of = np.searchsorted(view.starts, entries, side="right") - 1
    reached, chains, got_at, is_excluded = _chains(definition, events, view, entries, group_of)
    is_converted = reached == len(definition.steps)
    converted_at = np.where(is_converted, got_at, -1)
    entry_starts = np.searchsorted(entries, view.starts)
    attempt, count = group_entries(entry_starts, view.time[entries], view.deadline[entries], converted_at)
    described = describe_attempts(attempt, count, converted_at, reached, got_at)
    in_order = np.argsort(described[0])
    attempts = Attempts(*(column[in_order] for column in described))
    found = Entries(
        row=view.row[entries],
        subject=events.subject[view.row[entries]],
        time=view.time[entries] + view.base,
        place=view.place[entries],
        deadline=view.deadline[entries] + view.base,
        reached=reached,
        chain=np.where(chains >= 0, view.row[chains], -1) if view.row.size else chains,
        got_at=got_at + view.base,
        is_converted=is_converted,
        is_excluded=is_excluded,
        nulls=nulls,
    )
    return found, attempts


def _without_double_taps(definition: Definition, events: Events) -> Ints:
    """The step bits, less those of double taps on steps that want distinct events (rule 22)."""
    bits = sum(1 << number for number, step in enumerate(definition.steps) if step.distinct)
    if not bits or events.object_key is None:
        return events.mask
    pairs = np.stack([events.subject, events.object_key], axis=1)
    groups, group = np.unique(pairs, axis=0, return_inverse=True)
    order, starts = by_group_and_time(group.reshape(-1).astype(np.int64), len(groups), events.time)
    rank = _ranks(events.event_id, order[tied(order, starts, events.time)])
    settle_ties(order, starts, events.time, np.zeros(events.time.size, np.int64), rank)
    return np.where(double_taps(order, starts, events.time), events.mask & ~np.int64(_signed(bits)), events.mask)


def _signed(bits: int) -> int:
    """64 bits as a signed integer."""
    return bits - (1 << 64) if bits >= 1 << 63 else bits


def _ranks(ids: Any, rows: Ints) -> Ints:
    """The rank of the event ids of some rows among each other, 0 elsewhere; bytes order is code-point order."""
    rank = np.zeros(len(ids), np.int64)
    some = ids.take(rows)
    if isinstance(some, np.ndarray):
        rank[rows] = np.unique(some, return_inverse=True)[1]
    elif rows.size:
        import pyarrow.compute as pc

        rank[rows] = pc.rank(some.cast("string"), tiebreaker="dense").to_numpy()
    return rank


def _arrange(definition: Definition, events: Events, mask: Ints) -> tuple[_Sorted, Ints]:
    """Sort by rule 2, mark the entries, leave out what cannot matter, and group by hold key."""
    low = lowest_step(mask)
    order, starts = by_group_and_time(events.subject, int(events.subject.max(initial=-1)) + 1, events.time)
    needed = order if definition.mode == "unordered" else order[tied(order, starts, events.time)]
    rank = _ranks(events.event_id, needed)
    settle_ties(order, starts, events.time, low, rank)
    is_entry = mask != 0 if definition.mode == "unordered" else (mask & 1).astype(bool)
    is_entry &= _first_entries(definition, events, mask, order, starts, rank)
    matters = mask != 0
    matters |= events.xmask != 0 if events.xmask is not None else False
    matters |= events.in_scope if events.in_scope is not None else False
    nulls = np.empty(0, np.int64)
    if events.hold is not None:
        nulls = np.flatnonzero(is_entry & (events.hold < 0))
        matters &= events.hold >= 0
    place = np.flatnonzero(matters[order])
    rows = order[place]
    if events.hold is not None:
        by_key = np.lexsort((place, events.hold[rows], events.subject[rows]))
        place, rows = place[by_key], rows[by_key]
    return _view(definition, events, mask, rows, place, is_entry, rank), nulls


def _first_entries(definition: Definition, events: Events, mask: Ints, order: Ints, starts: Ints, rank: Ints) -> Flags:
    """Which events may be entries under rule 15: the subject's first, ties by event id."""
    if definition.first_entry_only == "no":
        return np.ones(mask.size, np.bool_)
    opens = (mask & 1).astype(bool)
    if definition.first_entry_only == "true" and events.is_opening is not None:
        opens = events.is_opening
    first = first_of_each(order, starts, events.time, rank, opens)
    may = np.zeros(mask.size, np.bool_)
    may[first[first >= 0]] = True
    return may


def _view(
    definition: Definition, events: Events, mask: Ints, rows: Ints, place: Ints, is_entry: Flags, rank: Ints
) -> _Sorted:
    """Gather the kernel's arrays."""
    time = events.time[rows]
    base = int(time.min(initial=0)) if rows.size else 0
    if definition.window_us is None:
        day, deadline = local_days(time, definition.zone)
    else:
        day, deadline = np.empty(0, np.int64), time + definition.window_us
    is_new = np.ones(rows.size, np.bool_)
    is_new[1:] = events.subject[rows[1:]] != events.subject[rows[:-1]]
    if events.hold is not None:
        is_new[1:] |= events.hold[rows[1:]] != events.hold[rows[:-1]]
    starts = np.append(np.flatnonzero(is_new), rows.size).astype(np.int64)
    return _Sorted(
        rows, place, starts, time - base, day, deadline - base, mask[rows], is_entry[rows], rank[rows], base
    )  # fmt: skip


def _chains(
    definition: Definition, events: Events, view: _Sorted, entries: Ints, group_of: Ints
) -> tuple[Ints, Ints, Ints, Flags]:
    """Per entry: reached, chain (places), when it got there, and whether an exclusion held it back."""
    forbid, steps = definition.ties == "forbid", len(definition.steps)
    none = np.zeros(entries.size, np.bool_)
    if definition.mode == "unordered":
        chains, reached, finish = unordered_chains(
            view.starts, view.time, view.mask, view.rank, view.deadline, entries, group_of, steps
        )
        return reached, chains, finish, none
    mandatory = np.array(definition.mandatory, np.int64)
    bits = _only(view.mask, mandatory)
    is_excluded, way = none, route(definition)
    if way == "linear":
        level = _levels(bits)
        reached, chains = linear_chains(view.starts, view.time, level, view.deadline, entries, mandatory.size, forbid)
    elif way == "gapped":
        gaps = _gaps([definition.steps[step] for step in mandatory])
        reached, chains = gapped_chains(
            view.starts, view.time, _levels(bits), view.deadline, entries, group_of, gaps, forbid
        )
    else:
        reached, chains, is_excluded = _searched(definition, events, view, bits, entries, group_of, mandatory)
    if mandatory.size < steps:
        gaps = _gaps(definition.steps)
        course = Course(view.starts, view.time, view.mask, view.deadline, mandatory, gaps, steps, forbid)
        reached, chains = fill_optional(course, group_of, reached, chains)
    last = chains[np.arange(entries.size), reached - 1]
    return reached, chains, view.time[last], is_excluded


def _levels(bits: Ints) -> Ints:
    """The one step that each event matches, -1 for none."""
    level = lowest_step(bits)
    level[level == 64] = -1
    return level


def _only(mask: Ints, mandatory: Ints) -> Ints:
    """The bits of the mandatory steps, moved together."""
    moved = np.zeros(mask.size, np.int64)
    for level, step in enumerate(mandatory):
        moved |= ((mask >> step) & 1) << level
    return moved


def _gaps(steps: Sequence[Step]) -> Ints:
    """The longest gap before each step in µs, -1 for none."""
    return np.array([-1 if step.gap_us is None else step.gap_us for step in steps], np.int64)


def _searched(
    definition: Definition, events: Events, view: _Sorted, bits: Ints, entries: Ints, group_of: Ints, mandatory: Ints
) -> tuple[Ints, Ints, Flags]:
    """The searching kernel, a second time without exclusions where these may have held an entry back."""
    level_of = {int(step): level for level, step in enumerate(mandatory)}
    gaps = _gaps([definition.steps[step] for step in mandatory])
    rules = [(level_of[rule.after], level_of[rule.before]) for rule in definition.exclusions]
    xmask = events.xmask[view.row] if events.xmask is not None else np.zeros(view.row.size, np.int64)
    scope = events.in_scope[view.row] if events.in_scope is not None else np.zeros(view.row.size, np.bool_)

    stage = Stage(view.starts, view.time, bits, xmask, scope, view.deadline)

    def search(rules: list[tuple[int, int]]) -> tuple[Ints, Ints]:
        between = np.array(rules, np.int64).reshape(len(rules), 2)
        forbid, strict = definition.ties == "forbid", definition.mode == "strict"
        return searched_chains(stage, Bonds(mandatory.size, forbid, strict, gaps, between), entries, group_of)

    reached, chains = search(rules)
    is_excluded = search([])[0] > reached if rules else np.zeros(entries.size, np.bool_)
    return reached, chains, is_excluded
