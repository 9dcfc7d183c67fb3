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
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bayes_bm.hazards.family import Family, Knots
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor

LEAST_TOTAL = 1e-300
"""Added to a sum of basis functions, so that log H stays finite at time zero."""
Basis = Callable[[np.ndarray], np.ndarray]
"""Functions of u = t / t0: (times,) to (times, function)."""


class SplineBasis(NamedTuple):
    """Knots, the basis functions of the hazard, and their integrals from 0 to u."""

    knots: Knots
    functions: Basis
    integrals: Basis


@dataclass(frozen=True)
class SplineFamily(Family):
    """A family from its basis: `make_basis(inner, end)` gives the knots, the functions and their integrals (u, k).

    The one of the registry has no knots yet and does not compute; `on_knots` gives the one that does.
    """

    name: str
    make_basis: Callable[[tuple[float, ...], float], SplineBasis]
    placed_on: tuple[tuple[float, ...], float] | None = None

    effect = "hazard"
    shapes = ()
    inverse = None
    event_weighted_log_hr = None
    cured = False
    background = None

    def __reduce__(self) -> tuple:
        # the functions of a basis do not pickle; they are made anew
        return type(self), (self.name, self.make_basis, self.placed_on)

    def on_knots(self, inner: tuple[float, ...], end: float) -> "SplineFamily":
        """Return the family to compute with, on these knots."""
        return replace(self, placed_on=(inner, end))

    @cached_property
    def _basis(self) -> SplineBasis:
        if self.placed_on is None:
            raise TypeError("a flexible family computes on knots: family.on_knots(inner, end)")
        return self.make_basis(*self.placed_on)

    @property
    def knots(self) -> Knots | None:
        return None if self.placed_on is None else self._basis.knots

    @property
    def basis(self) -> Basis | None:
        return None if self.placed_on is None else self._place

    def _place(self, log_u: np.ndarray) -> np.ndarray:
        """Return integrals, then functions, on a trailing axis (..., 2 functions)."""
        u = np.exp(log_u)
        return np.concatenate([self._basis.integrals(u), self._basis.functions(u)], axis=-1)

    @cached_property
    def _at_reference(self) -> np.ndarray:
        """Integrals at t0 (function,)."""
        return self._basis.integrals(np.ones(()))

    def log_cum_hazard(self, placed_time: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        return eta + self._log_total(placed_time[..., : len(self._at_reference)], shape, xp=xp)

    def log_hazard(self, placed_time: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        return eta + self._log_total(placed_time[..., len(self._at_reference) :], shape, xp=xp)

    def _log_total(self, sums, shape, *, xp: Namespace):
        """Return log sum_k c_k sums_k less its value at t0."""
        weight = xp.exp(shape)
        return xp.log(xp.inner(sums, weight) + LEAST_TOTAL) - xp.log(xp.inner(self._at_reference, weight))
