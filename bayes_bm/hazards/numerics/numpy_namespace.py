"""Array namespaces: the same formula for numpy (draws, tests) and for PyTensor (the model).

`numpy` functions on PyTensor variables fail late or silently (docs/decisions.md#numpy-on-pytensor), so formulas shared
by the model and the estimands take the namespace `xp`. The PyTensor twin of `NUMPY` stands in `tensor.py`, which may
know PyTensor; this may not.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import special

from bayes_bm.hazards.numerics import gamma_tail
from bayes_bm.hazards.numerics.mixture import mixture

Namespace = Any


def _log1mexp(x):
    """log(1 - exp(x)) for x <= 0, without cancellation (Maechler 2012); -inf at 0."""
    x = np.asarray(x, dtype=float)
    with np.errstate(divide="ignore"):
        return np.where(x > -np.log(2.0), np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def _inner(features, coefficients):
    """Sum over the trailing axis, the others broadcast."""
    return np.einsum("...k,...k->...", features, coefficients)


def _sum(x):
    """Over the trailing axis."""
    return np.sum(x, axis=-1)


def _max(x):
    """Over the trailing axis, which is kept."""
    return np.max(x, axis=-1, keepdims=True)


def _take(values, rows):
    """Of draws (sample, item, ...) the items of some rows (sample, row, ...)."""
    return values[:, rows]


def _put(values, rows, new):
    """Draws (sample, row) with other values at some rows."""
    changed = np.array(values)
    changed[:, rows] = new
    return changed


def _product(matrix, vectors):
    """matrix (row, k) times the vector of each draw (sample, k): (sample, row)."""
    return vectors @ matrix.T


def _join_shape(parts, *, points=False):
    """Parts of the shape of draws, (sample, row) or (sample, row, parameter), as one array (sample, row, shape).

    With `points` the last part is what each integration point adds to eta, which stands behind the shape.
    """
    return np.concatenate([part[..., None] if np.ndim(part) == 2 else part for part in parts], axis=-1)


def _softplus(x):
    return np.logaddexp(0.0, x)


LOWEST, HIGHEST = -750.0, 700.0
"""Where `solve` looks for log(t / t0): beyond, a cumulative hazard that is not reached counts as never reached."""


def solve_cum_hazard(family, log_cum, eta, shape, *, steps: int = 100, tolerance: float = 1e-13):
    """log u at which log H(u) = log_cum, by Newton's steps in log time inside a bracket; inf where it is never reached.

    d log H / d log u = u h / H. Elements that have converged are left alone.
    """
    numbers = np.broadcast_arrays(*(np.asarray(value, dtype=float) for value in (log_cum, eta)))
    sizes = np.broadcast_shapes(numbers[0].shape, np.shape(shape)[:-1])
    target, level = (np.broadcast_to(value, sizes).ravel() for value in numbers)
    shapes = np.broadcast_to(shape, (*sizes, np.shape(shape)[-1])).reshape(len(target), -1)
    log_u = np.where(target > -np.inf, 0.0, -np.inf)
    left = np.flatnonzero(target > -np.inf)
    low, high = np.full(len(target), LOWEST), np.full(len(target), HIGHEST)
    ends = family.log_cum_hazard(family.place(high[left]), level[left], shapes[left], xp=NUMPY)
    never = ~(ends >= target[left])
    log_u[left[never]] = np.inf
    left = left[~never]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(steps):
            if not len(left):
                break
            at, of_shape = log_u[left], shapes[left]
            placed = family.place(at)
            short = target[left] - family.log_cum_hazard(placed, level[left], of_shape, xp=NUMPY)
            slope = np.exp(at + family.log_hazard(placed, level[left], of_shape, xp=NUMPY) - target[left] + short)
            below = short > 0
            low[left], high[left] = np.where(below, at, low[left]), np.where(below, high[left], at)
            newton = at + short / slope
            inside = np.isfinite(newton) & (newton > low[left]) & (newton < high[left])
            moved = np.where(inside, newton, (low[left] + high[left]) / 2)
            log_u[left] = np.where(short == 0, at, moved)
            left = left[(np.abs(moved - at) > tolerance * np.maximum(1, np.abs(at))) & (short != 0)]
    return log_u.reshape(sizes)


NUMPY: Namespace = SimpleNamespace(
    exp=np.exp,
    log=np.log,
    log1p=np.log1p,
    expm1=np.expm1,
    abs=np.abs,
    where=np.where,
    minimum=np.minimum,
    gammaln=special.gammaln,
    betaln=special.betaln,
    betainc=special.betainc,
    log_ndtr=special.log_ndtr,
    log1mexp=_log1mexp,
    softplus=_softplus,
    logaddexp=np.logaddexp,
    inner=_inner,
    sum=_sum,
    max=_max,
    log_gamma_density=gamma_tail.log_density,
    log_gamma_tail=gamma_tail.log_tail,
    mixture=mixture,
    solve=solve_cum_hazard,
    take=_take,
    put=_put,
    product=_product,
    join_shape=_join_shape,
)
