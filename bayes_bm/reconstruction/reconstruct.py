"""Patients from a digitised Kaplan-Meier curve: integers that a figure, its at-risk table, totals and ticks allow.

A drawn curve (vector graphics) is solved exactly (`curves.drawn`); a clicked one is cleaned and filled with whole
patients (`curves.clicked`). Printed whole numbers outrank clicks; what cannot be honoured is reported.

Sources: Guyot, Ades, Ouwens and Welton 2012 (BMC Med Res Methodol 12:9) for the problem; the solutions here are ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bayes_bm.reconstruction.at_risk_convention import after_events
from bayes_bm.reconstruction.bounds import shows_steps
from bayes_bm.reconstruction.clicked.solve import solve_clicked
from bayes_bm.reconstruction.consistency import ConsistentCurve, check_consistency
from bayes_bm.reconstruction.curve import Curve, read_curve
from bayes_bm.reconstruction.diagnostics import change_rows, fit_rows, printed_rows
from bayes_bm.reconstruction.drawn.solve import solve_drawn
from bayes_bm.reconstruction.figure_data import FigureData, figure_data
from bayes_bm.reconstruction.patients import Patients, Solution
from bayes_bm.reconstruction.verdict import judge, verdict_row


@dataclass(frozen=True)
class Reconstruction:
    """Patients rebuilt from one curve.

    `patients`: DataFrame (time, event), n rows, sorted. `diagnostics`: DataFrame (check, time, printed,
    reconstructed, status, note); status is honoured, contradicted, changed or uncertain. `curve` is what was read,
    converted where `curves.contradictions` says so; `method` is "drawn" or "clicked". `verdict` is exact, good,
    doubtful or contradictory, `reason` says why in one sentence.
    """

    patients: pd.DataFrame
    diagnostics: pd.DataFrame
    curve: Curve
    method: str
    verdict: str
    reason: str
    _sampler: Callable[[np.random.Generator], Patients] = field(repr=False)

    def draw(self, m: int, *, seed: int = 1) -> list[pd.DataFrame]:
        """`m` plausible sets of patients (time, event), each of n rows; the same seed gives the same sets."""
        streams = np.random.default_rng(seed).spawn(m)
        return [_table(self._sampler(rng)) for rng in streams]

    def picture(self, *, draws: int = 0, seed: int = 1, sets: Sequence[pd.DataFrame] = ()) -> FigureData:
        """The tables of a figure of this reconstruction; with `draws`, or `sets` drawn before, their range of 90 %."""
        patients = self.patients["time"].to_numpy(), self.patients["event"].to_numpy()
        sets = sets or self.draw(draws, seed=seed)
        return figure_data(self.curve, patients, self.diagnostics, sets, (self.verdict, self.reason))


def reconstruct(
    curve: pd.DataFrame | Curve,
    *,
    at_risk: pd.DataFrame | None = None,
    ticks: pd.DataFrame | None = None,
    n: int | None = None,
    events: int | None = None,
    axis_max: float | None = None,
) -> Reconstruction:
    """Rebuild the patients behind a Kaplan-Meier curve.

    `curve` (time, survival): corners of the steps of a vector figure, or clicks near the line; which of the two is
    read from the numbers. `at_risk` (time, at_risk): printed numbers with time >= t. `ticks` (time): censor marks;
    tied censorings show as one. `n` patients, total `events`, `axis_max` right end of the time axis. Only `n`, or an
    at-risk row at time 0, is needed. Raises InputError (what was found, allowed, to do) for input that cannot be meant;
    numbers that merely disagree are settled and reported in `.diagnostics`.
    """
    read = read_curve(curve, at_risk=at_risk, ticks=ticks, n=n, events=events, axis_max=axis_max)
    settled = check_consistency(read)
    if shows_steps(settled.used):
        solved = solve_drawn(settled.used)
        if solved is not None:
            settled, again = after_events(settled, solved.patients, solve_drawn)
            return _finish(settled, "drawn", again or solved)
    return _finish(settled, "clicked", solve_clicked(settled.used))


def _finish(settled: ConsistentCurve, method: str, solved: Solution) -> Reconstruction:
    curve, patients = settled.printed, solved.patients
    rows = [*printed_rows(curve, patients, settled.moved), *fit_rows(curve, method, patients), *solved.notes]
    rows += [*settled.rows, *change_rows(curve.changes)]
    verdict = judge(curve, method, patients, solved.openness, rows)
    diagnostics = pd.DataFrame([*rows, verdict_row(verdict)])
    return Reconstruction(_table(patients), diagnostics, curve, method, verdict.name, verdict.reason, solved.sampler)


def _table(patients: Patients) -> pd.DataFrame:
    return pd.DataFrame({"time": patients[0], "event": patients[1]})


def stack_draws(sets: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Sets of patients in one table: draw (from 1), time, event."""
    drawn = pd.concat([patients.assign(draw=k) for k, patients in enumerate(sets, 1)], ignore_index=True)
    return drawn[["draw", "time", "event"]]
