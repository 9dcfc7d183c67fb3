"""The upper tail of the standardised generalised gamma distribution, by quadrature, with its derivatives (numpy).

Prentice's distribution of w has log density -g(w; q) - mu(q) - log(2 pi) / 2 with
g(w; q) = (exp(q w) - q w - 1) / q^2, smooth through the normal distribution at q = 0, and mu the remainder of
Stirling's series of log Gamma at 1 / q^2. The tail beyond y >= 0 is the density at y times Mills' ratio

    M(y; q) = integral over s > 0 of exp(-(g(y + s) - g(y)))
    q <= 0:  g(y + s) - g(y) = A s + B s^2 phi(q s)
             A = (exp(q y) - 1) / q,  B = exp(q y),  phi(x) = (exp(x) - 1 - x) / x^2
    q > 0:   A p + p^2 chi(q p) in p = (exp(q s) - 1) / q
             ds = dp / (1 + q p),  chi(x) = (x - log(1 + x)) / x^2

and its logarithm keeps full precision however small the tail, for q of either sign; the lower tail at w < 0 is the
upper one at -w with -q. Both integrands fall off exponentially; the rule is trapezoidal after s = scale exp(t -
exp(-t)) (Takahasi and Mori 1974).
Derivatives: d log T / dy = -1 / M, and d log T / dq under the integral sign.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import gammainc, gammaincc, gammaln

from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI

LARGEST_EXPONENT = 500.0
"""q w beyond which exp(q w) is cut off: the tail is then zero in any arithmetic."""
CHUNK = 200_000
"""Elements that are computed at once; each takes a row of nodes of memory."""
SERIES = 0.5
"""|x| below which phi is a series of 14 terms."""
CHI_SERIES = 0.1
"""x below which chi is a series of 14 terms."""
STIRLING = 0.3
"""|q| below which mu(q) is Stirling's series of 5 terms."""
_SPACING = 0.15
"""Distance of the nodes of the rule in t."""
_NODE = np.arange(-3.6, 4.3, _SPACING)
"""Nodes of the rule in t (node,)."""
_S = np.exp(_NODE - np.exp(-_NODE))
"""s / scale at the nodes (node,)."""
_STEP = _SPACING * np.exp(_NODE - np.exp(-_NODE)) * (1 + np.exp(-_NODE))
"""ds / scale at the nodes, the weights of the rule (node,)."""
_FACTORIALS = np.cumprod(np.arange(1.0, 18.0))
"""1!, 2!, 3!, ..."""


def phi(x: np.ndarray) -> np.ndarray:
    """Return (exp(x) - 1 - x) / x^2, and 1 / 2 at zero."""
    x = np.asarray(x, dtype=float)
    is_small = np.abs(x) < SERIES
    far = np.where(is_small, 1.0, x)
    values = np.asarray((np.expm1(far) - far) / far**2)
    values[is_small] = _series(x[is_small], [1 / _FACTORIALS[n + 1] for n in range(14)])
    return values


def phi_slope(x: np.ndarray) -> np.ndarray:
    """Return d phi / dx, from x^2 phi = exp(x) - 1 - x."""
    x = np.asarray(x, dtype=float)
    is_small = np.abs(x) < SERIES
    far = np.where(is_small, 1.0, x)
    grown = np.expm1(far)
    values = np.asarray((grown - 2 * (grown - far) / far) / far**2)
    values[is_small] = _series(x[is_small], [n / _FACTORIALS[n + 1] for n in range(1, 15)])
    return values


def _series(x: np.ndarray, coefficients: list[float]) -> np.ndarray:
    """Return the power series in x by Horner's rule."""
    total = np.zeros_like(x)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def stirling(q: np.ndarray) -> np.ndarray:
    """Return mu(q) = log Gamma(a) - (a - 1/2) log a + a - log(2 pi) / 2 with a = 1 / q^2; zero at q = 0."""
    is_small = np.abs(q) < STIRLING
    s = np.where(is_small, q, 0.0) ** 2
    series = s * (1 / 12 - s**2 * (1 / 360 - s**2 * (1 / 1260 - s**2 * (1 / 1680 - s**2 * (1 / 1188)))))
    a = 1 / np.where(is_small, 1.0, q) ** 2
    return np.where(is_small, series, gammaln(a) - (a - 0.5) * np.log(a) + a - HALF_LOG_TWO_PI)


def stirling_slope(q: np.ndarray) -> np.ndarray:
    """Return d mu / dq."""
    from scipy.special import digamma

    is_small = np.abs(q) < STIRLING
    small = np.where(is_small, q, 0.0)
    s = small**2
    series = 2 * small * (1 / 12 - s**2 * (3 / 360 - s**2 * (5 / 1260 - s**2 * (7 / 1680 - s**2 * (9 / 1188)))))
    far = np.where(is_small, 1.0, q)
    a = 1 / far**2
    return np.where(is_small, series, (digamma(a) - np.log(a) + 0.5 / a) * -2 * a / far)


def log_density(w: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the log density of w."""
    return -(w**2) * phi(np.minimum(q * w, LARGEST_EXPONENT)) - stirling(q) - HALF_LOG_TWO_PI


def log_tail(y: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return log P(W > y), y >= 0."""
    y, q = np.broadcast_arrays(np.asarray(y, dtype=float), np.asarray(q, dtype=float))
    return _by_chunk(y, q, _log_tail)[0].reshape(y.shape)


def log_tail_slopes(y: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives of `log_tail` by y and by q."""
    y, q = np.broadcast_arrays(np.asarray(y, dtype=float), np.asarray(q, dtype=float))
    by_y, by_q = _by_chunk(y, q, _slopes)
    return by_y.reshape(y.shape), by_q.reshape(y.shape)


def _by_chunk(y: np.ndarray, q: np.ndarray, compute) -> list[np.ndarray]:
    """Compute the columns for `CHUNK` elements at a time (elements,)."""
    y, q = y.ravel(), q.ravel()
    parts = [compute(y[start : start + CHUNK], q[start : start + CHUNK]) for start in range(0, max(len(y), 1), CHUNK)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _nodes(y: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return s and the weighted integrand exp(-(g(y + s) - g(y))) ds, each (row, node)."""
    x = np.minimum(q * y, LARGEST_EXPONENT)
    is_normal = np.abs(q) < 1e-100
    a = np.where(is_normal, y, np.expm1(x) / np.where(is_normal, 1.0, q))
    return _merge_sides(q > 0, _right_nodes(y, q, a), _left_nodes(y, q, a, np.exp(x)))


def _right_nodes(y: np.ndarray, q: np.ndarray, a: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the function that computes `_nodes` for rows with q > 0."""

    def nodes(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale = 1 / (a[rows] + 1 / (1 + q[rows]))
        p = scale[:, None] * _S
        x = q[rows, None] * p
        log = np.log1p(x)
        exponent = a[rows, None] * p + p**2 * _chi(x, log)
        s = np.where(x < 1e-100, p, log / np.maximum(q[rows, None], 1e-300))
        return s, scale[:, None] * _STEP * np.exp(-exponent) / (1 + x)

    return nodes


def _left_nodes(
    y: np.ndarray, q: np.ndarray, a: np.ndarray, b: np.ndarray
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the function that computes `_nodes` for rows with q <= 0."""

    def nodes(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # how far s goes until the exponent is about one; the rule forgives a factor of ten
        scale = np.maximum(1 / (a[rows] + np.sqrt(b[rows])), -q[rows])
        s = scale[:, None] * _S
        exponent = a[rows, None] * s + b[rows, None] * s**2 * phi(q[rows, None] * s)
        return s, scale[:, None] * _STEP * np.exp(-exponent)

    return nodes


def _merge_sides(right: np.ndarray, right_nodes, left_nodes) -> tuple[np.ndarray, np.ndarray]:
    """Compute nodes row by row with the function of their side of q = 0."""
    s, mass = np.empty((len(right), len(_S))), np.empty((len(right), len(_S)))
    for chosen, nodes in ((right, right_nodes), (~right, left_nodes)):
        if chosen.any():
            s[chosen], mass[chosen] = nodes(np.flatnonzero(chosen))
    return s, mass


def _chi(x: np.ndarray, log: np.ndarray) -> np.ndarray:
    """Return (x - log(1 + x)) / x^2, and 1 / 2 at zero, x >= 0; `log` is log(1 + x)."""
    is_small = x < CHI_SERIES
    small = x[is_small]
    far = np.where(is_small, 1.0, x)
    values = (far - np.where(is_small, 0.0, log)) / far**2
    series = np.zeros_like(small)
    for n in range(15, 1, -1):
        series = 1 / n - small * series
    values[is_small] = series
    return values


def _log_tail(y: np.ndarray, q: np.ndarray) -> tuple[np.ndarray]:
    """Return log P(W > y), by the incomplete gamma function where that is exact."""
    log_tails = _special(y, q)
    remaining = np.isnan(log_tails)
    if remaining.any():
        log_tails[remaining] = _log_tail_by_nodes(y[remaining], q[remaining])
    return (log_tails,)


def _log_tail_by_nodes(y: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return log P(W > y) by Mills' ratio."""
    _, mass = _nodes(y, q)
    return log_density(y, q) + np.log(mass.sum(axis=1))


ORDINARY = (0.08, 1.2)
"""|q| between which scipy's incomplete gamma function is as exact as the rule, and ten times as fast."""
LEAST_TAIL = 1e-250
"""Tail down to which scipy's incomplete gamma function is as exact."""
Q_STEP = 1e-3
"""Step of the five-point difference in q: its error is 1e-12 either way."""


def _special(y: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return log P(W > y) by the incomplete gamma function; nan where the rule is needed."""
    size = np.abs(q)
    ordinary = (size > ORDINARY[0]) & (size < ORDINARY[1])
    a = 1 / np.where(ordinary, size, 1.0) ** 2
    x = a * np.exp(np.minimum(np.where(ordinary, q, 1.0) * y, 50.0))
    tail = np.where(q > 0, gammaincc(a, x), gammainc(a, x))
    return np.log(np.where(ordinary & (tail > LEAST_TAIL), tail, np.nan))


def _slopes(y: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both derivatives, by differences of the incomplete gamma function where that is exact."""
    tail = _special(y, q)
    neighbours = [_special(y, q + k * Q_STEP) for k in (-2, -1, 1, 2)]
    by_q = (neighbours[0] - 8 * neighbours[1] + 8 * neighbours[2] - neighbours[3]) / (12 * Q_STEP)
    by_y = -np.exp(log_density(y, q) - tail)
    remaining = np.isnan(by_q) | np.isnan(by_y)
    if remaining.any():
        by_y[remaining], by_q[remaining] = _slopes_by_nodes(y[remaining], q[remaining])
    return by_y, by_q


def _slopes_by_nodes(y: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both derivatives under the integral sign."""
    s, mass = _nodes(y, q)
    mills = mass.sum(axis=1)
    w = y[:, None] + s
    steep = w**3 * phi_slope(np.minimum(q[:, None] * w, LARGEST_EXPONENT))
    # where the integrand has vanished its slope may overflow, and counts for nothing
    by_q = -stirling_slope(q) - np.where(mass > 0, mass * np.minimum(steep, 1e290), 0.0).sum(axis=1) / mills
    return -1 / mills, by_q
