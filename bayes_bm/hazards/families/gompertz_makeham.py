"""Gompertz-Makeham: a constant hazard beside one whose log is linear in time, h(t) = lambda + a exp(b t).

With u = t / t0, g = slope, L as in `gompertz`, and w = 1 / (1 + exp(-logit_constant)) the share of H(t0) that the
constant part has:

    log H(u) = eta + log u + log(w + (1 - w) exp(L(g u) - L(g)))      log dH/du = eta + log(w + (1 - w) exp(g u - L(g)))

So H(t0) = exp(eta), treatments multiply both parts, w = 0 is Gompertz, w = 1 exponential, and with g < 0 the hazard
falls to the constant one. Where g = 0 the share says nothing, and keeps its prior.
"""

from bayes_bm.hazards.families.gompertz import log_expm1_over
from bayes_bm.hazards.family import FormulaFamily
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor


def log_cum_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    slope = shape[..., 0]
    rising = log_expm1_over(slope * xp.exp(log_u), xp=xp) - log_expm1_over(slope, xp=xp)
    return eta + log_u + _log_mean(rising, shape, xp=xp)


def log_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    slope = shape[..., 0]
    return eta + _log_mean(slope * xp.exp(log_u) - log_expm1_over(slope, xp=xp), shape, xp=xp)


def _log_mean(log_rising, shape, *, xp: Namespace):
    """Return log(w + (1 - w) exp(log_rising))."""
    logit = shape[..., 1]
    return xp.logaddexp(-xp.softplus(-logit), log_rising - xp.softplus(logit))


GOMPERTZ_MAKEHAM = FormulaFamily("gompertz_makeham", "hazard", ("slope", "logit_constant"), log_cum_hazard, log_hazard)
