"""One function per kind of evidence, all from the same latent hazard (docs/decisions.md#one-latent-hazard;
decisions 5-8).

Each takes a family, the arm's `eta` and `shape`, printed numbers and the array namespace `xp`, and returns the
pointwise log density. The same code runs under PyTensor inside the model and under numpy on posterior draws; the slow
scalar twin in the tests is the witness. Times are t / t0, as logarithms `log_u`, with what the family knows of them
(`hazards.base.at`); an absent entry is NO_ENTRY, and where no row has one `data.any_entry` is false.
"""

from typing import Any

import numpy as np

from bayes_bm.hazards import Family
from bayes_bm.hazards.family import eta_at, inverse
from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor
from bayes_bm.hazards.numerics.unit_rule import unit_rule

NO_ENTRY = -1e4
"""log(entry / t0) that stands for entry at time zero: finite, because -inf has no gradient in the shape."""


def cum_hazard_from(family: Family, end: Any, start: Any, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """H(t) - H(entry): the cumulative hazard of those who were alive at entry; `start` None where none came late."""
    return _since(start, family.log_cum_hazard(end, eta, shape, xp=xp), family, eta, shape, xp=xp)


def _since(start: Any, log_cum: Tensor, family: Family, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """exp(log H) less H of those who came late."""
    whole = xp.exp(log_cum)
    return whole if start is None else whole - xp.exp(family.log_cum_hazard(start, eta, shape, xp=xp))


def entry(data: Any) -> Any:
    """What the family knows of the entry times; None where nobody entered late."""
    return eta_at(data, "log_entry") if getattr(data, "any_entry", True) else None


def patients(family: Family, data: Any, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """Weighted log density of exact, right-censored and interval-censored patients with entry.

    weight * (event log h(t) - H(t) + H(entry)), and for an event in (t, u]: log(S(t) - S(u)) + H(entry).
    `data`: log_u, log_upper, log_entry, exact, interval (0/1), weight, log_t0 (the hazard is per time unit, not per
    t0).
    """
    seen = eta_at(data, "log_u")
    log_cum, log_hazard = family.log_hazards(seen, eta, shape, xp=xp)
    up_to = _since(entry(data), log_cum, family, eta, shape, xp=xp)
    terms = data.exact * (log_hazard - data.log_t0) - up_to
    if getattr(data, "any_interval", True):
        interval_hazard = cum_hazard_from(family, eta_at(data, "log_upper"), seen, eta, shape, xp=xp)
        # the guarded value keeps the gradient of the branch not taken finite
        guarded = xp.where(data.interval > 0, interval_hazard, 1.0)
        terms = terms + xp.where(data.interval > 0, xp.log1mexp(-guarded), 0.0)
    return data.weight * terms


def points(family: Family, data: Any, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """Conditional binomials (decision 5): y = m p still free of the event among m (real), given alive the time
    before.
    """
    drop = cum_hazard_from(family, eta_at(data, "log_u"), eta_at(data, "log_start"), eta, shape, xp=xp)
    alive = data.size * data.ratio
    return binomial(alive, data.size, -drop, xp.log1mexp(-drop), xp=xp)


def binomial(y: Tensor, size: Tensor, log_q: Tensor, log_not_q: Tensor, *, xp: Namespace) -> Tensor:
    coefficient = xp.gammaln(size + 1) - xp.gammaln(y + 1) - xp.gammaln(size - y + 1)
    return coefficient + y * log_q + (size - y) * log_not_q


def median_order(family: Family, data: Any, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """A median with n only: the density of the middle order statistic, Beta(F(m)) f(m) (decision 6)."""
    log_cum, log_hazard = family.log_hazards(eta_at(data, "log_u"), eta, shape, xp=xp)
    used = _since(entry(data), log_cum, family, eta, shape, xp=xp)
    log_dead, log_alive = xp.log1mexp(-used), -used
    log_beta = (data.alpha - 1) * (log_dead + log_alive) - xp.betaln(data.alpha, data.alpha)
    return log_beta + log_hazard - data.log_t0 - used


def log_median(family: Family, start: Any, eta: Tensor, shape: Tensor, *, log_two: float, xp: Namespace) -> Tensor:
    """log(median / t0) of those alive at entry: H(m) = log 2 + H(entry); `start` None where nobody entered late."""
    if start is None:
        return inverse(family, np.log(log_two) + 0 * eta, eta, shape, xp=xp)
    entered = xp.exp(family.log_cum_hazard(start, eta, shape, xp=xp))
    return inverse(family, xp.log(log_two + entered), eta, shape, xp=xp)


def normal(value: Tensor, mean: Tensor, sd: Tensor, *, xp: Namespace) -> Tensor:
    return -0.5 * ((value - mean) / sd) ** 2 - xp.log(sd) - HALF_LOG_TWO_PI


LOG_TWO = 0.6931471805599453
TINY_SURVIVAL = 35.0
"""-log S beyond which the first term of the incomplete beta function is exact to 1e-14 relative."""


def median_interval(family: Family, data: Any, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """A median with its interval: normal on log m, on the log scale, about the model's median on the paper's clock.

    The arm's clock may start `shift` after the model's zero, so the printed median is the model's less the shift.
    """
    model = log_median(family, entry(data), eta, shape, log_two=LOG_TWO, xp=xp)
    printed_clock = xp.log(xp.exp(model) - data.shift)
    return normal(data.log_m, printed_clock, data.sd, xp=xp)


def median_not_reached(family: Family, data: Any, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """P(median > follow-up) under the order-statistic law: 1 - I_F(alpha, alpha) at follow-up (decision 6)."""
    used = cum_hazard_from(family, eta_at(data, "log_u"), entry(data), eta, shape, xp=xp)
    # by symmetry 1 - I_F(a, a) = I_S(a, a), which keeps its precision as S -> 0; for tiny S it is S^a / (a B(a, a)),
    # whose logarithm stays finite where S itself underflows
    tiny = used > TINY_SURVIVAL
    tail = -data.alpha * used - xp.log(data.alpha) - xp.betaln(data.alpha, data.alpha)
    guarded = xp.exp(-xp.where(tiny, TINY_SURVIVAL, used))
    return xp.where(tiny, tail, xp.log(xp.betainc(data.alpha, data.alpha, guarded)))


def counts(family: Family, data: Any, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
    """d events of n by a time: binomial with 1 - S (decision 8)."""
    used = cum_hazard_from(family, eta_at(data, "log_u"), entry(data), eta, shape, xp=xp)
    return binomial(data.n - data.events, data.n, -used, xp.log1mexp(-used), xp=xp)


def event_weighted_log_hr(family: Family, data: Any, eta: tuple, shape: tuple, *, xp: Namespace) -> Tensor:
    """Log hazard ratio of two arms of equal size, averaged over follow-up by when the events are (decision 7).

    Integral of log(h_a / h_b) f over that of f, f = (f_a + f_b) / 2, over (0, followup]: under proportional hazards it
    is the log hazard ratio, whatever f. `data`: log_followup (row,) where the family has a closed form, else log_node,
    placed, and log_step of a fixed rule (row, node); eta and shape of the two arms (..., row).
    """
    if family.event_weighted_log_hr is not None:
        return family.event_weighted_log_hr(data.log_followup, eta, shape, xp=xp)
    node = eta_at(data, "log_node")
    log_hazards, densities = [], []
    for level, of_shape in zip(eta, shape, strict=True):
        level, of_shape = level[..., None], of_shape[..., None, :]
        log_hazards.append(family.log_hazard(node, level, of_shape, xp=xp))
        alive = -xp.exp(xp.minimum(family.log_cum_hazard(node, level, of_shape, xp=xp), LARGEST_LOG))
        densities.append(log_hazards[-1] + alive)
    log_weight = xp.logaddexp(*densities) + data.log_step
    weight = xp.exp(log_weight - xp.max(log_weight))
    return xp.sum(weight * (log_hazards[0] - log_hazards[1])) / xp.sum(weight)


LARGEST_LOG = 700.0
NODES = 96
POWER = 8
"""Of v in the rule. Over 20,000 pairs of Weibull arms, log shapes N(0, 0.5), it errs by at most 1e-4; 32 nodes in v^4
by up to 1.7 (`tests/model/test_families.py` has 400)."""


def followup_nodes(followup: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log u and log du of the rule over (0, followup], times in units of t0 (row, node): u = followup v^POWER."""
    v, weight = unit_rule(NODES)
    log_node = np.log(followup)[:, None] + POWER * np.log(v)
    return log_node, np.log(followup)[:, None] + np.log(POWER * v ** (POWER - 1) * weight)


def hazard_ratios(log_hr: Tensor, mean: Tensor, whitener: Tensor, *, log_diagonal: Tensor, dot: Tensor) -> Tensor:
    """Log hazard ratios, jointly normal within a study (decision 7).

    With L the Cholesky factor of the covariance, noise = L^-1 (log_hr - mean) is white; `log_diagonal` is log diag L.
    Each term is the density given the rows before it, so the sum over a study's rows is the density of the study.
    """
    noise = dot(whitener, log_hr - mean)
    return -0.5 * noise**2 - log_diagonal - HALF_LOG_TWO_PI


def prognostic_ratios(
    log_hr: Tensor,
    mean: Tensor,
    se: Tensor,
    *,
    change: Tensor,
    sd: Tensor,
    members: Tensor,
    dot: Tensor,
    xp: Namespace,
) -> Tensor:
    """Log ratios of covariates, those of a study and covariate jointly, their common deviation integrated (decision
    24).

    With residuals r, precisions w = 1 / se^2 and changes c of a group, r ~ N(0, diag(se^2) + sd^2 c c'): its inverse
    and determinant follow from A = sum w c^2 and B = sum w c r. `members` (group, row) sums over groups; `sd` is a
    number, or one of each draw (sample, 1).
    """
    residual, precision = log_hr - mean, 1 / se**2
    steepness, pull = dot(members, precision * change**2), dot(members, precision * change * residual)
    widened = 1 + sd**2 * steepness
    squares = dot(members, precision * residual**2) - sd**2 * pull**2 / widened
    constant = dot(members, xp.log(se) + HALF_LOG_TWO_PI)
    return -0.5 * (squares + xp.log(widened)) - constant
