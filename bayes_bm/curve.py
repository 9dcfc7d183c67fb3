"""A digitised survival curve with what was printed beside it: reading, checking and cleaning, with a log of changes.

Two kinds of curve come out of figures. A *drawn* curve (vector graphics) is the corners of the steps, exact but for
rounding; consecutive corners share a time or a survival. A *clicked* curve is points near the line with errors in both
directions. `is_drawn` tells them apart from the numbers, `drops_of` reads the one and `fit_clicks` cleans the other.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import isotonic_regression
from scipy.stats import norm

from bayes_bm.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAME = 1e-9  # shares of an axis closer than this are the same number
OVERSHOOT = 0.1  # a click may leave the axes by this share of them; beyond it the numbers mean something else
DAY = np.array([1.0, 1 / 7, 1 / 30.4375, 1 / 30.44, 1 / 30.4, 1 / 30, 12 / 365, 1 / 365.25, 1 / 365])
CLOCKS = np.sort(np.unique(np.concatenate([DAY, 10.0 ** -np.arange(1, 5)])))[::-1]  # units of time, coarse to fine
PASSES = 8  # of the EM for clicks that are lower bounds
MOST_KNOTS = 150  # clicks beyond this are averaged in groups: the fit is cubic in their number


@dataclass(frozen=True)
class Curve:
    """A digitised curve of one arm, checked, in the paper's time unit.

    `time`, `survival` (points,) in the order given, survival a proportion; `risk_time`, `risk_count` (rows,) the
    printed numbers with time >= risk_time, sorted; `ticks` (ticks,) sorted censor marks or None where the figure
    shows none; `n` patients; `events` or None; `axis_max` right end of the time axis; `changes` one line per change
    made to what was given.
    """

    time: Floats
    survival: Floats
    n: int
    axis_max: float
    risk_time: Floats
    risk_count: Ints
    ticks: Floats | None = None
    events: int | None = None
    changes: tuple[str, ...] = ()


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
        """A square root of `spread`."""
        values, vectors = np.linalg.eigh(self.spread)
        return vectors * np.sqrt(np.maximum(values, 0.0))

    def __call__(self, at: ArrayLike) -> Floats:
        """Survival at times `at`; where the line is vertical, its lower end (right-continuous)."""
        at = np.asarray(at, float)
        place = np.searchsorted(self.time, at, side="right")
        low, high = np.clip(place - 1, 0, None), np.minimum(place, len(self.time) - 1)
        width = self.time[high] - self.time[low]
        share = np.where(width > 0, (at - self.time[low]) / np.where(width > 0, width, 1.0), 0.0)
        return self.survival[low] + np.clip(share, 0, 1) * (self.survival[high] - self.survival[low])

    def before(self, at: ArrayLike) -> Floats:
        """Survival just before times `at`, 1 before the start."""
        at = np.asarray(at, float)
        return np.where(at > 0, self(np.nextafter(at, -1.0)), 1.0)


# --- reading -----------------------------------------------------------------------------------------------------


def read_curve(
    curve: pd.DataFrame | Curve,
    *,
    at_risk: pd.DataFrame | None = None,
    ticks: pd.DataFrame | None = None,
    n: int | None = None,
    events: int | None = None,
    axis_max: float | None = None,
) -> Curve:
    """Check the tables of one arm and put them into a `Curve`; every change made is a line of its `changes`.

    Tables: curve (time, survival), at_risk (time, at_risk), ticks (time); columns that start with x_ are ignored.
    `n` may be left out where the table has a row at time 0. Percentages are converted where the curve starts near
    100. Raises InputError, with table, row, column, what was found and what to do, for anything that cannot be meant.
    """
    if isinstance(curve, Curve):
        return _with_printed(curve, at_risk=at_risk, ticks=ticks, n=n, events=events, axis_max=axis_max)
    columns = _columns(curve, "curve", ("time", "survival"))
    time, survival = columns["time"], columns["survival"]
    if len(time) < 2:
        raise InputError("curve", found=f"{len(time)} points", allowed="2 or more", hint="digitise the whole line")
    changes: list[str] = []
    survival = _as_proportion(survival, changes)
    axis = _axis(time, axis_max, changes)
    _check_range(time, survival, axis, changes)
    risk_time, risk_count = _read_at_risk(at_risk, axis if axis_max is not None else None)
    n = _patients(n, risk_time, risk_count, changes)
    _check_events(events, n)
    marks = None if ticks is None else _read_ticks(ticks, axis)
    kept = risk_time > 0
    return Curve(
        time,
        survival,
        n,
        axis,
        risk_time[kept],
        risk_count[kept],
        marks,
        events if events is None else int(events),
        tuple(changes),
    )


def _with_printed(curve: Curve, *, at_risk, ticks, n, events, axis_max) -> Curve:
    """A Curve that is already checked, with printed numbers added or replaced."""
    table = pd.DataFrame({"time": curve.time, "survival": curve.survival})
    if at_risk is None and len(curve.risk_time):
        at_risk = pd.DataFrame({"time": curve.risk_time, "at_risk": curve.risk_count})
    if ticks is None and curve.ticks is not None:
        ticks = pd.DataFrame({"time": curve.ticks})
    read = read_curve(
        table,
        at_risk=at_risk,
        ticks=ticks,
        n=curve.n if n is None else n,
        events=curve.events if events is None else events,
        axis_max=curve.axis_max if axis_max is None else axis_max,
    )
    return replace(read, changes=curve.changes + read.changes)


def _columns(table: pd.DataFrame, name: str, wanted: tuple[str, ...]) -> dict[str, Floats]:
    if not isinstance(table, pd.DataFrame):
        raise InputError(name, found=type(table).__name__, allowed=f"a DataFrame with columns {', '.join(wanted)}")
    unknown = [c for c in table.columns if c not in wanted and not str(c).startswith("x_")]
    missing = [c for c in wanted if c not in table.columns]
    if unknown or missing:
        hint = f"rename or drop {', '.join(map(str, unknown))} (x_ marks a column to ignore)" if unknown else ""
        found = ", ".join(map(str, table.columns))
        raise InputError(f"{name}, columns", found=found, allowed=", ".join(wanted), hint=hint)
    return {c: _numbers(table[c], name, c) for c in wanted}


def _numbers(column, name: str, label: str) -> Floats:
    values = np.asarray(pd.to_numeric(column, errors="coerce"), float)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        where = f"{name}, row {bad[0] + 1}, column {label}"
        raise InputError(
            where, found=repr(column.iloc[bad[0]]), allowed="a finite number", hint="remove the row or mend it"
        )
    return values


def _as_proportion(survival: Floats, changes: list[str]) -> Floats:
    top, row = float(survival.max()), int(survival.argmax()) + 1
    if top <= 1 + OVERSHOOT:
        return survival
    where = f"curve, row {row}, column survival"
    if 90 <= top <= 100 * (1 + OVERSHOOT):
        changes.append(f"survival was in percent (largest {top:g}): divided by 100")
        return survival / 100
    hint = "give proportions; a curve in percent must start at 100"
    raise InputError(where, found=f"{top:g}", allowed="0 to 1", hint=hint)


def _axis(time: Floats, axis_max: float | None, changes: list[str]) -> float:
    if axis_max is None:
        changes.append(f"axis_max was not given: the last point of the curve, {time.max():g}, stands in for it")
        axis_max = float(time.max())
    if not np.isfinite(axis_max) or axis_max <= 0:
        raise InputError(
            "axis_max", found=axis_max, allowed="a time greater than 0", hint="the right end of the time axis"
        )
    return float(axis_max)


def _check_range(time: Floats, survival: Floats, axis: float, changes: list[str]) -> None:
    for row in np.flatnonzero((time < -OVERSHOOT * axis) | (time > (1 + OVERSHOOT) * axis))[:1]:
        hint = "is the curve in another time unit than axis_max, or the axis calibrated wrongly?"
        allowed = f"0 to axis_max = {axis:g} (clicks may leave it by {OVERSHOOT:.0%})"
        raise InputError(f"curve, row {row + 1}, column time", found=f"{time[row]:g}", allowed=allowed, hint=hint)
    for row in np.flatnonzero(survival < -OVERSHOOT)[:1]:
        hint = "calibrate the survival axis again"
        raise InputError(
            f"curve, row {row + 1}, column survival", found=f"{survival[row]:g}", allowed="0 to 1", hint=hint
        )
    outside = {"before time 0": time < 0, "above 1": survival > 1, "below 0": survival < 0}
    for what, rows in outside.items():
        if rows.any():
            changes.append(
                f"{rows.sum()} points {what} (row {np.flatnonzero(rows)[0] + 1} first): kept within the axes"
            )


def _read_at_risk(table: pd.DataFrame | None, axis: float | None) -> tuple[Floats, Ints]:
    if table is None:
        return np.empty(0), np.empty(0, np.int64)
    columns = _columns(table, "at_risk", ("time", "at_risk"))
    order = np.argsort(columns["time"], kind="stable")
    time, count = columns["time"][order], columns["at_risk"][order]

    def refuse(rows: NDArray[np.bool_], label: str, allowed: str, hint: str) -> None:
        for i in np.flatnonzero(rows)[:1]:
            where = f"at_risk, row {order[i] + 1}, column {label}"
            raise InputError(where, found=f"{columns[label][order[i]]:g}", allowed=allowed, hint=hint)

    refuse(time < 0, "time", "0 or more", "")
    if axis is not None:
        refuse(time > (1 + OVERSHOOT) * axis, "time", f"0 to axis_max = {axis:g}", "is the table in another time unit?")
    refuse(np.r_[False, np.diff(time) <= 0], "time", "each time once", "remove the repeated row")
    refuse((count < 0) | (count != np.round(count)), "at_risk", "a whole number, 0 or more", "")
    hint = "numbers at risk cannot rise; check for a typing error or rows of two arms"
    refuse(np.r_[False, np.diff(count) > 0], "at_risk", "not more than at the time before", hint)
    return time, count.astype(np.int64)


def _patients(n: int | None, risk_time: Floats, risk_count: Ints, changes: list[str]) -> int:
    at_zero = risk_count[risk_time == 0]
    if n is None:
        if not len(at_zero):
            hint = "give n, or a row of the at-risk table at time 0"
            raise InputError("n", found="nothing", allowed="the number of patients", hint=hint)
        n = int(at_zero[0])
        changes.append(f"n was not given: the number at risk at time 0, {n}, stands in for it")
    if n != int(n) or n < 1:
        raise InputError("n", found=n, allowed="a whole number, 1 or more")
    if len(at_zero) and at_zero[0] != n:
        hint = "n is the number at risk at time 0; correct one of them"
        raise InputError("at_risk, time 0, column at_risk", found=int(at_zero[0]), allowed=f"n = {int(n)}", hint=hint)
    if len(risk_count) and risk_count[0] > n:
        hint = "is this the table of the other arm?"
        raise InputError(
            "at_risk, row 1, column at_risk", found=int(risk_count[0]), allowed=f"at most n = {int(n)}", hint=hint
        )
    return int(n)


def _check_events(events: int | None, n: int) -> None:
    if events is not None and (events != int(events) or not 0 <= events <= n):
        raise InputError("events", found=events, allowed=f"a whole number from 0 to n = {n}")


def _read_ticks(table: pd.DataFrame, axis: float) -> Floats:
    ticks = _columns(table, "ticks", ("time",))["time"]
    for row in np.flatnonzero((ticks < -OVERSHOOT * axis) | (ticks > (1 + OVERSHOOT) * axis))[:1]:
        raise InputError(f"ticks, row {row + 1}, column time", found=f"{ticks[row]:g}", allowed=f"0 to {axis:g}")
    return np.unique(np.maximum(ticks, 0.0))


# --- drawn curves ------------------------------------------------------------------------------------------------


def is_drawn(curve: Curve) -> bool:
    """Whether the points are the corners of a step line: neighbours share their time or their survival exactly."""
    across = np.abs(np.diff(curve.time)) <= SAME * curve.axis_max
    down = np.abs(np.diff(curve.survival)) <= SAME
    backwards = np.diff(curve.time) < -SAME * curve.axis_max
    rising = np.diff(curve.survival) > SAME
    level = down & ~across  # a run along a step; clicks have none
    return bool((across | down).mean() >= 0.95 and level.any() and not backwards.any() and rising.mean() <= 0.05)


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


# --- clicked curves ----------------------------------------------------------------------------------------------


def fit_clicks(curve: Curve) -> Line:
    """The monotone line most plausible given clicks with errors in both directions.

    With x = time / axis_max and y = 1 - survival a falling curve, read along the axis u = x + y, is a function
    v(u) = x - y whose slope lies between -1 (a vertical drop) and 1 (a level run), and an error of the same size in x
    and y is an error of one size in v: clicks are ordered along the line rather than in time, and neither direction
    is preferred. v is given a Gaussian-process prior from (0, 1), the sum of an integrated Brownian motion (the smooth
    survival of the population) and a Brownian motion (the steps of a sample from it); the marginal likelihood sets the
    size of both and the click error. The slope limits are then restored by isotonic regression of time and of
    survival along u.

    Clicks that were pushed down to a largest rise above the lowest click before them are lower bounds, not readings:
    they are replaced by what the line expects above the bound (EM, as in a Tobit regression).
    Source: Wahba 1978 (smoothing splines as such processes); Barlow et al. 1972 (isotonic); Tobin 1958.
    """
    bound = _pushed_down(curve)
    ratios = _ratios(*_rotated(curve, curve.survival))
    line = _fit(curve, curve.survival, ratios, spread=not bound.any())
    if not bound.any():
        return line
    survival, error = curve.survival, line.click_error
    for _ in range(PASSES):
        survival, spare = _above(line, curve, bound, error)
        line = _fit(curve, survival, ratios, spread=False)
        error = float(np.hypot(line.click_error, spare))
    return replace(_fit(curve, survival, ratios), click_error=error)


def _pushed_down(curve: Curve) -> NDArray[np.bool_]:
    """Clicks at one and the same largest rise above the lowest click before them: nobody errs so evenly by chance."""
    if (np.diff(curve.time) < 0).any():
        return np.zeros(len(curve.time), bool)
    lowest = np.minimum.accumulate(np.concatenate([[np.inf], curve.survival[:-1]]))
    rise = curve.survival - lowest
    cap = rise.max()
    at_cap = rise >= cap - 2e-6
    return at_cap if cap > 1e-5 and at_cap.sum() >= 3 else np.zeros(len(curve.time), bool)


def _above(line: Line, curve: Curve, bound: NDArray[np.bool_], error: float) -> tuple[Floats, float]:
    """Survival with E[s | s > given] for each lower bound, normal about the line, and the sd that this leaves out.

    Where the line is steep an error in time counts as one in survival: sd^2 = error^2 (1 + slope^2).
    """
    width = 2 * error * curve.axis_max
    ahead, behind = line(np.maximum(curve.time - width, 0.0)), line(curve.time + width)
    sd = error * np.sqrt(1 + ((ahead - behind) / (4 * error)) ** 2)
    middle = (ahead + 2 * line(curve.time) + behind) / 4
    z = np.clip((curve.survival - middle) / sd, -8, 8)
    mills = np.exp(norm.logpdf(z) - norm.logsf(z))
    left_out = np.where(bound, 1 + z * mills - mills**2, 0.0).clip(0, 1).mean()
    return np.where(bound, middle + sd * mills, curve.survival), error * float(np.sqrt(left_out))


def _fit(curve: Curve, survival: Floats, ratios: tuple[float, float], *, spread: bool = True) -> Line:
    """Posterior of the rotated line given clicks at these heights and the prior variances of `_ratios`."""
    u, v, size = _rotated(curve, survival)
    grid = np.unique(np.concatenate([np.linspace(0.0, u[-1] * _unseen(curve), 2 * len(u)), u]))
    factor = cho_factor(_kernel(u, u, ratios) + np.diag(1.0 / size))
    variance = max(float(v @ cho_solve(factor, v)) / len(v), 1e-12)
    cross = _kernel(grid, u, ratios)
    mean = cross @ cho_solve(factor, v)
    covariance = _kernel(grid, grid, ratios) - cross @ cho_solve(factor, cross.T) if spread else np.empty((0, 0))
    slope = np.gradient(mean, grid).clip(-1, 1)
    error = float(np.sqrt(variance / (2 * (1 + np.mean(slope**2)))))
    return _line(grid, mean, variance * covariance, error, curve.axis_max)


def redraw(line: Line, rng: np.random.Generator) -> Line:
    """Another line from the posterior of `fit_clicks`."""
    mean = line.mean + line.root @ rng.standard_normal(len(line.mean))
    return _line(line.grid, mean, line.spread, line.click_error, line.axis_max)


def log_covariance(line: Line, at: Floats) -> Floats:
    """Covariance of the log of survival at times `at` (where it is above 0), from the posterior of the line."""
    near, moves = _moves(line, at)
    return line.spread[np.ix_(near, near)] * np.multiply.outer(moves, moves)


def through(line: Line, at: Floats, survival: Floats) -> Line:
    """The most plausible line that has `survival` just before times `at`: it moves less the farther from them.

    The mean of the Gaussian process given its value there; a few Newton steps, as survival is not linear in it.
    """
    near, moves = _moves(line, at)
    inner = line.spread[np.ix_(near, near)]
    inner = inner + (1e-6 * np.trace(inner) / len(at) + 1e-15) * np.eye(len(at))
    moved, shift = line, np.zeros(len(at))
    for _ in range(3):
        shift += np.log(survival / np.maximum(moved.before(at), 1e-9)) / moves
        mean = line.mean + line.spread[:, near] @ np.linalg.solve(inner, shift)
        moved = _line(line.grid, mean, line.spread, line.click_error, line.axis_max)
    return moved


def _moves(line: Line, at: Floats) -> tuple[Ints, Floats]:
    """Places on the grid where the line passes times `at`, and how far log survival moves when v moves there by one.

    v(u) moved by e moves survival at a fixed time by e / (1 + v'), and 1 + v' = 2 dx/du.
    """
    x, u = line.time / line.axis_max, line.grid
    place = np.interp(at / line.axis_max, x + 1e-12 * np.arange(len(x)), u)
    width = max(4 * line.click_error, u[-1] / len(u))
    low, high = np.maximum(place - width, 0.0), np.minimum(place + width, u[-1])
    pace = (np.interp(high, u, x) - np.interp(low, u, x)) / (high - low)
    near = np.searchsorted(u, place).clip(0, len(u) - 1)
    return near, 1 / (2 * np.maximum(pace, 0.05) * line.before(at))


def _unseen(curve: Curve) -> float:
    """Length of the line over the length that was clicked.

    Whoever clicked on the start (0, 1) clicked on the end. Of m clicks strewn over a line the last falls short of its
    end by one part in m on average, so there the line is taken on as it was going.
    """
    started = (np.abs(curve.time) <= SAME * curve.axis_max) & (np.abs(curve.survival - 1) <= SAME)
    return 1.0 if started.any() else 1.0 + 1.0 / len(curve.time)


def _line(grid: Floats, mean: Floats, spread: Floats, error: float, axis_max: float) -> Line:
    time = isotonic_regression((grid + mean) / 2, increasing=True).x
    survival = isotonic_regression(1 - (grid - mean) / 2, increasing=False).x
    time, survival = np.clip(time, 0.0, 1.0) * axis_max, np.clip(survival, 0.0, 1.0)
    time[0], survival[0] = 0.0, 1.0
    return Line(time, survival, error, axis_max, mean, grid, spread)


def _rotated(curve: Curve, survival: Floats) -> tuple[Floats, Floats, Floats]:
    """Clicks as (u, v), sorted along u, close ones averaged; `size` clicks stand behind each."""
    x, y = curve.time / curve.axis_max, 1 - survival
    keep = np.hypot(x, y) > SAME  # (0, 1) is known without a click
    order = np.argsort((x + y)[keep], kind="stable")
    u, v = (x + y)[keep][order], (x - y)[keep][order]
    u = np.maximum(u, 1e-6)
    groups = np.arange(len(u)) * min(MOST_KNOTS, len(u)) // len(u)
    groups = np.unique(groups, return_inverse=True)[1]
    size = np.bincount(groups).astype(float)
    return np.bincount(groups, u) / size, np.bincount(groups, v) / size, size


def _kernel(a: Floats, b: Floats, ratios: tuple[float, float]) -> Floats:
    """Covariance, in click variances, of a Brownian motion and of an integrated one with a free first slope.

    The slope may be anything from -1 to 1, so its variance is 1/3 of the scale of the second process.
    """
    low, gap = np.minimum.outer(a, b), np.abs(np.subtract.outer(a, b))
    return ratios[0] * low + ratios[1] * (low**3 / 3 + low**2 * gap / 2 + np.multiply.outer(a, b) / 3)


def _ratios(u: Floats, v: Floats, size: Floats) -> tuple[float, float]:
    """Variances of both processes, relative to a click's, of largest marginal likelihood (noise profiled out)."""
    rough, smooth, noise = _kernel(u, u, (1.0, 0.0)), _kernel(u, u, (0.0, 1.0)), np.diag(1.0 / size)

    def likelihood(ratios: tuple[float, float]) -> float:
        factor = cho_factor(ratios[0] * rough + ratios[1] * smooth + noise, overwrite_a=True, check_finite=False)
        variance = v @ cho_solve(factor, v, check_finite=False) / len(v)
        return float(-np.log(np.diag(factor[0])).sum() - len(v) / 2 * np.log(max(variance, 1e-16)))

    coarse = [(a, b) for a in (0.0, 1.0, 10.0, 1e2, 1e3, 1e4) for b in 10.0 ** np.arange(0, 8.1, 1)]
    best = max(coarse, key=likelihood)
    near = [(best[0] * a, best[1] * b) for a in (10**-0.5, 1.0, 10**0.5) for b in (10**-0.5, 1.0, 10**0.5)]
    return max(near, key=likelihood)
