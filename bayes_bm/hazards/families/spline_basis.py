"""A baseline hazard as a sum of basis functions: H(u) = exp(eta) sum_k c_k I_k(u) / sum_k c_k I_k(1).

I_k is the integral of basis function k up to u = t / t0, scaled so that c = 1 throughout is a constant hazard,
sum_k I_k(u) = u. The division makes eta = log H(t0) whatever the coefficients, as in every proportional-hazards family.
Of c only ratios matter; `shape` holds log c relative to the first, and the prior on it is a random walk in time:

    log c_1 = 0,   log c_{k+1} - log c_k ~ N(0, smooth_sd^2 (location_{k+1} - location_k) / end)

so smooth_sd is the standard deviation of the change of the log hazard over the whole follow-up, wherever the knots are
and however many (weights as in Phillippo et al. 2024, arXiv:2401.12640; the idea of penalising towards a constant
hazard as in Jackson 2023, doi 10.1186/s12874-023-02094-1).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bayes_bm.hazards.family import Family, Knots
from bayes_bm.hazards.numerics.numpy_namespace import Namespace

LEAST_TOTAL = 1e-300
"""Added to a sum of basis functions, so that log H stays finite at time zero."""
Basis = Callable[[np.ndarray], np.ndarray]
"""Functions of u = t / t0: (times,) to (times, function)."""


class SplineBasis(NamedTuple):
    """Knots, the basis functions of the hazard, and their integrals from 0 to u."""

    knots: Knots
    functions: Basis
    integrals: Basis


def flexible(name: str, basis: Callable[[tuple[float, ...], float], SplineBasis]) -> Family:
    """Make a family from its basis: `basis(inner, end)` gives the knots, the functions and their integrals (u, k)."""

    def on_knots(inner: tuple[float, ...], end: float) -> Family:
        """Return the family to compute with, on these knots."""
        knots, functions, integrals = basis(inner, end)
        at_reference = integrals(np.ones(()))

        def place(log_u: np.ndarray) -> np.ndarray:
            """Return integrals, then functions, on a trailing axis (..., 2 functions)."""
            u = np.exp(log_u)
            return np.concatenate([integrals(u), functions(u)], axis=-1)

        def split(placed_time):
            """Return integrals and functions of what `place` gives."""
            size = len(at_reference)
            return placed_time[..., :size], placed_time[..., size:]

        def log_total(sums, shape, *, xp: Namespace):
            """Return log sum_k c_k sums_k less its value at t0."""
            weight = xp.exp(shape)
            return xp.log(xp.inner(sums, weight) + LEAST_TOTAL) - xp.log(xp.inner(at_reference, weight))

        def log_cum_hazard(placed_time, eta, shape, *, xp: Namespace):
            return eta + log_total(split(placed_time)[0], shape, xp=xp)

        def log_hazard(placed_time, eta, shape, *, xp: Namespace):
            return eta + log_total(split(placed_time)[1], shape, xp=xp)

        return replace(family, log_cum_hazard=log_cum_hazard, log_hazard=log_hazard, basis=place, knots=knots)

    family = Family(name, "hazard", (), _without_knots, _without_knots, on_knots=on_knots)
    return family


def _without_knots(*_, **__):
    raise TypeError("a flexible family computes on knots: family.on_knots(inner, end)")
