"""Generalised gamma and gamma, accelerated time (Prentice 1974; Cox et al. 2007; flexsurv's `gengamma`).

log(T / t0) = eta + sd w, sd = exp(log_sd), where exp(q w) q^-2 is Gamma(q^-2) distributed. q = 0 is log-normal (w
normal), q = 1 Weibull with shape 1 / sd, q = sd gamma; q may be negative. Everything is smooth through q = 0
(`gamma_tail`).

`gamma` is q = sd: shape a = exp(log_shape) = 1 / sd^2, and exp(eta) t0 is its mean.
"""

from typing import Any, NamedTuple

from bayes_bm.hazards.family import FormulaFamily, log_cum_from_tails
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor


class _Tails(NamedTuple):
    """The standardised log time w, log F and log S."""

    w: Any
    log_dead: Any
    log_alive: Any


def _tails(log_u, eta, log_sd, q, *, xp: Namespace) -> _Tails:
    """Return both tails; the smaller one is computed, the other follows."""
    w = (log_u - eta) * xp.exp(-log_sd)
    early = w < 0
    tail = xp.log_gamma_tail(xp.abs(w), xp.where(early, -q, q))
    other = xp.log1mexp(tail)
    return _Tails(w, xp.where(early, tail, other), xp.where(early, other, tail))


def _log_cum_hazard(log_u, eta, log_sd, q, *, xp: Namespace):
    tails = _tails(log_u, eta, log_sd, q, xp=xp)
    return log_cum_from_tails(tails.log_dead, tails.log_alive, xp=xp)


def _log_hazard(log_u, eta, log_sd, q, *, xp: Namespace):
    tails = _tails(log_u, eta, log_sd, q, xp=xp)
    return xp.log_gamma_density(tails.w, q) - log_sd - log_u - tails.log_alive


def log_cum_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    return _log_cum_hazard(log_u, eta, shape[..., 0], shape[..., 1], xp=xp)


def log_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    return _log_hazard(log_u, eta, shape[..., 0], shape[..., 1], xp=xp)


def gamma_log_cum_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    log_sd = -shape[..., 0] / 2
    return _log_cum_hazard(log_u, eta, log_sd, xp.exp(log_sd), xp=xp)


def gamma_log_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    log_sd = -shape[..., 0] / 2
    return _log_hazard(log_u, eta, log_sd, xp.exp(log_sd), xp=xp)


GENGAMMA = FormulaFamily("gengamma", "time", ("log_sd", "q"), log_cum_hazard, log_hazard)
GAMMA = FormulaFamily("gamma", "time", ("log_shape",), gamma_log_cum_hazard, gamma_log_hazard)
