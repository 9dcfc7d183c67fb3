"""Generalised gamma and gamma: tails of the standardised law by Mills' ratio.

With w = (log u - eta) / sd the smaller tail is worked out, at |w|, with -q where w < 0; the other follows. Its ratio
comes from incomplete gamma functions where |q| is neither small nor large, else from the nodes of
`numerics.gamma_tail`. All nodes of a cell are worked on at once: no branch, and exponentials that a processor does for
eight numbers at once.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.hazards.numerics.gamma_tail import _S, _STEP, CHI_SERIES, LARGEST_EXPONENT, SERIES, STIRLING
from bayes_bm.inference.compiled import exponentials
from bayes_bm.inference.compiled.exponentials import _bits, _number, exponential
from bayes_bm.inference.compiled.fields import INNER, INNER_SUMS
from bayes_bm.inference.compiled.formulas import arrays, incomplete_gamma, tails
from bayes_bm.inference.compiled.formulas.arrays import JIT, SIGNATURE, table
from bayes_bm.inference.compiled.formulas.incomplete_gamma import mills as series_mills
from bayes_bm.inference.compiled.formulas.tails import log1mexp, log_cum_from_tails
from bayes_bm.runtime.compiling import cached_cfunc

NODES = len(_S)
PHI = tuple(1 / math.factorial(n + 2) for n in range(13, -1, -1))
"""Series of (exp(x) - 1 - x) / x^2, highest power first."""
PHI_SLOPE = tuple(n / math.factorial(n + 2) for n in range(14, 0, -1))
CHI = tuple((-1.0) ** n / (n + 2) for n in range(13, -1, -1))
"""Series of (x - log(1 + x)) / x^2."""
LOG = tuple(2 / n for n in range(21, 0, -2))
"""Series of log((1 + f) / (1 - f)) / f in f^2."""
ROOT_TWO, LOG_TWO = math.sqrt(2.0), math.log(2.0)
MANTISSA, ONE = (1 << 52) - 1, 1023 << 52
"""Bits of a number below its exponent, and those of the exponent of numbers in [1, 2)."""


@njit(inline="always")
def _series(coefficients, x):
    """Horner's rule."""
    c = coefficients
    total = ((((((c[0] * x + c[1]) * x + c[2]) * x + c[3]) * x + c[4]) * x + c[5]) * x + c[6]) * x + c[7]
    return (((((total * x + c[8]) * x + c[9]) * x + c[10]) * x + c[11]) * x + c[12]) * x + c[13]


@njit(**INNER)
def _phi(x):
    """(exp(x) - 1 - x) / x^2."""
    is_small = abs(x) < SERIES
    near, far = x if is_small else 0.0, 1.0 if is_small else x
    series, direct = _series(PHI, near), (exponential(far) - 1 - far) / (far * far)
    return series if is_small else direct


@njit(**INNER)
def _phi_slope(x):
    """d phi / dx, from x^2 phi = exp(x) - 1 - x."""
    is_small = abs(x) < SERIES
    near, far = x if is_small else 0.0, 1.0 if is_small else x
    grown = exponential(far) - 1
    series, direct = _series(PHI_SLOPE, near), (grown - 2 * (grown - far) / far) / (far * far)
    return series if is_small else direct


@njit(**INNER)
def _log_of_one_more(x):
    """log(1 + x) of x >= 0, to rounding of 1."""
    bits = _bits(1 + x)  # pyright: ignore[reportCallIssue]
    power = (bits >> 52) - 1023
    rest = _number((bits & MANTISSA) | ONE)  # pyright: ignore[reportCallIssue]
    halved = rest > ROOT_TWO
    rest, whole = 0.5 * rest if halved else rest, power + 1.0 if halved else power + 0.0
    f = (rest - 1) / (rest + 1)
    s, c = f * f, LOG
    total = ((((c[0] * s + c[1]) * s + c[2]) * s + c[3]) * s + c[4]) * s + c[5]
    return whole * LOG_TWO + f * (((((total * s + c[6]) * s + c[7]) * s + c[8]) * s + c[9]) * s + c[10])


@njit(**INNER)
def _chi(x):
    """(x - log(1 + x)) / x^2 of x >= 0."""
    is_small = x < CHI_SERIES
    near, far = x if is_small else 0.0, 1.0 if is_small else x
    series, direct = _series(CHI, near), (far - _log_of_one_more(far)) / (far * far)
    return series if is_small else direct


@njit(**INNER_SUMS)
def _right_nodes(q, a, s, mass):
    """Nodes of the integral over s, and the mass at each, of q > 0."""
    scale = 1 / (a + 1 / (1 + q))
    for n in range(NODES):
        p = scale * _S[n]
        x = q * p
        chi = _chi(x)
        s[n] = p * (1 - x * chi)
        mass[n] = scale * _STEP[n] * exponential(-(a * p + p * p * chi)) / (1 + x)


@njit(**INNER_SUMS)
def _left_nodes(q, a, b, s, mass):
    """The same of q <= 0."""
    scale = max(1 / (a + math.sqrt(b)), -q)
    for n in range(NODES):
        s[n] = scale * _S[n]
        mass[n] = scale * _STEP[n] * exponential(-(a * s[n] + b * s[n] * s[n] * _phi(q * s[n])))


@njit(**INNER_SUMS)
def _means(y, q, s, mass):
    """Mills' ratio, and the mean of d g(w; q) / dq over the tail."""
    mills, steep = 0.0, 0.0
    for n in range(NODES):
        w = y + s[n]
        mills += mass[n]
        # where the mass has vanished the slope may overflow, and counts for nothing
        steep += mass[n] * min(w * w * w * _phi_slope(min(q * w, LARGEST_EXPONENT)), 1e290)
    return mills, steep / mills


@njit(**INNER)
def _grown(w, q):
    """(exp(q w) - 1) / q."""
    return w if abs(q) < 1e-100 else math.expm1(min(q * w, LARGEST_EXPONENT)) / q


@njit(**INNER)
def _stirling(q):
    """The remainder of Stirling's series of log Gamma at 1 / q^2 (`gamma_tail.stirling`), and its derivative."""
    if abs(q) < STIRLING:
        s = q * q
        t = s * s
        value = s * (1 / 12 - t * (1 / 360 - t * (1 / 1260 - t * (1 / 1680 - t * (1 / 1188)))))
        slope = 2 * q * (1 / 12 - t * (3 / 360 - t * (5 / 1260 - t * (7 / 1680 - t * (9 / 1188)))))
        return value, slope
    a = 1 / (q * q)
    value = math.lgamma(a) - (a - 0.5) * math.log(a) + a - HALF_LOG_TWO_PI
    return value, (_digamma(a) - math.log(a) + 0.5 / a) * -2 * a / q


@njit(**INNER)
def _digamma(a):
    """By recurrence to 12, then the asymptotic series."""
    below = 0.0
    while a < 12:
        below -= 1 / a
        a += 1
    r = 1 / (a * a)
    series = r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r * (1 / 132 - r * (691 / 32760 - r / 12))))))
    return below + math.log(a) - 0.5 / a - series


@njit(**INNER)
def _cell(log_u, eta, log_sd, q, stirling, by_stirling, s, mass, found):
    """log H with its derivatives by eta, log sd and q; log h with those, and by log u: into `found` (9,)."""
    per_sd = math.exp(-log_sd)
    w = (log_u - eta) * per_sd
    side = -1.0 if w < 0 else 1.0
    y, of_side = side * w, side * q
    # q w, and with it phi and mu, are the same on either side
    x = min(of_side * y, LARGEST_EXPONENT)
    growth, steep_here = math.exp(x), w * w * w * _phi_slope(x)
    log_density = -w * w * _phi(x) - stirling - HALF_LOG_TWO_PI
    mills, steep = series_mills(y, of_side, growth, log_density, side * steep_here, side * by_stirling)
    # as NaN, which is not equal to itself
    if not mills + steep < math.inf:
        if of_side > 0:
            _right_nodes(of_side, _grown(y, of_side), s, mass)
        else:
            _left_nodes(of_side, _grown(y, of_side), growth, s, mass)
        mills, steep = _means(y, of_side, s, mass)
    tail = log_density + math.log(mills)
    by_w, by_q = -side / mills, -by_stirling - side * steep
    other = log1mexp(tail)
    log_dead, log_alive = (tail, other) if w < 0 else (other, tail)
    log_cum = log_cum_from_tails(log_dead, log_alive)
    per_cum = math.exp(tail - other - log_cum) if w < 0 else -math.exp(-log_cum)
    to_alive = -math.exp(tail - other) if w < 0 else 1.0
    found[0], found[3] = log_cum, per_cum * by_q
    found[1], found[2] = -per_sd * per_cum * by_w, -w * per_cum * by_w
    density_by_w = -_grown(w, q)
    density_by_q = -steep_here - by_stirling
    slope = density_by_w - to_alive * by_w
    found[4], found[5] = log_density - log_sd - log_u - log_alive, -per_sd * slope
    found[6], found[7], found[8] = -1 - w * slope, density_by_q - to_alive * by_q, per_sd * slope - 1


@cached_cfunc(SIGNATURE, arrays, tails, exponentials, incomplete_gamma, **JIT)
def gengamma(n: Any, given: Any, found: Any) -> None:
    """Shapes log sd and q."""
    x, y = table(given, 4, n), table(found, 9, n)
    s, mass, one = np.empty(NODES), np.empty(NODES), np.empty(9)
    for i in range(n):
        stirling, by_stirling = _stirling(x[3, i])
        _cell(x[0, i], x[1, i], x[2, i], x[3, i], stirling, by_stirling, s, mass, one)
        for row in range(9):
            y[row, i] = one[row]


@cached_cfunc(SIGNATURE, arrays, tails, exponentials, incomplete_gamma, **JIT)
def gamma(n: Any, given: Any, found: Any) -> None:
    """Its shape is log(1 / sd^2), and q = sd."""
    x, y = table(given, 3, n), table(found, 7, n)
    s, mass, one = np.empty(NODES), np.empty(NODES), np.empty(9)
    for i in range(n):
        log_sd = -x[2, i] / 2
        q = math.exp(log_sd)
        stirling, by_stirling = _stirling(q)
        _cell(x[0, i], x[1, i], log_sd, q, stirling, by_stirling, s, mass, one)
        y[0, i], y[1, i], y[2, i] = one[0], one[1], -0.5 * (one[2] + q * one[3])
        y[3, i], y[4, i], y[5, i], y[6, i] = one[4], one[5], -0.5 * (one[6] + q * one[7]), one[8]
