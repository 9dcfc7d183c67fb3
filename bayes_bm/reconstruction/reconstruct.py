"""Patients from a digitised Kaplan-Meier curve: integers that a figure, its at-risk table, totals and ticks allow.

A drawn curve (vector graphics) is solved exactly (`drawn`); a clicked one is cleaned and filled with whole patients
(`clicked`). Printed whole numbers outrank clicks; what cannot be honoured is reported.

Sources: Guyot, Ades, Ouwens and Welton 2012 (BMC Med Res Methodol 12:9) for the problem; the solutions here are ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bayes_bm.reconstruction.at_risk_convention import read_after_events
from bayes_bm.reconstruction.bounds import shows_steps
from bayes_bm.reconstruction.clicked.solve import solve_clicked
from bayes_bm.reconstruction.consistency import ConsistentCurve, check_consistency
from bayes_bm.reconstruction.curve import Curve, read_curve
from bayes_bm.reconstruction.diagnostics import change_rows, fit_rows, printed_rows
from bayes_bm.reconstruction.drawn.solve import solve_drawn
from bayes_bm.reconstruction.figure_data import FigureData, figure_data
from bayes_bm.reconstruction.patients import Patients, Solution
from bayes_bm.reconstruction.verdict import judge, verdict_row
from bayes_bm.runtime.summaries import counted, summary


@dataclass(frozen=True)
class Reconstruction:
    """Hold the patients rebuilt from one curve, and how far they can be trusted.

    Parameters
    ----------
    patients
        DataFrame (time, event), one row for each patient, sorted by time; event is 1 for an event, 0 for censoring.
    diagnostics
        DataFrame (check, time, printed, reconstructed, status, note); status is honoured, contradicted, changed or
        uncertain.
    curve
        The `Curve` that was read, converted where `reconstruction.contradictions` says so.
    method
        "drawn" for the corners of a vector figure, "clicked" for points near the line.
    verdict
        "exact", "good", "doubtful" or "contradictory".
    reason
        One sentence that says why.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_bm as bb
    >>> corners = pd.DataFrame({"time": [0, 2, 2, 5, 5, 8], "survival": [1, 1, 0.75, 0.75, 0.375, 0.375]})
    >>> result = bb.reconstruct(corners, n=4, events=2)
    >>> result.verdict, result.method
    ('exact', 'drawn')
    >>> result.diagnostics["check"].tolist()
    ['n', 'events', 'censoring', 'survival', 'input', 'verdict']
    """

    patients: pd.DataFrame
    diagnostics: pd.DataFrame
    curve: Curve
    method: str
    verdict: str
    reason: str
    _sampler: Callable[[np.random.Generator], Patients] = field(repr=False)

    def __repr__(self) -> str:
        events, checks = int(self.patients["event"].sum()), self.diagnostics["status"].value_counts().to_dict()
        rows = {
            "verdict": f"{self.verdict}: {self.reason}",
            "patients": f"{len(self.patients)}, {events} with the event",
            "curve": f"{self.method}, {len(self.curve.time)} points",
            "checks": counted({str(name): int(number) for name, number in checks.items()}),
            "look at": "patients, diagnostics (tables); draw(m); bb.plot_reconstruction",
        }
        return summary("Reconstruction of one arm", rows)

    def draw(self, m: int, *, seed: int = 1) -> list[pd.DataFrame]:
        """Draw plausible sets of patients.

        Parameters
        ----------
        m
            Number of sets.
        seed
            The same seed gives the same sets.

        Returns
        -------
        list of DataFrame
            `m` tables (time, event), each with one row for each patient.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayes_bm as bb
        >>> corners = pd.DataFrame({"time": [0, 2, 2, 5, 5, 8], "survival": [1, 1, 0.75, 0.75, 0.375, 0.375]})
        >>> sets = bb.reconstruct(corners, n=4).draw(3, seed=1)
        >>> [(len(patients), int(patients["event"].sum())) for patients in sets]
        [(4, 2), (4, 2), (4, 2)]
        """
        streams = np.random.default_rng(seed).spawn(m)
        return [_patient_table(self._sampler(rng)) for rng in streams]

    def picture(self, *, draws: int = 0, seed: int = 1, sets: Sequence[pd.DataFrame] = ()) -> FigureData:
        """Return the tables of a figure of this reconstruction.

        Parameters
        ----------
        draws
            Number of sets to draw for the range of 90 %; 0 for a figure without it.
        seed
            Seed of these draws.
        sets
            Sets drawn before, used in place of new ones.

        Returns
        -------
        FigureData
            Points, steps, censor marks, numbers at risk and, where there are draws, their range.
        """
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

    Parameters
    ----------
    curve
        DataFrame (time, survival): corners of the steps of a vector figure, or clicks near the line; which of the two
        is read from the numbers. Survival is a proportion; percentages are converted. A `Curve` that was read before
        is taken too.
    at_risk
        DataFrame (time, at_risk): printed numbers with time >= t.
    ticks
        DataFrame (time): censor marks; tied censorings show as one.
    n
        Number of patients; may be left out where `at_risk` has a row at time 0.
    events
        Total of events, where it is printed.
    axis_max
        Right end of the time axis, in the unit of the curve; the last point where it is left out.

    Returns
    -------
    Reconstruction
        The patients, with diagnostics of every printed number and a verdict. Printed whole numbers outrank clicks;
        numbers that merely disagree are settled and reported in `diagnostics`.

    Raises
    ------
    InputError
        For input that cannot be meant: it says what was found, what is allowed and what to do.

    Notes
    -----
    The problem is that of Guyot, Ades, Ouwens and Welton 2012 (BMC Med Res Methodol 12:9); the solutions are ours. The
    patients of a drawn curve are whole numbers that reproduce every step, those of a clicked curve the middle of a
    Markov chain over whole patients.

    Examples
    --------
    Four patients: one dies at 2, one is censored in between, one dies at 5, and the last is seen to 8.

    >>> import pandas as pd
    >>> import bayes_bm as bb
    >>> corners = pd.DataFrame({"time": [0, 2, 2, 5, 5, 8], "survival": [1, 1, 0.75, 0.75, 0.375, 0.375]})
    >>> marks = pd.DataFrame({"time": [3, 8]})
    >>> result = bb.reconstruct(corners, ticks=marks, n=4, events=2, axis_max=8)
    >>> print(result.patients.to_string(index=False))
     time  event
      2.0      1
      3.0      0
      5.0      1
      8.0      0
    >>> result.verdict
    'exact'
    """
    read = read_curve(curve, at_risk=at_risk, ticks=ticks, n=n, events=events, axis_max=axis_max)
    settled = check_consistency(read)
    if shows_steps(settled.used):
        solved = solve_drawn(settled.used)
        if solved is not None:
            settled, reread = read_after_events(settled, solved.patients, solve_drawn)
            return _finish(settled, "drawn", reread or solved)
    return _finish(settled, "clicked", solve_clicked(settled.used))


def _finish(settled: ConsistentCurve, method: str, solved: Solution) -> Reconstruction:
    """Report on the patients and judge them."""
    curve, patients = settled.printed, solved.patients
    rows = [*printed_rows(curve, patients, settled.moved), *fit_rows(curve, method, patients), *solved.notes]
    rows += [*settled.rows, *change_rows(curve.changes)]
    verdict = judge(curve, method, patients, solved.openness, rows)
    diagnostics = pd.DataFrame([*rows, verdict_row(verdict)])
    return Reconstruction(
        _patient_table(patients), diagnostics, curve, method, verdict.name, verdict.reason, solved.sampler
    )


def _patient_table(patients: Patients) -> pd.DataFrame:
    """Return patients as a table (time, event)."""
    return pd.DataFrame({"time": patients[0], "event": patients[1]})


def stack_draws(sets: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Stack sets of patients in one table: draw (from 1), time, event."""
    drawn = pd.concat([patients.assign(draw=k) for k, patients in enumerate(sets, 1)], ignore_index=True)
    return drawn[["draw", "time", "event"]]
