"""Gompertz: the log hazard is linear in time, log h(t) = constant + slope t / t0; the slope may be negative or zero.

H(u) = exp(eta) (exp(g u) - 1) / (exp(g) - 1) with u = t / t0 and g = slope, so H(t0) = exp(eta) for every g, and g = 0
is the exponential. With L(x) = log((exp(x) - 1) / x), smooth through L(0) = 0,

    log H(u) = eta + log u + L(g u) - L(g)          log dH/du = eta + g u - L(g)

With g < 0 the hazard dies out and a share exp(-H(infinity)) never has the event; quantiles beyond it are infinite.
"""

import numpy as np

from bayes_bm.hazards.family import FormulaFamily
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor

SERIES = 0.2
"""|x / 2| below which the series of log(sinh(y) / y) is used; it is exact to 1e-15 there."""


def log_expm1_over(x, *, xp: Namespace):
    """Return L(x) = x / 2 + log(sinh(y) / y), y = |x| / 2, which is max(x, 0) + log(1 - exp(-2 y)) - log(2 y)."""
    y = xp.abs(x) / 2
    is_small = y < SERIES
    s = xp.where(is_small, y, SERIES) ** 2
    series = s * (1 / 6 - s * (1 / 180 - s * (1 / 2835 - s * (1 / 37800 - s / 467775))))
    far = xp.where(is_small, 1.0, y)
    away = xp.where(x > 0, x, 0.0) + xp.log1p(-xp.exp(-2 * far)) - xp.log(2 * far)
    return xp.where(is_small, x / 2 + series, away)


def log_cum_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    slope = shape[..., 0]
    return eta + log_u + log_expm1_over(slope * xp.exp(log_u), xp=xp) - log_expm1_over(slope, xp=xp)


def log_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    slope = shape[..., 0]
    return eta + slope * xp.exp(log_u) - log_expm1_over(slope, xp=xp)


def inverse(log_cum: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """Return log u with u = log(1 + g y) / g with y = u exp(L(g u)); inf where the total hazard stays below."""
    slope = shape[..., 0]
    log_y = log_cum - eta + log_expm1_over(slope, xp=xp)
    x = slope * xp.exp(log_y)
    reached = x > -1
    is_small = xp.abs(x) < 1e-3
    small = xp.where(is_small, x, 0.0)
    series = small * (-1 / 2 + small * (1 / 3 - small * (1 / 4 - small * (1 / 5 - small / 6))))
    away = xp.where(reached, xp.where(is_small, 1.0, x), 1.0)
    return xp.where(reached, log_y + xp.where(is_small, xp.log1p(series), xp.log(xp.log1p(away) / away)), np.inf)


GOMPERTZ = FormulaFamily("gompertz", "hazard", ("slope",), log_cum_hazard, log_hazard, inverse)
