"""Two Weibulls: log H = log(-log(p S1 + (1 - p) S2)), and h the mean hazard of those alive."""

import math
from typing import Any

from numba import njit

from bayes_bm.hazards.family import LEAST_LOG_HAZARD
from bayes_bm.hazards.numerics.constants import LARGEST_LOG_HAZARD
from bayes_bm.inference.compiled.fields import INNER
from bayes_bm.inference.compiled.formulas import arrays, tails
from bayes_bm.inference.compiled.formulas.arrays import JIT, SIGNATURE, table
from bayes_bm.inference.compiled.formulas.tails import log1mexp, log_cum_from_tails, softplus
from bayes_bm.runtime.compiling import cached_cfunc

LATE = 0.0
"""log H above which the derivative by the share is that of log S: few are alive, and dividing by S would lose it."""


@njit(**INNER)
def _log_dead(log_cum):
    """log(1 - exp(-H))."""
    return log_cum if log_cum < LEAST_LOG_HAZARD else log1mexp(-math.exp(log_cum))


@njit(**INNER)
def _log_sum(one, other):
    """log(exp(one) + exp(other))."""
    return one + softplus(other - one)


@cached_cfunc(SIGNATURE, arrays, tails, **JIT)
def weibull_mixture(n: Any, given: Any, found: Any) -> None:
    """By x1 and x2, log H of the groups, and by the logit at fixed x; then by eta and the shapes through x1 and x2.

    With w = p S1 / S and v the early group's share of the hazard: dH = w H1 dx1 + (1 - w) H2 dx2 + (p - w) dlogit, and
    dlog h = v dx1 + (1 - v) dx2 + (v - w) (dlogit - H1 dx1 + H2 dx2).
    """
    x, y = table(given, 6, n), table(found, 13, n)
    for i in range(n):
        log_u, eta, shape = x[0, i], x[1, i], x[2, i]
        k1, k2, gap = math.exp(shape), math.exp(shape + x[3, i]), math.exp(x[4, i])
        log_p, log_q = -softplus(-x[5, i]), -softplus(x[5, i])
        p, q = math.exp(log_p), math.exp(log_q)
        power1, power2 = k1 * (log_u - eta + q * gap), k2 * (log_u - eta - p * gap)
        x1, x2 = min(power1, LARGEST_LOG_HAZARD), min(power2, LARGEST_LOG_HAZARD)
        cum1, cum2 = math.exp(x1), math.exp(x2)
        dead1, dead2 = _log_dead(x1), _log_dead(x2)
        log_alive = _log_sum(log_p - cum1, log_q - cum2)
        log_cum = log_cum_from_tails(_log_sum(log_p + dead1, log_q + dead2), log_alive)
        odds = log_p - log_q - cum1 + cum2
        w, others = math.exp(-softplus(-odds)), math.exp(-softplus(odds))
        by1, by2 = w * math.exp(x1 - log_cum), others * math.exp(x2 - log_cum)
        if log_cum > LATE:
            by_logit = (p - w) * math.exp(-log_cum)
        else:
            by_logit = p * q * (math.exp(dead1 - log_cum) - math.exp(dead2 - log_cum)) * math.exp(-log_alive)
        hazard1, hazard2 = shape + x1 - softplus(-odds), shape + x[3, i] + x2 - softplus(odds)
        turn = hazard1 - hazard2
        v, rest = math.exp(-softplus(-turn)), math.exp(-softplus(turn))
        later1, later2 = v - (v - w) * cum1, rest + (v - w) * cum2
        by_gap, by_share = gap * q * k1, -gap * p * q
        y[0, i], y[1, i], y[2, i] = log_cum, -k1 * by1 - k2 * by2, power1 * by1 + power2 * by2
        y[3, i], y[4, i] = power2 * by2, by_gap * by1 - gap * p * k2 * by2
        y[5, i] = by_logit + by_share * (k1 * by1 + k2 * by2)
        y[6, i], y[7, i] = _log_sum(hazard1, hazard2) - log_u, -k1 * later1 - k2 * later2
        y[8, i], y[9, i] = 1 + power1 * later1 + power2 * later2, rest + power2 * later2
        y[10, i] = by_gap * later1 - gap * p * k2 * later2
        y[11, i] = v - w + by_share * (k1 * later1 + k2 * later2)
        y[12, i] = k1 * later1 + k2 * later2 - 1
