"""A curve held against what is printed beside it, before anything is rebuilt: converted, said, left out or refused.

Each step takes what is settled so far and gives it on; the names and what gives way stand in `contradictions`.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from bayes_bm.reconstruction.bounds import click_scatter, event_limits, excess, shows_steps
from bayes_bm.reconstruction.contradictions import refusal
from bayes_bm.reconstruction.curve import OVERSHOOT, SAME, UNITS, Curve, Ints, is_drawn, unit_of_ratio
from bayes_bm.reconstruction.diagnostics import contradiction, fit_rows
from bayes_bm.reconstruction.drawn.solve import solve_drawn
from bayes_bm.reconstruction.drawn.steps import is_step_list, read_drops

FEW = 10
"""Fewest points that are no corners. The line between two points may be off by half the fall between them: with ten
points that is 5 % of survival, more than any other error that is let pass."""
ROUND = 40  # most points, and parts of the axis, that look like rates at round times rather than clicks
RATIO = 0.02  # relative miss within which a ratio of times is a ratio of units
GAP = 10.0, 0.1  # mean gaps between clicks, and shares of an axis, by which the first click may miss (0, 1)
ABOVE = 4.0, 0.02  # click errors, and survival, by which clicks may lie above 1


@dataclass(frozen=True)
class ConsistentCurve:
    """`printed`: the curve and all that was printed, converted where certain; `used`: the same without what gave way.

    `rows` of the diagnostics, and `moved`: times of at-risk rows read as time > t, to the time as printed.
    """

    printed: Curve
    used: Curve
    rows: tuple[dict, ...] = ()
    moved: dict[float, float] = field(default_factory=dict)

    def said(self, *rows: dict) -> "ConsistentCurve":
        return replace(self, rows=self.rows + rows)

    def without(self, row: int, *rows: dict) -> "ConsistentCurve":
        """Without a row of the at-risk table in what is used."""
        used = replace(
            self.used,
            risk_time=np.delete(self.used.risk_time, row),
            risk_count=np.delete(self.used.risk_count, row),
        )
        return replace(self, used=used, rows=self.rows + rows)

    def converted(self, *rows: dict, **changes) -> "ConsistentCurve":
        """With fields of the curve changed, both as printed and as used; only before anything gave way."""
        return replace(
            self,
            printed=replace(self.printed, **changes),
            used=replace(self.used, **changes),
            rows=self.rows + rows,
        )


def check_consistency(curve: Curve) -> ConsistentCurve:
    """Everything that can be settled without rebuilding patients. Raises InputError for what cannot be meant."""
    settled = ConsistentCurve(curve, replace(curve, changes=()))
    for step in (_coarse, _time_unit, _start_above, _start_late, _rise, _zero_at_end, _above_curve, _total):
        settled = step(settled)
    return settled


# --- the curve itself ---------------------------------------------------------------------------------------------


def _coarse(settled: ConsistentCurve) -> ConsistentCurve:
    """A few published rates are no curve: patients between them would be invented."""
    curve = settled.used
    if shows_steps(curve):
        return settled
    points = len(curve.time)
    if points < FEW:
        hint = (
            "survival rates at a few times belong into the points table (study, arm, endpoint, time, survival, n); "
            "for the steps of a drawn curve give both corners of each drop"
        )
        allowed = f"{FEW} or more, or corners of steps"
        raise refusal("coarse_points", "curve", found=f"{points} points that are no steps", allowed=allowed, hint=hint)
    if not _at_round_times(curve):
        return settled
    text = f"{points} points, all at round times with survival in whole percent: published rates? then use the points"
    return settled.said(contradiction("coarse_points", f"{text} table", printed=points, status="uncertain"))


def _at_round_times(curve: Curve) -> bool:
    times = np.unique(curve.time)
    if not FEW <= len(curve.time) <= ROUND or len(times) < len(curve.time):
        return False
    unit = float(np.diff(times).min())
    on_grid = np.abs(times / unit - np.round(times / unit)).max() < 1e-6
    whole = np.abs(curve.survival * 100 - np.round(curve.survival * 100)).max() < 1e-6
    return bool(on_grid and whole and unit >= curve.axis_max / ROUND)


def _start_above(settled: ConsistentCurve) -> ConsistentCurve:
    """A drawn curve that starts above 1 is scaled where that makes all its heights fractions of whole patients."""
    curve = settled.used
    if shows_steps(curve):
        start = float(curve.survival[0])
        if start <= 1 + SAME:
            return settled
        scaled = replace(curve, survival=curve.survival / start)
        numbers = {"time": float(curve.time[0]), "printed": round(start, 5)}
        if _whole(scaled):
            text = f"survival starts at {start:.5g}: divided by it, and all heights are fractions of whole patients"
            row = contradiction("starts_above_one", text, **numbers, reconstructed=1.0, status="changed")
            return settled.converted(row, survival=scaled.survival)
        text = f"survival starts at {start:.5g}: calibrate the axis again; what lies above 1 was taken as 1"
        return settled.said(contradiction("starts_above_one", text, **numbers, reconstructed=1.0, status="uncertain"))
    top = float(curve.survival.max())
    if top <= 1 + max(ABOVE[0] * click_scatter(curve), ABOVE[1]):
        return settled
    when = float(curve.time[curve.survival.argmax()])
    text = f"clicks reach {top:.4g}, more than clicks err: calibrate the axis again; what lies above 1 was taken as 1"
    row = contradiction("starts_above_one", text, time=when, printed=round(top, 5), reconstructed=1.0)
    return settled.said({**row, "status": "uncertain"})


def _whole(curve: Curve) -> bool:
    """Whether whole patients reproduce every corner of a drawn curve."""
    solved = solve_drawn(curve)
    return solved is not None and fit_rows(curve, "drawn", solved.patients)[0]["status"] == "honoured"


def _start_late(settled: ConsistentCurve) -> ConsistentCurve:
    """What the line did before its first point is assumed, and said."""
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
        late = gap > max(GAP[0] * 1.2 * length / len(curve.time), GAP[1])
    if not late:
        return settled
    text = f"the curve starts at time {when:.5g} with survival {height:.5g}: survival was taken as 1 from time 0 to it"
    status = "changed" if height >= 1 - SAME else "uncertain"  # a level start at 1 leaves nothing open
    numbers = {"time": when, "printed": round(height, 5), "reconstructed": 1.0}
    return settled.said(contradiction("starts_late", text, **numbers, status=status))


# --- units of time ------------------------------------------------------------------------------------------------


def _time_unit(settled: ConsistentCurve) -> ConsistentCurve:
    """An at-risk table in another unit than the curve: converted where certain, else said or refused."""
    curve = settled.used
    if not len(curve.risk_time):
        return settled
    last, axis = float(curve.risk_time[-1]), curve.axis_max
    factor = _unit_factor(last / axis)
    if factor and _misfits(curve) and not _misfits(scaled := _rescaled(curve, factor)):
        text = (
            f"at-risk times up to {last:g} against an axis to {axis:g}, {unit_of_ratio(last / axis)}: the table "
            f"misfits the curve as it is and fits divided by {factor:.6g}: divided"
        )
        row = contradiction(
            "time_unit", text, time=last, printed=last, reconstructed=round(last / factor, 5), status="changed"
        )
        return settled.converted(row, risk_time=scaled.risk_time)
    beyond = curve.risk_time > (1 + OVERSHOOT) * axis
    told = f": a ratio of {last / axis:.3g} is {unit_of_ratio(last / axis)}" if factor else ""
    if beyond.any() and (curve.risk_count[beyond] > 0).any():
        where = f"at_risk, time {curve.risk_time[beyond][0]:g}, column time"
        hint = f"is the table in another time unit than the curve{told}"
        raise refusal("time_unit", where, found=f"{last:g}", allowed=f"0 to axis_max = {axis:g}", hint=hint)
    if factor:
        text = f"at-risk times end at {last:g} and the axis at {axis:g}{told}: is the table in another unit?"
        return settled.said(contradiction("time_unit", text, time=last, printed=last, status="uncertain"))
    return settled


def _unit_factor(ratio: float) -> float:
    """Ratio of two units of time within `RATIO` of `ratio`, or 0."""
    sizes = np.array(list(UNITS.values()))
    ratios = (sizes[:, None] / sizes).ravel()
    ratios = ratios[np.abs(np.log(ratios)) > 0.1]
    near = ratios[np.abs(np.log(ratio / ratios)) < RATIO]
    return float(near[0]) if len(near) else 0.0


def _rescaled(curve: Curve, factor: float) -> Curve:
    return replace(curve, risk_time=curve.risk_time / factor)


def _misfits(curve: Curve) -> bool:
    """Whether a curve cannot have this at-risk table: people at risk where it has ended, more than its fall leaves,
    or more steps after the last printed time than people left for them."""
    end = float(curve.time.max()) + OVERSHOOT * curve.axis_max
    beyond = bool((curve.risk_count[curve.risk_time > end] > 0).any())
    above = bool(excess(curve).survival.any())
    if not shows_steps(curve):
        return beyond or above
    drops = read_drops(curve)
    steps = int((drops.time > curve.risk_time[-1] + drops.time_error).sum())
    return beyond or above or steps > curve.risk_count[-1]


# --- numbers at risk ----------------------------------------------------------------------------------------------


def _rise(settled: ConsistentCurve) -> ConsistentCurve:
    """One number at risk that breaks the fall of the others gives way, if the curve tells which one it is."""
    curve = settled.used
    count = np.concatenate([[curve.n], curve.risk_count])
    rises = np.flatnonzero(np.diff(count) > 0)
    if not len(rises):
        return settled
    k = int(rises[0])  # the row that is larger than the one before
    fits = [i for i in (k - 1, k) if i >= 0 and _falls_without(curve, i)]
    if len(fits) > 1:
        fits = [i for i in fits if _transposed(curve, i)]
    when, printed = float(curve.risk_time[k]), int(curve.risk_count[k])
    if len(fits) != 1:
        hint = "numbers at risk cannot rise, and curve and table do not tell which is wrong: check for a typing error"
        raise refusal(
            "at_risk_rises",
            f"at_risk, time {when:g}, column at_risk",
            found=printed,
            allowed=f"at most {int(count[k])}, the number before",
            hint=f"{hint} or rows of two arms",
        )
    wrong = fits[0]
    text = f"{printed} at risk at {when:g} after {int(count[k])} before: a rise; this number gave way, the others fall"
    row = contradiction("at_risk_rises", text, time=float(curve.risk_time[wrong]), printed=int(curve.risk_count[wrong]))
    return settled.without(wrong, row)


def _falls_without(curve: Curve, row: int) -> bool:
    """Whether the table without this row falls and agrees with the curve."""
    rest = _dropped(curve, row)
    falls = (np.diff(np.concatenate([[rest.n], rest.risk_count])) <= 0).all()
    return bool(falls) and not excess(rest).survival.any()


def _dropped(curve: Curve, row: int) -> Curve:
    return replace(curve, risk_time=np.delete(curve.risk_time, row), risk_count=np.delete(curve.risk_count, row))


def _transposed(curve: Curve, row: int) -> bool:
    """Whether two neighbouring digits of this number, exchanged, make the table fall and agree with the curve."""
    digits = str(int(curve.risk_count[row]))
    for i in range(len(digits) - 1):
        swapped = int(digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :])
        trial: Ints = curve.risk_count.copy()
        trial[row] = swapped
        falls = (np.diff(np.concatenate([[curve.n], trial])) <= 0).all()
        if swapped != curve.risk_count[row] and falls and not excess(replace(curve, risk_count=trial)).survival.any():
            return True
    return False


def _zero_at_end(settled: ConsistentCurve) -> ConsistentCurve:
    """Nobody at risk where the curve goes on above 0."""
    curve = settled.used
    none = np.flatnonzero(curve.risk_count == 0)
    end, left = float(curve.time.max()), float(np.clip(curve.survival.min(), 0.0, 1.0))
    if not len(none) or left <= SAME:
        return settled
    when, row = float(curve.risk_time[none[0]]), int(none[0])
    hair = nudge(curve)
    numbers = {"time": when, "printed": 0}
    if shows_steps(curve) and abs(end - when) < hair:
        text = f"0 at risk at {when:g}, at which the curve ends at {left:.3g}: read as time > {when:g}"
        return counted_after(settled, [row], contradiction("at_risk_zero_at_end", text, **numbers, status="changed"))
    sideways = hair if shows_steps(curve) else max(OVERSHOOT / 2, 5 * click_scatter(curve)) * curve.axis_max
    if end <= when + sideways:
        return settled
    text = f"0 at risk at {when:g}, and the curve goes on to {end:.5g} at {left:.3g}: the 0 gave way"
    for later in none[::-1]:
        if curve.risk_time[later] < end - hair:
            settled = settled.without(int(later))
    return settled.said(contradiction("at_risk_zero_at_end", text, **numbers))


def nudge(curve: Curve) -> float:
    """A time just longer than what a drop of a drawn curve is known to."""
    return max(2.4 * read_drops(curve).time_error, 1e-9 * curve.axis_max)


def counted_after(settled: ConsistentCurve, rows: list[int], *said: dict) -> ConsistentCurve:
    """These rows of the at-risk table read as time > t: they count just after t."""
    moved, time = dict(settled.moved), settled.used.risk_time.copy()
    for row in rows:
        printed = float(time[row])
        time[row] += nudge(settled.used) / 2
        moved[float(time[row])] = moved.get(printed, printed)
    back = {old: new for new, old in moved.items()}
    shown = np.array([back.get(t, t) for t in settled.printed.risk_time.tolist()], float)
    return replace(
        settled,
        used=replace(settled.used, risk_time=time),
        printed=replace(settled.printed, risk_time=shown),
        moved=moved,
        rows=settled.rows + said,
    )


def _above_curve(settled: ConsistentCurve) -> ConsistentCurve:
    """Numbers at risk above what the fall of the curve leaves give way, one by one, until none is."""
    start = settled.used
    impossible = int((excess(start).survival > 0).sum())
    total = len(start.risk_time)
    rows = []
    while (found := excess(settled.used)).survival.any():
        curve, k = settled.used, int(found.survival.argmax())
        wrong = min((i for i in (k - 1, k) if i >= 0), key=lambda i: excess(_dropped(curve, i)).survival.sum())
        rows.append(_above_row(curve, k, wrong, found.allowed[k], found.survival[k], settled.moved))
        settled = settled.without(wrong)
    if impossible >= 2 and 2 * len(rows) >= total:
        text = f"{len(rows)} of {total} numbers at risk are above what this curve leaves: is it the other arm's table?"
        rows.append(contradiction("swapped_arms", text, printed=total, reconstructed=total - len(rows)))
    return settled.said(*rows)


def _above_row(curve: Curve, k: int, wrong: int, allowed: float, rise: float, moved: dict[float, float]) -> dict:
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


def _total(settled: ConsistentCurve) -> ConsistentCurve:
    """A total that curve and numbers at risk cannot have gives way wholly: half met it would only bend the rest."""
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
    return replace(settled.said(row), used=replace(settled.used, events=None))
