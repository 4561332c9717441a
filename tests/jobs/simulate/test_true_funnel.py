"""The simulator's own count of the funnel agrees with a plain reading of the rules, entry by entry."""

import numpy as np
import pytest

from jobs.simulate.true_funnel import NEVER, SPAN, WINDOW, attempts, chains

HOUR = WINDOW // 24
STORIES = {  # steps (hours) of one person → (entry, reached, converted at) of each attempt, in order
    "looked and left": ([[0], [], [], [], []], [(0, 1, None)]),
    "went all the way": ([[0], [1], [2], [3], [4]], [(0, 5, 4)]),
    "the last entry that reaches it gives the identity": ([[0, 2], [3], [4], [5], [6]], [(2, 5, 6)]),
    "an entry after the last interest is taken all the same": ([[0, 5], [1], [6], [7], [8]], [(0, 5, 8)]),
    "exactly at the window's end": ([[0], [1], [2], [3], [24]], [(0, 5, 24)]),
    "an hour too late": ([[0], [1], [2], [3], [25]], [(0, 4, None)]),
    "bought before looking": ([[5], [6], [4], [3], [2]], [(5, 2, None)]),
    "two days, two tries": ([[0, 30], [31], [], [], []], [(0, 1, None), (30, 2, None)]),
    "two conversions": ([[0, 10], [1, 11], [2, 12], [3, 13], [4, 14]], [(0, 5, 4), (10, 5, 14)]),
    "entries within a day are one try": ([[0, 5, 24, 25], [26], [], [], []], [(0, 2, None), (25, 2, None)]),
}


def told(steps: list[list[int]], user: int = 0) -> list[np.ndarray]:
    return [np.array([user * SPAN + hour * HOUR for hour in step], dtype=np.int64) for step in steps]


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_counted_as_the_rules_say(name: str) -> None:
    steps, expected = STORIES[name]
    found = attempts(told(steps))
    rows = sorted(
        (entry // HOUR, reached, None if at == NEVER else at // HOUR)
        for entry, reached, at in zip(
            found["entry_at"].tolist(), found["reached"].tolist(), found["converted_at"].tolist(), strict=True
        )
    )
    assert rows == expected


def test_people_do_not_mix() -> None:
    mine, yours = told([[0], [1], [2], [3], []]), told([[5], [], [], [], [4]], user=1)
    found = attempts([np.concatenate(pair) for pair in zip(mine, yours, strict=True)])
    assert dict(zip(found["user"].tolist(), found["reached"].tolist(), strict=True)) == {0: 4, 1: 1}


def test_each_entry_goes_as_far_as_trying_every_choice_says() -> None:
    chance = np.random.default_rng(5)
    for _ in range(300):
        steps = [np.unique(chance.integers(0, 40, chance.integers(0, 5))) * HOUR for _ in range(5)]
        reached, _ = chains(steps)
        assert reached.tolist() == [furthest(steps, entry) for entry in steps[0].tolist()]


def furthest(steps: list[np.ndarray], entry: int, at: int | None = None, level: int = 1) -> int:
    """Every choice of every step: how far can a chain from this entry go?"""
    at = entry if at is None else at
    if level == len(steps):
        return level
    choices = [time for time in steps[level].tolist() if at <= time <= entry + WINDOW]
    return max([level, *(furthest(steps, entry, time, level + 1) for time in choices)])
