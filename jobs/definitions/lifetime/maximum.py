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

# A shape beyond it means that people are all alike, and the data cannot tell by how much: the search would wander.
SHAPES, MEANS = (1e-4, 1e3), (1e-9, 1e12)
MOST_ROUNDS = 500


@dataclass(frozen=True)
class Search:
    """Where to look: for shapes (how alike people are) and means (in what), which hardly affect each other.

    `start` has a positive number for each; those at the places `shapes` are shapes. Parameter i is the product of what
    is looked for, each to the power in row i of `powers`.
    """

    start: tuple[float, ...]
    shapes: frozenset[int]
    powers: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Maximum:
    """Where the likelihood is greatest; `is_found` tells whether the search ended there or gave up."""

    parameters: tuple[float, ...]
    log_likelihood: float
    is_found: bool


def maximum(likelihood: Likelihood, search: Search, weight: float) -> Maximum:
    """Go up from the start; `weight`, how many people the data are of, makes the steps alike for few and many."""
    import numpy as np
    from scipy.optimize import minimize

    powers = np.array(search.powers, np.float64)

    def downhill(logs: Floats) -> tuple[float, Floats]:
        parameters = np.exp(powers @ logs)
        value, slope = likelihood(parameters)
        return -value / weight, -powers.T @ (slope * parameters) / weight

    limits = [SHAPES if place in search.shapes else MEANS for place in range(len(search.start))]
    options = {"maxiter": MOST_ROUNDS, "ftol": 1e-15, "gtol": 1e-9}
    found = minimize(
        downhill, np.log(search.start), jac=True, method="L-BFGS-B", bounds=np.log(limits), options=options
    )
    parameters = np.exp(powers @ found.x)
    return Maximum(tuple(float(each) for each in parameters), float(-found.fun * weight), bool(found.success))
