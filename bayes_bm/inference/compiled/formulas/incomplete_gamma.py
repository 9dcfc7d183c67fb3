"""Mills' ratio of the generalised gamma's tail by incomplete gamma functions, where these settle in a few steps.

With a = 1 / q^2 and x = a exp(q y) the tail beyond y >= 0 has, in units of w, Mills' ratio M / |q|, where

    q < 0, x <= a    M = gamma(a, x) exp(x) x^-a = (1 + x R) / a,   R = sum x^n / ((a + 1) ... (a + 1 + n))
    q > 0, x > a+1   M = Gamma(a, x) exp(x) x^-a, Legendre's continued fraction (Lentz's way)
    q > 0, x <= a+1  the complement of the first: between a hundredth and two thirds of all are in this tail

Derivatives by a go along with series and fraction; those by x are d M / dx = M (1 - a / x) + 1 / x of the first, minus
of the second. About 30 steps, where the quadrature that serves every q takes 53 nodes of three exponentials.
"""

import math
from typing import Any

from numba import njit

from bayes_bm.inference.compiled.fields import INNER

LEAST, MOST = 0.2, 5.0
"""|q| between which the series are used: a from 0.04 to 25."""
FAR = 1e4
"""x up to which they are: so many roundings are lost in differences."""
STEPS = 200
"""Of a series or fraction at most; beyond, the quadrature is taken."""
ROUNDING, SLOPE_ROUNDING = 1e-17, 1e-14
"""Size of the last step, relative to the sum; of a fraction's derivative, relative to itself."""


@njit(**INNER)
def lower(a: Any, x: Any) -> Any:
    """gamma(a, x) exp(x) x^-a of x <= a + 1, and its derivatives by a and x; NaN where it does not settle."""
    term, by_log = 1 / (a + 1), -1 / (a + 1)
    total, by_a = term, term * by_log
    for n in range(1, STEPS):
        per = 1 / (a + 1 + n)
        term *= x * per
        by_log -= per
        total += term
        by_a += term * by_log
        if term * by_log >= ROUNDING * by_a:
            whole = 1 + x * total
            return whole / a, x * by_a / a - whole / (a * a), whole / a - total
    return math.nan, math.nan, math.nan


@njit(**INNER)
def upper(a: Any, x: Any) -> Any:
    """Gamma(a, x) exp(x) x^-a of x > a + 1, and its derivatives by a and x; NaN where it does not settle."""
    b = x + 1 - a
    d = 1 / b
    fraction, by_d, by_log, per_c, by_c = d, d * d, d, 0.0, 0.0
    for i in range(1, STEPS):
        step = -i * (i - a)
        b += 2
        c, by_c = b + step * per_c, -1 + i * per_c - step * by_c * per_c * per_c
        per_c = 1 / c
        by_inverse = i * d + step * by_d - 1
        d = 1 / (step * d + b)
        by_d = -by_inverse * d * d
        change, by_change = d * c, by_c * per_c - by_inverse * d
        fraction *= change
        by_log += by_change
        if abs(change - 1) < 2e-16 and abs(by_change) <= SLOPE_ROUNDING * abs(by_log):
            return fraction, fraction * by_log, fraction * (1 - a / x) - 1 / x
    return math.nan, math.nan, math.nan


@njit(**INNER)
def log_slope(ratio: Any, by_a: Any, by_x: Any, x: Any, y: Any, q: Any) -> Any:
    """d log (M / |q|) / dq at a fixed y."""
    return (-2 / q**3 * by_a + x * (y - 2 / q) * by_x) / ratio - 1 / q


@njit(**INNER)
def mills(y: Any, q: Any, growth: Any, log_density: Any, by_q: Any, by_stirling: Any) -> Any:
    """Mills' ratio beyond y >= 0 and the mean of d g / dq over the tail; NaN where the quadrature has to serve.

    `growth` is exp(q y); `by_q` = d g / dq at y; g without the terms of q alone, whose derivative is `by_stirling`.
    """
    a = 1 / (q * q)
    x = a * growth
    if not (LEAST <= abs(q) <= MOST and x <= FAR):
        return math.nan, math.nan
    if q > 0 and x > a + 1:
        ratio, by_a, by_x = upper(a, x)
        return ratio / q, by_q - log_slope(ratio, by_a, by_x, x, y, q)
    ratio, by_a, by_x = lower(a, x)
    below, steep = ratio / abs(q), by_q - log_slope(ratio, by_a, by_x, x, y, q)
    if q < 0:
        return below, steep
    density = math.exp(log_density)
    dead = density * below
    return (1 - dead) / density, -by_stirling - dead / (1 - dead) * (by_stirling + steep)
