"""The steps of a drawn curve: drops and the grids on which their times and heights lie."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bayes_bm.reconstruction.curve import SAME, Curve, Floats

DAY = np.array([1.0, 1 / 7, 1 / 30.4375, 1 / 30.44, 1 / 30.4, 1 / 30, 12 / 365, 1 / 365.25, 1 / 365])
"""A day in days, weeks, months and years, as papers convert them."""
CLOCK_DECIMALS = 10
"""Decimals to which times on a clock are rounded, so that equal multiples of it are equal numbers."""
FRACTIONS = 3 / np.pi**2
"""Fractions d/r with r <= n per unit of their value, as a share of n^2 (Farey)."""
BY_CHANCE = 1e-6
"""Probability that is let pass that points which are no steps look like steps."""
CLOCKS = np.sort(np.unique(np.concatenate([DAY, 10.0 ** -np.arange(1, 5)])))[::-1]
"""Units of time, coarse to fine."""


@dataclass(frozen=True)
class Drops:
    """Steps of a drawn curve: survival falls to `survival` at `time` (drops,); the line ends at `end`.

    `time_error` and `survival_error` are half a cell of the grid on which the numbers lie, 0 where there is none;
    `clock` is the unit (a day, a decimal) whose multiples the times turned out to be, 0 where there is none.
    """

    time: Floats
    survival: Floats
    end: float
    time_error: float
    survival_error: float
    clock: float = 0.0


def read_drops(curve: Curve) -> Drops:
    """Return the drops of a drawn curve, one for each vertical piece: two drops that share a time stay two.

    A list of steps (`is_step_list`) has one point for each: (time, survival after it), or upper corners, where the
    survival after a step stands in the next row and the line ends with the last.
    """
    time, survival = np.maximum(curve.time, 0.0), np.clip(curve.survival, 0.0, 1.0)
    end, survival_error = float(time[-1]), _grid(survival, 1.0, 1e-2) / 2
    if _are_upper_corners(time, survival):
        time, survival = time[:-1], survival[1:]
    level = np.minimum.accumulate(np.concatenate([[1.0], survival]))
    fall = np.flatnonzero(level[1:] < level[:-1] - SAME)
    error = _grid(time, curve.axis_max, 1e-3) / 2
    exact, clock = on_clock(time[fall], error)
    return Drops(exact, level[1:][fall], end, error, survival_error, clock)


def is_step_list(curve: Curve) -> bool:
    """Return whether there is exactly one point for each step of a curve, as survfit prints it.

    The points are (time, survival) in order, which only arithmetic makes certain. Every fall must be a fraction d/r of
    at most r = n S at risk within rounding e, which falls of any other size would be with probability 2 e / S times
    the number of such fractions, 0.3 (n S)^2 each.
    """
    time, survival = np.maximum(curve.time, 0.0), np.clip(curve.survival, 0.0, 1.0)
    if curve.click_error or (np.diff(time) <= SAME * curve.axis_max).any() or (np.diff(survival) > SAME).any():
        return False
    level = np.concatenate([[1.0], survival[survival < 1 - SAME]])
    level = level[np.concatenate([[True], np.diff(level) < -SAME])]
    if _is_straight(time, level, curve):
        return False
    grid = _grid(survival, 1.0, 1e-2)
    rounded = np.minimum((grid + 2 * SAME) * FRACTIONS * curve.n**2 * level[:-1], 1.0)
    if np.log(rounded).sum() < np.log(BY_CHANCE):
        return _are_fractions(level, curve.n, grid / 2 + SAME)
    if grid == 0:
        return False
    exact = np.maximum(_chance_on_grid(level[:-1], curve.n, grid), BY_CHANCE)  # not rounded: decimals as they are
    return bool(np.log(exact).sum() < np.log(BY_CHANCE)) and _are_fractions(level, curve.n, SAME)


def _is_straight(time: Floats, level: Floats, curve: Curve) -> bool:
    """Return whether the points are evenly spread over a straight line whose falls are no whole patients of n.

    Equal falls are fractions of whatever number; without n of its own such a line is a sketch and no list of steps.
    """
    if len(level) < 4:
        return False
    gaps, falls = np.diff(time[1:]), -np.diff(level)
    is_even = np.ptp(gaps) <= 1e-6 * curve.axis_max and np.ptp(falls) <= 1e-6
    whole = falls[0] * curve.n
    return bool(is_even and abs(whole - round(whole)) > 1e-3)


def _chance_on_grid(levels: Floats, n: int, grid: float) -> Floats:
    """Return the share of the multiples of a decimal grid below each level that are possible levels.

    Possible is the level times 1 - d/r, exactly, with r <= n S.
    """
    shares = []
    for top in np.rint(levels / grid).astype(int).tolist():
        denominator = top / np.gcd(top, np.arange(top))
        shares.append((denominator <= n * top * grid + SAME).mean())
    return np.array(shares)


def _are_fractions(level: Floats, n: int, error: float) -> bool:
    """Return whether each level is the one before times 1 - d/r, with whole d and r <= n S, within rounding."""
    at_risk = np.arange(1, n + 1)
    for upper, lower in pairwise(level.tolist()):
        died = np.maximum(np.rint(at_risk * (1 - lower / upper)), 1)
        fits = np.abs(upper * (1 - died / at_risk) - lower) <= 2 * error
        if not (fits & (at_risk <= n * (upper + error))).any():
            return False
    return True


def _are_upper_corners(time: Floats, survival: Floats) -> bool:
    """Return whether each point is the top of a step: (0, 1), one more at 1, and then no survival twice.

    survfit's own list does not start at time 0.
    """
    lower = survival[2:]
    falls = bool((np.diff(time) > 0).all() and (np.diff(lower) < -SAME).all())
    return falls and time[0] == 0 and len(lower) > 0 and bool(survival[1] >= 1 - SAME > lower[0])


def on_clock(time: Floats, error: float) -> tuple[Floats, float]:
    """Move times known within `error` to the clock of the study (days, or a decimal) if they plainly follow one.

    If every time lies within `error` of a multiple of a unit, which by chance happens with probability
    (2 error / unit)^times, the multiples are the times. Returns the times and the unit, or 0 where there is none.
    """
    distinct = np.unique(time[time > 0])
    if error <= 0 or len(distinct) < len(time):  # two drops in one cell: finer than the grid
        return time, 0.0
    for unit in CLOCKS:
        chance = len(distinct) * np.log(min(2 * error / unit, 1.0))
        nearest = unit * np.round(distinct / unit)
        if chance < np.log(1e-6 / len(CLOCKS)) and np.abs(nearest - distinct).max() <= error * (1 + 1e-6):
            return np.round(unit * np.round(time / unit), CLOCK_DECIMALS), float(unit)
    return time, 0.0


def _grid(values: Floats, unit: float, widest: float) -> float:
    """Return the width of the coarsest decimal grid that holds all values, 0 where there is none.

    A decimal grid is 1 or 5 times a power of ten, of the unit or absolute.
    """
    powers = np.array([f * 10.0**-k for k in range(2, 8) for f in (1.0, 0.5)])
    steps = np.unique(np.concatenate([powers * unit, powers]))[::-1]
    for step in steps[(steps <= widest * unit) & (steps >= 1e-7 * unit)]:
        if np.abs(values - step * np.round(values / step)).max() <= 1e-8 * unit:
            return float(step)
    return 0.0
