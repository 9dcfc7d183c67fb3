"""Weibull: log H(t) = k (log t - log t0) + eta, k = exp(log_shape) (`design.md`, "The model")."""

from bayes_bm.arrays import Namespace
from bayes_bm.hazards.base import Family


def log_cum_hazard(log_u, eta, log_shape, *, xp: Namespace):
    return xp.exp(log_shape) * log_u + eta


def log_hazard(log_u, eta, log_shape, *, xp: Namespace):
    """dH/du with u = t / t0: k u^(k-1) exp(eta)."""
    return log_shape + log_cum_hazard(log_u, eta, log_shape, xp=xp) - log_u


def inverse(log_cum, eta, log_shape, *, xp: Namespace):
    """log u at which log H = log_cum."""
    return (log_cum - eta) * xp.exp(-log_shape)


WEIBULL = Family("weibull", has_shape=True, log_cum_hazard=log_cum_hazard, log_hazard=log_hazard, inverse=inverse)
