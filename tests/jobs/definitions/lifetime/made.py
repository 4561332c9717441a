"""Populations drawn from the model itself, so that what must come out of a fit is known."""

from __future__ import annotations

import numpy as np

from jobs.definitions.lifetime.purchases import Buyers, PurchaseModel

TRUE = PurchaseModel(r=0.8, alpha=30.0, a=0.7, b=2.5)


def made(people: int, until: float, chance: np.random.Generator) -> Buyers:
    """People of `TRUE`, all of whom bought first at 0 and are seen until then."""
    known, _ = split(people, until, until, chance)
    return known


def split(
    people: int, now: float, until: float, chance: np.random.Generator, leaves: np.ndarray | None = None
) -> tuple[Buyers, np.ndarray]:
    """What is known of them at `now`, and how often each buys between then and `until`; `leaves` overrules the beta."""
    rate = chance.gamma(TRUE.r, 1 / TRUE.alpha, people)
    if leaves is None:
        leaves = chance.beta(TRUE.a, TRUE.b, people)
    at, alive = np.zeros(people), np.ones(people, bool)
    frequency, recency, later = np.zeros(people), np.zeros(people), np.zeros(people)
    while alive.any():
        at = np.where(alive, at + chance.exponential(1, people) / np.maximum(rate, 1e-12), at)
        alive &= at <= until
        frequency += alive & (at <= now)
        recency = np.where(alive & (at <= now), at, recency)
        later += alive & (at > now)
        alive &= chance.random(people) >= leaves
    return Buyers(frequency, recency, np.full(people, now), np.ones(people)), later
