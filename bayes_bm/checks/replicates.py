"""Posterior predictive checks with each study's own censoring replayed (ArviZ's curves are wrong:
docs/decisions.md#predictive-curves).

An arm is replicated by simulating an event time for each of its patients and censoring it: at the patient's own
censoring time where that is known, else at a draw from the arm's censoring times beyond the observed event. The Kaplan-
Meier curve of each replicate is estimated from its own risk sets, so ties and entry times are treated as in the data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.quadrature import Population
from bayes_bm.hazards.family import inverse
from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates
from bayes_bm.hazards.nonparametric import StepCurve, kaplan_meier
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.censoring_times import censoring_times
from bayes_bm.inference.result import Result
from bayes_bm.model import likelihoods
from bayes_bm.model.likelihoods import cum_hazard_from
from bayes_bm.model.observations import active_terms, all_patients, entered_hazard, log_time
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.spec.level import Level

REPLICATE_LIMIT = 20_000_000
"""Numbers (replicate x patient) that an arm's replicates may hold."""
MIN_REPLICATES = 400
"""Replicates of an arm however large it is."""
"""Quantile of each column of `predictive_bands`."""


@dataclass(frozen=True)
class Replicates:
    """Hold Kaplan-Meier curves of replicated arms: sorted `time`, `survival` after each patient (replicate, patient).

    `died` is the weight of each that had the event, `remaining` the weight of all from there on; `entry` and `weight`
    are the arm's own, in the order of its patients.
    """

    time: np.ndarray
    survival: np.ndarray
    died: np.ndarray
    remaining: np.ndarray
    entry: np.ndarray
    weight: np.ndarray

    def events_by(self, time: float) -> np.ndarray:
        """Return the weight of events up to `time` (replicate,)."""
        return np.sum(self.died * (self.time <= time), axis=1)

    def at_risk(self, time: float) -> np.ndarray:
        """Return the weight of those with time >= `time` who had entered before (replicate,)."""
        gone = (self.time < time).sum(axis=1)
        padded = np.concatenate([self.remaining, np.zeros((len(self.time), 1))], axis=1)
        waiting = np.sum(self.weight[self.entry >= time]) if time > 0 else np.sum(self.weight[self.entry > 0])
        return padded[np.arange(len(padded)), gone] - waiting

    def survival_at(self, time: float) -> np.ndarray:
        """Return S(time) of each replicate (replicate,)."""
        passed = (self.time <= time).sum(axis=1)
        padded = np.concatenate([np.ones((len(self.time), 1)), self.survival], axis=1)
        return padded[np.arange(len(padded)), passed]

    def median(self, *, unreached: float) -> np.ndarray:
        """Return the first time with S <= 1/2; `unreached` where a replicate's median is not reached (replicate,)."""
        halved = self.survival <= 0.5 + 1e-9
        first = np.argmax(halved, axis=1)
        return np.where(halved.any(axis=1), self.time[np.arange(len(first)), first], unreached)


@dataclass(frozen=True)
class ReplicatedArm:
    """Hold one arm: its observed curve, its replicates, and the model's own curve (on the model's clock).

    `seen` holds the observed patients as a replicate of one. `gap`, where asked for, is the largest distance between
    Kaplan-Meier estimate and model on the scale of cumulative hazard, of what was seen and of each replicate
    (replicate,), both under the replicate's own draw of the parameters.
    """

    arm_row: int
    observed: StepCurve
    replicate: Replicates
    population: Population
    weight: np.ndarray
    entry: float
    seen: Replicates
    gap: tuple[np.ndarray, np.ndarray] | None = None

    def model_survival(self, time: float) -> np.ndarray:
        """Return the arm's S(time), averaged over its patients' covariates (sample,)."""
        alive = quadrature.survival(self.population, np.array([time]))[..., 0]
        entered = (
            quadrature.survival(self.population, np.array([self.entry]))[..., 0]
            if self.entry > 0
            else np.ones_like(alive)
        )
        return np.sum(alive * self.weight, axis=-1) / np.sum(entered * self.weight, axis=-1)

    def model_median(self) -> np.ndarray:
        """Return the median time by bisection of the averaged curve (sample,)."""
        low, high = np.full(len(self.population.eta), -40.0), np.full(len(self.population.eta), 40.0)
        for _ in range(60):
            middle = (low + high) / 2
            later = self._average(middle) > 0.5 * self._average(np.full_like(middle, self._log_entry))
            low, high = np.where(later, middle, low), np.where(later, high, middle)
        return self.population.reference_time * np.exp(low)

    @cached_property
    def _log_entry(self) -> float:
        return float(np.log(self.entry / self.population.reference_time)) if self.entry > 0 else -700.0

    def _average(self, log_u: np.ndarray) -> np.ndarray:
        population, family = self.population, self.population.family
        log_cum = family.log_cum_hazard(family.place(log_u[:, None]), population.eta, population.shape, xp=NUMPY)
        alive = np.exp(-np.exp(np.minimum(log_cum, quadrature.LARGEST_LOG)))
        return np.sum(alive * self.weight, axis=-1)


def replicated_arms(
    result: Result, rng: np.random.Generator, *, replicates: int | None = None
) -> Iterator[ReplicatedArm]:
    """Replicate every arm with patients at posterior draws: all of them, or fewer where arms are very large.

    With `replicates` so many, at the draws in turn and the same ones for every arm, with their largest gaps.
    """
    if result.evidence.patients.empty:
        return
    arrays = all_patients(result.spec, result.evidence, result.inputs.family)
    averaged, missing = result.inputs.averaged_arms, result.inputs.missing_patients
    _, eta, shapes = result.predictors.at_centres
    for arm_row in sorted(set(result.evidence.patients["arm_row"])):
        rows = result.evidence.patients[result.evidence.patients["arm_row"] == arm_row]
        patient_index = rows.index.to_numpy()
        arm_arrays = {name: values[patient_index] for name, values in arrays.items()}
        data = SimpleNamespace(**arm_arrays, **active_terms(arrays))
        chosen = (
            _chosen_draws(len(eta), len(patient_index), rng) if replicates is None else np.arange(replicates) % len(eta)
        )
        point_eta = None
        if averaged[arm_row]:
            # a patient of a replicate is a point drawn at random; the arm's own curve is the mean over all points
            point_eta = eta[chosen, arm_row][:, None] + result.predictors.point_offsets[chosen, arm_row]
            drawn = _drawn_points(result, chosen, arm_row, (len(chosen), len(patient_index)), rng)
            replicate_eta = point_eta[np.arange(len(chosen))[:, None], drawn]
        else:
            shift = result.predictors.shifts(data.arm_row, data.x, chosen)
            replicate_eta = eta[chosen, arm_row][:, None] + shift
        shape = shapes[chosen, arm_row][:, None]
        etas = (replicate_eta, replicate_eta)
        if missing[patient_index].any():
            etas = _with_missing_drawn(result, data, replicate_eta, shape, chosen, rng)
        yield _replicated_arm(result, int(arm_row), rows, data, etas, shape, rng, point_eta, replicates, chosen)


def _drawn_points(
    result: Result, chosen: np.ndarray, arm_row: int, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Draw the point, or the cell of the arm's mix, of each patient of a replicate (replicate, patient)."""
    points = result.predictors.point_offsets.shape[-1]
    if result.inputs.arm_mixes is None:
        return rng.integers(points, size=size)
    below = np.cumsum(np.exp(result.predictors.point_log_weights[chosen, arm_row]), axis=1)
    uniform = rng.uniform(size=size) * below[:, -1:]
    return np.minimum((uniform[:, :, None] > below[:, None]).sum(axis=2), points - 1)


def _with_missing_drawn(result: Result, data: Any, eta, shape, chosen, rng: np.random.Generator) -> tuple:
    """Return eta with missing covariates drawn: afresh for replicates, and given their outcome for what was seen."""
    missing = data.blank.any(axis=1)
    arrays = {name: getattr(data, name)[missing] for name in ("arm_row", "x", "blank")}
    offsets = result.predictors.missing_offsets(arrays, chosen)
    added, log_weight = np.split(offsets, 2, axis=-1)
    patients = SimpleNamespace(
        **{name: values[missing, None] for name, values in vars(data).items() if np.ndim(values)},
        **active_terms(vars(data)),
    )
    patients.weight = 1.0
    node_eta = eta[:, missing, None] + added
    density = likelihoods.patients(result.inputs.arm_family, patients, node_eta, shape[:, :, None], xp=NUMPY)
    both = []
    for log_share in (log_weight, log_weight + density):
        node = np.argmax(log_share + rng.gumbel(size=log_share.shape), axis=-1)
        drawn = eta.copy()
        drawn[:, missing] += np.take_along_axis(added, node[..., None], axis=-1)[..., 0]
        both.append(drawn)
    return tuple(both)


def _chosen_draws(samples: int, patients: int, rng: np.random.Generator) -> np.ndarray:
    wanted = max(MIN_REPLICATES, REPLICATE_LIMIT // max(patients, 1))
    return np.arange(samples) if samples <= wanted else np.sort(rng.choice(samples, wanted, replace=False))


def _replicated_arm(
    result: Result,
    arm_row: int,
    rows: pd.DataFrame,
    data,
    etas: tuple[np.ndarray, np.ndarray],
    arm_shape,
    rng,
    point_eta: np.ndarray | None,
    replicates: int | None,
    chosen: np.ndarray,
) -> ReplicatedArm:
    """Replicate one arm.

    `etas` are of each patient of a replicate and as seen (replicate, patient); `point_eta`, of an arm averaged over its
    covariates, is of each integration point (replicate, point); `chosen` are the draws of the replicates.
    """
    eta = etas[0]
    log_weight = None
    if point_eta is not None and result.inputs.arm_mixes is not None:
        log_weight = result.predictors.point_log_weights[chosen, arm_row]
    family, t0 = result.inputs.arm_family, result.spec.reference_time
    shape = np.broadcast_to(arm_shape, (*eta.shape, arm_shape.shape[-1]))
    seen, event = _observed_times(rows)
    entered = entered_hazard(family, data, eta, shape)
    exponential = rng.exponential(size=eta.shape)
    latent = t0 * np.exp(inverse(family, np.log(entered + exponential), eta, shape, xp=NUMPY))
    censoring = censoring_times(seen, event, rng, len(eta))
    gap = None
    if replicates is not None:
        gap = _largest_gaps(result, rows, etas, shape, (point_eta, log_weight), (seen, event), (latent, censoring))
    weight, entry = rows["weight"].to_numpy(), rows["entry"].to_numpy()
    # covariates make patients differ; without them one column stands for the arm
    several = result.spec.covariates and len(rows) > 1
    shares = weight / weight.sum() if several else np.ones(1)
    levels = eta if several else eta[:, :1]
    if point_eta is not None:
        equal = np.full(point_eta.shape[1], 1 / point_eta.shape[1])
        levels, shares = point_eta, equal if log_weight is None else np.exp(log_weight)
    shapes, zero = np.broadcast_to(arm_shape, (*levels.shape, arm_shape.shape[-1])), np.zeros_like(levels)
    return ReplicatedArm(
        arm_row=arm_row,
        observed=kaplan_meier(seen, event, entry=entry if (entry > 0).any() else None, weight=weight),
        replicate=_curves(np.minimum(latent, censoring), latent <= censoring, weight, entry),
        population=Population(family, t0, levels, shapes, zero, zero),
        weight=shares,
        entry=float(result.evidence.arms["entry"].iloc[arm_row]),
        seen=_curves(seen[None], (event == 1)[None], weight, entry),
        gap=gap,
    )


def _largest_gaps(result: Result, rows: pd.DataFrame, etas, shape, points, observed, replicate):
    """Return the largest gap of what was seen and of the replicates.

    Times count as H(t) - H(entry), a unit exponential if all is well, so that patients with other covariates and
    entries stand on one scale. An arm averaged over its covariates is put on the scale of its own averaged hazard.
    """
    family, spec = result.inputs.arm_family, result.spec
    point_eta, log_weight = points
    if point_eta is not None:
        added = point_eta if log_weight is None else np.concatenate([point_eta, log_weight], axis=1)
        family = AveragedOverCovariates(family, point_eta.shape[1], weighted=log_weight is not None)
        wide = np.broadcast_to(added[:, None], (*etas[0].shape, added.shape[1]))
        etas, shape = tuple(eta * 0 for eta in etas), np.concatenate([shape, wide], 2)
    (time, event), (latent, censoring) = observed, replicate
    start = family.place(log_time(rows["entry"], spec)) if (rows["entry"] > 0).any() else None

    def scaled(times: np.ndarray, eta: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            log_u = np.clip(np.log(times / spec.reference_time), -700.0, 700.0)
        return cum_hazard_from(family, family.place(log_u), start, eta, shape, xp=NUMPY)

    weight = rows["weight"].to_numpy()
    eta, eta_seen = etas
    seen = scaled(np.broadcast_to(time, eta.shape), eta_seen)
    again = scaled(np.minimum(latent, censoring), eta)
    return _largest_gap(seen, np.broadcast_to(event == 1, eta.shape), weight), _largest_gap(
        again, latent <= censoring, weight
    )


def _largest_gap(used: np.ndarray, event: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the largest distance of residuals' Kaplan-Meier estimate from exp(-residual), at events (row,)."""
    curve = _curves(used, event, weight, np.zeros(used.shape[1]))
    previous = np.concatenate([np.ones((len(used), 1)), curve.survival[:, :-1]], axis=1)
    model = np.exp(-curve.time)
    apart = np.maximum(np.abs(previous - model), np.abs(curve.survival - model))
    return np.max(np.where(curve.died > 0, apart, 0.0), axis=1)


def _observed_times(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return times and events of the observed curve; an interval-censored event stands in the middle."""
    time, upper = rows["time"].to_numpy(dtype=float), rows["time_upper"].to_numpy(dtype=float)
    return np.where(np.isfinite(upper), (time + upper) / 2, time), rows["event"].to_numpy()


def _curves(time: np.ndarray, event: np.ndarray, weight: np.ndarray, entry: np.ndarray) -> Replicates:
    """Estimate the Kaplan-Meier curve of every row at once; events before censorings at a tie, one factor a patient."""
    order = np.lexsort((~event, time), axis=1)
    time, event = np.take_along_axis(time, order, 1), np.take_along_axis(event, order, 1)
    weights = weight[order]
    at_risk = remaining = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    if (entry > 0).any():
        by_entry = np.argsort(entry)
        waiting = np.concatenate([np.cumsum(weight[by_entry][::-1])[::-1], [0.0]])
        at_risk = at_risk - waiting[np.searchsorted(entry[by_entry], time, side="left")]
    factor = np.where(event, 1 - weights / at_risk, 1.0)
    survival = np.cumprod(np.clip(factor, 0, 1), axis=1)
    return Replicates(time, survival, np.where(event, weights, 0.0), remaining, entry, weight)


# ---------------------------------------------------------------------------------------------- curves and bands


def arm_curves(result: Result, times: Sequence[float]) -> xr.DataArray:
    """Return S(t) of every arm given alive at its entry (chain, draw, arm_row, time), covariates at their centres.

    An arm that states its covariates, and none of a patient, is averaged over them. Times are on the arm's own printed
    clock; S is 1 up to `survived_to`.
    """
    (family, eta, shape), arms = result.predictors.arms, result.evidence.arms
    time_grid = np.asarray(times, dtype=float)
    shift, entry = arms["shift"].to_numpy()[:, None], arms["entry"].to_numpy()[:, None]
    on_model_clock = np.maximum(time_grid[None, :] + shift, entry)
    log_u, log_entry = log_time(on_model_clock, result.spec), log_time(arms["entry"], result.spec)[:, None]
    end, start = (family.place(log_time_grid) for log_time_grid in (log_u, log_entry))
    drop = cum_hazard_from(family, end, start, eta[..., None], shape[..., None, :], xp=NUMPY)
    values = np.exp(-drop).reshape(result.predictors.draws.chains, -1, len(arms), len(time_grid))
    return xr.DataArray(values, dims=("chain", "draw", "arm_row", "time"), coords={"time": time_grid})


EVEN_TIMES = 40
"""Times of bands where none are named."""


def predictive_bands(result: Result, times: Sequence[float] | None = None) -> pd.DataFrame:
    """Return bands of what each arm would print again, at each time: of 50 % and of the spec's level.

    The arm's size and censoring are included.

    Arms with patients are replicated with their censoring; for the others survival at each time is a binomial share of
    their effective size.

    Parameters
    ----------
    result : Result
        A fit, of any spec.
    times : sequence of float, optional
        Times on the arms' own printed clocks, in the spec's unit; by default 40 even ones up to the horizon.

    Returns
    -------
    pandas.DataFrame
        One row an arm and time: arm_row (row of `result.evidence.arms`), time, then the survival low, low50, median,
        high50, high.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300)
    >>> bands = bb.predictive_bands(result, [6.0, 12.0])
    >>> bands[["arm_row", "time"]].to_numpy().tolist()
    [[0.0, 6.0], [0.0, 12.0], [1.0, 6.0], [1.0, 12.0]]
    >>> bool((bands["low"] <= bands["median"]).all())
    True
    """
    rng = random_stream(result.spec.seed, RandomStage.REPLICATES)
    even = np.linspace(0, result.spec.horizon, EVEN_TIMES + 1)[1:]
    time_grid = even if times is None else np.asarray(times, dtype=float)
    replicated = {arm.arm_row: arm for arm in replicated_arms(result, rng)}
    curves = arm_curves(result, list(time_grid)).to_numpy().reshape(-1, len(result.evidence.arms), len(time_grid))
    tables = []
    for arm_row in range(len(result.evidence.arms)):
        shift = float(result.evidence.arms["shift"].iloc[arm_row])
        if arm_row in replicated:
            replicate = np.column_stack([replicated[arm_row].replicate.survival_at(time + shift) for time in time_grid])
        else:
            size = _effective_size(result, arm_row)
            replicate = rng.binomial(size, curves[:, arm_row]) / size
        tables.append(_bands(arm_row, time_grid, replicate, result.spec.interval))
    return pd.concat(tables, ignore_index=True)


def _effective_size(result: Result, arm_row: int) -> int:
    """Return the effective patients of an arm of printed numbers: a n, or what a median's interval amounts to."""
    arm = result.evidence.arms.iloc[arm_row]
    size = arm["share"] * arm["n_effective"]
    if not np.isfinite(size):
        medians = result.evidence.medians
        sd = medians.loc[medians["arm_row"] == arm_row, "sd"].astype(float)
        size = (1 / (np.log(2) * sd.iloc[0])) ** 2 if len(sd) and np.isfinite(sd.iloc[0]) else 30
    return max(1, round(float(size)))


def _bands(arm_row: int, times: np.ndarray, replicate: np.ndarray, level: Level) -> pd.DataFrame:
    low, high = level.tails
    shares = {"low": low, "low50": 0.25, "median": 0.5, "high50": 0.75, "high": high}
    bands = {name: np.quantile(replicate, q, axis=0) for name, q in shares.items()}
    return pd.DataFrame({"arm_row": arm_row, "time": times, **bands})
