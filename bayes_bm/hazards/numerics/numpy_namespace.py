"""Array namespaces: the same formula for numpy (draws, tests) and for PyTensor (the model).

`numpy` functions on PyTensor variables fail late or silently (docs/decisions.md#numpy-on-pytensor), so formulas shared
by the model and the estimands take the namespace `xp`. The PyTensor twin of `NUMPY` stands in
`model/pymc_graph/pytensor_namespace.py`, which may import PyTensor; this file may not.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import special

from bayes_bm.hazards.numerics import gamma_tail
from bayes_bm.hazards.numerics.mixture import mixture

Namespace = Any
"""The functions that formulas are written with: `NUMPY`, or its PyTensor twin."""
type Tensor = Any
"""An array of either namespace; PyTensor's variables have no types that a checker could follow."""


def _log1mexp(x):
    """Return log(1 - exp(x)) for x <= 0, without cancellation (Maechler 2012); -inf at 0."""
    x = np.asarray(x, dtype=float)
    with np.errstate(divide="ignore"):
        return np.where(x > -np.log(2.0), np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def _inner(features, coefficients):
    """Sum products over the trailing axis, the others broadcast."""
    return np.einsum("...k,...k->...", features, coefficients)


def _sum(x):
    """Sum over the trailing axis."""
    return np.sum(x, axis=-1)


def _max(x):
    """Return the largest over the trailing axis, which is kept."""
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


def _beside(parts):
    """Join arrays along the trailing axis; the others broadcast."""
    rows = np.broadcast_shapes(*(np.shape(part)[:-1] for part in parts))
    return np.concatenate([np.broadcast_to(part, (*rows, np.shape(part)[-1])) for part in parts], axis=-1)


def _columns(columns):
    """Shape parameters, each (...), as a shape (..., parameter); a family without any has an empty axis."""
    return np.stack(columns, axis=-1) if columns else np.zeros((1, 0))


def _softplus(x):
    """Return log(1 + exp(x))."""
    return np.logaddexp(0.0, x)


LOWEST_LOG_TIME = -750.0
"""Least log(t / t0) at which `solve` looks."""
HIGHEST_LOG_TIME = 700.0
"""Largest log(t / t0) at which `solve` looks; a cumulative hazard that is not reached there is never reached."""


def solve_cum_hazard(
    family: Any, log_cum: Tensor, eta: Tensor, shape: Tensor, *, steps: int = 100, tolerance: float = 1e-9
) -> Tensor:
    """Return log u at which log H(u) = log_cum, by Newton's steps inside a bracket; inf where it is never reached.

    d log H / d log u = u h / H. Elements that have converged are left alone: a step of `tolerance` (relative to the
    larger of 1 and log u) is the last and leaves its square. It is judged before the bracket, for a step lost in
    rounding ends outside it, where halving would lead far away. NaN where no step was that small.
    """
    numbers = np.broadcast_arrays(*(np.asarray(value, dtype=float) for value in (log_cum, eta)))
    sizes = np.broadcast_shapes(numbers[0].shape, np.shape(shape)[:-1])
    target, level = (np.broadcast_to(value, sizes).ravel() for value in numbers)
    shapes = np.broadcast_to(shape, (*sizes, np.shape(shape)[-1])).reshape(len(target), -1)
    log_u = np.where(target > -np.inf, 0.0, -np.inf)
    remaining = np.flatnonzero(target > -np.inf)
    low, high = np.full(len(target), LOWEST_LOG_TIME), np.full(len(target), HIGHEST_LOG_TIME)
    ends = family.log_cum_hazard(family.place(high[remaining]), level[remaining], shapes[remaining], xp=NUMPY)
    never = ~(ends >= target[remaining])
    log_u[remaining[never]] = np.inf
    remaining = remaining[~never]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(steps):
            if not len(remaining):
                break
            position, row_shape = log_u[remaining], shapes[remaining]
            placed = family.place(position)
            shortfall = target[remaining] - family.log_cum_hazard(placed, level[remaining], row_shape, xp=NUMPY)
            slope = np.exp(
                position
                + family.log_hazard(placed, level[remaining], row_shape, xp=NUMPY)
                - target[remaining]
                + shortfall
            )
            is_short = shortfall > 0
            low[remaining], high[remaining] = (
                np.where(is_short, position, low[remaining]),
                np.where(is_short, high[remaining], position),
            )
            step, near = shortfall / slope, tolerance * np.maximum(1, np.abs(position))
            is_small = (shortfall == 0) | (np.abs(step) <= near)
            newton = np.where(shortfall == 0, position, position + step)
            in_bracket = np.isfinite(newton) & (newton > low[remaining]) & (newton < high[remaining])
            moved = np.where(is_small | in_bracket, newton, (low[remaining] + high[remaining]) / 2)
            settled = is_small | (high[remaining] - low[remaining] <= near)
            log_u[remaining] = np.where(settled & ~is_small, position, moved)
            remaining = remaining[~settled]
    log_u[remaining] = np.nan
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
    ndtri=special.ndtri,
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
    columns=_columns,
    beside=_beside,
)
