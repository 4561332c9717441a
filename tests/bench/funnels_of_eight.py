"""B4-8: the same race as B4 with a funnel of eight steps."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import funnels
from tests.bench.funnels import AIM, verdict
from tests.bench.harness import Contender

__all__ = ["AIM", "arena", "verdict"]
STEPS = 8


@contextmanager
def arena(folder: Path, scale: float) -> Iterator[tuple[str, list[Contender]]]:
    """A file of events of eight steps, and the ways to count how far everybody got."""
    with funnels.arena(folder, scale, STEPS) as race:
        yield race
