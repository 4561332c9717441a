"""Who went how far from watching to paying: the simulator's own count over its true events.

It shares nothing with the platform's funnel kernel on purpose: the two are compared by `reelhouse score`.
"""

from collections.abc import Mapping

import numpy as np

from jobs.simulate import words
from jobs.simulate.catalogue import Catalogue
from jobs.simulate.columns import Columns, Flags, Ints
from jobs.simulate.period import DAY
from jobs.simulate.world import is_valid_play

WINDOW = DAY
STEPS = ("watched", "interested", "considered", "ordered", "paid")
INTERESTED = tuple(
    words.LIKE_KINDS.index(kind) for kind in ("like", "favourite", "comment", "share", "follow", "add_to_cart")
)
SPAN = 1 << 43  # more microseconds than any period has: user * SPAN + time orders everybody's events at once
NEVER = np.iinfo(np.int64).max


def steps_of(events: Mapping[str, Columns], catalogue: Catalogue, start: int) -> list[Ints]:
    """For each step the sorted keys (user * SPAN + microseconds since `start`) of the events that fill it."""
    views, likes, orders = events["views"], events["likes"], events["orders"]
    chosen: list[tuple[Columns, Flags]] = [
        (views, is_valid_play(views, catalogue)),
        (likes, np.isin(likes["kind"], INTERESTED)),
        (views, views["kind"] == words.PRODUCT_VIEW),
        (orders, orders["kind"] == words.PLACED),
        (orders, orders["kind"] == words.PAID_ORDER),
    ]
    return [np.sort(frame["user"][rows] * SPAN + frame["time"][rows] - start) for frame, rows in chosen]


def chains(steps: list[Ints]) -> tuple[Ints, Ints]:
    """For each entry the furthest step reached in time, and when the last one was (`NEVER` if it was not)."""
    entries = steps[0]
    at, reached = entries, np.ones(len(entries), dtype=np.int64)
    for step in steps[1:]:
        at = _next(step, at)
        reached += at <= entries + WINDOW
    return reached, np.where(reached == len(steps), at, NEVER)


def _next(step: Ints, at: Ints) -> Ints:
    """The first event of the step at or after each key, of the same user; `NEVER` when there is none."""
    padded = np.append(step, NEVER)
    found = padded[np.searchsorted(step, at)]
    return np.where((at != NEVER) & (found // SPAN == at // SPAN), found, NEVER)


def attempts(steps: list[Ints]) -> Columns:
    """One row per attempt: user, entry_at, first_entry_at, entries, reached, converted_at (`NEVER` = not)."""
    reached, converted = chains(steps)
    won, taken = _conversions(steps[0], converted)
    lost = _dropped(steps[0][~taken], reached[~taken])
    rows = {name: np.concatenate([won[name], lost[name]]) for name in won}
    return {"user": rows["entry_at"] // SPAN, **rows}


def _conversions(entries: Ints, converted: Ints) -> tuple[Columns, Flags]:
    """Conversions earliest first; each takes the entries since the one before and within the window before it."""
    found: list[tuple[int, int, int]] = []  # conversion, last entry that reaches it, conversion before
    finite = np.flatnonzero(converted != NEVER)
    for entry, conversion in zip(entries[finite].tolist(), converted[finite].tolist(), strict=True):
        before = found[-1][0] if found and found[-1][0] // SPAN == entry // SPAN else -1
        if conversion == before:
            found[-1] = (conversion, entry, found[-1][2])
        elif entry > before:
            found.append((conversion, entry, before))
    at, last, before_at = np.array(found, dtype=np.int64).reshape(-1, 3).T
    first = np.searchsorted(entries, np.maximum(before_at + 1, at - WINDOW))
    first = np.maximum(first, np.searchsorted(entries, at // SPAN * SPAN))
    end = np.searchsorted(entries, at, side="right")
    marks = np.zeros(len(entries) + 1, dtype=np.int64)
    np.add.at(marks, first, 1)
    np.add.at(marks, end, -1)
    rows = {
        "entry_at": last,
        "first_entry_at": entries[first] if len(first) else last,
        "entries": end - first,
        "reached": np.full(len(at), len(STEPS)),
        "converted_at": at,
    }
    return rows, np.cumsum(marks)[:-1] > 0


def _dropped(entries: Ints, reached: Ints) -> Columns:
    """Runs of what is left: all within the window of a run's first entry."""
    starts: list[int] = []
    limit = -1
    for place, entry in enumerate(entries.tolist()):
        if entry > limit or entry // SPAN != limit // SPAN:
            starts.append(place)
            limit = min(entry + WINDOW, (entry // SPAN + 1) * SPAN - 1)
    first = np.array(starts, dtype=np.int64)
    return {
        "entry_at": entries[first],
        "first_entry_at": entries[first],
        "entries": np.diff(np.append(first, len(entries))),
        "reached": np.maximum.reduceat(reached, first) if len(first) else first,
        "converted_at": np.full(len(first), NEVER),
    }
