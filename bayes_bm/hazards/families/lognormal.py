"""Log-normal, accelerated time: log(T / t0) ~ N(eta, sd^2), sd = exp(log_sd); exp(eta) t0 is the median."""

from bayes_bm.hazards.family import FormulaFamily, log_cum_from_tails
from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor


def _standard(log_u, eta, shape, *, xp: Namespace):
    """Return the standardised log time."""
    return (log_u - eta) * xp.exp(-shape[..., 0])


def log_cum_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    z = _standard(log_u, eta, shape, xp=xp)
    return log_cum_from_tails(xp.log_ndtr(z), xp.log_ndtr(-z), xp=xp)


def log_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    z = _standard(log_u, eta, shape, xp=xp)
    return -(z**2) / 2 - HALF_LOG_TWO_PI - shape[..., 0] - log_u - xp.log_ndtr(-z)


LOGNORMAL = FormulaFamily("lognormal", "time", ("log_sd",), log_cum_hazard, log_hazard)
