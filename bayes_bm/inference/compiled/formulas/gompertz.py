"""Gompertz: log H = eta + log u + L(g u) - L(g), log h = eta + g u - L(g), L(x) = log((exp(x) - 1) / x)."""

import math
from typing import Any

from numba import njit

from bayes_bm.hazards.families.gompertz import SERIES
from bayes_bm.inference.compiled.fields import INNER
from bayes_bm.inference.compiled.formulas import arrays
from bayes_bm.inference.compiled.formulas.arrays import JIT, SIGNATURE, table
from bayes_bm.runtime.compiling import cached_cfunc


@njit(**INNER)
def log_expm1_over(x):
    """L(x) as the twin has it, and its derivative: 1 / (1 - exp(-x)) - 1 / x, by its series near zero."""
    y = abs(x) / 2
    if y < SERIES:
        s = y * y
        value = x / 2 + s * (1 / 6 - s * (1 / 180 - s * (1 / 2835 - s * (1 / 37800 - s / 467775))))
        slope = 0.5 + x / 2 * (1 / 6 - s * (2 / 180 - s * (3 / 2835 - s * (4 / 37800 - s * 5 / 467775))))
        return value, slope
    value = (x if x > 0 else 0.0) + math.log1p(-math.exp(-2 * y)) - math.log(2 * y)
    return value, -1 / math.expm1(-x) - 1 / x


@cached_cfunc(SIGNATURE, arrays, **JIT)
def gompertz(n: Any, given: Any, found: Any) -> None:
    """Proportional hazards with one slope."""
    x, y = table(given, 3, n), table(found, 7, n)
    for i in range(n):
        log_u, eta, g = x[0, i], x[1, i], x[2, i]
        u = math.exp(log_u)
        reached, by_reached = log_expm1_over(g * u)
        reference, by_reference = log_expm1_over(g)
        y[0, i], y[1, i], y[2, i] = eta + log_u + reached - reference, 1.0, u * by_reached - by_reference
        y[3, i], y[4, i], y[5, i], y[6, i] = eta + g * u - reference, 1.0, u - by_reference, g * u
