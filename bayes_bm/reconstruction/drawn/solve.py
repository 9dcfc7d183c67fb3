"""Patients from a drawn curve: exact whole numbers.

A drop of d events among r at risk multiplies the curve by 1 - d/r, so a drawn curve (vector graphics) is a list of
fractions with unknown whole numbers. `points` puts drops and printed numbers in order, `lattice` keeps
every (at risk, events so far) that reproduces all of them within rounding, and here its paths become patients.
"""

from functools import partial

import numpy as np

from bayes_bm.reconstruction.curve import Curve, Floats, ticks_alone
from bayes_bm.reconstruction.diagnostics import note
from bayes_bm.reconstruction.drawn.lattice import Lattice, Path, build_lattice
from bayes_bm.reconstruction.drawn.points import Point, corridor, open_corridor, points_of
from bayes_bm.reconstruction.drawn.states import Problem
from bayes_bm.reconstruction.drawn.steps import Drops, read_drops
from bayes_bm.reconstruction.patients import Patients, Solution, patients_of, spread_censorings

SURVIVAL_ERRORS = (1e-9, 5e-5, 2.5e-4, 1e-3, 5e-3)
"""Errors of survival, tried in turn until the drops are fractions of whole numbers."""
USUALLY_TIED = 0.1
"""Censorings expected beyond one a tick where no total tells."""
LEAST_TIED = 0.05
"""Least number of censorings expected beyond one a tick where a total tells."""

LOOSER = 4.0
"""Factor by which heights may err more than the least error at which they are fractions of whole patients.

By chance a wrong path fits at a smaller error than the true one, which needs the largest of all errors of the heights.
"""


def solve_drawn(curve: Curve) -> Solution | None:
    """Rebuild the patients of a drawn curve; None where no whole numbers reproduce the drops."""
    drops = read_drops(curve)
    points, tail = points_of(curve, drops)
    drawn_error = drops.survival_error + 1e-9
    for error in (SURVIVAL_ERRORS[0], drawn_error, *(e for e in SURVIVAL_ERRORS if e > 1.5 * drawn_error)):
        states = _solved(curve, points, len(tail), error)
        if states is None:
            continue
        patients = partial(_from_path, curve, drops, points, tail)
        path, sampler = states.central(), partial(_redraw, states, patients)
        if error > drawn_error and ticks_alone(curve):
            looser = _solved(curve, points, len(tail), min(LOOSER * error, SURVIVAL_ERRORS[-1]))
            sampler = partial(_redraw_either, (states, looser or states), patients)
        return Solution(patients(path, None), sampler, _notes(drops, error, drawn_error), states.openness(path))
    return None


def _notes(drops: Drops, error: float, drawn_error: float) -> list[dict]:
    """Return notes on heights that had to be read loosely and on times that were moved to a clock."""
    notes = []
    if error > drawn_error:
        notes.append(note("survival", f"heights are fractions of whole numbers only within {error:g}"))
    if drops.clock:
        text = f"all drops are multiples of {drops.clock:.6g} within half a grid cell: moved there"
        notes.append(note("time", text))
    return notes


def _redraw(states: Lattice, patients, rng: np.random.Generator) -> Patients:
    """Draw one set of patients."""
    return patients(states.sample(rng), rng)


def _redraw_either(lattices: tuple[Lattice, Lattice], patients, rng: np.random.Generator) -> Patients:
    """Draw one set of patients from one of two lattices, either as likely."""
    return patients(lattices[int(rng.uniform() < 0.5)].sample(rng), rng)


def _solved(curve: Curve, points: list[Point], trailing_ticks: int, error: float) -> Lattice | None:
    """Return the lattice within the bounds of what is printed, or without them where these contradict the curve."""
    goes_on = bool(curve.survival[-1] > error)
    for bounds in (corridor(points, curve.n, curve.events, error), open_corridor(points, curve.n)):
        problem = Problem(
            curve.n,
            curve.events,
            points,
            bounds,
            error,
            curve.ticks is not None,
            trailing_ticks,
            _expected_ties(curve),
            goes_on,
        )
        states = build_lattice(problem)
        if states is not None:
            return states
    return None


def _expected_ties(curve: Curve) -> float:
    """Return the censorings expected beyond one a tick."""
    seen = 0 if curve.ticks is None else len(curve.ticks)
    return USUALLY_TIED if curve.events is None or not seen else max((curve.n - curve.events - seen) / seen, LEAST_TIED)


def _from_path(curve: Curve, drops: Drops, points: list[Point], tail: Floats, path: Path, rng) -> Patients:
    """Return the patients of one path: deaths at the drops, censorings at the ticks or spread over their gap."""
    hair = drops.time_error / 4
    deaths, lost, clock, owed = [], [], 0.0, np.empty(0)  # owed: the tick of the last cell, if it can still be used
    risk, end, was_used = curve.n, _last_seen(curve, drops.end), False
    shift = _shifts(points, drops, rng)
    for point, count, died, used, offset in zip(points, *(column.tolist() for column in path), shift, strict=True):
        marks = np.concatenate([owed, point.marks]) if point.opens else np.empty(0)
        drawn, seen = _place_drop(point, risk - count, died, hair)
        time = max(drawn + offset, clock + hair * (count > 0 and not point.opens))
        if used and (point.opens or not was_used):
            marks = np.append(marks, max(time - hair, clock))
        last = point.time > drops.end and count == risk
        lost.append(spread_censorings(count, marks, clock, min(time, end) if last else time, rng, to_end=last))
        deaths.append(np.full(died, time))
        risk, clock, was_used = risk - count - died, max(time, seen), used
        owed = np.array([clock]) if point.mark_here else np.empty(0)
    lost.append(spread_censorings(risk, np.concatenate([owed, tail]), clock, max(end, clock), rng, to_end=True))
    return patients_of(np.concatenate([*deaths, np.empty(0)]), np.concatenate(lost))


def _shifts(points: list[Point], drops: Drops, rng: np.random.Generator | None) -> list[float]:
    """Return how far each point of a redrawn curve lies from its drawn time: anywhere in its cell, in the same order.

    Nothing is moved for the best patients, on a clock (times are known), or where a number is printed in the cell.
    """
    if rng is None or drops.clock:
        return [0.0] * len(points)
    share = rng.uniform(-1, 1, len(points))
    share = share[np.lexsort((share, np.array([point.time for point in points])))]  # drops of one cell keep their order
    free = [point.is_drop and not point.also for point in points]
    return (drops.time_error * share * free).tolist()


def _last_seen(curve: Curve, end: float) -> float:
    """Return the end of follow-up: the end of the line, or a later printed time at which somebody is still at risk."""
    later = curve.risk_time[curve.risk_count > 0]
    return max(end, float(later[-1])) if len(later) else end


def _place_drop(point: Point, risk: int, died: int, hair: float) -> tuple[float, float]:
    """Return the time of a drop, and the time up to which the survivors are known to be seen.

    The drop moves inside its grid cell where a number printed there counts it on the other side.
    """
    for printed, number in point.also:
        if point.time < printed and risk == number:
            return printed, printed
        if risk != number and risk - died == number:
            return min(point.time, printed - hair), printed
    return point.time, point.time
