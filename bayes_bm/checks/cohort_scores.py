"""A result's predictions are scored against a cohort whose outcomes are known, by the numbers of `scores`.

Each patient is predicted under the treatment that was given. What is scored is the posterior mean of a patient's
survival: the best single statement the result makes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.checks import scores
from bayes_bm.estimands.standardization import mean_survival
from bayes_bm.estimands.who import Who
from bayes_bm.hazards.nonparametric import kaplan_meier
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError

GRID = 40
"""Times of the integrated Brier score, from the tenth to the ninetieth percentile of follow-up."""
SPAN = (0.1, 0.9)
"""Quantiles of follow-up between which the Brier score is integrated."""
GROUPS = 5
"""Groups of the calibration, of equal size by predicted survival."""


@dataclass(frozen=True)
class Score:
    """Hold how predictions agree with a cohort.

    Parameters
    ----------
    patients, events : int
        Patients of the cohort, and how many had the event.
    at : float
        Time of the calibration.
    brier : pandas.DataFrame
        time, brier, and null: the Brier score of the cohort's own Kaplan-Meier curve.
    integrated_brier : float
        Mean Brier score over `span`.
    span : tuple of float
        First and last time of the integration.
    concordance : pandas.DataFrame
        kind (Harrell, Uno), index, pairs.
    calibration : pandas.DataFrame
        group, n, predicted, observed, low, high (95 %): survival at time `at`.
    d_calibration : pandas.DataFrame
        low, high, share: patients by predicted survival at their own time.
    d_p : float
        p of equal shares.
    time_unit : str
        Unit of all times.

    Examples
    --------
    >>> import bayes_bm as bb, pandas as pd
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> cohort = pd.DataFrame({"time": [3.0, 8.0, 15.0, 30.0], "event": [1, 1, 0, 0], "treatment": ["str"] * 4})
    >>> score = bb.score_cohort(prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200), cohort)
    >>> score.events, score.time_unit, score.brier.columns.tolist()
    (2, 'months', ['time', 'brier', 'null'])
    """

    patients: int
    events: int
    at: float
    brier: pd.DataFrame
    integrated_brier: float
    span: tuple[float, float]
    concordance: pd.DataFrame
    calibration: pd.DataFrame
    d_calibration: pd.DataFrame
    d_p: float
    time_unit: str

    def document(self) -> dict[str, Any]:
        """Return the scores as plain data."""
        tables = ("brier", "concordance", "calibration", "d_calibration")
        listed = {name: getattr(self, name).to_dict("records") for name in tables}
        plain = ("patients", "events", "at", "integrated_brier", "d_p", "time_unit")
        return {**{name: getattr(self, name) for name in plain}, "span": list(self.span), **listed}


def score_cohort(
    result: Result,
    cohort: pd.DataFrame,
    times: Sequence[float] | None = None,
    *,
    at: float | None = None,
    who: Who | str | None = None,
) -> Score:
    """Score a result's predictions against a cohort whose outcomes are known.

    Each patient is predicted under the treatment that was given; scored is the posterior mean of a patient's survival.

    Parameters
    ----------
    result : Result
        A fit, of a spec whose treatments and covariates the cohort states.
    cohort : pandas.DataFrame
        One row a patient: time (in the spec's unit), event (1 = event), treatment, and covariates of the spec. Blank
        covariates are averaged over the evidence's patients.
    times : sequence of float, optional
        Times of the Brier score; by default those of the spec that lie before the end of follow-up.
    at : float, optional
        Time of the calibration; by default the spec's reference time.
    who : AverageStudy, NewStudy, NewHospital, Study, or the name of one, optional
        Study in which patients are predicted, as in `bayes_bm.standardise`.

    Returns
    -------
    Score
        Brier scores, concordance, calibration and D-calibration.

    Raises
    ------
    InputError
        For fewer than two events, or a time at or after the last follow-up in the cohort.

    Examples
    --------
    >>> import bayes_bm as bb, pandas as pd
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300)
    >>> cohort = pd.DataFrame({
    ...     "time": [3.0, 8.0, 15.0, 20.0, 30.0, 36.0], "event": [1, 1, 1, 0, 1, 0],
    ...     "treatment": ["str", "str", "str", "gtr", "gtr", "gtr"],
    ... })
    >>> score = bb.score_cohort(result, cohort)
    >>> score.patients, score.events, score.at
    (6, 4, 12.0)
    >>> score.concordance["kind"].tolist()
    ['Harrell', 'Uno']
    """
    spec = result.spec
    time, event = (cohort[name].to_numpy(dtype=float) for name in ("time", "event"))
    if event.sum() < 2:
        raise InputError("cohort", found=f"{event.sum():g} events", allowed="2 or more")
    x = cohort[[name for name in cohort if name in spec.covariates]]
    treatment = [str(name) for name in cohort["treatment"]]
    shown = np.array([when for when in (times or spec.answer_times) if times or when < time.max()])
    when = spec.reference_time if at is None else at
    if when >= time.max() or not len(shown):
        raise InputError("at", found=f"{when:g}", allowed=f"below the last follow-up in the cohort, {time.max():g}")
    start, end = (float(np.quantile(time, share)) for share in SPAN)
    grid = np.linspace(start, end, GRID)
    curves = mean_survival(result, x, treatment, [*shown, *grid, when], who=who)
    predicted, along, now = curves[:, : len(shown)], curves[:, len(shown) : -1], curves[:, -1]
    return Score(
        patients=len(time),
        events=int(event.sum()),
        at=float(when),
        brier=pd.DataFrame(
            {
                "time": shown,
                "brier": scores.brier(time, event, shown, predicted),
                "null": scores.brier(time, event, shown, _kaplan_meier_curves(time, event, shown)),
            }
        ),
        integrated_brier=scores.integrated_brier(grid, scores.brier(time, event, grid, along)),
        span=(float(grid[0]), float(grid[-1])),
        concordance=_concordance(time, event, 1 - now, grid[-1]),
        calibration=_calibration(time, event, when, now),
        **_d_calibration(result, x, treatment, time, event, who),
        time_unit=spec.time_unit,
    )


def _kaplan_meier_curves(time: np.ndarray, event: np.ndarray, times: np.ndarray) -> np.ndarray:
    return np.tile(kaplan_meier(time, event)(times), (len(time), 1))


def _concordance(time: np.ndarray, event: np.ndarray, risk: np.ndarray, end: float) -> pd.DataFrame:
    indices = {"Harrell": scores.harrell(time, event, risk), "Uno": scores.uno(time, event, risk, end=end)}
    return pd.DataFrame([{"kind": kind, "index": one.index, "pairs": one.pairs} for kind, one in indices.items()])


def _calibration(time: np.ndarray, event: np.ndarray, when: float, predicted: np.ndarray) -> pd.DataFrame:
    groups = scores.calibration(time, event, when, predicted, groups=GROUPS)
    rows = [{"group": number, **vars(group)} for number, group in enumerate(groups, start=1)]
    return pd.DataFrame(rows)


def _d_calibration(
    result: Result,
    x: pd.DataFrame,
    treatment: Sequence[str],
    time: np.ndarray,
    event: np.ndarray,
    who: Who | str | None,
) -> dict[str, Any]:
    """Test predicted survival at each patient's own time, read off curves linear in log time."""
    knots = np.unique(np.quantile(time, np.linspace(0, 1, KNOTS)))
    curves = mean_survival(result, x, treatment, list(knots), who=who)
    log_hazard = np.log(-np.log(np.clip(curves, 1e-300, 1 - 1e-15)))
    log_log_survival = np.array(
        [np.interp(np.log(t), np.log(knots), row) for t, row in zip(time, log_hazard, strict=True)]
    )
    calibrated = scores.d_calibration(event, np.exp(-np.exp(log_log_survival)))
    edges = np.linspace(0, 1, len(calibrated.share) + 1)
    return {
        "d_calibration": pd.DataFrame({"low": edges[:-1], "high": edges[1:], "share": calibrated.share}),
        "d_p": calibrated.p,
    }


KNOTS = 200
"""Times between which a patient's own is interpolated, on the scale of log(-log S) against log t: straight for a
Weibull."""
