"""BG/NBD: how often a buyer buys, and whether they still do (Fader, Hardie and Lee, Marketing Science 24, 2005).

A buyer buys at a constant rate of their own (gamma over buyers: r, alpha) and after each purchase leaves for good with
a chance of their own (beta over buyers: a, b). All that is known of one is (frequency, recency, age): purchases after
the first, time from the first to the last, time from the first until now; any unit of time, the same for all.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from jobs.definitions.lifetime.maximum import Maximum, Search, maximum

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NEAR_ONE = 1e-6  # the closed form divides by a - 1; so close to it, it is worked out beside it


@dataclass(frozen=True)
class Buyers:
    """Arrays of one length: what is known of buyers, and how many there are of each (`count`)."""

    frequency: Floats
    recency: Floats
    age: Floats
    count: Floats


@dataclass(frozen=True)
class PurchaseModel:
    """The parameters: purchase rates are gamma(r, alpha), chances to leave after a purchase are beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float


def fit(buyers: Buyers) -> Maximum:
    """The most likely parameters (r, alpha, a, b) of at least one buyer."""
    total = float(buyers.count.sum())
    age = max(float((buyers.age * buyers.count).sum()) / total, 1.0)
    # r; the mean time between purchases, alpha / r; the odds of leaving, a / b; b
    search = Search((1.0, age, 0.5, 2.0), frozenset({0, 3}), ((1, 0, 0, 0), (1, 1, 0, 0), (0, 0, 1, 1), (0, 0, 0, 1)))
    return maximum(lambda parameters: _likelihood(parameters, buyers), search, total)


def log_likelihood(model: PurchaseModel, buyers: Buyers) -> float:
    """Natural logarithm of the likelihood of all buyers."""
    import numpy as np

    return _likelihood(np.array(astuple(model)), buyers)[0]


def _likelihood(parameters: Floats, buyers: Buyers) -> tuple[float, Floats]:
    """The likelihood and its slope by r, alpha, a, b, in logarithms throughout: no power can overflow."""
    import numpy as np
    from scipy.special import digamma, gammaln

    r, alpha, a, b = parameters
    x, count = buyers.frequency, buyers.count
    log_age, log_recency = np.log(alpha + buyers.age), np.log(alpha + buyers.recency)
    repeats = np.maximum(x, 1.0)
    stays = -(r + x) * log_age
    left = np.where(x > 0, np.log(a) - np.log(b + repeats - 1) - (r + x) * log_recency, -np.inf)
    either = np.logaddexp(stays, left)
    rates = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    chances = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    staying, leaving = np.exp(stays - either), np.exp(left - either)
    both = digamma(a + b) - digamma(a + b + x)
    slopes = (
        digamma(r + x) - digamma(r) + np.log(alpha) - staying * log_age - leaving * log_recency,
        r / alpha - (r + x) * (staying / (alpha + buyers.age) + leaving / (alpha + buyers.recency)),
        both + leaving / a,
        both + digamma(b + x) - digamma(b) - leaving / (b + repeats - 1),
    )
    return float((count * (rates + chances + either)).sum()), np.array([float((count * s).sum()) for s in slopes])


def chance_alive(model: PurchaseModel, frequency: Floats, recency: Floats, age: Floats) -> Floats:
    """How likely each buyer still buys, 0 to 1; who bought only once cannot have left yet, in this model."""
    import numpy as np

    alive: Floats = 1 / (1 + _odds_gone(model, frequency, recency, age))
    return np.where(frequency > 0, alive, 1.0)


def expected_purchases(model: PurchaseModel, frequency: Floats, recency: Floats, age: Floats, ahead: float) -> Floats:
    """How many purchases each buyer makes in the next `ahead` of time, on average."""
    import numpy as np

    a = model.a if abs(model.a - 1) > NEAR_ONE else 1 + NEAR_ONE
    total = a + model.b + frequency - 1
    lost = _lost(model, a, frequency, ahead / (model.alpha + age + ahead))
    while_alive = np.maximum(total / (a - 1) * (1 - lost), 0.0)
    bought: Floats = while_alive * chance_alive(model, frequency, recency, age)
    return bought


def _lost(model: PurchaseModel, a: float, frequency: Floats, z: Floats) -> Floats:
    """The term of the paper with Gauss's hypergeometric function.

    Euler's transformation gives the same number with other powers; of the two that is taken whose power is smaller: the
    paper's overflows for who bought very often, the other for people who are all alike.
    """
    import numpy as np
    from scipy.special import hyp2f1

    power, other, total = model.r + frequency, a - 1, a + model.b + frequency - 1
    is_often = power > abs(other)
    exponent = np.where(is_often, other, power)
    one = np.where(is_often, a + model.b - 1 - model.r, model.b + frequency)
    lost: Floats = (1 - z) ** exponent * hyp2f1(exponent, one, total, z)
    return lost


def _odds_gone(model: PurchaseModel, frequency: Floats, recency: Floats, age: Floats) -> Floats:
    """Gone against staying, for those who bought again."""
    import numpy as np

    silence = np.log(model.alpha + age) - np.log(model.alpha + recency)
    odds: Floats = np.exp(
        np.minimum(
            np.log(model.a) - np.log(model.b + np.maximum(frequency, 1.0) - 1) + (model.r + frequency) * silence, 700.0
        )
    )
    return odds
