"""A fit comes with its proof: none from too few, the same in any order, and deciles that the time to come bears out."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from jobs.definitions.lifetime.fitting import (
    LEAST_AGAIN,
    calibration,
    fit_purchases,
    fit_spending,
    hold_out_from,
    parameters,
    purchase_model,
    spending_model,
)
from jobs.definitions.lifetime.purchases import PurchaseModel
from tests.jobs.definitions.lifetime.cdnow import buyers, spenders
from tests.jobs.definitions.lifetime.made import split


def _cdnow() -> pa.Table:
    known = buyers()
    return pa.table({"frequency": known.frequency, "recency": known.recency, "age": known.age, "count": known.count})


def test_the_order_of_rows_changes_no_digit() -> None:
    shuffled = _cdnow().take(np.random.default_rng(1).permutation(len(_cdnow())))
    assert fit_purchases(shuffled) == fit_purchases(_cdnow())


def test_who_was_fitted_is_said_and_the_parameters_have_names() -> None:
    fitted = fit_purchases(_cdnow())
    assert fitted is not None
    assert (fitted.people, fitted.again) == (2_357, 946)
    named = parameters(PurchaseModel, fitted)
    assert {name: round(value, 2) for name, value in named.items()} == {"r": 0.24, "alpha": 4.41, "a": 0.79, "b": 2.43}


def test_too_few_who_came_back_fit_nothing() -> None:
    known = _cdnow().filter(pa.compute.greater(_cdnow()["frequency"], 0))
    assert fit_purchases(known.slice(0, LEAST_AGAIN)) is not None
    assert fit_purchases(known.slice(0, LEAST_AGAIN - 1)) is None
    assert purchase_model(None) is None
    assert (
        calibration(known.slice(0, LEAST_AGAIN - 1).append_column("later", pa.array([0] * (LEAST_AGAIN - 1))), 30) == ()
    )


def test_values_are_fitted_in_the_unit_they_come_in() -> None:
    """In fen, a hundred times the dollars: p and q are the same, v is a hundred times as much."""
    some = spenders()
    fen = np.rint(some.mean_value * some.purchases * 100)
    fitted = fit_spending(pa.table({"valued_count": some.purchases, "valued_fen": fen, "count": some.count}))
    model = spending_model(fitted)
    assert model is not None
    assert (model.p, model.q, model.v) == pytest.approx((6.25, 3.74, 1_544), rel=0.01)


def test_what_is_foretold_by_decile_comes() -> None:
    """60,000 people of the model, known for half a year: the next 90 days bear out each tenth, chance allowed for."""
    known, later = split(60_000, 180.0, 270.0, np.random.default_rng(12))
    told = pa.table({
        "frequency": known.frequency, "recency": known.recency, "age": known.age, "count": known.count, "later": later
    })  # fmt: skip
    deciles = calibration(told, 90)
    assert sum(each.people for each in deciles) == 60_000
    assert [each.predicted / each.people for each in deciles] == sorted(e.predicted / e.people for e in deciles)
    assert len(deciles) >= 5
    for each in deciles:
        assert abs(each.actual - each.predicted) < 0.05 * each.predicted + 4 * each.predicted**0.5, each


def test_a_third_of_the_time_is_left_to_foretell() -> None:
    day = date(2026, 6, 1)
    assert hold_out_from(day - timedelta(days=60), day) == day - timedelta(days=20)
    assert hold_out_from(day - timedelta(days=900), day) == day - timedelta(days=90)
    assert hold_out_from(day, day) == day
