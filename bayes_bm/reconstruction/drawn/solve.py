"""Patients from a drawn curve: exact whole numbers.

A drop of d events among r at risk multiplies the curve by 1 - d/r, so a drawn curve (vector graphics) is a list of
fractions with unknown whole numbers. `curves.points` puts drops and printed numbers in order, `curves.lattice` keeps
every (at risk, events so far) that reproduces all of them within rounding, and here its paths become patients.
"""

from functools import partial

import numpy as np

from bayes_bm.reconstruction.curve import Curve, Floats
from bayes_bm.reconstruction.diagnostics import note
from bayes_bm.reconstruction.drawn.lattice import Lattice, Path, Problem, lattice
from bayes_bm.reconstruction.drawn.points import Point, corridor, open_corridor, points_of
from bayes_bm.reconstruction.drawn.steps import Drops, read_drops
from bayes_bm.reconstruction.patients import Patients, Solution, patients_of, spread

SURVIVAL_ERRORS = (1e-9, 5e-5, 2.5e-4, 1e-3, 5e-3)  # tried in turn until the drops are fractions of whole numbers
SOME_TIED = 0.1, 0.05  # censorings beyond one a tick: expected where no total tells, and at least


def solve_drawn(curve: Curve) -> Solution | None:
    """The patients of a drawn curve; None where no whole numbers reproduce the drops."""
    drops = read_drops(curve)
    points, tail = points_of(curve, drops)
    own = drops.survival_error + 1e-9
    for error in (SURVIVAL_ERRORS[0], own, *(e for e in SURVIVAL_ERRORS if e > 1.5 * own)):
        found = _solved(curve, points, len(tail), error)
        if found is None:
            continue
        patients = partial(_from_path, curve, drops, points, tail)
        path, sampler = found.central(), partial(_redrawn, found, patients)
        return Solution(patients(path, None), sampler, _notes(drops, error, own), found.openness(path))
    return None


def _notes(drops: Drops, error: float, own: float) -> list[dict]:
    notes = []
    if error > own:
        notes.append(note("survival", f"heights are fractions of whole numbers only within {error:g}"))
    if drops.clock:
        text = f"all drops are multiples of {drops.clock:.6g} within half a grid cell: moved there"
        notes.append(note("time", text))
    return notes


def _redrawn(found: Lattice, patients, rng: np.random.Generator) -> Patients:
    return patients(found.sample(rng), rng)


def _solved(curve: Curve, points: list[Point], after: int, error: float) -> Lattice | None:
    """The lattice within what is printed, or without those bounds where the printed numbers contradict the curve."""
    goes_on = bool(curve.survival[-1] > error)
    for bounds in (corridor(points, curve.n, curve.events, error), open_corridor(points, curve.n)):
        problem = Problem(
            curve.n, curve.events, points, bounds, error, curve.ticks is not None, after, _tied(curve), goes_on
        )
        found = lattice(problem)
        if found is not None:
            return found
    return None


def _tied(curve: Curve) -> float:
    """Censorings expected beyond one a tick."""
    usual, least = SOME_TIED
    seen = 0 if curve.ticks is None else len(curve.ticks)
    return usual if curve.events is None or not seen else max((curve.n - curve.events - seen) / seen, least)


def _from_path(curve: Curve, drops: Drops, points: list[Point], tail: Floats, path: Path, rng) -> Patients:
    """Patients of one path: deaths at the drops, censorings at the ticks or spread over their gap."""
    hair = drops.time_error / 4
    deaths, lost, clock, owed = [], [], 0.0, np.empty(0)  # owed: the tick of the last cell, if it can still be used
    risk, end, was_used = curve.n, _last_seen(curve, drops.end), False
    shift = _shifts(points, drops, rng)
    for point, count, died, used, by in zip(points, *(column.tolist() for column in path), shift, strict=True):
        marks = np.concatenate([owed, point.marks]) if point.opens else np.empty(0)
        drawn, seen = _moved(point, risk - count, died, hair)
        time = max(drawn + by, clock + hair * (count > 0 and not point.opens))
        if used and (point.opens or not was_used):
            marks = np.append(marks, max(time - hair, clock))
        last = point.time > drops.end and count == risk
        lost.append(spread(count, marks, clock, min(time, end) if last else time, rng, to_end=last))
        deaths.append(np.full(died, time))
        risk, clock, was_used = risk - count - died, max(time, seen), used
        owed = np.array([clock]) if point.mark_here else np.empty(0)
    lost.append(spread(risk, np.concatenate([owed, tail]), clock, max(end, clock), rng, to_end=True))
    return patients_of(np.concatenate([*deaths, np.empty(0)]), np.concatenate(lost))


def _shifts(points: list[Point], drops: Drops, rng: np.random.Generator | None) -> list[float]:
    """How far each point of a redrawn curve lies from its drawn time: anywhere in its grid cell, in the same order.

    Nothing is moved for the best patients, on a clock (times are known), or where a number is printed in the cell.
    """
    if rng is None or drops.clock:
        return [0.0] * len(points)
    share = rng.uniform(-1, 1, len(points))
    share = share[np.lexsort((share, np.array([point.time for point in points])))]  # drops of one cell keep their order
    free = [point.is_drop and not point.also for point in points]
    return (drops.time_error * share * free).tolist()


def _last_seen(curve: Curve, end: float) -> float:
    """End of follow-up: the end of the line, or a later printed time at which somebody is still at risk."""
    later = curve.risk_time[curve.risk_count > 0]
    return max(end, float(later[-1])) if len(later) else end


def _moved(point: Point, risk: int, died: int, hair: float) -> tuple[float, float]:
    """Time of a drop, and the time up to which the survivors are known to be seen.

    The drop moves inside its grid cell where a number printed there counts it on the other side.
    """
    for printed, number in point.also:
        if point.time < printed and risk == number:
            return printed, printed
        if risk != number and risk - died == number:
            return min(point.time, printed - hair), printed
    return point.time, point.time
