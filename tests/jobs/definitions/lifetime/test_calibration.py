"""What is foretold of the simulator's people comes, tenth by tenth, though they follow other laws than the model's.

Nearly all of them were there before the first day, so who is first seen buying late is a slow buyer; the model takes
when somebody first bought for chance, and foretells those too much.
"""

from __future__ import annotations

from dataclasses import astuple
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from jobs.definitions.lifetime.fitting import Decile, calibration, hold_out_from
from jobs.simulate.run import Plan
from tests.jobs.definitions.lifetime.simulated import histories, purchase_days

PAGE = Path(__file__).parents[4] / "docs" / "profiles.md"
WORLD = Plan(users=2_000, days=90, seed=7, last_day=date(2026, 6, 7), zone="Asia/Shanghai")
AHEAD_DAYS = 29  # a third of the time
EARLY_DAYS = 55  # of 60 known: who bought in the first six days


@pytest.fixture(scope="module")
def known() -> pa.Table:
    """What `reelhouse build scores` would know of the buyers a third of the time before the last day."""
    user, day = purchase_days(WORLD)
    known_until = hold_out_from(WORLD.period.dates[int(day.min())], WORLD.last_day)
    assert WORLD.last_day - known_until == timedelta(days=AHEAD_DAYS)
    return histories(user, day, WORLD.days - 1 - AHEAD_DAYS)


@pytest.fixture(scope="module")
def tenths(known: pa.Table) -> tuple[Decile, ...]:
    """The last third of the days, foretold from the others."""
    return calibration(known, AHEAD_DAYS)


def as_told(name: object, people: int, predicted: float, actual: int) -> str:
    """A row of the table in docs/profiles.md."""
    return f"| {name} | {people} | {predicted:.0f} | {actual} | {predicted / people:.2f} | {actual / people:.2f} |"


def ratio(tenths: tuple[Decile, ...]) -> float:
    """Purchases made of those foretold, all tenths together."""
    return sum(tenth.actual for tenth in tenths) / sum(tenth.predicted for tenth in tenths)


def test_all_purchases_together_are_foretold_within_a_tenth(tenths: tuple[Decile, ...]) -> None:
    assert ratio(tenths) == pytest.approx(1, abs=0.1)


def test_of_those_seen_from_the_start_they_are_within_three_percent(known: pa.Table) -> None:
    early = known.filter(pc.greater_equal(known["age"], EARLY_DAYS))
    assert ratio(calibration(early, AHEAD_DAYS)) == pytest.approx(1, abs=0.03)


def test_every_tenth_buys_about_what_is_foretold(tenths: tuple[Decile, ...]) -> None:
    """A quarter off at most, beside chance."""
    assert len(tenths) == 10
    for tenth in tenths:
        assert abs(tenth.actual - tenth.predicted) < 0.25 * tenth.predicted + 2 * tenth.predicted**0.5, tenth


def test_who_is_foretold_more_buys_more(tenths: tuple[Decile, ...]) -> None:
    bought = np.array([tenth.actual / tenth.people for tenth in tenths])
    assert (np.diff(bought) > 0).all()
    assert bought[-1] > 10 * bought[0]


def test_the_page_shows_what_came(tenths: tuple[Decile, ...]) -> None:
    rows = [astuple(tenth) for tenth in tenths]
    everybody = ("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:]))
    table = "\n".join(as_told(*row) for row in [*rows, everybody])
    assert table in PAGE.read_text(encoding="utf-8"), f"docs/profiles.md should say:\n{table}"
