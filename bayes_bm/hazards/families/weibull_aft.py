"""Weibull of accelerated time: log H(t) = k (log t - log t0 - eta), k = exp(log_shape).

The same distributions as `weibull` with eta_hazard = -k eta_time: exp(eta) t0 is the time by which 63 % have had the
event, and a log time ratio is -1 / k times the log hazard ratio. Under a shape that differs between treatments the two
differ.
"""

from bayes_bm.hazards.family import FormulaFamily
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor


def log_cum_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    return xp.exp(shape[..., 0]) * (log_u - eta)


def log_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    return shape[..., 0] + log_cum_hazard(log_u, eta, shape, xp=xp) - log_u


def inverse(log_cum: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    return eta + log_cum * xp.exp(-shape[..., 0])


WEIBULL_AFT = FormulaFamily("weibull_aft", "time", ("log_shape",), log_cum_hazard, log_hazard, inverse)
