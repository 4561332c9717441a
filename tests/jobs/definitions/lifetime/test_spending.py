"""Gamma-gamma gives what is published of CDNOW and finds the parameters of a made population."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.definitions.lifetime.spending import Spenders, SpendingModel, expected_value, fit, log_likelihood
from tests.jobs.definitions.lifetime.cdnow import spenders

PUBLISHED = SpendingModel(p=6.25, q=3.74, v=15.44)


def test_the_published_fit_of_cdnow_comes_out() -> None:
    found = fit(spenders())
    assert found.is_found
    assert found.parameters == pytest.approx((6.25, 3.74, 15.44), abs=0.01)
    assert found.log_likelihood >= log_likelihood(PUBLISHED, spenders())


def test_the_published_expectations_come_out() -> None:
    """A buyer of two purchases of 22.35 is expected to spend 24.66 a time; one of whom nothing is known, 35.23."""
    expected = expected_value(PUBLISHED, np.array([2.0, 0.0]), np.array([22.35, 0.0]))
    assert expected == pytest.approx([24.66, 35.2], abs=0.05)


def test_the_parameters_of_a_made_population_are_found_again() -> None:
    """40,000 spenders of the model: within a tenth of each parameter, whatever the unit of money."""
    chance, true = np.random.default_rng(8), SpendingModel(p=4.0, q=5.0, v=12_000.0)
    purchases = chance.integers(1, 9, 40_000).astype(float)
    rates = chance.gamma(true.q, 1 / true.v, purchases.size)
    mean_value = chance.gamma(true.p * purchases) / rates / purchases
    found = fit(Spenders(purchases, mean_value, np.ones_like(purchases)))
    assert found.parameters == pytest.approx((true.p, true.q, true.v), rel=0.1)


def test_people_who_spend_all_alike_have_one_mean() -> None:
    """Nothing tells by how much they differ: q runs to its bound, and everybody is expected to spend what all do."""
    chance = np.random.default_rng(9)
    purchases = chance.integers(1, 9, 2_000).astype(float)
    mean_value = np.array([chance.integers(500, 9_000, int(n)).mean() for n in purchases])
    rows = np.array([purchases, mean_value])
    models = [SpendingModel(*fit(Spenders(*one, np.ones(2_000))).parameters) for one in (rows, rows[:, ::-1])]
    for model in models:
        assert model.q > 100
        expected = expected_value(model, np.array([0.0, 1.0]), np.array([0.0, 8_000.0]))
        assert expected == pytest.approx([4_750, 4_750], rel=0.02)
    assert (models[0].p, models[0].q, models[0].v) == pytest.approx((models[1].p, models[1].q, models[1].v), rel=1e-6)


def test_what_is_seen_often_is_believed() -> None:
    """The more purchases, the nearer to their own mean; the fewer, the nearer to everybody's."""
    often, seldom, never = expected_value(PUBLISHED, np.array([1_000.0, 1.0, 0.0]), np.array([80.0, 80.0, 0.0]))
    assert never < seldom < often < 80
    assert often == pytest.approx(80, abs=0.2)


def test_a_mean_over_all_needs_q_above_one() -> None:
    assert PUBLISHED.has_mean
    assert not SpendingModel(p=2.0, q=1.0, v=10.0).has_mean
