"""What a curve allows, whatever method rebuilds it: survival between limits, numbers at risk, totals of events.

r(t) = n S(t-) G(t-), with G the curve of not being censored. G cannot rise, so a number at risk cannot exceed the one
before it times the fall of the curve; and between two numbers at risk the deaths are fewest if all are censored before
the first death, most if after the last.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from bayes_bm.reconstruction.curve import Curve, Floats, is_drawn
from bayes_bm.reconstruction.drawn.steps import is_step_list, read_drops

LOOSE = 2.5e-4
"""Survival by which a drawn corner may miss, beyond its own rounding: half a pixel of a vector export."""
PULL = 0.03
"""Survival by which printed whole numbers may pull clicks."""
PULL_ERRORS = 5.0
"""Click errors by which printed whole numbers may pull clicks."""
SIDEWAYS_ERRORS = 3.0
"""Click errors sideways within which the curve may pass a printed time."""


def shows_steps(curve: Curve) -> bool:
    """Return whether every step of the curve is known: its corners, or one point for each step."""
    return is_drawn(curve) or is_step_list(curve)


@dataclass(frozen=True)
class Heights:
    """Survival just before given times, `low` and `high` (times,), and how far outside them is no contradiction yet."""

    low: Floats
    high: Floats
    slack: float


def heights(curve: Curve, times: Floats) -> Heights:
    """Return limits of S(t-) at times (times,): rounding of a drawn curve, errors of clicks."""
    return _drawn_heights(curve, times) if shows_steps(curve) else _clicked_heights(curve, times)


def _drawn_heights(curve: Curve, times: Floats) -> Heights:
    """Return the levels between which a drawn curve lies within a cell of its time grid."""
    drops = read_drops(curve)
    levels = np.concatenate([[1.0], drops.survival])
    cell = drops.time_error * (1 + 1e-6)
    late = np.searchsorted(drops.time, times + cell, side="right" if cell else "left")
    return Heights(
        levels[late], levels[np.searchsorted(drops.time, times - cell, side="left")], max(drops.survival_error, LOOSE)
    )


def _clicked_heights(curve: Curve, times: Floats) -> Heights:
    """Return the heights of the clicks on either side, made to fall."""
    order = np.argsort(curve.time, kind="stable")
    time, given = np.maximum(curve.time[order], 0.0), np.clip(curve.survival[order], 0.0, 1.0)
    line = isotonic_regression(given, increasing=False).x
    error = click_scatter(curve)
    time, line = np.concatenate([[0.0], time]), np.concatenate([[1.0], line])
    side = SIDEWAYS_ERRORS * error * curve.axis_max
    # between two clicks the curve may do anything between their heights
    high = line[np.clip(np.searchsorted(time, times - side, side="right") - 1, 0, None)]
    low = line[np.minimum(np.searchsorted(time, times + side, side="left"), len(line) - 1)]
    low = np.where(times > 0, low, 1.0)
    one_patient = 1 / curve.n  # clicks may miss the last step, or half of each
    return Heights(low, high, max(PULL, PULL_ERRORS * error, one_patient))


def click_scatter(curve: Curve) -> float:
    """Return a rough sd of a click as a share of an axis.

    Along u = x + y, with x = time / axis_max and y = 1 - S, the curve is v = x - y with slope -1 (a drop) to 1 (a level
    run). Where the slope is one of these, a click misses the line between its neighbours with sd 2 e sqrt(3/2); the
    median of the misses forgets the corners. No clicks on a drawn curve, so 0 there.
    """
    x, y = curve.time / curve.axis_max, 1 - curve.survival
    order = np.argsort(x + y, kind="stable")
    u, v = (x + y)[order], (x - y)[order]
    if len(u) < 3:
        return 0.0
    width = np.maximum(u[2:] - u[:-2], 1e-12)
    chord = v[:-2] + (v[2:] - v[:-2]) * (u[1:-1] - u[:-2]) / width
    return float(np.median(np.abs(v[1:-1] - chord)) / 0.6745 / (2 * np.sqrt(1.5)))


@dataclass(frozen=True)
class Excess:
    """How far each printed number at risk is above what the curve leaves (rows,): `survival` by which the curve would
    have to rise (0 where it need not) and the largest `allowed` number."""

    survival: Floats
    allowed: Floats


def excess(curve: Curve) -> Excess:
    """Compare each printed number with the one before it and the fall of the curve between them."""
    if not len(curve.risk_time):
        return Excess(np.empty(0), np.empty(0))
    limits = heights(curve, np.concatenate([[0.0], curve.risk_time]))
    count = np.concatenate([[curve.n], curve.risk_count]).astype(float)
    whole = 0.0 if shows_steps(curve) else 1.0  # clicks cannot tell a curve from one a step higher
    start = np.minimum(limits.low[:-1], 1.0) / np.maximum(count[:-1], 1.0)  # height of one patient
    missing = start * np.maximum(count[1:] - whole, 0.0) - (limits.high[1:] + limits.slack)
    allowed = limits.high[1:] / np.maximum(start, 1e-12) + whole + 1e-6
    return Excess(np.where(missing > 0, missing, 0.0), np.minimum(allowed, count[:-1]))


@dataclass(frozen=True)
class EventLimits:
    """Fewest and most events that a curve and its numbers at risk allow."""

    fewest: int
    most: int


def event_limits(curve: Curve) -> EventLimits:
    """Return the fewest and most events that curve and numbers at risk allow.

    Deaths between printed numbers a and b while survival falls by the factor q: at least b (1 - q) / q, if all are
    censored first, at most a (1 - q), and never more than a - b; a drop of a drawn curve is one death or more.
    """
    times = np.concatenate([[0.0], curve.risk_time])
    count = np.concatenate([[curve.n], curve.risk_count, [0]]).astype(float)
    limits = heights(curve, times)
    end = float(np.clip(curve.survival.min(), 0.0, 1.0))
    low = np.concatenate([limits.low, [max(end - limits.slack, 0.0)]])
    high = np.concatenate([limits.high, [min(end + limits.slack, 1.0)]])
    low[1:-1], high[1:-1] = np.maximum(low[1:-1] - limits.slack, 0.0), np.minimum(high[1:-1] + limits.slack, 1.0)
    least = np.clip(low[1:] / np.maximum(high[:-1], 1e-12), 0.0, 1.0)
    largest = np.clip(high[1:] / np.maximum(low[:-1], 1e-12), 0.0, 1.0)
    lost = count[:-1] - count[1:]
    remaining = count[1:].copy()
    remaining[-1] = 1.0 if end > limits.slack else 0.0  # somebody is seen to the end of a line above 0
    most = np.minimum(np.floor(count[:-1] * (1 - least) + 1e-6), lost)
    fewest = np.minimum(np.ceil(remaining * (1 - largest) / np.maximum(largest, 1e-12) - 1e-6), lost)
    drops = len(read_drops(curve).time) if shows_steps(curve) else 0
    return EventLimits(int(max(fewest.sum(), min(drops, curve.n))), int(most.sum()))
