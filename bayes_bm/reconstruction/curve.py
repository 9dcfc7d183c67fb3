"""A digitised survival curve with what was printed beside it: reading, checking and cleaning, with a log of changes.

Two kinds of curve come out of figures. A *drawn* curve (vector graphics) is the corners of the steps, exact but for
rounding; consecutive corners share a time or a survival. A *clicked* curve is points near the line with errors in both
directions. `is_drawn` tells them apart from the numbers, `read_drops` reads the one and `fit_clicks` cleans the other.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_bm.reconstruction.contradictions import refusal
from bayes_bm.runtime.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAME = 1e-9
"""Two numbers closer than this share of an axis are the same."""
UNITS = {"days": 1.0, "weeks": 7.0, "months": 30.4375, "years": 365.25}
"""Length of each unit of time, in days."""
STATED_ERROR = "x_click_error"
"""Column of a curve that was read from a picture: standard deviation of its corners, as a share of an axis."""
LINE_POINTS = 200
"""Points that stand for a line with corners that are not exact: twice what a person clicks."""
OVERSHOOT = 0.1
"""A click may leave the axes by this share of them; beyond it the numbers mean something else."""


@dataclass(frozen=True)
class Curve:
    """Hold a digitised curve of one arm, checked, in the paper's time unit.

    `reconstruct` makes one from tables; a `Curve` can be handed to it again, with printed numbers added or replaced.

    Parameters
    ----------
    time, survival
        Floats (points,), in the order given; survival is a proportion.
    n
        Number of patients.
    axis_max
        Right end of the time axis.
    risk_time, risk_count
        Floats and whole numbers (rows,): printed numbers with time >= risk_time, sorted, after time 0.
        `consistency` holds them against the curve.
    ticks
        Floats (ticks,), sorted: censor marks. None where the figure shows none.
    events
        Total of events, or None where it is not printed.
    changes
        One line for each change made to what was given.
    click_error
        Standard deviation of a point as a share of an axis, where whoever read the curve says it; 0 where nobody does.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_bm as bb
    >>> corners = pd.DataFrame({"time": [0, 2, 2, 5, 5, 8], "survival": [100, 100, 75, 75, 37.5, 37.5]})
    >>> numbers = pd.DataFrame({"time": [0, 4], "at_risk": [4, 2]})
    >>> curve = bb.reconstruct(corners, at_risk=numbers).curve
    >>> curve.n, curve.axis_max, curve.survival.min().item()
    (4, 8.0, 0.375)
    >>> print(curve.changes[0])
    percent: survival was in percent (largest 100): divided by 100
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
    click_error: float = 0.0


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
    columns = _read_columns(curve, "curve", ("time", "survival"))
    time, survival = columns["time"], columns["survival"]
    if len(time) < 2:
        raise InputError("curve", found=f"{len(time)} points", allowed="2 or more", hint="digitise the whole line")
    changes = [
        text for table in (curve, at_risk, ticks) if table is not None for text in table.attrs.get("changes", ())
    ]
    survival = _as_proportion(survival, changes)
    axis = _axis_end(time, axis_max, changes)
    _check_range(time, survival, axis, changes)
    _check_falls(time, survival)
    error = _stated_error(curve)
    if error:
        time, survival = _along_line(time, survival, axis)
    risk_time, risk_count = _read_at_risk(at_risk)
    n = _patient_count(n, risk_time, risk_count, changes)
    _check_events(events, n)
    marks = None if ticks is None else _read_ticks(ticks, axis, n)
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
        error,
    )


def _with_printed(curve: Curve, *, at_risk, ticks, n, events, axis_max) -> Curve:
    """Add printed numbers to a `Curve` that is already checked, or replace them."""
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
    return replace(read, changes=curve.changes + read.changes, click_error=curve.click_error)


def _read_columns(table: pd.DataFrame, name: str, wanted: tuple[str, ...]) -> dict[str, Floats]:
    """Return the wanted columns of a table as finite numbers; refuse unknown and missing columns."""
    if not isinstance(table, pd.DataFrame):
        raise InputError(name, found=type(table).__name__, allowed=f"a DataFrame with columns {', '.join(wanted)}")
    unknown = [c for c in table.columns if c not in wanted and not str(c).startswith("x_")]
    missing = [c for c in wanted if c not in table.columns]
    if unknown or missing:
        hint = f"rename or drop {', '.join(map(str, unknown))} (x_ marks a column to ignore)" if unknown else ""
        given = ", ".join(map(str, table.columns))
        raise InputError(f"{name}, columns", found=given, allowed=", ".join(wanted), hint=hint)
    return {c: _finite_numbers(table[c], name, c) for c in wanted}


def _finite_numbers(column, name: str, label: str) -> Floats:
    """Return a column as floats; refuse the first cell that is no finite number."""
    values = np.asarray(pd.to_numeric(column, errors="coerce"), float)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        where = f"{name}, row {bad[0] + 1}, column {label}"
        raise InputError(
            where, found=repr(column.iloc[bad[0]]), allowed="a finite number", hint="remove the row or mend it"
        )
    return values


def _as_proportion(survival: Floats, changes: list[str]) -> Floats:
    """Return survival as a proportion; percentages are divided by 100."""
    top, row = float(survival.max()), int(survival.argmax()) + 1
    if top <= 1 + OVERSHOOT:
        return survival
    where = f"curve, row {row}, column survival"
    if 90 <= top <= 100 * (1 + OVERSHOOT):
        changes.append(f"percent: survival was in percent (largest {top:g}): divided by 100")
        return survival / 100
    raise refusal(
        "percent", where, value=f"{top:g}", allowed="0 to 1", hint="give proportions; in percent it starts at 100"
    )


def _stated_error(curve: pd.DataFrame) -> float:
    """Return the largest `x_click_error` of a curve that was read from a picture, 0 where there is no such column."""
    if STATED_ERROR not in curve:
        return 0.0
    error = float(_finite_numbers(curve[STATED_ERROR], "curve", STATED_ERROR).max())
    if not 0 <= error <= OVERSHOOT:
        allowed = f"a share of an axis, 0 to {OVERSHOOT:g}"
        raise InputError(f"curve, column {STATED_ERROR}", found=f"{error:g}", allowed=allowed)
    return error


def _along_line(time: Floats, survival: Floats, axis: float) -> tuple[Floats, Floats]:
    """Return points evenly spread along the line through corners that are not exact, as if it had been clicked on."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(time) / axis, np.diff(survival)))])
    places = np.linspace(0.0, length[-1], LINE_POINTS)
    return np.interp(places, length, time), np.interp(places, length, survival)


def _axis_end(time: Floats, axis_max: float | None, changes: list[str]) -> float:
    """Return the right end of the time axis, the last point where it was not given."""
    if axis_max is None:
        changes.append(f"axis_max was not given: the last point of the curve, {time.max():g}, stands in for it")
        axis_max = float(time.max())
    if not np.isfinite(axis_max) or axis_max <= 0:
        raise InputError(
            "axis_max", found=axis_max, allowed="a time greater than 0", hint="the right end of the time axis"
        )
    return float(axis_max)


def _check_range(time: Floats, survival: Floats, axis: float, changes: list[str]) -> None:
    """Refuse points far outside the axes, and log those just outside."""
    for row in np.flatnonzero((time < -OVERSHOOT * axis) | (time > (1 + OVERSHOOT) * axis))[:1]:
        allowed = f"0 to axis_max = {axis:g} (clicks may leave it by {OVERSHOOT:.0%})"
        hint = f"{_unit_hint(time.max() / axis)}or the axis calibrated wrongly?"
        raise refusal(
            "time_unit", f"curve, row {row + 1}, column time", value=f"{time[row]:g}", allowed=allowed, hint=hint
        )
    for row in np.flatnonzero(survival < -OVERSHOOT)[:1]:
        hint = "calibrate the survival axis again"
        raise InputError(
            f"curve, row {row + 1}, column survival", found=f"{survival[row]:g}", allowed="0 to 1", hint=hint
        )
    masks = {"before time 0": time < 0, "above 1": survival > 1, "below 0": survival < 0}
    for what, rows in masks.items():
        if rows.any():
            changes.append(
                f"{rows.sum()} points {what} (row {np.flatnonzero(rows)[0] + 1} first): kept within the axes"
            )


def _unit_hint(ratio: float) -> str:
    """Return a question that names the units whose ratio this may be."""
    units = unit_of_ratio(ratio)
    ratio_text = f": a ratio of {ratio:.3g} is {units}" if units else ""
    return f"is the curve in another time unit than axis_max{ratio_text}, "


def unit_of_ratio(ratio: float, tolerance: float = 0.02) -> str:
    """Return `weeks to months` for a ratio of times near 4.35, and so on; empty where no two units have that ratio."""
    for large, days in UNITS.items():
        for small, fewer in UNITS.items():
            if fewer < days and abs(np.log(ratio / (days / fewer))) < tolerance:
                return f"{small} to {large}"
            if fewer < days and abs(np.log(ratio * (days / fewer))) < tolerance:
                return f"{large} to {small}"
    return ""


def _check_falls(time: Floats, survival: Floats) -> None:
    """Refuse a curve that plainly rises: a curve of survival falls."""
    early, late = time <= np.quantile(time, 0.25), time >= np.quantile(time, 0.75)
    low, high = float(np.median(survival[early])), float(np.median(survival[late]))
    if high > low + OVERSHOOT and low < 0.5:
        hint = "is it a cumulative incidence? then give 1 - value"
        medians = f"{low:.3g} early and {high:.3g} late"
        raise refusal(
            "rising_curve", "curve, column survival", value=medians, allowed="a curve that falls from 1", hint=hint
        )


def _read_at_risk(table: pd.DataFrame | None) -> tuple[Floats, Ints]:
    """Return times and numbers at risk, sorted by time (rows,)."""
    if table is None:
        return np.empty(0), np.empty(0, np.int64)
    columns = _read_columns(table, "at_risk", ("time", "at_risk"))
    order = np.argsort(columns["time"], kind="stable")
    time, count = columns["time"][order], columns["at_risk"][order]

    def refuse_rows(rows: NDArray[np.bool_], label: str, allowed: str, hint: str) -> None:
        """Refuse the first of these rows."""
        for i in np.flatnonzero(rows)[:1]:
            where = f"at_risk, row {order[i] + 1}, column {label}"
            raise InputError(where, found=f"{columns[label][order[i]]:g}", allowed=allowed, hint=hint)

    refuse_rows(time < 0, "time", "0 or more", "")
    refuse_rows(np.r_[False, np.diff(time) <= 0], "time", "each time once", "remove the repeated row")
    refuse_rows((count < 0) | (count != np.round(count)), "at_risk", "a whole number, 0 or more", "")
    return time, count.astype(np.int64)


def _patient_count(n: int | None, risk_time: Floats, risk_count: Ints, changes: list[str]) -> int:
    """Return the number of patients, from the at-risk table where it was not given."""
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
        where = "at_risk, time 0, column at_risk"
        hint = "n is the number at risk at time 0: correct one of them; patients never followed are not in the curve"
        raise refusal("n_against_at_risk", where, value=int(at_zero[0]), allowed=f"n = {int(n)}", hint=hint)
    if len(risk_count) and risk_count[0] > n:  # a later one has risen, which is settled against the curve
        where, allowed = f"at_risk, time {risk_time[0]:g}, column at_risk", f"at most n = {int(n)}"
        hint = "is this the table of the other arm?"
        raise refusal("n_against_at_risk", where, value=int(risk_count[0]), allowed=allowed, hint=hint)
    return int(n)


def _check_events(events: int | None, n: int) -> None:
    """Refuse a total of events that is no whole number from 0 to n."""
    if events is not None and (events != int(events) or not 0 <= events <= n):
        raise InputError("events", found=events, allowed=f"a whole number from 0 to n = {n}")


def _read_ticks(table: pd.DataFrame, axis: float, n: int) -> Floats:
    """Return the distinct times of censor marks, sorted (ticks,)."""
    ticks = _read_columns(table, "ticks", ("time",))["time"]
    for row in np.flatnonzero((ticks < -OVERSHOOT * axis) | (ticks > (1 + OVERSHOOT) * axis))[:1]:
        raise InputError(f"ticks, row {row + 1}, column time", found=f"{ticks[row]:g}", allowed=f"0 to {axis:g}")
    ticks = np.unique(np.maximum(ticks, 0.0))
    if len(ticks) > n:
        hint = "a patient is censored once: give the marks of this arm alone, each once, or correct n"
        raise refusal("too_many_ticks", "ticks", value=f"{len(ticks)} times", allowed=f"at most n = {n}", hint=hint)
    return ticks


def ticks_alone(curve: Curve) -> bool:
    """Return whether ticks alone tell how many were censored: each stands for one or more, so they are lower bounds."""
    return curve.ticks is not None and curve.events is None and not (curve.risk_count > 0).any()


def is_drawn(curve: Curve) -> bool:
    """Return whether the points are the corners of a step line.

    Neighbours share their time or their survival exactly.
    """
    if len(curve.time) < 2 or curve.click_error:
        return False
    same_time = np.abs(np.diff(curve.time)) <= SAME * curve.axis_max
    same_survival = np.abs(np.diff(curve.survival)) <= SAME
    backwards = np.diff(curve.time) < -SAME * curve.axis_max
    rising = np.diff(curve.survival) > SAME
    level = same_survival & ~same_time  # a run along a step; clicks have none
    return bool(
        (same_time | same_survival).mean() >= 0.95 and level.any() and not backwards.any() and rising.mean() <= 0.05
    )
