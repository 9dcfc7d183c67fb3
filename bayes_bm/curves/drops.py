"""The steps of a drawn curve: drops and the grids on which their times and heights lie."""

from dataclasses import dataclass

import numpy as np

from bayes_bm.curves.reading import SAME, Curve, Floats

DAY = np.array([1.0, 1 / 7, 1 / 30.4375, 1 / 30.44, 1 / 30.4, 1 / 30, 12 / 365, 1 / 365.25, 1 / 365])
CLOCKS = np.sort(np.unique(np.concatenate([DAY, 10.0 ** -np.arange(1, 5)])))[::-1]  # units of time, coarse to fine


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


def drops_of(curve: Curve) -> Drops:
    """Drops of a drawn curve, one for each vertical piece: two drops that share a time stay two."""
    time, survival = np.maximum(curve.time, 0.0), np.clip(curve.survival, 0.0, 1.0)
    level = np.minimum.accumulate(np.concatenate([[1.0], survival]))
    fall = np.flatnonzero(level[1:] < level[:-1] - SAME)
    error = _grid(time, curve.axis_max, 1e-3) / 2
    exact, clock = on_clock(time[fall], error)
    return Drops(exact, level[1:][fall], float(time[-1]), error, _grid(survival, 1.0, 1e-2) / 2, clock)


def on_clock(time: Floats, error: float) -> tuple[Floats, float]:
    """Times known within `error`, moved to the clock of the study (days, or a decimal) if they plainly follow one.

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
            return np.round(unit * np.round(time / unit), 10), float(unit)
    return time, 0.0


def _grid(values: Floats, unit: float, widest: float) -> float:
    """The coarsest decimal grid (1 or 5 times a power of ten, of the unit or absolute) with all values on it, or 0."""
    powers = np.array([f * 10.0**-k for k in range(2, 8) for f in (1.0, 0.5)])
    steps = np.unique(np.concatenate([powers * unit, powers]))[::-1]
    for step in steps[(steps <= widest * unit) & (steps >= 1e-7 * unit)]:
        if np.abs(values - step * np.round(values / step)).max() <= 1e-8 * unit:
            return float(step)
    return 0.0
