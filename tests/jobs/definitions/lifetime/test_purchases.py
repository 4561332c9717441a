"""BG/NBD gives what is published of CDNOW, finds the parameters of a made population, and survives heavy buyers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jobs.definitions.lifetime.purchases import (
    Buyers,
    PurchaseModel,
    chance_alive,
    expected_purchases,
    fit,
    log_likelihood,
)
from tests.jobs.definitions.lifetime.cdnow import buyers
from tests.jobs.definitions.lifetime.made import TRUE, made, split

PUBLISHED = PurchaseModel(r=0.243, alpha=4.414, a=0.793, b=2.426)


def test_the_published_fit_of_cdnow_comes_out() -> None:
    found = fit(buyers())
    assert found.is_found
    assert [round(p, 3) for p in found.parameters] == [0.243, 4.414, 0.793, 2.426]
    assert round(found.log_likelihood, 1) == -9582.4


def test_the_published_prediction_comes_out() -> None:
    """Fader, Hardie and Lee: a buyer of x = 2, t_x = 30.43, T = 38.86 makes 1.226 purchases in the next 39 weeks."""
    one = (np.array([2.0]), np.array([30.43]), np.array([38.86]))
    assert round(float(expected_purchases(PUBLISHED, *one, ahead=39.0)[0]), 3) == 1.226


def test_people_alike_weigh_as_many() -> None:
    """Counted groups say what single rows say: the fit may be made on one row per distinct history."""
    rows, counts = np.unique(np.array([buyers().frequency, buyers().recency, buyers().age]), axis=1, return_counts=True)
    grouped = Buyers(rows[0], rows[1], rows[2], counts.astype(float))
    assert len(counts) < len(buyers().age)
    assert log_likelihood(PUBLISHED, grouped) == pytest.approx(log_likelihood(PUBLISHED, buyers()), rel=1e-12)


def test_nothing_beside_the_maximum_is_likelier() -> None:
    best = PurchaseModel(*fit(buyers()).parameters)
    top = log_likelihood(best, buyers())
    for name in ("r", "alpha", "a", "b"):
        for factor in (0.99, 1.01):
            assert log_likelihood(replace(best, **{name: getattr(best, name) * factor}), buyers()) < top


def test_the_parameters_of_a_made_population_are_found_again() -> None:
    """40,000 people of the model, a year long: within a tenth of each parameter."""
    found = fit(made(40_000, 365.0, np.random.default_rng(5)))
    assert found.parameters == pytest.approx((TRUE.r, TRUE.alpha, TRUE.a, TRUE.b), rel=0.1)


def test_expectations_are_the_mean_of_what_people_of_the_model_do() -> None:
    """Predicted at half a year, counted at the end of it: within two percent over all, and for those who came back."""
    chance = np.random.default_rng(6)
    known, later = split(200_000, 180.0, 270.0, chance)
    predicted = expected_purchases(TRUE, known.frequency, known.recency, known.age, ahead=90.0)
    for chosen in (known.frequency >= 0, known.frequency > 1):
        assert predicted[chosen].sum() == pytest.approx(later[chosen].sum(), rel=0.02)


def test_people_who_are_all_alike_are_foretold_too() -> None:
    """Nothing tells by how much they differ, so two parameters run to their bounds; the predictions stay right."""
    chance = np.random.default_rng(7)
    known, later = split(100_000, 180.0, 270.0, chance, leaves=np.full(100_000, 0.2))
    model = PurchaseModel(*fit(known).parameters)
    assert max(model.a, model.b) > 50
    predicted = expected_purchases(model, known.frequency, known.recency, known.age, ahead=90.0)
    assert predicted.sum() == pytest.approx(later.sum(), rel=0.02)
    often = known.frequency > 3
    assert predicted[often].sum() == pytest.approx(later[often].sum(), rel=0.03)


def test_who_bought_once_is_there_and_who_fell_silent_is_not() -> None:
    frequency, recency = np.array([0.0, 20.0, 20.0]), np.array([0.0, 38.0, 10.0])
    once, busy, silent = chance_alive(PUBLISHED, frequency, recency, np.full(3, 38.86))
    assert once == 1
    assert busy > 0.9
    assert silent < 1e-6


def test_no_history_breaks_the_arithmetic() -> None:
    """The heaviest buyers, the youngest, the longest silence, and a parameter at the pole of the formula."""
    frequency = np.array([0.0, 0.0, 1.0, 3_000.0, 100_000.0, 100_000.0])
    recency = np.array([0.0, 0.0, 0.0, 364.0, 3_650.0, 1.0])
    age = np.array([0.0, 3_650.0, 0.0, 365.0, 3_650.0, 3_650.0])
    for a, b in ((0.2, 2.4), (1.0, 2.4), (1.5, 2.4), (999.0, 1_000.0)):
        model = replace(PUBLISHED, a=a, b=b)
        for ahead in (7.0, 90.0):
            predicted = expected_purchases(model, frequency, recency, age, ahead)
            assert np.isfinite(predicted).all()
            assert (predicted >= 0).all()
        alive = chance_alive(model, frequency, recency, age)
        assert ((alive >= 0) & (alive <= 1)).all()
    beside = [
        expected_purchases(replace(PUBLISHED, a=a), frequency, recency, age, 90.0) for a in (1 - 1e-4, 1.0, 1.0001)
    ]
    assert beside[1] == pytest.approx((beside[0] + beside[2]) / 2, rel=1e-3)
