"""Shrinking: the fewest steps of a failing schedule that still fail."""

from collections.abc import Callable, Iterator

from jobs.drills.chance.schedule import Schedule

TRIES = 24


def shrink(failing: Schedule, fails: Callable[[Schedule], bool], tries: int = TRIES) -> Schedule:
    """Leave out ever smaller runs of steps while `fails` says that what is left still does; so many tries at most."""
    untried = fewer(failing)
    for _ in range(tries):
        candidate = next(untried, None)
        if candidate is None:
            break
        if fails(candidate):
            failing, untried = candidate, fewer(candidate)
    return failing


def fewer(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule less a half, a quarter, …, one of its steps; the later ones go first: little hangs on them."""
    steps, size = schedule.steps, len(schedule.steps) // 2
    while size:
        for start in range(len(steps) - size, -1, -size):
            yield Schedule(steps[:start] + steps[start + size :], schedule.family)
        size //= 2
