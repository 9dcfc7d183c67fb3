"""Weibull: log H(t) = k (log t - log t0) + eta, k = exp(log_shape) (docs/decisions.md#the-model)."""

from bayes_bm.hazards.family import FormulaFamily
from bayes_bm.hazards.numerics.numpy_namespace import Namespace


def log_cum_hazard(log_u, eta, shape, *, xp: Namespace):
    return xp.exp(shape[..., 0]) * log_u + eta


def log_hazard(log_u, eta, shape, *, xp: Namespace):
    """Return log dH/du with u = t / t0: k u^(k-1) exp(eta)."""
    return shape[..., 0] + log_cum_hazard(log_u, eta, shape, xp=xp) - log_u


def inverse(log_cum, eta, shape, *, xp: Namespace):
    """Return log u at which log H = log_cum."""
    return (log_cum - eta) * xp.exp(-shape[..., 0])


WEIBULL = FormulaFamily("weibull", "hazard", ("log_shape",), log_cum_hazard, log_hazard, inverse)
