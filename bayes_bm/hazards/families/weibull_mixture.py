"""Two Weibulls, accelerated time: a share p of patients is of a group that dies early, the others die late.

    S(u) = p S1(u) + (1 - p) S2(u)          S1(u) = exp(-(u / exp(e1))^k1), S2(u) = exp(-(u / exp(e2))^k2)

p = 1 / (1 + exp(-logit_early)). Log times of the groups lie d = exp(log_gap) > 0 apart, so that the groups cannot
change places: e1 = eta - (1 - p) d, e2 = eta + p d, and eta is their mean. k1 = exp(log_shape) and k2 = k1
exp(log_shape_ratio); studies and treatments that differ in shape move both. Effects stretch the times of both groups.
Without a gap and with one shape it is `weibull_aft`.
"""

from typing import Any, NamedTuple

from bayes_bm.hazards.family import FormulaFamily, log_cum_from_tails, log_dead_at
from bayes_bm.hazards.numerics.constants import LARGEST_LOG_HAZARD
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor


class _Groups(NamedTuple):
    """log H and log shape of the early and the late group; log p and log(1 - p)."""

    early: Any
    late: Any
    early_shape: Any
    late_shape: Any
    log_share: Any
    log_others: Any


def _groups(log_u, eta, shape, *, xp: Namespace) -> _Groups:
    early_shape, logit = shape[..., 0], shape[..., 3]
    late_shape, gap = early_shape + shape[..., 1], xp.exp(shape[..., 2])
    log_share, log_others = -xp.softplus(-logit), -xp.softplus(logit)
    early = xp.exp(early_shape) * (log_u - eta + xp.exp(log_others) * gap)
    late = xp.exp(late_shape) * (log_u - eta - xp.exp(log_share) * gap)
    capped = xp.minimum(early, LARGEST_LOG_HAZARD), xp.minimum(late, LARGEST_LOG_HAZARD)
    return _Groups(*capped, early_shape, late_shape, log_share, log_others)


def log_cum_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    groups = _groups(log_u, eta, shape, xp=xp)
    log_alive = xp.logaddexp(groups.log_share - xp.exp(groups.early), groups.log_others - xp.exp(groups.late))
    log_dead = xp.logaddexp(
        groups.log_share + log_dead_at(groups.early, xp=xp), groups.log_others + log_dead_at(groups.late, xp=xp)
    )
    return log_cum_from_tails(log_dead, log_alive, xp=xp)


def log_hazard(log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """Return the log of the mean hazard of those alive, of whom a share w = p S1 / S is of the early group."""
    groups = _groups(log_u, eta, shape, xp=xp)
    log_odds = groups.log_share - groups.log_others - xp.exp(groups.early) + xp.exp(groups.late)
    early = groups.early_shape + groups.early - xp.softplus(-log_odds)
    late = groups.late_shape + groups.late - xp.softplus(log_odds)
    return xp.logaddexp(early, late) - log_u


WEIBULL_MIXTURE = FormulaFamily(
    "weibull_mixture", "time", ("log_shape", "log_shape_ratio", "log_gap", "logit_early"), log_cum_hazard, log_hazard
)
