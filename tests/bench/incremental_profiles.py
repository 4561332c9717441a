"""B5-profiles: the same race as B5 for the family of profiles, within a business day."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import incremental
from tests.bench.harness import Contender
from tests.bench.incremental import AIM, verdict

__all__ = ["AIM", "arena", "verdict"]


@contextmanager
def arena(folder: Path, scale: float) -> Iterator[tuple[str, list[Contender]]]:
    """Lakes that wait for a small run of the profiles, and the ways to bring them up to date."""
    with incremental.arena(folder, scale, "profiles") as race:
        yield race
