"""A basis (M-spline, pieces): log H and log h of its sums are worked out per baseline and time before (`baseline.py`).

Its two shapes are those sums' logarithms: log H = eta + shape 1, log h = eta + shape 2.
"""

from typing import Any

from bayes_bm.inference.compiled.formulas import arrays
from bayes_bm.inference.compiled.formulas.arrays import JIT, SIGNATURE, table
from bayes_bm.runtime.compiling import cached_cfunc


@cached_cfunc(SIGNATURE, arrays, **JIT)
def basis(n: Any, given: Any, found: Any) -> None:
    """The formula; log h by log u is not asked for, for a basis has no clock."""
    x, y = table(given, 4, n), table(found, 9, n)
    for i in range(n):
        eta = x[1, i]
        y[0, i], y[1, i], y[2, i], y[3, i] = eta + x[2, i], 1.0, 1.0, 0.0
        y[4, i], y[5, i], y[6, i], y[7, i], y[8, i] = eta + x[3, i], 1.0, 0.0, 1.0, 0.0
