"""Scores say how predicted survival agrees with what happened to patients: arrays in, arrays out.

Brier scores weighted by the inverse probability of censoring (Graf et al. 1999), concordance of Harrell (1996) and Uno
(2011), D-calibration (Haider et al. 2020), and observed against predicted survival by group. `event` is 1 for an event;
the censoring distribution is the Kaplan-Meier curve of censoring, in which at a tied time events come first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bayes_bm.hazards.nonparametric import kaplan_meier
from bayes_bm.runtime.errors import InputError

Floats = NDArray[np.float64]


def censoring_survival(time: Floats, event: Floats) -> tuple[Floats, Floats]:
    """Return the Kaplan-Meier curve of the time of censoring: its drops and its value after each.

    Events come before censorings at a tie, so those with an event at t are not at risk of being censored at t.
    """
    steps = np.unique(time[event == 0])
    ended = np.searchsorted(np.sort(time), steps, side="left")
    at_risk = len(time) - ended - np.array([np.sum((time == step) & (event == 1)) for step in steps], dtype=float)
    lost = np.array([np.sum((time == step) & (event == 0)) for step in steps], dtype=float)
    return steps, np.cumprod(1 - lost / at_risk)


def _step_values(steps: Floats, values: Floats, when: Floats, *, left_limit: bool = False) -> Floats:
    """Return the step curve at `when`, or its limit from the left."""
    return np.concatenate([[1.0], values])[np.searchsorted(steps, when, side="left" if left_limit else "right")]


def brier(time: Floats, event: Floats, times: Floats, survival: Floats) -> Floats:
    """Return the Brier score at each time (time,) from predicted survival (patient, time), weighted by 1 / G.

    mean of [S^2 1(T <= t, event) / G(T-) + (1 - S)^2 1(T > t) / G(t)]: those lost before t count through the weights.
    Raises `InputError` for a time beyond which nobody is followed.
    """
    steps, values = censoring_survival(time, event)
    weight_event = _inverse(_step_values(steps, values, time, left_limit=True))
    at_times = _step_values(steps, values, times)
    if (times >= time.max()).any() or (at_times <= 0).any():
        raise InputError(
            "times", found=f"{times.max():g}", allowed=f"below the last follow-up in the cohort, {time.max():g}"
        )
    died = (time[:, None] <= times) & (event[:, None] == 1)
    alive = time[:, None] > times
    return np.mean(survival**2 * died * weight_event[:, None] + (1 - survival) ** 2 * alive / at_times, axis=0)


def _inverse(values: Floats) -> Floats:
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)


def integrated_brier(times: Floats, scores: Floats) -> float:
    """Return the mean of the Brier score over the span of the times, by the trapezoid."""
    if len(times) < 2:
        raise InputError("times", found=f"{len(times)} time", allowed="two or more, to integrate over")
    return float(np.trapezoid(scores, times) / (times[-1] - times[0]))


@dataclass(frozen=True)
class Concordance:
    """Hold the share of pairs in which the higher risk has the event first, and how many pairs can be compared."""

    index: float
    pairs: float


def harrell(time: Floats, event: Floats, risk: Floats) -> Concordance:
    """Return Harrell's concordance; a pair of equal risk counts half.

    A pair is comparable where the earlier time is an event, and at a tie the other was censored.
    """
    return _concordance(time, event, risk, np.ones(len(time)))


def uno(time: Floats, event: Floats, risk: Floats, *, end: float = np.inf) -> Concordance:
    """Return Uno's concordance up to the time `end`: pairs weigh 1 / G(T-)^2 of the earlier event."""
    steps, values = censoring_survival(time, event)
    weight = _inverse(_step_values(steps, values, time, left_limit=True)) ** 2
    return _concordance(time, event * (time < end), risk, weight)


def _concordance(time: Floats, event: Floats, risk: Floats, weight: Floats) -> Concordance:
    agreed = compared = 0.0
    for patient in np.flatnonzero(event == 1):
        later = (time > time[patient]) | ((time == time[patient]) & (event == 0))
        compared += weight[patient] * later.sum()
        agreed += weight[patient] * (np.sum(risk[patient] > risk[later]) + 0.5 * np.sum(risk[patient] == risk[later]))
    return Concordance(agreed / compared if compared else float("nan"), compared)


@dataclass(frozen=True)
class DCalibration:
    """Hold the share of patients by predicted survival at their own time, in equal bins, and a test of all equal."""

    share: Floats
    chi_square: float
    p: float


def d_calibration(event: Floats, survival_at_own: Floats, *, bins: int = 10) -> DCalibration:
    """Test distributional calibration: S(T | x) is uniform if the model is right.

    An event counts in the bin of its S; of a censored patient with S = c, whose S at the event is uniform below c, the
    bin of c gets (c - its lower end) / c and each lower one its width / c (Haider et al. 2020, algorithm 1).
    """
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, survival_at_own, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place[event == 1], minlength=bins).astype(float)
    for patient in np.flatnonzero(event == 0):
        c, patient_bin = survival_at_own[patient], place[patient]
        if c <= 0:
            counts[0] += 1
            continue
        counts[patient_bin] += (c - edges[patient_bin]) / c
        counts[:patient_bin] += (1 / bins) / c
    expected = len(event) / bins
    chi_square = float(np.sum((counts - expected) ** 2) / expected)
    return DCalibration(counts / len(event), chi_square, float(stats.chi2.sf(chi_square, bins - 1)))


@dataclass(frozen=True)
class CalibrationGroup:
    """Hold patients of similar predicted survival: its mean, and the Kaplan-Meier curve's with its 95 %."""

    n: int
    predicted: float
    observed: float
    low: float
    high: float


def calibration(
    time: Floats, event: Floats, when: float, survival: Floats, *, groups: int = 5
) -> list[CalibrationGroup]:
    """Return observed against predicted survival at `when` in groups of equal size by prediction; ties stay together.

    The interval is Greenwood's on the scale of log(-log S).
    """
    edges = np.quantile(survival, np.linspace(0, 1, groups + 1)[1:-1])
    place = np.searchsorted(edges, survival, side="left")
    rows = []
    for group in np.unique(place):
        members = place == group
        curve = kaplan_meier(time[members], event[members])
        drop = np.searchsorted(curve.time, when, side="right") - 1
        observed = float(curve(when))
        low, high = _greenwood_interval(observed, float(curve.se[drop]) if drop >= 0 else 0.0)
        rows.append(CalibrationGroup(int(members.sum()), float(survival[members].mean()), observed, low, high))
    return rows


def _greenwood_interval(observed: float, se: float) -> tuple[float, float]:
    if not 0 < observed < 1 or se == 0:
        return observed, observed
    log_log, wide = np.log(-np.log(observed)), 1.959963984540054 * se / (observed * abs(np.log(observed)))
    low, high = np.exp(-np.exp(log_log + wide)), np.exp(-np.exp(log_log - wide))
    return float(low), float(high)
