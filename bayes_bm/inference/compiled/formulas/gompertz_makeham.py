"""Gompertz-Makeham: log H = eta + log u + log(w + (1 - w) exp(L(g u) - L(g))), in log h exp(g u - L(g)), no log u."""

import math
from typing import Any

from numba import njit

from bayes_bm.inference.compiled.fields import INNER
from bayes_bm.inference.compiled.formulas import arrays, gompertz, tails
from bayes_bm.inference.compiled.formulas.arrays import JIT, SIGNATURE, table
from bayes_bm.inference.compiled.formulas.gompertz import log_expm1_over
from bayes_bm.inference.compiled.formulas.tails import softplus
from bayes_bm.runtime.compiling import cached_cfunc


@njit(**INNER)
def _log_mean(log_constant, log_rising):
    """The log of a sum, and the share of the second part in it."""
    odds = log_rising - log_constant
    return log_constant + softplus(odds), math.exp(-softplus(-odds))


@cached_cfunc(SIGNATURE, arrays, gompertz, tails, **JIT)
def gompertz_makeham(n: Any, given: Any, found: Any) -> None:
    """Shapes slope g and the logit of w: a share r of a sum moves with the slope; by the logit it is 1 - w - r."""
    x, y = table(given, 4, n), table(found, 9, n)
    for i in range(n):
        log_u, eta, g, logit = x[0, i], x[1, i], x[2, i], x[3, i]
        u = math.exp(log_u)
        reached, by_reached = log_expm1_over(g * u)
        reference, by_reference = log_expm1_over(g)
        log_constant, log_others = -softplus(-logit), -softplus(logit)
        others = math.exp(log_others)
        mean, share = _log_mean(log_constant, log_others + reached - reference)
        y[0, i], y[1, i] = eta + log_u + mean, 1.0
        y[2, i], y[3, i] = share * (u * by_reached - by_reference), others - share
        mean, share = _log_mean(log_constant, log_others + g * u - reference)
        y[4, i], y[5, i] = eta + mean, 1.0
        y[6, i], y[7, i], y[8, i] = share * (u - by_reference), others - share, share * g * u
