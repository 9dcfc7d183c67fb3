"""Predictions of a result against a cohort whose outcomes are known: the numbers of `scores`.

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
GROUPS = 5


@dataclass(frozen=True)
class Score:
    """Agreement of predictions with a cohort.

    brier (time, brier, null: that of the cohort's own Kaplan-Meier curve), integrated over `span`; concordance (kind,
    index, pairs); calibration at time `at` (group, n, predicted, observed, low, high); d_calibration (low, high, share)
    with its p.
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
        """As plain data."""
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
    who: Who | None = None,
) -> Score:
    """Score a cohort (time, event, treatment, covariates; `cohort.read_cohort`) in the spec's time unit.

    `times` of the Brier score: those of the spec that lie before the end of follow-up; `at` of the calibration: the
    spec's reference time. Covariates that are blank are averaged over the evidence's patients.
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
                "null": scores.brier(time, event, shown, _of_everybody(time, event, shown)),
            }
        ),
        integrated_brier=scores.integrated_brier(grid, scores.brier(time, event, grid, along)),
        span=(float(grid[0]), float(grid[-1])),
        concordance=_concordance(time, event, 1 - now, grid[-1]),
        calibration=_calibration(time, event, when, now),
        **_d_calibration(result, x, treatment, time, event, who),
        time_unit=spec.time_unit,
    )


def _of_everybody(time: np.ndarray, event: np.ndarray, times: np.ndarray) -> np.ndarray:
    return np.tile(kaplan_meier(time, event)(times), (len(time), 1))


def _concordance(time: np.ndarray, event: np.ndarray, risk: np.ndarray, until: float) -> pd.DataFrame:
    found = {"Harrell": scores.harrell(time, event, risk), "Uno": scores.uno(time, event, risk, until=until)}
    return pd.DataFrame([{"kind": kind, "index": one.index, "pairs": one.pairs} for kind, one in found.items()])


def _calibration(time: np.ndarray, event: np.ndarray, when: float, predicted: np.ndarray) -> pd.DataFrame:
    found = scores.calibration(time, event, when, predicted, groups=GROUPS)
    rows = [{"group": at, **vars(group)} for at, group in enumerate(found, start=1)]
    return pd.DataFrame(rows)


def _d_calibration(
    result: Result, x: pd.DataFrame, treatment: Sequence[str], time: np.ndarray, event: np.ndarray, who: Who | None
) -> dict[str, Any]:
    """Survival at each patient's own time: read off curves at quantiles of the times, linear in log time."""
    knots = np.unique(np.quantile(time, np.linspace(0, 1, OWN)))
    curves = mean_survival(result, x, treatment, list(knots), who=who)
    log_hazard = np.log(-np.log(np.clip(curves, 1e-300, 1 - 1e-15)))
    own = np.array([np.interp(np.log(t), np.log(knots), row) for t, row in zip(time, log_hazard, strict=True)])
    found = scores.d_calibration(event, np.exp(-np.exp(own)))
    edges = np.linspace(0, 1, len(found.share) + 1)
    return {
        "d_calibration": pd.DataFrame({"low": edges[:-1], "high": edges[1:], "share": found.share}),
        "d_p": found.p,
    }


OWN = 200
"""Times between which a patient's own is interpolated, on the scale of log(-log S) against log t: straight for a
Weibull."""
