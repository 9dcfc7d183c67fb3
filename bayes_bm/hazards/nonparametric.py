"""Nonparametric survival estimates: arrays in, arrays out.

Conventions, the same everywhere: `event` is 1 for an event and 0 for censoring; a patient is at risk at t when
time >= t (and entry < t where there are entry times, so the risk period is (entry, time]); at a tied time events come
before censorings. Times that should tie must be equal as floating-point numbers: nothing is rounded here.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

Floats = NDArray[np.float64]
TOLERANCE = 1e-9
"""Survival by which a quantile may be missed: products such as (4/5)(5/8) miss 0.5 by rounding error."""


@dataclass(frozen=True)
class StepCurve:
    """A survival curve that drops at `time` (events,), right-continuous, 1 before the first and flat after the last.

    `survival` is S(time); `at_risk` and `events` are weighted counts just before and at each time; `se` is
    Greenwood's standard error of S; `follow_up` is the largest time seen, event or not.
    """

    time: Floats
    survival: Floats
    at_risk: Floats
    events: Floats
    se: Floats
    follow_up: float

    def __call__(self, times: ArrayLike) -> Floats:
        """Return S(times), of the shape of `times`."""
        return np.concatenate([[1.0], self.survival])[np.searchsorted(self.time, times, side="right")]


@dataclass(frozen=True)
class LogRank:
    """Log-rank test: chi-square on `df` degrees, its p value, and observed and expected events (groups,)."""

    chi_square: float
    df: int
    p: float
    observed: Floats
    expected: Floats


def kaplan_meier(
    time: ArrayLike, event: ArrayLike, *, entry: ArrayLike | None = None, weight: ArrayLike | None = None
) -> StepCurve:
    """Estimate the Kaplan-Meier curve, S(t) = prod over event times u <= t of 1 - d(u) / r(u).

    `time`, `event`, `entry`, `weight`: (patients,). Weights are case weights: weight 2 is two patients.
    Source: Kaplan and Meier 1958; entry times as in Andersen et al. 1993, section IV.1. Raises ValueError on shapes,
    missing or negative times, an event that is not 0 or 1, or an entry that is not before its time.
    """
    time, event, entry, weight = _checked_patients(time, event, entry, weight)
    steps, place = np.unique(time[event == 1], return_inverse=True)
    events = np.bincount(place, weights=weight[event == 1], minlength=len(steps)).astype(float)
    risk = _weight_at_risk(steps, time, weight)
    if entry is not None:
        risk = risk - _weight_at_risk(steps, entry, weight)
    survival = np.cumprod(1.0 - events / risk)
    return StepCurve(steps, survival, risk, events, _greenwood(survival, risk, events), float(time.max()))


def at_risk(
    time: ArrayLike, count_times: ArrayLike, *, entry: ArrayLike | None = None, weight: ArrayLike | None = None
) -> Floats:
    """Count patients with time >= `count_times`, as printed under a figure; of the shape of `count_times`.

    A patient who enters at 0 counts at 0.
    """
    time = np.asarray(time, float)
    weight = np.ones(len(time)) if weight is None else np.asarray(weight, float)
    count = _weight_at_risk(count_times, time, weight)
    if entry is None:
        return count
    entry = np.asarray(entry, float)
    late = entry > 0
    return count - _weight_at_risk(count_times, entry[late], weight[late])


def quantile(curve: StepCurve, *, survival: float = 0.5) -> float:
    """Return the first time with S <= `survival` (the median by default) within 1e-9; NaN where S stays above."""
    crossings = np.flatnonzero(curve.survival <= survival + TOLERANCE)
    return float(curve.time[crossings[0]]) if len(crossings) else float("nan")


def restricted_mean(curve: StepCurve, *, horizon: float) -> float:
    """Return the restricted mean, the integral of S from 0 to `horizon`; past the last step the curve stays flat."""
    knots = np.concatenate([[0.0], curve.time[curve.time < horizon], [horizon]])
    return float(np.sum(curve(knots[:-1]) * np.diff(knots)))


def restricted_mean_se(curve: StepCurve, *, horizon: float) -> float:
    """Return the standard error of the restricted mean: root of the sum of (area to the right)^2 d / (r (r - d)).

    A last drop to zero adds nothing, because nothing is left to its right. Source: Klein and Moeschberger, section 4.5.
    """
    mask = curve.time < horizon
    knots = np.concatenate([curve.time[mask], [horizon]])
    area = np.cumsum((curve.survival[mask] * np.diff(knots))[::-1])[::-1]
    risk, events = curve.at_risk[mask], curve.events[mask]
    has_survivors = risk > events
    return float(np.sqrt(np.sum((area**2 * events)[has_survivors] / (risk * (risk - events))[has_survivors])))


def log_rank(time: ArrayLike, event: ArrayLike, group: ArrayLike, *, entry: ArrayLike | None = None) -> LogRank:
    """Test by log rank for equal survival in the groups of `group` (patients,), in the order of np.unique(group).

    Hypergeometric variance (ties exact), as R's survdiff with rho = 0. Source: Peto and Peto 1972.
    """
    time, event, entry, weight = _checked_patients(time, event, entry, None)
    labels, group = np.unique(np.asarray(group), return_inverse=True)
    if len(labels) < 2 or len(group) != len(time):
        raise ValueError(f"log_rank, group: found {len(labels)} groups in {len(group)} rows; allowed: two or more")
    steps = np.unique(time[event == 1])
    chosen = group == np.arange(len(labels))[:, None]
    risk = np.stack([_weight_at_risk(steps, time[g], weight[g]) for g in chosen])
    if entry is not None:
        risk = risk - np.stack([_weight_at_risk(steps, entry[g], weight[g]) for g in chosen])
    events = np.stack([(time[g & (event == 1)] == steps[:, None]).sum(axis=1) for g in chosen]).astype(float)
    total, all_events = risk.sum(axis=0), events.sum(axis=0)
    share = risk / total
    factor = all_events * (total - all_events) / np.maximum(total - 1, 1)
    variance = np.diag((factor * share).sum(axis=1)) - (factor * share) @ share.T
    gap = (events - all_events * share).sum(axis=1)
    statistic = float(gap[:-1] @ np.linalg.solve(variance[:-1, :-1], gap[:-1]))
    df = len(labels) - 1
    return LogRank(statistic, df, float(chdtrc(df, statistic)), events.sum(axis=1), (all_events * share).sum(axis=1))


def _greenwood(survival: Floats, risk: Floats, events: Floats) -> Floats:
    """Return S sqrt(sum d / (r (r - d))), taken as 0 once S is 0, where the formula is 0 times infinity."""
    has_survivors = risk > events
    terms = np.divide(events, risk * (risk - events), out=np.zeros_like(risk), where=has_survivors)
    return survival * np.sqrt(np.cumsum(terms))


def _weight_at_risk(count_times: ArrayLike, time: Floats, weight: Floats) -> Floats:
    """Return the total weight of patients with time >= `count_times`."""
    order = np.argsort(time, kind="stable")
    tail = np.concatenate([np.cumsum(weight[order][::-1])[::-1], [0.0]])
    return tail[np.searchsorted(time[order], np.asarray(count_times, float), side="left")]


class _PatientArrays(NamedTuple):
    """Checked columns of patients (patients,); `entry` is None where nobody enters late."""

    time: Floats
    event: NDArray[np.int64]
    entry: Floats | None
    weight: Floats


def _checked_patients(time, event, entry, weight) -> _PatientArrays:
    """Return the columns as arrays; raise ValueError for values that cannot be."""
    time, event = np.asarray(time, float), np.asarray(event, float)
    weight = np.ones(len(time)) if weight is None else np.asarray(weight, float)
    entry = None if entry is None else np.asarray(entry, float)
    if (
        not len(time)
        or not time.shape == event.shape == weight.shape
        or (entry is not None and entry.shape != time.shape)
    ):
        raise ValueError("patients: found no rows or columns of unequal length; allowed: one value per patient")
    if not np.isfinite(time).all() or (time < 0).any():
        raise ValueError("patients, time: found a missing or negative time; allowed: finite and >= 0")
    if not np.isin(event, (0, 1)).all():
        raise ValueError(f"patients, event: found {np.unique(event)[:5]}; allowed: 0 or 1")
    if not (weight >= 0).all():
        raise ValueError("patients, weight: found a missing or negative weight; allowed: >= 0")
    if entry is not None and not (entry < time).all():
        raise ValueError("patients, entry: found an entry that is not before its time; allowed: entry < time")
    return _PatientArrays(time, event.astype(int), entry, weight)
