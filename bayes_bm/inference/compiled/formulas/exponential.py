"""Exponential: log H = log u + eta, log h = eta; of accelerated time with -eta."""

from typing import Any

from bayes_bm.inference.compiled.formulas import arrays
from bayes_bm.inference.compiled.formulas.arrays import JIT, SIGNATURE, table
from bayes_bm.runtime.compiling import cached_cfunc


@cached_cfunc(SIGNATURE, arrays, **JIT)
def exponential(n: Any, given: Any, found: Any) -> None:
    """Proportional hazards."""
    x, y = table(given, 2, n), table(found, 5, n)
    for i in range(n):
        y[0, i], y[1, i] = x[0, i] + x[1, i], 1.0
        y[2, i], y[3, i], y[4, i] = x[1, i], 1.0, 0.0


@cached_cfunc(SIGNATURE, arrays, **JIT)
def exponential_aft(n: Any, given: Any, found: Any) -> None:
    """Accelerated time."""
    x, y = table(given, 2, n), table(found, 5, n)
    for i in range(n):
        y[0, i], y[1, i] = x[0, i] - x[1, i], -1.0
        y[2, i], y[3, i], y[4, i] = -x[1, i], -1.0, 0.0
