"""The line behind clicks: monotone, with errors in both directions, and its posterior."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import isotonic_regression
from scipy.special import log_ndtr

from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.reconstruction.curve import SAME, Curve, Floats, Ints

PASSES = 8
"""Passes of the EM for clicks that are lower bounds."""
MOST_KNOTS = 150
"""Clicks beyond this are averaged in groups: the fit is cubic in their number."""


@dataclass(frozen=True)
class Line:
    """A monotone line through clicks: `time` rising, `survival` falling from (0, 1), (knots,).

    `click_error` is the estimated sd of a click as a share of either axis. `mean` and the covariance
    `spread` are the posterior of the rotated line on `grid`, from which `redraw` draws others.
    """

    time: Floats
    survival: Floats
    click_error: float
    axis_max: float
    mean: Floats
    grid: Floats
    spread: Floats

    @cached_property
    def root(self) -> Floats:
        """Return a square root of `spread`."""
        values, vectors = np.linalg.eigh(self.spread)
        return vectors * np.sqrt(np.maximum(values, 0.0))

    def __call__(self, times: ArrayLike) -> Floats:
        """Return survival at these times; where the line is vertical, its lower end (right-continuous)."""
        times = np.asarray(times, float)
        place = np.searchsorted(self.time, times, side="right")
        low, high = np.clip(place - 1, 0, None), np.minimum(place, len(self.time) - 1)
        width = self.time[high] - self.time[low]
        share = np.where(width > 0, (times - self.time[low]) / np.where(width > 0, width, 1.0), 0.0)
        return self.survival[low] + np.clip(share, 0, 1) * (self.survival[high] - self.survival[low])

    def left_limit(self, times: ArrayLike) -> Floats:
        """Return survival just before these times, 1 before the start."""
        times = np.asarray(times, float)
        return np.where(times > 0, self(np.nextafter(times, -1.0)), 1.0)


def fit_clicks(curve: Curve) -> Line:
    """Return the monotone line most plausible given clicks with errors in both directions.

    With x = time / axis_max and y = 1 - survival a falling curve, read along the axis u = x + y, is a function
    v(u) = x - y whose slope lies between -1 (a vertical drop) and 1 (a level run), and an error of the same size in x
    and y is an error of one size in v: clicks are ordered along the line rather than in time, and neither direction
    is preferred. v is given a Gaussian-process prior from (0, 1), the sum of an integrated Brownian motion (the smooth
    survival of the population) and a Brownian motion (the steps of a sample from it); the marginal likelihood sets the
    size of both and the click error. The slope limits are then restored by isotonic regression of time and of
    survival along u.

    A stated error of the reading is the least that the click error can be.

    Clicks that were pushed down to a largest rise above the lowest click before them are lower bounds, not readings:
    they are replaced by what the line expects above the bound (EM, as in a Tobit regression).
    Source: Wahba 1978 (smoothing splines as such processes); Barlow et al. 1972 (isotonic); Tobin 1958.
    """
    line = _fit_clicks(curve)
    return replace(line, click_error=max(line.click_error, curve.click_error))


def _fit_clicks(curve: Curve) -> Line:
    """Return the line and the click error that the clicks themselves tell."""
    bound = pushed_down(curve)
    ratios = _variance_ratios(_rotated(curve, curve.survival))
    line = _fit(curve, curve.survival, ratios, spread=not bound.any())
    if not bound.any():
        return line
    survival, error = curve.survival, line.click_error
    for _ in range(PASSES):
        survival, spare = _expected_above(line, curve, bound, error)
        line = _fit(curve, survival, ratios, spread=False)
        error = float(np.hypot(line.click_error, spare))
    return replace(_fit(curve, survival, ratios), click_error=error)


def pushed_down(curve: Curve) -> NDArray[np.bool_]:
    """Return a mask (points,): clicks at one and the same largest rise above the lowest click before them.

    Nobody errs so evenly by chance.
    """
    if (np.diff(curve.time) < 0).any():
        return np.zeros(len(curve.time), bool)
    lowest = np.minimum.accumulate(np.concatenate([[np.inf], curve.survival[:-1]]))
    rise = curve.survival - lowest
    cap = rise.max()
    at_cap = rise >= cap - 2e-6
    return at_cap if cap > 1e-5 and at_cap.sum() >= 3 else np.zeros(len(curve.time), bool)


def _expected_above(line: Line, curve: Curve, bound: NDArray[np.bool_], error: float) -> tuple[Floats, float]:
    """Return survival with E[s | s > given] for each lower bound, and the sd that this leaves out.

    The error is normal about the line. Where the line is steep an error in time counts as one in survival:
    sd^2 = error^2 (1 + slope^2).
    """
    width = 2 * error * curve.axis_max
    earlier_height, later_height = line(np.maximum(curve.time - width, 0.0)), line(curve.time + width)
    sd = error * np.sqrt(1 + ((earlier_height - later_height) / (4 * error)) ** 2)
    middle = (earlier_height + 2 * line(curve.time) + later_height) / 4
    z = np.clip((curve.survival - middle) / sd, -8, 8)
    mills = np.exp(-0.5 * z**2 - HALF_LOG_TWO_PI - log_ndtr(-z))
    left_out = np.where(bound, 1 + z * mills - mills**2, 0.0).clip(0, 1).mean()
    return np.where(bound, middle + sd * mills, curve.survival), error * float(np.sqrt(left_out))


def _fit(curve: Curve, survival: Floats, ratios: tuple[float, float], *, spread: bool = True) -> Line:
    """Return the posterior of the rotated line given clicks at these heights and the ratios of `_variance_ratios`."""
    u, v, size = _rotated(curve, survival)
    grid = np.unique(np.concatenate([np.linspace(0.0, u[-1] * _unseen(curve), 2 * len(u)), u]))
    factor = cho_factor(_kernel(u, u, ratios) + np.diag(1.0 / size))
    variance = max(float(v @ cho_solve(factor, v)) / len(v), 1e-12)
    cross = _kernel(grid, u, ratios)
    mean = cross @ cho_solve(factor, v)
    covariance = _kernel(grid, grid, ratios) - cross @ cho_solve(factor, cross.T) if spread else np.empty((0, 0))
    slope = np.gradient(mean, grid).clip(-1, 1)
    error = float(np.sqrt(variance / (2 * (1 + np.mean(slope**2)))))
    return _make_line(grid, mean, variance * covariance, error, curve.axis_max)


def redraw(line: Line, rng: np.random.Generator) -> Line:
    """Draw another line from the posterior of `fit_clicks`."""
    mean = line.mean + line.root @ rng.standard_normal(len(line.mean))
    return _make_line(line.grid, mean, line.spread, line.click_error, line.axis_max)


def log_covariance(line: Line, times: Floats) -> Floats:
    """Return the covariance of the log of survival at these times (where it is above 0): the posterior of the line."""
    grid_index, moves = _moves(line, times)
    return line.spread[np.ix_(grid_index, grid_index)] * np.multiply.outer(moves, moves)


def condition_line(line: Line, times: Floats, survival: Floats) -> Line:
    """Return the most plausible line that has `survival` just before these times: it moves less the farther from them.

    The mean of the Gaussian process given its value there; a few Newton steps, as survival is not linear in it.
    """
    grid_index, moves = _moves(line, times)
    inner = line.spread[np.ix_(grid_index, grid_index)]
    inner = inner + (1e-6 * np.trace(inner) / len(times) + 1e-15) * np.eye(len(times))
    moved, shift = line, np.zeros(len(times))
    for _ in range(3):
        shift += np.log(survival / np.maximum(moved.left_limit(times), 1e-9)) / moves
        mean = line.mean + line.spread[:, grid_index] @ np.linalg.solve(inner, shift)
        moved = _make_line(line.grid, mean, line.spread, line.click_error, line.axis_max)
    return moved


def _moves(line: Line, times: Floats) -> tuple[Ints, Floats]:
    """Return the places on the grid where the line passes these times, and how log survival moves with v there.

    v(u) moved by e moves survival at a fixed time by e / (1 + v'), and 1 + v' = 2 dx/du.
    """
    x, u = line.time / line.axis_max, line.grid
    place = np.interp(times / line.axis_max, x + 1e-12 * np.arange(len(x)), u)
    width = max(4 * line.click_error, u[-1] / len(u))
    low, high = np.maximum(place - width, 0.0), np.minimum(place + width, u[-1])
    pace = (np.interp(high, u, x) - np.interp(low, u, x)) / (high - low)
    grid_index = np.searchsorted(u, place).clip(0, len(u) - 1)
    return grid_index, 1 / (2 * np.maximum(pace, 0.05) * line.left_limit(times))


def _unseen(curve: Curve) -> float:
    """Return the length of the line over the length that was clicked.

    Whoever clicked on the start (0, 1) clicked on the end. Of m clicks strewn over a line the last falls short of its
    end by one part in m on average, so there the line is taken on as it was going.
    """
    started = (np.abs(curve.time) <= SAME * curve.axis_max) & (np.abs(curve.survival - 1) <= SAME)
    return 1.0 if started.any() else 1.0 + 1.0 / len(curve.time)


def _make_line(grid: Floats, mean: Floats, spread: Floats, error: float, axis_max: float) -> Line:
    """Turn v = `mean` on `grid` back into a monotone line from (0, 1)."""
    time = isotonic_regression((grid + mean) / 2, increasing=True).x
    survival = isotonic_regression(1 - (grid - mean) / 2, increasing=False).x
    time, survival = np.clip(time, 0.0, 1.0) * axis_max, np.clip(survival, 0.0, 1.0)
    time[0], survival[0] = 0.0, 1.0
    return Line(time, survival, error, axis_max, mean, grid, spread)


class _Rotated(NamedTuple):
    """Clicks as v(u), sorted along u, close ones averaged; `size` clicks stand behind each."""

    u: Floats
    v: Floats
    size: Floats


def _rotated(curve: Curve, survival: Floats) -> _Rotated:
    """Rotate the clicks of a curve, taken at these heights."""
    x, y = curve.time / curve.axis_max, 1 - survival
    keep = np.hypot(x, y) > SAME  # (0, 1) is known without a click
    order = np.argsort((x + y)[keep], kind="stable")
    u, v = (x + y)[keep][order], (x - y)[keep][order]
    u = np.maximum(u, 1e-6)
    groups = np.arange(len(u)) * min(MOST_KNOTS, len(u)) // len(u)
    groups = np.unique(groups, return_inverse=True)[1]
    size = np.bincount(groups).astype(float)
    return _Rotated(np.bincount(groups, u) / size, np.bincount(groups, v) / size, size)


def _kernel(a: Floats, b: Floats, ratios: tuple[float, float]) -> Floats:
    """Return the covariance, in click variances, of a Brownian motion and of an integrated one with a free first slope.

    The slope may be anything from -1 to 1, so its variance is 1/3 of the scale of the second process.
    """
    low, gap = np.minimum.outer(a, b), np.abs(np.subtract.outer(a, b))
    return ratios[0] * low + ratios[1] * (low**3 / 3 + low**2 * gap / 2 + np.multiply.outer(a, b) / 3)


def _variance_ratios(clicks: _Rotated) -> tuple[float, float]:
    """Return variances of both processes, relative to a click's, of largest marginal likelihood, noise profiled out."""
    u, v, size = clicks
    rough, smooth, noise = _kernel(u, u, (1.0, 0.0)), _kernel(u, u, (0.0, 1.0)), np.diag(1.0 / size)

    def likelihood(ratios: tuple[float, float]) -> float:
        """Return the log marginal likelihood, but for a constant."""
        factor = cho_factor(ratios[0] * rough + ratios[1] * smooth + noise, overwrite_a=True, check_finite=False)
        variance = v @ cho_solve(factor, v, check_finite=False) / len(v)
        return float(-np.log(np.diag(factor[0])).sum() - len(v) / 2 * np.log(max(variance, 1e-16)))

    coarse = [(a, b) for a in (0.0, 1.0, 10.0, 1e2, 1e3, 1e4) for b in 10.0 ** np.arange(0, 8.1, 1)]
    best = max(coarse, key=likelihood)
    neighbours = [(best[0] * a, best[1] * b) for a in (10**-0.5, 1.0, 10**0.5) for b in (10**-0.5, 1.0, 10**0.5)]
    return max(neighbours, key=likelihood)
