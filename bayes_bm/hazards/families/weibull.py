"""Weibull: log H(t) = k (log t - log t0) + eta, k = exp(log_shape) (docs/decisions.md#the-model)."""

from bayes_bm.hazards.family import FormulaFamily
from bayes_bm.hazards.numerics import entire_exponential_integral as ein
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor


def log_cum_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    return xp.exp(shape[..., 0]) * log_u + eta


def log_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """Return log dH/du with u = t / t0: k u^(k-1) exp(eta)."""
    return shape[..., 0] + log_cum_hazard(log_u, eta, shape, xp=xp) - log_u


def inverse(log_cum: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """Return log u at which log H = log_cum."""
    return (log_cum - eta) * xp.exp(-shape[..., 0])


def event_weighted_log_hr(log_followup: Tensor, etas: Tensor, shapes: Tensor, *, xp: Namespace) -> Tensor:
    """Return the mean of log(h_a / h_b) over (f_a + f_b) / 2 up to the follow-up U (docs/decisions.md, decision 7).

    log(h_a / h_b) is linear in log u, and with X = H(U), F = 1 - exp(-X) the integral of log(U / u) f over (0, U] is
    Ein(X) / k: the mean is log(h_a / h_b) at U less (k_a - k_b) (Ein(X_a) / k_a + Ein(X_b) / k_b) / (F_a + F_b).
    """
    (shape_one, shape_other), (eta_one, eta_other) = shapes, etas
    k_one, k_other = xp.exp(shape_one[..., 0]), xp.exp(shape_other[..., 0])
    cum_one, cum_other = k_one * log_followup + eta_one, k_other * log_followup + eta_other
    dead_one, ein_one = _dead_and_ein(cum_one, xp=xp)
    dead_other, ein_other = _dead_and_ein(cum_other, xp=xp)
    before_end = (ein_one / k_one + ein_other / k_other) / (dead_one + dead_other)
    at_end = shape_one[..., 0] + cum_one - shape_other[..., 0] - cum_other
    return at_end - (k_one - k_other) * before_end


def _dead_and_ein(log_cum, *, xp: Namespace):
    """1 - exp(-X) and Ein(X) at log X."""
    log_cum = -xp.minimum(-log_cum, -LEAST_LOG_HAZARD)
    counted = xp.minimum(log_cum, ein.LOG_ALL_DEAD)
    used = xp.exp(counted)
    return -xp.expm1(-used), xp.sum(-xp.expm1(-used[..., None] * ein.NODE) * ein.WEIGHT) + (log_cum - counted)


LEAST_LOG_HAZARD = -600.0
"""log H to which fewer events are raised: a mean over events divides by them, and exp(-746) is zero."""

WEIBULL = FormulaFamily("weibull", "hazard", ("log_shape",), log_cum_hazard, log_hazard, inverse, event_weighted_log_hr)
