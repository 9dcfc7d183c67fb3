"""Weibull: log H = eta + k log u, or k (log u - eta) of accelerated time; log h = log k + log H - log u."""

from typing import Any

from bayes_bm.inference.compiled import exponentials
from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.formulas import arrays
from bayes_bm.inference.compiled.formulas.arrays import JIT, SIGNATURE, table
from bayes_bm.runtime.compiling import cached_cfunc


@cached_cfunc(SIGNATURE, arrays, exponentials, **JIT)
def weibull(n: Any, given: Any, found: Any) -> None:
    """Proportional hazards."""
    x, y = table(given, 3, n), table(found, 7, n)
    for i in range(n):
        log_u, k = x[0, i], exponential(x[2, i])
        y[0, i], y[1, i], y[2, i] = x[1, i] + k * log_u, 1.0, k * log_u
        y[3, i], y[4, i], y[5, i], y[6, i] = x[2, i] + y[0, i] - log_u, 1.0, 1 + k * log_u, k - 1


@cached_cfunc(SIGNATURE, arrays, exponentials, **JIT)
def weibull_aft(n: Any, given: Any, found: Any) -> None:
    """Accelerated time."""
    x, y = table(given, 3, n), table(found, 7, n)
    for i in range(n):
        log_u, k = x[0, i], exponential(x[2, i])
        power = k * (log_u - x[1, i])
        y[0, i], y[1, i], y[2, i] = power, -k, power
        y[3, i], y[4, i], y[5, i], y[6, i] = x[2, i] + power - log_u, -k, 1 + power, k - 1
