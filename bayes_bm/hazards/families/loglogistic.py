"""Log-logistic, accelerated time: odds of the event (u / exp(eta))^k, k = exp(log_shape); exp(eta) t0 is the median."""

from bayes_bm.hazards.family import FormulaFamily, log_cum_from_tails
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor


def _log_odds(log_u, eta, shape, *, xp: Namespace):
    """Return the log odds of having had the event."""
    return xp.exp(shape[..., 0]) * (log_u - eta)


def log_cum_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """Return log H with H = log(1 + odds)."""
    x = _log_odds(log_u, eta, shape, xp=xp)
    return log_cum_from_tails(-xp.softplus(-x), -xp.softplus(x), xp=xp)


def log_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """Return log(k / u) + log F."""
    return shape[..., 0] - log_u - xp.softplus(-_log_odds(log_u, eta, shape, xp=xp))


def inverse(log_cum: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """Return log u from log odds = log(exp(H) - 1) = H + log(1 - exp(-H))."""
    total = xp.exp(log_cum)
    log_odds = xp.where(log_cum < -30, log_cum, total + xp.log1mexp(-xp.where(log_cum < -30, 1.0, total)))
    return eta + log_odds * xp.exp(-shape[..., 0])


LOGLOGISTIC = FormulaFamily("loglogistic", "time", ("log_shape",), log_cum_hazard, log_hazard, inverse)
