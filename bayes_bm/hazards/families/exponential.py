"""Exponential: a constant hazard exp(eta) / t0, and its accelerated-time twin, whose mean is exp(eta) t0."""

from bayes_bm.hazards.family import FormulaFamily
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor


def log_cum_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    return log_u + eta


def log_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    return eta + 0 * log_u


def inverse(log_cum: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    return log_cum - eta


def aft_log_cum_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    return log_u - eta


def aft_log_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    return -eta + 0 * log_u


def aft_inverse(log_cum: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    return log_cum + eta


EXPONENTIAL = FormulaFamily("exponential", "hazard", (), log_cum_hazard, log_hazard, inverse)
EXPONENTIAL_AFT = FormulaFamily("exponential_aft", "time", (), aft_log_cum_hazard, aft_log_hazard, aft_inverse)
