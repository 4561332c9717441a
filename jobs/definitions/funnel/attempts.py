"""Rules 9 and 10: entries of one subject and hold key become attempts that do not overlap."""

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled

Ints = NDArray[np.int64]


@compiled
def _take_conversions(
    first: int, last: int, time: Ints, deadline: Ints, converted_at: Ints, attempt: Ints, count: int
) -> int:
    """Number the entries first..last that belong to converting attempts from `count` on; gives the next number."""
    order = np.argsort(converted_at[first:last], kind="mergesort")
    begin = first
    for place in range(order.size):
        number = first + order[place]
        instant = converted_at[number]
        if instant < 0 or attempt[number] >= 0:
            continue
        while begin < last and deadline[begin] < instant:
            begin += 1
        while begin < last and time[begin] <= instant:
            if attempt[begin] < 0:
                attempt[begin] = count
            begin += 1
        count += 1
    return count


@compiled
def _take_runs(first: int, last: int, time: Ints, deadline: Ints, attempt: Ints, count: int) -> int:
    """Number what is left: entries within the window of a run's first entry are one run."""
    until, is_open = 0, False
    for number in range(first, last):
        if attempt[number] >= 0:
            continue
        if not is_open or time[number] > until:
            until, is_open = deadline[number], True
            count += 1
        attempt[number] = count - 1
    return count


@compiled
def group_entries(starts: Ints, time: Ints, deadline: Ints, converted_at: Ints) -> tuple[Ints, int]:
    """The attempt (numbered from 0) of every entry.

    Entries are sorted by (group, rule 2); `starts` says where each group starts; `converted_at` is -1 (below every
    instant, which are counted from the first) for those that did not convert.
    """
    attempt = np.full(time.size, -1, np.int64)
    count = 0
    for group in range(starts.size - 1):
        count = _take_conversions(starts[group], starts[group + 1], time, deadline, converted_at, attempt, count)
        count = _take_runs(starts[group], starts[group + 1], time, deadline, attempt, count)
    return attempt, count


@compiled
def is_better(left: int, right: int, reached: Ints, got_at: Ints) -> bool:
    """Rule 9a between an entry and a later one by rule 2: the later wins when further, or as far and no later there."""
    return bool(reached[right] > reached[left] or (reached[right] == reached[left] and got_at[right] <= got_at[left]))


@compiled
def _last_to_convert(attempt: Ints, count: int, converted_at: Ints) -> Ints:
    """Per attempt the last entry that reaches its (first) conversion, -1 for a dropped one."""
    instant, last = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    for entry in range(attempt.size):
        number = attempt[entry]
        if converted_at[entry] >= 0 and (instant[number] < 0 or converted_at[entry] < instant[number]):
            instant[number] = converted_at[entry]
    for entry in range(attempt.size):
        if converted_at[entry] >= 0 and converted_at[entry] == instant[attempt[entry]]:
            last[attempt[entry]] = entry
    return last


@compiled
def describe_attempts(
    attempt: Ints, count: int, converted_at: Ints, reached: Ints, got_at: Ints
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Per attempt the entry that gives identity, the one that gives steps, the first and last, and their number.

    A converting attempt is known by the last entry that reaches its conversion; a dropped one by its first entry, and
    its steps are those of its furthest.
    """
    identity, size = _last_to_convert(attempt, count, converted_at), np.zeros(count, np.int64)
    steps, first, last = identity.copy(), np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    for entry in range(attempt.size):
        number = attempt[entry]
        if size[number] == 0:
            first[number] = entry
        last[number] = entry
        size[number] += 1
        if identity[number] < 0 and (steps[number] < 0 or is_better(steps[number], entry, reached, got_at)):
            steps[number] = entry
    return np.where(identity < 0, first, identity), steps, first, last, size


@compiled
def best_of(group: Ints, groups: int, order: Ints, reached: Ints, got_at: Ints) -> Ints:
    """The best entry of each group by rule 9a, -1 for a group without; `order` lists entries by rule 2."""
    best = np.full(groups, -1, np.int64)
    for place in range(order.size):
        entry = order[place]
        number = group[entry]
        if best[number] < 0 or is_better(best[number], entry, reached, got_at):
            best[number] = entry
    return best
