"""One function per kind of evidence, all from the same latent hazard (`design.md`; `rules.md`, 5-8).

Each takes a family, the arm's `eta` and `log_shape`, printed numbers and the array namespace `xp`, and returns the
pointwise log density. The same code runs under PyTensor inside the model and under numpy on posterior draws; the slow
scalar twin in the tests is the witness. Times are t / t0, as logarithms `log_u`; an absent entry is NO_ENTRY.
"""

from bayes_bm.arrays import Namespace
from bayes_bm.hazards import Family

NO_ENTRY = -1e4
"""log(entry / t0) that stands for entry at time zero: finite, because -inf has no gradient in the shape."""


def cum_hazard_from(family: Family, log_u, log_entry, eta, log_shape, *, xp: Namespace):
    """H(t) - H(entry): the cumulative hazard of those who were alive at entry."""
    ends = (family.log_cum_hazard(at, eta, log_shape, xp=xp) for at in (log_u, log_entry))
    end, start = (xp.exp(value) for value in ends)
    return end - start


def patients(family: Family, data, eta, log_shape, *, xp: Namespace):
    """Weighted log density of exact, right-censored and interval-censored patients with entry.

    weight * (event log h(t) - H(t) + H(entry)), and for an event in (t, u]: log(S(t) - S(u)) + H(entry).
    `data`: log_u, log_upper, log_entry, exact, interval (0/1), weight, log_t0 (the hazard is per time unit, not per
    t0).
    """
    up_to = cum_hazard_from(family, data.log_u, data.log_entry, eta, log_shape, xp=xp)
    inside = cum_hazard_from(family, data.log_upper, data.log_u, eta, log_shape, xp=xp)
    # the guarded value keeps the gradient of the branch not taken finite
    guarded = xp.where(data.interval > 0, inside, 1.0)
    log_hazard = family.log_hazard(data.log_u, eta, log_shape, xp=xp) - data.log_t0
    terms = data.exact * log_hazard - up_to + xp.where(data.interval > 0, xp.log1mexp(-guarded), 0.0)
    return data.weight * terms


def points(family: Family, data, eta, log_shape, *, xp: Namespace):
    """Conditional binomials (rule 5): y = m p still free of the event among m (real), given alive the time before."""
    drop = cum_hazard_from(family, data.log_u, data.log_start, eta, log_shape, xp=xp)
    alive = data.size * data.ratio
    return _binomial(alive, data.size, -drop, xp.log1mexp(-drop), xp=xp)


def _binomial(y, size, log_q, log_not_q, *, xp: Namespace):
    coefficient = xp.gammaln(size + 1) - xp.gammaln(y + 1) - xp.gammaln(size - y + 1)
    return coefficient + y * log_q + (size - y) * log_not_q


def median_order(family: Family, data, eta, log_shape, *, xp: Namespace):
    """A median with n only: the density of the middle order statistic, Beta(F(m)) f(m) (rule 6)."""
    used = cum_hazard_from(family, data.log_u, data.log_entry, eta, log_shape, xp=xp)
    log_dead, log_alive = xp.log1mexp(-used), -used
    law = (data.alpha - 1) * (log_dead + log_alive) - xp.betaln(data.alpha, data.alpha)
    return law + family.log_hazard(data.log_u, eta, log_shape, xp=xp) - data.log_t0 - used


def log_median(family: Family, log_entry, eta, log_shape, *, log_two: float, xp: Namespace):
    """log(median / t0) of those alive at entry: H(m) = log 2 + H(entry)."""
    entered = xp.exp(family.log_cum_hazard(log_entry, eta, log_shape, xp=xp))
    return family.inverse(xp.log(log_two + entered), eta, log_shape, xp=xp)


def normal(value, mean, sd, *, xp: Namespace):
    return -0.5 * ((value - mean) / sd) ** 2 - xp.log(sd) - HALF_LOG_TWO_PI


HALF_LOG_TWO_PI = 0.9189385332046727
LOG_TWO = 0.6931471805599453
TINY_SURVIVAL = 35.0
"""-log S beyond which the first term of the incomplete beta function is exact to 1e-14 relative."""


def median_interval(family: Family, data, eta, log_shape, *, xp: Namespace):
    """A median with its interval: normal on log m, on the log scale, about the model's median on the paper's clock.

    The arm's clock may start `shift` after the model's zero, so the printed median is the model's less the shift.
    """
    model = log_median(family, data.log_entry, eta, log_shape, log_two=LOG_TWO, xp=xp)
    printed_clock = xp.log(xp.exp(model) - data.shift)
    return normal(data.log_m, printed_clock, data.sd, xp=xp)


def median_not_reached(family: Family, data, eta, log_shape, *, xp: Namespace):
    """P(median > follow-up) under the order-statistic law: 1 - I_F(alpha, alpha) at follow-up (rule 6)."""
    used = cum_hazard_from(family, data.log_u, data.log_entry, eta, log_shape, xp=xp)
    # by symmetry 1 - I_F(a, a) = I_S(a, a), which keeps its precision as S -> 0; for tiny S it is S^a / (a B(a, a)),
    # whose logarithm stays finite where S itself underflows
    tiny = used > TINY_SURVIVAL
    tail = -data.alpha * used - xp.log(data.alpha) - xp.betaln(data.alpha, data.alpha)
    guarded = xp.exp(-xp.where(tiny, TINY_SURVIVAL, used))
    return xp.where(tiny, tail, xp.log(xp.betainc(data.alpha, data.alpha, guarded)))


def counts(family: Family, data, eta, log_shape, *, xp: Namespace):
    """d events of n by a time: binomial with 1 - S (rule 8)."""
    used = cum_hazard_from(family, data.log_u, data.log_entry, eta, log_shape, xp=xp)
    return _binomial(data.n - data.events, data.n, -used, xp.log1mexp(-used), xp=xp)


def hazard_ratios(log_hr, mean, whitener, *, log_diagonal, dot):
    """Log hazard ratios, jointly normal within a study (rule 7).

    With L the Cholesky factor of the covariance, noise = L^-1 (log_hr - mean) is white; `log_diagonal` is log diag L.
    Each term is the density given the rows before it, so the sum over a study's rows is the density of the study.
    """
    noise = dot(whitener, log_hr - mean)
    return -0.5 * noise**2 - log_diagonal - HALF_LOG_TWO_PI
