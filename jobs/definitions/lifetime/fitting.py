"""Fits over a population, with their proof: of how many people, and how well the past foretold the present."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from jobs.definitions.lifetime import purchases, spending
from jobs.definitions.lifetime.maximum import Maximum
from jobs.definitions.lifetime.purchases import Buyers, PurchaseModel
from jobs.definitions.lifetime.spending import Spenders, SpendingModel

if TYPE_CHECKING:
    import pyarrow as pa

LEAST_AGAIN = 50  # fewer people who bought again say nothing about the others
LONGEST_HOLD_OUT_DAYS = 90
DECILES = 10


@dataclass(frozen=True)
class Decile:
    """A tenth of the people, by what was predicted for them: their purchases as predicted, and as they came."""

    decile: int
    people: int
    predicted: float
    actual: int


@dataclass(frozen=True)
class Fitted:
    """A model fitted to `people`, of whom `again` bought more than once."""

    maximum: Maximum
    people: int
    again: int


def hold_out_from(first: date, day: date) -> date:
    """The last day a calibration may know: a third of the time, 90 days at most, is left to foretell."""
    return day - timedelta(days=min(LONGEST_HOLD_OUT_DAYS, (day - first).days // 3))


def fit_purchases(histories: pa.Table) -> Fitted | None:
    """BG/NBD on counted histories (frequency, recency, age, count); None when too few bought again."""
    rows = _sorted(histories, "frequency", "recency", "age")
    buyers = Buyers(*(_floats(rows, name) for name in ("frequency", "recency", "age", "count")))
    again = int(buyers.count[buyers.frequency > 0].sum())
    return Fitted(purchases.fit(buyers), int(buyers.count.sum()), again) if again >= LEAST_AGAIN else None


def fit_spending(values: pa.Table) -> Fitted | None:
    """Gamma-gamma on counted values (valued_count, valued_fen, count), in fen; None when too few bought again."""
    rows = _sorted(values, "valued_count", "valued_fen")
    bought, fen, count = (_floats(rows, name) for name in ("valued_count", "valued_fen", "count"))
    again = int(count.sum())
    return Fitted(spending.fit(Spenders(bought, fen / bought, count)), again, again) if again >= LEAST_AGAIN else None


def purchase_model(fitted: Fitted | None) -> PurchaseModel | None:
    """The model to predict with, if one was found."""
    return PurchaseModel(*fitted.maximum.parameters) if fitted and fitted.maximum.is_found else None


def spending_model(fitted: Fitted | None) -> SpendingModel | None:
    """The model to predict with, if one was found that has a mean."""
    found = SpendingModel(*fitted.maximum.parameters) if fitted and fitted.maximum.is_found else None
    return found if found and found.has_mean else None


def calibration(histories: pa.Table, ahead_days: int) -> tuple[Decile, ...]:
    """Fit on what was known then, foretell `ahead_days`, and compare with the `later` purchases; empty without a fit.

    People alike are foretold alike and stay in one decile, so deciles are of unlike sizes.
    """
    model = purchase_model(fit_purchases(histories))
    if model is None or ahead_days < 1:
        return ()
    import numpy as np

    rows = _sorted(histories, "frequency", "recency", "age")
    x, recency, age, count, later = (_floats(rows, n) for n in ("frequency", "recency", "age", "count", "later"))
    each = purchases.expected_purchases(model, x, recency, age, float(ahead_days))
    order = np.argsort(each, kind="stable")
    before = np.cumsum(count[order]) - count[order] / 2
    place = np.empty(len(order), np.int64)
    place[order] = np.minimum(before * DECILES // count.sum(), DECILES - 1)
    sums = [np.bincount(place, weights=weights, minlength=DECILES) for weights in (count, count * each, later)]
    tenths = zip(*sums, strict=True)
    return tuple(Decile(n + 1, int(p), float(e), int(a)) for n, (p, e, a) in enumerate(tenths) if p)


def parameters(model: type[PurchaseModel] | type[SpendingModel], fitted: Fitted) -> dict[str, float]:
    """By name."""
    names = model.__dataclass_fields__
    return dict(zip(names, astuple(model(*fitted.maximum.parameters)), strict=True))


def _sorted(rows: pa.Table, *keys: str) -> pa.Table:
    """In one order, whatever order they came in: sums of floats depend on it."""
    return rows.sort_by([(key, "ascending") for key in keys])


def _floats(rows: pa.Table, name: str) -> purchases.Floats:
    import numpy as np

    found: purchases.Floats = rows[name].to_numpy().astype(np.float64)
    return found
