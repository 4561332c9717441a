"""B5-profiles: the same race as B5 for the family of profiles, within a business day: new facts of 1 % of the users."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import incremental
from tests.bench.harness import Contender
from tests.bench.incremental import verdict

__all__ = ["AIM", "arena", "verdict"]

AIM = "at least 10 × as fast as our own full rebuild where 1 % of the users did something new; flat as history grows"
NEW_PERCENT = 5  # of the newest day: a session each of 1 % of the people, who have six in 30 days


@contextmanager
def arena(folder: Path, scale: float) -> Iterator[tuple[str, list[Contender]]]:
    """Lakes that wait for a small run of the profiles, and the ways to bring them up to date."""
    with incremental.arena(folder, scale, "profiles", NEW_PERCENT) as race:
        yield race
