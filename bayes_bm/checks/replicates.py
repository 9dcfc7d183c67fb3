"""Posterior predictive checks with each study's own censoring replayed (ArviZ's curves are wrong:
docs/decisions.md#predictive-curves).

An arm is replicated by simulating an event time for each of its patients and censoring it: at the patient's own
censoring time where that is known, else at a draw from the arm's censoring law beyond the observed event. The Kaplan-
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
from bayes_bm.inference.result import Result
from bayes_bm.model import likelihoods
from bayes_bm.model.likelihoods import cum_hazard_from
from bayes_bm.model.observations import active_terms, all_patients, entered_hazard, log_time
from bayes_bm.runtime.random_stages import RandomStage, random_stream

REPLICATE_LIMIT = 20_000_000
MIN_REPLICATES = 400
BANDS = {"low95": 0.025, "low50": 0.25, "median": 0.5, "high50": 0.75, "high95": 0.975}


@dataclass(frozen=True)
class Replicates:
    """Kaplan-Meier curves of replicated arms: `time` sorted and `survival` after each patient (replicate, patient).

    `died` is the weight of each that had the event, `left` the weight of all from there on; `entry` and `weight` are
    the arm's own, in the order of its patients.
    """

    time: np.ndarray
    survival: np.ndarray
    died: np.ndarray
    left: np.ndarray
    entry: np.ndarray
    weight: np.ndarray

    def events_by(self, time: float) -> np.ndarray:
        """Weight of events up to `time` (replicate,)."""
        return np.sum(self.died * (self.time <= time), axis=1)

    def at_risk(self, time: float) -> np.ndarray:
        """Weight of those with time >= `time` who had entered before (replicate,)."""
        gone = (self.time < time).sum(axis=1)
        padded = np.concatenate([self.left, np.zeros((len(self.time), 1))], axis=1)
        waiting = np.sum(self.weight[self.entry >= time]) if time > 0 else np.sum(self.weight[self.entry > 0])
        return padded[np.arange(len(padded)), gone] - waiting

    def survival_at(self, time: float) -> np.ndarray:
        """S(time) of each replicate."""
        passed = (self.time <= time).sum(axis=1)
        padded = np.concatenate([np.ones((len(self.time), 1)), self.survival], axis=1)
        return padded[np.arange(len(padded)), passed]

    def median(self, *, beyond: float) -> np.ndarray:
        """First time with S <= 1/2; `beyond` where a replicate's median is not reached."""
        below = self.survival <= 0.5 + 1e-9
        first = np.argmax(below, axis=1)
        return np.where(below.any(axis=1), self.time[np.arange(len(first)), first], beyond)


@dataclass(frozen=True)
class ReplicatedArm:
    """One arm: its observed curve, its replicates, and the model's own curve (on the model's clock).

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
    seen: "Replicates"
    gap: tuple[np.ndarray, np.ndarray] | None = None

    def model_survival(self, time: float) -> np.ndarray:
        """The arm's S(time), averaged over its patients' covariates (sample,)."""
        alive = quadrature.survival(self.population, np.array([time]))[..., 0]
        before = (
            quadrature.survival(self.population, np.array([self.entry]))[..., 0]
            if self.entry > 0
            else np.ones_like(alive)
        )
        return (alive @ self.weight) / (before @ self.weight)

    def model_median(self) -> np.ndarray:
        """Median time by bisection of the averaged curve (sample,)."""
        low, high = np.full(len(self.population.eta), -40.0), np.full(len(self.population.eta), 40.0)
        for _ in range(60):
            middle = (low + high) / 2
            above = self._average(middle) > 0.5 * self._average(np.full_like(middle, self._log_entry))
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return self.population.reference_time * np.exp(low)

    @cached_property
    def _log_entry(self) -> float:
        return float(np.log(self.entry / self.population.reference_time)) if self.entry > 0 else -700.0

    def _average(self, log_u: np.ndarray) -> np.ndarray:
        of = self.population
        log_cum = of.family.log_cum_hazard(of.family.place(log_u[:, None]), of.eta, of.shape, xp=NUMPY)
        return np.exp(-np.exp(np.minimum(log_cum, quadrature.LARGEST_LOG))) @ self.weight


def replicated_arms(
    result: Result, rng: np.random.Generator, *, replicates: int | None = None
) -> Iterator[ReplicatedArm]:
    """Every arm with patients, replicated at posterior draws (all of them, or fewer where arms are very large).

    With `replicates` so many, at the draws in turn and the same ones for every arm, with their largest gaps.
    """
    if result.evidence.patients.empty:
        return
    arrays = all_patients(result.spec, result.evidence, result.inputs.family)
    whole, lacks = result.inputs.averaged_arms, result.inputs.missing_patients
    _, eta, of_arm = result.predictors.at_centres
    for arm_row in sorted(set(result.evidence.patients["arm_row"])):
        rows = result.evidence.patients[result.evidence.patients["arm_row"] == arm_row]
        at = rows.index.to_numpy()
        data = SimpleNamespace(**{name: values[at] for name, values in arrays.items()}, **active_terms(arrays))
        chosen = _thinned(len(eta), len(at), rng) if replicates is None else np.arange(replicates) % len(eta)
        everyone = None
        if whole[arm_row]:
            # a patient of a replicate is a point drawn at random; the arm's own curve is the mean over all points
            everyone = eta[chosen, arm_row][:, None] + result.predictors.point_offsets[chosen, arm_row]
            mine = everyone[
                np.arange(len(chosen))[:, None], rng.integers(everyone.shape[1], size=(len(chosen), len(at)))
            ]
        else:
            shift = result.predictors.shifts(data.arm_row, data.x, chosen)
            mine = eta[chosen, arm_row][:, None] + shift
        of_shape = of_arm[chosen, arm_row][:, None]
        mine, seen = _with_drawn(result, data, mine, of_shape, chosen, rng) if lacks[at].any() else (mine, mine)
        yield _replicated(result, int(arm_row), rows, data, (mine, seen), of_shape, rng, everyone, replicates)


def _with_drawn(result: Result, data: Any, eta, of_arm, chosen, rng: np.random.Generator) -> tuple:
    """eta with what patients lack drawn: afresh for replicates, and given their outcome for what was seen of them."""
    lacks = data.blank.any(axis=1)
    arrays = {name: getattr(data, name)[lacks] for name in ("arm_row", "x", "blank")}
    found = result.predictors.missing_offsets(arrays, chosen)
    added, log_weight = np.split(found, 2, axis=-1)
    mine = SimpleNamespace(
        **{name: values[lacks, None] for name, values in vars(data).items() if np.ndim(values)},
        **active_terms(vars(data)),
    )
    mine.weight = 1.0
    at = eta[:, lacks, None] + added
    density = likelihoods.patients(result.inputs.arm_family, mine, at, of_arm[:, :, None], xp=NUMPY)
    both = []
    for log_share in (log_weight, log_weight + density):
        node = np.argmax(log_share + rng.gumbel(size=log_share.shape), axis=-1)
        drawn = eta.copy()
        drawn[:, lacks] += np.take_along_axis(added, node[..., None], axis=-1)[..., 0]
        both.append(drawn)
    return tuple(both)


def _thinned(samples: int, patients: int, rng: np.random.Generator) -> np.ndarray:
    wanted = max(MIN_REPLICATES, REPLICATE_LIMIT // max(patients, 1))
    return np.arange(samples) if samples <= wanted else np.sort(rng.choice(samples, wanted, replace=False))


def _replicated(
    result: Result,
    arm_row: int,
    rows: pd.DataFrame,
    data,
    etas: tuple[np.ndarray, np.ndarray],
    of_arm,
    rng,
    everyone: np.ndarray | None,
    replicates: int | None,
) -> ReplicatedArm:
    """`etas` of each patient of a replicate and as seen (replicate, patient), or with `everyone` of each integration
    point beside it.
    """
    eta = etas[0]
    family, t0 = result.inputs.arm_family, result.spec.reference_time
    shape = np.broadcast_to(of_arm, (*eta.shape, of_arm.shape[-1]))
    seen, event = _seen(rows)
    entered = entered_hazard(family, data, eta, shape)
    exponential = rng.exponential(size=eta.shape)
    latent = t0 * np.exp(inverse(family, np.log(entered + exponential), eta, shape, xp=NUMPY))
    censoring = _censoring_times(seen, event, rng, len(eta))
    gap = None
    if replicates is not None:
        gap = _gaps(result, rows, etas, shape, everyone, (seen, event), (latent, exponential, censoring))
    weight, entry = rows["weight"].to_numpy(), rows["entry"].to_numpy()
    # covariates make patients differ; without them one column stands for the arm
    several = result.spec.covariates and len(rows) > 1
    shares = weight / weight.sum() if several else np.ones(1)
    levels = eta if several else eta[:, :1]
    if everyone is not None:
        levels, shares = everyone, np.full(everyone.shape[1], 1 / everyone.shape[1])
    shapes, zero = np.broadcast_to(of_arm, (*levels.shape, of_arm.shape[-1])), np.zeros_like(levels)
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


def _gaps(result: Result, rows: pd.DataFrame, etas, shape, everyone, observed, replicate):
    """Largest gap of what was seen and of the replicates: times as H(t) - H(entry), a unit exponential if all is well.

    So that patients with other covariates and entries stand on one scale. An arm averaged over its covariates is put on
    the scale of its own averaged hazard.
    """
    family, spec = result.inputs.arm_family, result.spec
    if everyone is not None:
        family = AveragedOverCovariates(result.inputs.family, everyone.shape[1])
        wide = np.broadcast_to(everyone[:, None], (*etas[0].shape, everyone.shape[1]))
        etas, shape = tuple(eta * 0 for eta in etas), np.concatenate([shape, wide], 2)
    (time, event), (latent, _, censoring) = observed, replicate
    start = family.place(log_time(rows["entry"], spec)) if (rows["entry"] > 0).any() else None

    def scaled(at: np.ndarray, eta: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            log_u = np.clip(np.log(at / spec.reference_time), -700.0, 700.0)
        return cum_hazard_from(family, family.place(log_u), start, eta, shape, xp=NUMPY)

    weight = rows["weight"].to_numpy()
    eta, eta_seen = etas
    seen = scaled(np.broadcast_to(time, eta.shape), eta_seen)
    again = scaled(np.minimum(latent, censoring), eta)
    return _largest_gap(seen, np.broadcast_to(event == 1, eta.shape), weight), _largest_gap(
        again, latent <= censoring, weight
    )


def _largest_gap(used: np.ndarray, event: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Largest distance between the Kaplan-Meier estimate of residuals and exp(-residual), at events (row,)."""
    curve = _curves(used, event, weight, np.zeros(used.shape[1]))
    before = np.concatenate([np.ones((len(used), 1)), curve.survival[:, :-1]], axis=1)
    model = np.exp(-curve.time)
    apart = np.maximum(np.abs(before - model), np.abs(curve.survival - model))
    return np.max(np.where(curve.died > 0, apart, 0.0), axis=1)


def _seen(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Times and events of the observed curve; an interval-censored event stands at the middle of its interval."""
    time, upper = rows["time"].to_numpy(dtype=float), rows["time_upper"].to_numpy(dtype=float)
    return np.where(np.isfinite(upper), (time + upper) / 2, time), rows["event"].to_numpy()


def _censoring_times(time: np.ndarray, event: np.ndarray, rng: np.random.Generator, replicates: int) -> np.ndarray:
    """Own censoring time where it is known, else a draw from the arm's censoring law beyond the event (replicate,
    patient).

    The law is the reverse Kaplan-Meier estimate; what it leaves undecided is censored at the end of follow-up.
    """
    end = time.max()
    if (event == 1).all():
        return np.full((replicates, len(time)), np.inf)
    law = kaplan_meier(time, 1 - event)
    below = 1 - law(time)
    share = below + rng.random((replicates, len(time))) * (1 - below)
    place = np.searchsorted(1 - law.survival, share, side="left")
    drawn = np.concatenate([law.time, [end]])[place]
    return np.where(event == 1, drawn, time)


def _curves(time: np.ndarray, event: np.ndarray, weight: np.ndarray, entry: np.ndarray) -> Replicates:
    """Kaplan-Meier curve of every row at once; events before censorings at a tie, one factor a patient."""
    order = np.lexsort((~event, time), axis=1)
    time, event = np.take_along_axis(time, order, 1), np.take_along_axis(event, order, 1)
    weights = weight[order]
    at_risk = left = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    if (entry > 0).any():
        by_entry = np.argsort(entry)
        waiting = np.concatenate([np.cumsum(weight[by_entry][::-1])[::-1], [0.0]])
        at_risk = at_risk - waiting[np.searchsorted(entry[by_entry], time, side="left")]
    factor = np.where(event, 1 - weights / at_risk, 1.0)
    survival = np.cumprod(np.clip(factor, 0, 1), axis=1)
    return Replicates(time, survival, np.where(event, weights, 0.0), left, entry, weight)


# ---------------------------------------------------------------------------------------------- curves and bands


def arm_curves(result: Result, times: Sequence[float]) -> xr.DataArray:
    """S(t) of every study arm given alive at its entry (chain, draw, arm_row, time), covariates at their centres.

    An arm that states its covariates, and none of a patient, is averaged over them. Times are on the arm's own printed
    clock; S is 1 up to `survived_to`.
    """
    (family, eta, of_arm), arms = result.predictors.arms, result.evidence.arms
    at = np.asarray(times, dtype=float)
    on_model_clock = np.maximum(at[None, :] + arms["shift"].to_numpy()[:, None], arms["entry"].to_numpy()[:, None])
    log_u, log_entry = log_time(on_model_clock, result.spec), log_time(arms["entry"], result.spec)[:, None]
    end, start = (family.place(at) for at in (log_u, log_entry))
    drop = cum_hazard_from(family, end, start, eta[..., None], of_arm[..., None, :], xp=NUMPY)
    values = np.exp(-drop).reshape(result.predictors.draws.chains, -1, len(arms), len(at))
    return xr.DataArray(values, dims=("chain", "draw", "arm_row", "time"), coords={"time": at})


def predictive_bands(result: Result, times: Sequence[float]) -> pd.DataFrame:
    """50 and 95 % bands of what each arm would print again, at each time: its size and censoring included.

    Arms with patients are replicated with their censoring; for the others survival at each time is a binomial share of
    their effective size. Columns arm_row, time, low95, low50, median, high50, high95.
    """
    rng = random_stream(result.spec.seed, RandomStage.REPLICATES)
    at = np.asarray(times, dtype=float)
    by_arm = {arm.arm_row: arm for arm in replicated_arms(result, rng)}
    curves = arm_curves(result, list(at)).to_numpy().reshape(-1, len(result.evidence.arms), len(at))
    tables = []
    for arm_row in range(len(result.evidence.arms)):
        shift = float(result.evidence.arms["shift"].iloc[arm_row])
        if arm_row in by_arm:
            replicate = np.column_stack([by_arm[arm_row].replicate.survival_at(time + shift) for time in at])
        else:
            size = _size(result, arm_row)
            replicate = rng.binomial(size, curves[:, arm_row]) / size
        tables.append(_bands(arm_row, at, replicate))
    return pd.concat(tables, ignore_index=True)


def _size(result: Result, arm_row: int) -> int:
    """Effective patients of an arm known from printed numbers: a n, or what a median's interval amounts to."""
    arm = result.evidence.arms.iloc[arm_row]
    size = arm["share"] * arm["n_effective"]
    if not np.isfinite(size):
        medians = result.evidence.medians
        sd = medians.loc[medians["arm_row"] == arm_row, "sd"].astype(float)
        size = (1 / (np.log(2) * sd.iloc[0])) ** 2 if len(sd) and np.isfinite(sd.iloc[0]) else 30
    return max(1, round(float(size)))


def _bands(arm_row: int, times: np.ndarray, replicate: np.ndarray) -> pd.DataFrame:
    bands = {name: np.quantile(replicate, q, axis=0) for name, q in BANDS.items()}
    return pd.DataFrame({"arm_row": arm_row, "time": times, **bands})
