"""Gamma-gamma: what a buyer's purchases are worth on average (Fader and Hardie, The Gamma-Gamma Model, 2013).

A purchase varies around the buyer's own average (gamma, shape p), and the averages vary over buyers (gamma: q, v). What
is known of one is how many purchases were seen and their mean value; how often they buy says nothing about how much.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from jobs.definitions.lifetime.maximum import Maximum, Search, maximum

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spenders:
    """Arrays of one length: purchases seen (1 at least), their mean value (above 0), and how many such buyers."""

    purchases: Floats
    mean_value: Floats
    count: Floats


@dataclass(frozen=True)
class SpendingModel:
    """The parameters; `v` has the unit of the values. There is a mean over all buyers only if q is above 1."""

    p: float
    q: float
    v: float

    @property
    def has_mean(self) -> bool:
        """Whether the average buyer's average is a number."""
        return self.q > 1


def fit(spenders: Spenders) -> Maximum:
    """The most likely parameters (p, q, v) of at least one buyer."""
    total = float(spenders.count.sum())
    value = float((spenders.mean_value * spenders.count).sum()) / total
    # p; q; what a buyer spends on average, p * v / q
    search = Search((2.0, 2.0, value), frozenset({0, 1}), ((1, 0, 0), (0, 1, 0), (-1, 1, 1)))
    return maximum(lambda parameters: _likelihood(parameters, spenders), search, total)


def log_likelihood(model: SpendingModel, spenders: Spenders) -> float:
    """Natural logarithm of the likelihood of all buyers."""
    import numpy as np

    return _likelihood(np.array(astuple(model)), spenders)[0]


def _likelihood(parameters: Floats, spenders: Spenders) -> tuple[float, Floats]:
    """The likelihood and its slope by p, q, v."""
    import numpy as np
    from scipy.special import digamma, gammaln

    p, q, v = parameters
    x, m, count = spenders.purchases, spenders.mean_value, spenders.count
    log_sum = np.log(x * m + v)
    each = gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(v) - np.log(m)
    each = each + p * x * (np.log(m) + np.log(x)) - (p * x + q) * log_sum
    both = digamma(p * x + q)
    slopes = (
        x * (both - digamma(p * x) + np.log(m) + np.log(x) - log_sum),
        both - digamma(q) + np.log(v) - log_sum,
        q / v - (p * x + q) / (x * m + v),
    )
    return float((count * each).sum()), np.array([float((count * s).sum()) for s in slopes])


def expected_value(model: SpendingModel, purchases: Floats, mean_value: Floats) -> Floats:
    """The mean value of each buyer's purchases to come; with no purchase seen, the mean over all buyers."""
    seen: Floats = model.p * (model.v + purchases * mean_value) / (model.p * purchases + model.q - 1)
    return seen
