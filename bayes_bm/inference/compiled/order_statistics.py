"""Chances of an order statistic: log(1 - exp(-used)) and the tail of a beta law, without cancellation."""

import math

from numba import njit

from bayes_bm.inference.compiled.fields import INNER

LOG_TWO = math.log(2.0)
FAR = 1e5
"""Cumulative hazard beyond which I_S(a, a) falls as S^a to rounding; its own logarithm there leaves no digit of a."""


@njit(**INNER)
def log_dead(used):
    """log(1 - exp(-used)) without cancellation (Maechler 2012)."""
    return math.log(-math.expm1(-used)) if used < LOG_TWO else math.log1p(-math.exp(-used))


@njit(**INNER)
def log_beta_tail(used, alpha, log_beta):
    """log I_S(alpha, alpha), S = exp(-used), by its continued fraction (DLMF 8.17.22) on the side where it is short."""
    front = alpha * (log_dead(used) - used) - log_beta - math.log(alpha)
    if used >= LOG_TWO:
        return front + math.log(_beta_fraction(math.exp(-used), alpha))
    return math.log1p(-math.exp(front) * _beta_fraction(-math.expm1(-used), alpha))


@njit(**INNER)
def beta_tail_slope(used, alpha, log_beta, log_tail):
    """Derivative of `log_beta_tail`, which is given, by `used`."""
    if used > FAR:
        return -alpha
    return -math.exp(-alpha * used + (alpha - 1) * log_dead(used) - log_beta - log_tail)


@njit(**INNER)
def _beta_fraction(x, alpha):
    """I_x(a, a) a B(a, a) / (x (1 - x))^a, x <= 1/2, by Lentz's method."""
    c, d = 1.0, 1 / (1 - 2 * alpha * x / (alpha + 1))
    fraction = d
    for m in range(1, 500):
        even = m * (alpha - m) * x / ((alpha + 2 * m - 1) * (alpha + 2 * m))
        odd = -(alpha + m) * (2 * alpha + m) * x / ((alpha + 2 * m) * (alpha + 2 * m + 1))
        d, c = 1 / (1 + even * d), 1 + even / c
        fraction *= c * d
        d, c = 1 / (1 + odd * d), 1 + odd / c
        fraction *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return fraction
