"""The upper tail of the standardised generalised gamma law, by quadrature, with its derivatives (numpy).

Prentice's law of w has log density -g(w; q) - mu(q) - log(2 pi) / 2 with g(w; q) = (exp(q w) - q w - 1) / q^2, smooth
through the normal law at q = 0, and mu the remainder of Stirling's series of log Gamma at 1 / q^2. The tail beyond
y >= 0 is the density at y times Mills' ratio

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

HALF_LOG_TWO_PI = 0.9189385332046727
LARGEST = 500.0
"""q w beyond which exp(q w) is cut off: the tail is then zero in any arithmetic."""
CHUNK = 200_000
SERIES = 0.5
NEAR = 0.1
STIRLING = 0.3
_SPACING = 0.15
_NODE = np.arange(-3.6, 4.3, _SPACING)
_S, _STEP = np.exp(_NODE - np.exp(-_NODE)), _SPACING * np.exp(_NODE - np.exp(-_NODE)) * (1 + np.exp(-_NODE))
_FACTORIALS = np.cumprod(np.arange(1.0, 18.0))


def phi(x: np.ndarray) -> np.ndarray:
    """(exp(x) - 1 - x) / x^2, and 1 / 2 at zero."""
    x = np.asarray(x, dtype=float)
    near = np.abs(x) < SERIES
    far = np.where(near, 1.0, x)
    found = np.asarray((np.expm1(far) - far) / far**2)
    found[near] = _series(x[near], [1 / _FACTORIALS[n + 1] for n in range(14)])
    return found


def phi_slope(x: np.ndarray) -> np.ndarray:
    """d phi / dx, from x^2 phi = exp(x) - 1 - x."""
    x = np.asarray(x, dtype=float)
    near = np.abs(x) < SERIES
    far = np.where(near, 1.0, x)
    grown = np.expm1(far)
    found = np.asarray((grown - 2 * (grown - far) / far) / far**2)
    found[near] = _series(x[near], [n / _FACTORIALS[n + 1] for n in range(1, 15)])
    return found


def _series(x: np.ndarray, coefficients: list[float]) -> np.ndarray:
    total = np.zeros_like(x)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def stirling(q: np.ndarray) -> np.ndarray:
    """mu(q) = log Gamma(a) - (a - 1/2) log a + a - log(2 pi) / 2 with a = 1 / q^2; zero at q = 0."""
    near = np.abs(q) < STIRLING
    s = np.where(near, q, 0.0) ** 2
    series = s * (1 / 12 - s**2 * (1 / 360 - s**2 * (1 / 1260 - s**2 * (1 / 1680 - s**2 * (1 / 1188)))))
    a = 1 / np.where(near, 1.0, q) ** 2
    return np.where(near, series, gammaln(a) - (a - 0.5) * np.log(a) + a - HALF_LOG_TWO_PI)


def stirling_slope(q: np.ndarray) -> np.ndarray:
    """d mu / dq."""
    from scipy.special import digamma

    near = np.abs(q) < STIRLING
    small = np.where(near, q, 0.0)
    s = small**2
    series = 2 * small * (1 / 12 - s**2 * (3 / 360 - s**2 * (5 / 1260 - s**2 * (7 / 1680 - s**2 * (9 / 1188)))))
    far = np.where(near, 1.0, q)
    a = 1 / far**2
    return np.where(near, series, (digamma(a) - np.log(a) + 0.5 / a) * -2 * a / far)


def log_density(w: np.ndarray, q: np.ndarray) -> np.ndarray:
    return -(w**2) * phi(np.minimum(q * w, LARGEST)) - stirling(q) - HALF_LOG_TWO_PI


def log_tail(y: np.ndarray, q: np.ndarray) -> np.ndarray:
    """log P(W > y), y >= 0."""
    y, q = np.broadcast_arrays(np.asarray(y, dtype=float), np.asarray(q, dtype=float))
    return _by_chunk(y, q, _log_tail)[0].reshape(y.shape)


def log_tail_slopes(y: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of `log_tail` by y and by q."""
    y, q = np.broadcast_arrays(np.asarray(y, dtype=float), np.asarray(q, dtype=float))
    by_y, by_q = _by_chunk(y, q, _slopes)
    return by_y.reshape(y.shape), by_q.reshape(y.shape)


def _by_chunk(y: np.ndarray, q: np.ndarray, compute) -> list[np.ndarray]:
    y, q = y.ravel(), q.ravel()
    parts = [compute(y[at : at + CHUNK], q[at : at + CHUNK]) for at in range(0, max(len(y), 1), CHUNK)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _nodes(y: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """s and the weighted integrand exp(-(g(y + s) - g(y))) ds, each (row, node)."""
    x = np.minimum(q * y, LARGEST)
    near = np.abs(q) < 1e-100
    a = np.where(near, y, np.expm1(x) / np.where(near, 1.0, q))
    return _merged(q > 0, _right(y, q, a), _left(y, q, a, np.exp(x)))


def _right(y: np.ndarray, q: np.ndarray, a: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    def at(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale = 1 / (a[rows] + 1 / (1 + q[rows]))
        p = scale[:, None] * _S
        x = q[rows, None] * p
        log = np.log1p(x)
        exponent = a[rows, None] * p + p**2 * _chi(x, log)
        s = np.where(x < 1e-100, p, log / np.maximum(q[rows, None], 1e-300))
        return s, scale[:, None] * _STEP * np.exp(-exponent) / (1 + x)

    return at


def _left(
    y: np.ndarray, q: np.ndarray, a: np.ndarray, b: np.ndarray
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    def at(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # how far s goes until the exponent is about one; the rule forgives a factor of ten
        scale = np.maximum(1 / (a[rows] + np.sqrt(b[rows])), -q[rows])
        s = scale[:, None] * _S
        exponent = a[rows, None] * s + b[rows, None] * s**2 * phi(q[rows, None] * s)
        return s, scale[:, None] * _STEP * np.exp(-exponent)

    return at


def _merged(right: np.ndarray, of_right, of_left) -> tuple[np.ndarray, np.ndarray]:
    s, mass = np.empty((len(right), len(_S))), np.empty((len(right), len(_S)))
    for chosen, of in ((right, of_right), (~right, of_left)):
        if chosen.any():
            s[chosen], mass[chosen] = of(np.flatnonzero(chosen))
    return s, mass


def _chi(x: np.ndarray, log: np.ndarray) -> np.ndarray:
    """(x - log(1 + x)) / x^2, and 1 / 2 at zero, x >= 0; `log` is log(1 + x)."""
    near = x < NEAR
    small = x[near]
    far = np.where(near, 1.0, x)
    found = (far - np.where(near, 0.0, log)) / far**2
    series = np.zeros_like(small)
    for n in range(15, 1, -1):
        series = 1 / n - small * series
    found[near] = series
    return found


def _log_tail(y: np.ndarray, q: np.ndarray) -> tuple[np.ndarray]:
    found = _special(y, q)
    left = np.isnan(found)
    if left.any():
        found[left] = _log_tail_by_nodes(y[left], q[left])
    return (found,)


def _log_tail_by_nodes(y: np.ndarray, q: np.ndarray) -> np.ndarray:
    _, mass = _nodes(y, q)
    return log_density(y, q) + np.log(mass.sum(axis=1))


ORDINARY, LEAST = (0.08, 1.2), 1e-250
"""|q| and tails for which scipy's incomplete gamma function is as exact as the rule, and ten times as fast."""
STEP = 1e-3
"""Of the five-point difference in q: its error is 1e-12 either way."""


def _special(y: np.ndarray, q: np.ndarray) -> np.ndarray:
    """log P(W > y) by the incomplete gamma function; nan where the rule is needed."""
    size = np.abs(q)
    ordinary = (size > ORDINARY[0]) & (size < ORDINARY[1])
    a = 1 / np.where(ordinary, size, 1.0) ** 2
    x = a * np.exp(np.minimum(np.where(ordinary, q, 1.0) * y, 50.0))
    tail = np.where(q > 0, gammaincc(a, x), gammainc(a, x))
    return np.log(np.where(ordinary & (tail > LEAST), tail, np.nan))


def _slopes(y: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tail = _special(y, q)
    near = [_special(y, q + k * STEP) for k in (-2, -1, 1, 2)]
    by_q = (near[0] - 8 * near[1] + 8 * near[2] - near[3]) / (12 * STEP)
    by_y = -np.exp(log_density(y, q) - tail)
    left = np.isnan(by_q) | np.isnan(by_y)
    if left.any():
        by_y[left], by_q[left] = _slopes_by_nodes(y[left], q[left])
    return by_y, by_q


def _slopes_by_nodes(y: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    s, mass = _nodes(y, q)
    mills = mass.sum(axis=1)
    w = y[:, None] + s
    steep = w**3 * phi_slope(np.minimum(q[:, None] * w, LARGEST))
    # where the integrand has vanished its slope may overflow, and counts for nothing
    by_q = -stirling_slope(q) - np.where(mass > 0, mass * np.minimum(steep, 1e290), 0.0).sum(axis=1) / mills
    return -1 / mills, by_q
