"""The most likely parameters of a model: one search for every model, the same answer for the same data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    # Natural logarithm of the likelihood of all data, and its slope by each parameter.
    Likelihood = Callable[[Floats], tuple[float, Floats]]

LEAST, GREATEST = 1e-4, 1e9  # parameters are looked for in between
MOST_ROUNDS = 500


@dataclass(frozen=True)
class Maximum:
    """Where the likelihood is greatest; `is_found` tells whether the search ended there or gave up."""

    parameters: tuple[float, ...]
    log_likelihood: float
    is_found: bool


def maximum(likelihood: Likelihood, start: tuple[float, ...], weight: float) -> Maximum:
    """Search from `start` over positive parameters; `weight` (how many people the data are of) scales the steps."""
    import numpy as np
    from scipy.optimize import minimize

    def downhill(logs: Floats) -> tuple[float, Floats]:
        parameters = np.exp(logs)
        value, slope = likelihood(parameters)
        return -value / weight, -slope * parameters / weight

    bounds = [(np.log(LEAST), np.log(GREATEST))] * len(start)
    options = {"maxiter": MOST_ROUNDS, "ftol": 1e-14, "gtol": 1e-9}
    found = minimize(downhill, np.log(start), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return Maximum(tuple(float(p) for p in np.exp(found.x)), float(-found.fun * weight), bool(found.success))
