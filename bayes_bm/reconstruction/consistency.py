"""A curve held against what is printed beside it, before anything is rebuilt.

What disagrees is converted, said, left out or refused. Each step takes the curve as settled so far and hands it on;
the names and what gives way stand in `contradictions`.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bayes_bm.reconstruction.bounds import click_scatter, event_limits, excess, shows_steps
from bayes_bm.reconstruction.contradictions import refusal
from bayes_bm.reconstruction.curve import OVERSHOOT, SAME, UNITS, Curve, Ints, is_drawn, unit_of_ratio
from bayes_bm.reconstruction.diagnostics import contradiction, fit_rows, input_row
from bayes_bm.reconstruction.drawn.solve import solve_drawn
from bayes_bm.reconstruction.drawn.steps import is_step_list, read_drops
from bayes_bm.reconstruction.order_of_points import put_in_order

FEWEST_POINTS = 10
"""Fewest points that are no corners. The line between two points may be off by half the fall between them: with ten
points that is 5 % of survival, more than any other error that is let pass."""
MOST_ROUND = 40
"""Most points, and parts of the axis, that look like rates at round times rather than clicks."""
UNIT_TOLERANCE = 0.02
"""Relative miss within which a ratio of times is a ratio of units."""
START_GAPS = 10.0
"""Mean gaps between clicks by which the first click may miss (0, 1)."""
START_MISS = 0.1
"""Share of an axis by which the first click may miss (0, 1), however dense the clicks."""
ABOVE_ERRORS = 4.0
"""Click errors by which clicks may lie above 1."""
ABOVE_SURVIVAL = 0.02
"""Survival by which clicks may lie above 1, however small their error."""


@dataclass(frozen=True)
class ConsistentCurve:
    """`printed`: the curve and all that was printed, converted where certain; `used`: the same without what gave way.

    `rows` of the diagnostics, and `moved`: times of at-risk rows read as time > t, to the time as printed.
    """

    printed: Curve
    used: Curve
    rows: tuple[dict[str, Any], ...] = ()
    moved: dict[float, float] = field(default_factory=dict)

    def add_rows(self, *rows: dict[str, Any]) -> "ConsistentCurve":
        """Add rows of the diagnostics."""
        return replace(self, rows=self.rows + rows)

    def drop_row(self, row: int, *rows: dict[str, Any]) -> "ConsistentCurve":
        """Leave a row of the at-risk table out of what is used."""
        used = replace(
            self.used,
            risk_time=np.delete(self.used.risk_time, row),
            risk_count=np.delete(self.used.risk_count, row),
        )
        return replace(self, used=used, rows=self.rows + rows)

    def convert(self, *rows: dict[str, Any], **changes: Any) -> "ConsistentCurve":
        """Change fields of the curve, both as printed and as used; only before anything gave way."""
        return replace(
            self,
            printed=replace(self.printed, **changes),
            used=replace(self.used, **changes),
            rows=self.rows + rows,
        )


def check_consistency(curve: Curve) -> ConsistentCurve:
    """Settle all that can be settled without rebuilding patients; raise InputError for what cannot be meant."""
    settled = ConsistentCurve(curve, replace(curve, changes=()))
    for step in (
        _put_in_order,
        _refuse_coarse_points,
        _convert_time_unit,
        _scale_high_start,
        _note_late_start,
        _drop_rising_number,
        _read_zero_at_end,
        _drop_excess_numbers,
        _drop_impossible_total,
    ):
        settled = step(settled)
    return settled


# --- the curve itself ---------------------------------------------------------------------------------------------


def _put_in_order(settled: ConsistentCurve) -> ConsistentCurve:
    """Put the points in the order of the line."""
    curve, changes = put_in_order(settled.used)
    return settled.convert(*map(input_row, changes), time=curve.time, survival=curve.survival) if changes else settled


def _refuse_coarse_points(settled: ConsistentCurve) -> ConsistentCurve:
    """Refuse a few published rates, which are no curve: patients between them would be invented."""
    curve = settled.used
    if shows_steps(curve):
        return settled
    points = len(curve.time)
    if points < FEWEST_POINTS:
        hint = (
            "survival rates at a few times belong into the points table (study, arm, endpoint, time, survival, n); "
            "for the steps of a drawn curve give both corners of each drop"
        )
        allowed = f"{FEWEST_POINTS} or more, or corners of steps"
        raise refusal("coarse_points", "curve", value=f"{points} points that are no steps", allowed=allowed, hint=hint)
    if not _at_round_times(curve):
        return settled
    text = f"{points} points, all at round times with survival in whole percent: published rates? then use the points"
    return settled.add_rows(contradiction("coarse_points", f"{text} table", printed=points, status="uncertain"))


def _at_round_times(curve: Curve) -> bool:
    """Return whether the points look like rates at round times, in whole percent."""
    times = np.unique(curve.time)
    if not FEWEST_POINTS <= len(curve.time) <= MOST_ROUND or len(times) < len(curve.time):
        return False
    unit = float(np.diff(times).min())
    on_grid = np.abs(times / unit - np.round(times / unit)).max() < 1e-6
    whole = np.abs(curve.survival * 100 - np.round(curve.survival * 100)).max() < 1e-6
    return bool(on_grid and whole and unit >= curve.axis_max / MOST_ROUND)


def _scale_high_start(settled: ConsistentCurve) -> ConsistentCurve:
    """Scale a drawn curve that starts above 1 where that makes all its heights fractions of whole patients."""
    curve = settled.used
    if shows_steps(curve):
        start = float(curve.survival[0])
        if start <= 1 + SAME:
            return settled
        scaled = replace(curve, survival=curve.survival / start)
        numbers = {"time": float(curve.time[0]), "printed": round(start, 5)}
        if _is_whole(scaled):
            text = f"survival starts at {start:.5g}: divided by it, and all heights are fractions of whole patients"
            row = contradiction("starts_above_one", text, **numbers, reconstructed=1.0, status="changed")
            return settled.convert(row, survival=scaled.survival)
        text = f"survival starts at {start:.5g}: calibrate the axis again; what lies above 1 was taken as 1"
        return settled.add_rows(
            contradiction("starts_above_one", text, **numbers, reconstructed=1.0, status="uncertain")
        )
    top = float(curve.survival.max())
    if top <= 1 + max(ABOVE_ERRORS * click_scatter(curve), ABOVE_SURVIVAL):
        return settled
    when = float(curve.time[curve.survival.argmax()])
    text = f"clicks reach {top:.4g}, more than clicks err: calibrate the axis again; what lies above 1 was taken as 1"
    row = contradiction("starts_above_one", text, time=when, printed=round(top, 5), reconstructed=1.0)
    return settled.add_rows({**row, "status": "uncertain"})


def _is_whole(curve: Curve) -> bool:
    """Return whether whole patients reproduce every corner of a drawn curve."""
    solved = solve_drawn(curve)
    return solved is not None and fit_rows(curve, "drawn", solved.patients)[0]["status"] == "honoured"


def _note_late_start(settled: ConsistentCurve) -> ConsistentCurve:
    """Note a curve that starts late: what the line did before its first point is assumed."""
    curve = settled.used
    if is_step_list(curve) and not is_drawn(curve):
        return settled  # a list begins with its first step
    first = int(np.argmin(curve.time)) if not is_drawn(curve) else 0
    when, height = max(float(curve.time[first]), 0.0), float(curve.survival[first])
    if is_drawn(curve):
        late = when > 2 * read_drops(curve).time_error + SAME * curve.axis_max or height < 1 - SAME
    else:
        length = np.hypot(np.ptp(curve.time) / curve.axis_max, np.ptp(curve.survival))
        gap = float(np.hypot(curve.time / curve.axis_max, 1 - curve.survival).min())
        late = gap > max(START_GAPS * 1.2 * length / len(curve.time), START_MISS)
    if not late:
        return settled
    text = f"the curve starts at time {when:.5g} with survival {height:.5g}: survival was taken as 1 from time 0 to it"
    status = "changed" if height >= 1 - SAME else "uncertain"  # a level start at 1 leaves nothing open
    numbers = {"time": when, "printed": round(height, 5), "reconstructed": 1.0}
    return settled.add_rows(contradiction("starts_late", text, **numbers, status=status))


# --- units of time ------------------------------------------------------------------------------------------------


def _convert_time_unit(settled: ConsistentCurve) -> ConsistentCurve:
    """Convert an at-risk table in another unit than the curve where that is certain; else say so or refuse."""
    curve = settled.used
    if not len(curve.risk_time):
        return settled
    last, axis = float(curve.risk_time[-1]), curve.axis_max
    factor = _unit_factor(last / axis)
    if factor and _misfits(curve) and not _misfits(scaled := _rescale(curve, factor)):
        text = (
            f"at-risk times up to {last:g} against an axis to {axis:g}, {unit_of_ratio(last / axis)}: the table "
            f"misfits the curve as it is and fits divided by {factor:.6g}: divided"
        )
        row = contradiction(
            "time_unit", text, time=last, printed=last, reconstructed=round(last / factor, 5), status="changed"
        )
        return settled.convert(row, risk_time=scaled.risk_time)
    is_past_axis = curve.risk_time > (1 + OVERSHOOT) * axis
    ratio_text = f": a ratio of {last / axis:.3g} is {unit_of_ratio(last / axis)}" if factor else ""
    if is_past_axis.any() and (curve.risk_count[is_past_axis] > 0).any():
        where = f"at_risk, time {curve.risk_time[is_past_axis][0]:g}, column time"
        hint = f"is the table in another time unit than the curve{ratio_text}"
        raise refusal("time_unit", where, value=f"{last:g}", allowed=f"0 to axis_max = {axis:g}", hint=hint)
    if factor:
        text = f"at-risk times end at {last:g} and the axis at {axis:g}{ratio_text}: is the table in another unit?"
        return settled.add_rows(contradiction("time_unit", text, time=last, printed=last, status="uncertain"))
    return settled


def _unit_factor(ratio: float) -> float:
    """Return the ratio of two units of time within `UNIT_TOLERANCE` of `ratio`, or 0."""
    sizes = np.array(list(UNITS.values()))
    ratios = (sizes[:, None] / sizes).ravel()
    ratios = ratios[np.abs(np.log(ratios)) > 0.1]
    matches = ratios[np.abs(np.log(ratio / ratios)) < UNIT_TOLERANCE]
    return float(matches[0]) if len(matches) else 0.0


def _rescale(curve: Curve, factor: float) -> Curve:
    """Divide the times of the at-risk table."""
    return replace(curve, risk_time=curve.risk_time / factor)


def _misfits(curve: Curve) -> bool:
    """Return whether a curve cannot have this at-risk table.

    People are at risk where it has ended, more of them than its fall leaves, or too few for the steps after the last
    printed time.
    """
    end = float(curve.time.max()) + OVERSHOOT * curve.axis_max
    is_past_end = bool((curve.risk_count[curve.risk_time > end] > 0).any())
    has_excess = bool(excess(curve).survival.any())
    if not shows_steps(curve):
        return is_past_end or has_excess
    drops = read_drops(curve)
    steps = int((drops.time > curve.risk_time[-1] + drops.time_error).sum())
    return is_past_end or has_excess or steps > curve.risk_count[-1]


# --- numbers at risk ----------------------------------------------------------------------------------------------


def _drop_rising_number(settled: ConsistentCurve) -> ConsistentCurve:
    """Drop the one number at risk that breaks the fall of the others, if the curve tells which one it is."""
    curve = settled.used
    count = np.concatenate([[curve.n], curve.risk_count])
    rises = np.flatnonzero(np.diff(count) > 0)
    if not len(rises):
        return settled
    k = int(rises[0])  # the row that is larger than the one before
    fits = [i for i in (k - 1, k) if i >= 0 and _falls_without(curve, i)]
    if len(fits) > 1:
        fits = [i for i in fits if _is_transposed(curve, i)]
    when, printed = float(curve.risk_time[k]), int(curve.risk_count[k])
    if len(fits) != 1:
        hint = "numbers at risk cannot rise, and curve and table do not tell which is wrong: check for a typing error"
        raise refusal(
            "at_risk_rises",
            f"at_risk, time {when:g}, column at_risk",
            value=printed,
            allowed=f"at most {int(count[k])}, the number before",
            hint=f"{hint} or rows of two arms",
        )
    wrong = fits[0]
    text = f"{printed} at risk at {when:g} after {int(count[k])} before: a rise; this number gave way, the others fall"
    row = contradiction("at_risk_rises", text, time=float(curve.risk_time[wrong]), printed=int(curve.risk_count[wrong]))
    return settled.drop_row(wrong, row)


def _falls_without(curve: Curve, row: int) -> bool:
    """Return whether the table without this row falls and agrees with the curve."""
    rest = _without_row(curve, row)
    falls = (np.diff(np.concatenate([[rest.n], rest.risk_count])) <= 0).all()
    return bool(falls) and not excess(rest).survival.any()


def _without_row(curve: Curve, row: int) -> Curve:
    """Return the curve without a row of its at-risk table."""
    return replace(curve, risk_time=np.delete(curve.risk_time, row), risk_count=np.delete(curve.risk_count, row))


def _is_transposed(curve: Curve, row: int) -> bool:
    """Return whether two neighbouring digits of this number, exchanged, make the table fall and fit the curve."""
    digits = str(int(curve.risk_count[row]))
    for i in range(len(digits) - 1):
        swapped = int(digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :])
        trial: Ints = curve.risk_count.copy()
        trial[row] = swapped
        falls = (np.diff(np.concatenate([[curve.n], trial])) <= 0).all()
        if swapped != curve.risk_count[row] and falls and not excess(replace(curve, risk_count=trial)).survival.any():
            return True
    return False


def _read_zero_at_end(settled: ConsistentCurve) -> ConsistentCurve:
    """Drop or reread a 0 at risk where the curve goes on above 0."""
    curve = settled.used
    none = np.flatnonzero(curve.risk_count == 0)
    end, last_height = float(curve.time.max()), float(np.clip(curve.survival.min(), 0.0, 1.0))
    if not len(none) or last_height <= SAME:
        return settled
    when, row = float(curve.risk_time[none[0]]), int(none[0])
    hair = nudge(curve)
    numbers = {"time": when, "printed": 0}
    if shows_steps(curve) and abs(end - when) < hair:
        text = f"0 at risk at {when:g}, at which the curve ends at {last_height:.3g}: read as time > {when:g}"
        return count_after(settled, [row], contradiction("at_risk_zero_at_end", text, **numbers, status="changed"))
    sideways = hair if shows_steps(curve) else max(OVERSHOOT / 2, 5 * click_scatter(curve)) * curve.axis_max
    if end <= when + sideways:
        return settled
    text = f"0 at risk at {when:g}, and the curve goes on to {end:.5g} at {last_height:.3g}: the 0 gave way"
    for later in none[::-1]:
        if curve.risk_time[later] < end - hair:
            settled = settled.drop_row(int(later))
    return settled.add_rows(contradiction("at_risk_zero_at_end", text, **numbers))


def nudge(curve: Curve) -> float:
    """Return a time just longer than what a drop of a drawn curve is known to."""
    return max(2.4 * read_drops(curve).time_error, 1e-9 * curve.axis_max)


def count_after(settled: ConsistentCurve, rows: list[int], *said: dict[str, Any]) -> ConsistentCurve:
    """Read these rows of the at-risk table as time > t: they count just after t."""
    moved, time = dict(settled.moved), settled.used.risk_time.copy()
    for row in rows:
        printed = float(time[row])
        time[row] += nudge(settled.used) / 2
        moved[float(time[row])] = moved.get(printed, printed)
    read_time = {old: new for new, old in moved.items()}
    shown = np.array([read_time.get(t, t) for t in settled.printed.risk_time.tolist()], float)
    return replace(
        settled,
        used=replace(settled.used, risk_time=time),
        printed=replace(settled.printed, risk_time=shown),
        moved=moved,
        rows=settled.rows + said,
    )


def _drop_excess_numbers(settled: ConsistentCurve) -> ConsistentCurve:
    """Drop numbers at risk above what the fall of the curve leaves, one by one, until none is."""
    start = settled.used
    impossible = int((excess(start).survival > 0).sum())
    total = len(start.risk_time)
    rows = []
    while (surplus := excess(settled.used)).survival.any():
        curve, k = settled.used, int(surplus.survival.argmax())
        wrong = min((i for i in (k - 1, k) if i >= 0), key=lambda i: excess(_without_row(curve, i)).survival.sum())
        rows.append(_excess_row(curve, k, wrong, surplus.allowed[k], surplus.survival[k], settled.moved))
        settled = settled.drop_row(wrong)
    if impossible >= 2 and 2 * len(rows) >= total:
        text = f"{len(rows)} of {total} numbers at risk are above what this curve leaves: is it the other arm's table?"
        rows.append(contradiction("swapped_arms", text, printed=total, reconstructed=total - len(rows)))
    return settled.add_rows(*rows)


def _excess_row(curve: Curve, k: int, wrong: int, allowed: float, rise: float, moved: dict[float, float]) -> dict:
    """Return the row of a number at risk that gave way."""
    when, count = float(curve.risk_time[k]), int(curve.risk_count[k])
    text = (
        f"{count} at risk at {moved.get(when, when):g} are {count - int(allowed)} more than the {int(allowed)} that "
        f"the fall of the curve leaves of those before (it would have to be higher by {rise:.3f}): "
    )
    time = float(curve.risk_time[wrong])
    text += "this number gave way" if wrong == k else f"the one before, at {moved.get(time, time):g}, gave way"
    most = int(allowed) if wrong == k else np.nan
    return contradiction(
        "at_risk_above_curve",
        text,
        time=moved.get(time, time),
        printed=int(curve.risk_count[wrong]),
        reconstructed=most,
    )


# --- the total of events ------------------------------------------------------------------------------------------


def _drop_impossible_total(settled: ConsistentCurve) -> ConsistentCurve:
    """Drop a total that curve and numbers at risk cannot have, wholly: half met it would only bend the rest."""
    events = settled.used.events
    if events is None:
        return settled
    limits = event_limits(settled.used)
    if limits.fewest <= events <= limits.most:
        return settled
    name, bound = ("too_few_events", limits.fewest) if events < limits.fewest else ("too_many_events", limits.most)
    text = (
        f"curve and numbers at risk allow {limits.fewest} to {limits.most} events; printed {events} is "
        f"{abs(events - bound)} {'fewer' if events < bound else 'more'}: the total gave way"
    )
    row = contradiction(name, text, printed=events, reconstructed=bound)
    return replace(settled.add_rows(row), used=replace(settled.used, events=None))
