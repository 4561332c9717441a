"""A subject with very many events costs its share and no more: the work grows with the events, not with their square.

Counted are the lines of the kernels that run, as plain Python in a process of its own, so that a slow machine
changes nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
FEW, GROWTH = 150, 4  # events of the smaller history, and how many times as many the larger one has
PROGRAM = """
import json, sys
from jobs.definitions import compiled
compiled.is_plain = True
from tests.jobs.definitions.funnel.busy import FUNNELS, SHAPES, lines_run
few, growth = int(sys.argv[1]), int(sys.argv[2])
print(json.dumps({
    f"{funnel} {shape}": lines_run(funnel, shape, few * growth) / lines_run(funnel, shape, few)
    for funnel in FUNNELS for shape in SHAPES
}))
"""


@pytest.fixture(scope="module")
def growths() -> dict[str, float]:
    """How many times the work grows, by funnel and shape of the history."""
    words = [sys.executable, "-c", PROGRAM, str(FEW), str(GROWTH)]
    run = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(run.stdout)
    return found


def test_four_times_the_events_are_about_four_times_the_work(growths: dict[str, float]) -> None:
    assert len(growths) == 40
    assert {name: growth for name, growth in growths.items() if growth > GROWTH * 1.3} == {}
