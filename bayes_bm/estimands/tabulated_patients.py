"""Answers about patients read off a table, for a page that is asked again at every change of a covariate.

A patient's covariates move the linear predictor eta alone. For everyone who can be asked about, log H(t) = log(-log
E[S(t)]) at a draw and under a treatment is a smooth function of eta and of log t: nearly eta + shape log t. The table
holds it as Chebyshev series in eta at nodes of log t (as `interpolation` does for cohorts), and between the nodes of
each smooth piece of time it is a cubic spline. A patient of whom not all is given is the average of S over the rule of
what is not, as everywhere else. Survival is then within 1e-4 of the quadrature's, 3e-4 for flexible
baselines (tests/estimands/test_tabulated_patients.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from bayes_bm.estimands.interpolation import chebyshev_points, cosine_transform
from bayes_bm.estimands.patient_scores import Score, patient_score
from bayes_bm.estimands.population import population_at_centres
from bayes_bm.estimands.quadrature import Population, restricted_mean_rule, survival
from bayes_bm.estimands.who import StudyEffects
from bayes_bm.inference.compiled import exponentials
from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.fields import SUMS
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import limits
from bayes_bm.runtime.compiling import cached_njit
from bayes_bm.runtime.types import Array

EARLIEST, LATEST = 1e-3, 10.0
"""First and last node of time as multiples of the horizon (no unit); beyond them log H is a straight line of log t."""
NODES_OF_TIME = 33
"""Nodes of log time over the whole range: of one smooth piece log H is then right to about 1e-6."""
FEWEST_IN_PIECE = 4
"""Nodes of a piece between times at which the hazard jumps: those of one cubic."""
DENSE = 129
"""Log times between which a quantile is sought by straight lines: it is then right to about 1e-4 of itself."""
LEAST_SURVIVAL, LEAST_HAZARD = 1e-300, 1e-12
"""Where nobody or everybody is left a logarithm would be infinite; below 1e-12 a hazard is rounding of 1 - S."""
POINTS = {2.0: 9, 3.5: 13, np.inf: 17}
"""Chebyshev points in eta, by the widest half range (log scale) that they are good for."""
ROOM = 1.02
"""Part by which a range of eta is widened, so that rounding does not leave it."""
BESIDE = 0.2
"""Part of a covariate's range in the evidence by which the table reaches beyond it: what is not given has its law given
what is, whose ends may lie there."""


@dataclass(frozen=True)
class PatientDraws:
    """Log cumulative hazard of the average curve of patients alike, at nodes of log time (sample, treatment, node)."""

    log_hazard: Array
    log_times: Array
    breaks: tuple[float, ...]

    def thinned(self, samples: int) -> "PatientDraws":
        """Return about so many of the draws, evenly."""
        step = max(1, len(self.log_hazard) // samples)
        return replace(self, log_hazard=self.log_hazard[::step])

    def survival(self, times: Array, *, alive_at: float = 0.0) -> Array:
        """Return E[S(t)] / E[S(s)] (sample, treatment, time)."""
        hazard = self._cum_hazard(np.asarray(times, dtype=float))
        entered = self._cum_hazard(np.array([alive_at])) if alive_at > 0 else 0.0
        return np.exp(-(hazard - entered))

    def rmst(self, horizon: float, *, alive_at: float = 0.0) -> Array:
        """Return the restricted mean from s to the horizon (sample, treatment)."""
        times, steps = restricted_mean_rule(np.exp(self.breaks), horizon, alive_at=alive_at)
        return self.survival(times, alive_at=alive_at) @ steps

    def quantile(self, share: float, *, alive_at: float = 0.0) -> Array:
        """Return the time by which a share of those alive at s has had the event (sample, treatment)."""
        entered = self._cum_hazard(np.array([alive_at]))[..., 0] if alive_at > 0 else 0.0
        target = np.log(entered - np.log1p(-share) + np.zeros(self.log_hazard.shape[:2]))
        dense = np.linspace(self.log_times[0], self.log_times[-1], DENSE)
        table = np.maximum.accumulate(self._log_hazard(dense), axis=-1)
        place = np.clip((table < target[..., None]).sum(axis=-1), 1, DENSE - 1)[..., None]
        low, high = (np.take_along_axis(table, place - one, axis=-1)[..., 0] for one in (1, 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            part = (target - low) / (high - low)
            log_time = dense[place[..., 0] - 1] + part * (dense[1] - dense[0])
        # a curve that has become flat never reaches it
        never = (target > high) & ~(high - low > 1e-9)
        return np.where(never, np.inf, np.exp(np.minimum(log_time, 700.0)))

    def _cum_hazard(self, times: Array) -> Array:
        with np.errstate(divide="ignore"):
            log_times = np.maximum(np.log(times), -700.0)
        return np.exp(np.minimum(self._log_hazard(log_times), 700.0))

    def _log_hazard(self, log_times: Array) -> Array:
        return self.log_hazard @ _spline_weights(self.log_times, self.breaks, log_times)


@dataclass(frozen=True)
class TabulatedPatients:
    """Hold Chebyshev coefficients of log H (sample, treatment, point, time) on middle +- half (sample, treatment)."""

    result: Result
    who: StudyEffects
    log_times: Array
    breaks: tuple[float, ...]
    middle: Array
    half: Array
    coefficients: Array

    def patient(self, values: Mapping[str, float]) -> "PatientDraws | None":
        """Return the draws of a patient with these covariates; None where eta leaves the table."""
        score = patient_score(self.result, values)
        node, weight = _nodes(score)
        x = (node - self.middle[..., None]) / self.half[..., None]
        # what weighs nothing may lie anywhere
        if np.any((np.abs(x) > 1 + 1e-9) & (weight > 1e-12)):
            return None
        log_hazard = _average_hazard(self.coefficients, np.clip(x, -1.0, 1.0), np.ascontiguousarray(weight))
        return PatientDraws(log_hazard, self.log_times, self.breaks)


def tabulate_patients(
    result: Result, who: StudyEffects, patients: Sequence[Mapping[str, float]] = ()
) -> TabulatedPatients:
    """Return the table of everybody whose covariates lie in the evidence or their limits, and of `patients` besides."""
    base = population_at_centres(result, who)
    low, high = _score_range(result, patients)
    middle, half = (low + high) / 2, np.maximum(ROOM * (high - low) / 2, 1e-6)
    count = next(points for widest, points in POINTS.items() if half.max() <= widest)
    horizon = result.spec.horizon
    log_times, breaks = _time_nodes(base, np.log(EARLIEST * horizon), np.log(LATEST * horizon))
    times, values = np.exp(log_times), []
    for x in chebyshev_points(count):
        alive = survival(replace(base, eta=base.eta + middle + half * x), times)
        values.append(_log_hazard_of(alive))
    coefficients = np.tensordot(cosine_transform(count), np.array(values), axes=1)
    packed = np.ascontiguousarray(np.moveaxis(coefficients, 0, 2))
    return TabulatedPatients(result, who, log_times, breaks, middle, half, packed)


def _score_range(result: Result, patients: Sequence[Mapping[str, float]]) -> tuple[Array, Array]:
    """Lowest and highest score of anybody in the evidence or inside the covariates' limits (sample, treatment)."""
    slopes, mix = result.predictors.draws.slopes, result.case_mix
    low, high = np.zeros(slopes.shape[:2]), np.zeros(slopes.shape[:2])
    for place, (name, term) in enumerate(result.spec.covariates.items()):
        ends = [term.middle, *(end for end in limits(term) if np.isfinite(end))]
        if mix.known:
            lowest, highest = mix.range(name)
            beside = 0.0 if term.kind == "two_valued" else BESIDE * (highest - lowest)
            ends += [lowest - beside, highest + beside]
        scaled = [slopes[..., place] * term.scaled(end) for end in ends]
        low += np.minimum.reduce(scaled)
        high += np.maximum.reduce(scaled)
    for patient in patients:
        node, _ = _nodes(patient_score(result, patient))
        low, high = np.minimum(low, node.min(axis=-1)), np.maximum(high, node.max(axis=-1))
    return low, high


def _nodes(score: Score) -> tuple[Array, Array]:
    """Scores and weights (sample, treatment, node) of what is not given; one node where all is."""
    if score.rule is None:
        return score.mean[..., None], np.ones((*score.mean.shape, 1))
    return score.mean[..., None] + score.rule.node, np.broadcast_to(score.rule.weight, score.rule.node.shape)


def _log_hazard_of(alive: Array) -> Array:
    hazard = -np.log(np.clip(alive, LEAST_SURVIVAL, 1.0))
    return np.log(np.maximum(hazard, LEAST_HAZARD))


def _time_nodes(population: Population, first: float, last: float) -> tuple[Array, tuple[float, ...]]:
    """Log times from first to last, in pieces between those where the hazard jumps, and these."""
    jumps = np.log(population.reference_time) + np.asarray(population.family.breaks, dtype=float)
    breaks = tuple(float(jump) for jump in np.unique(jumps) if first < jump < last)
    nodes = [np.array([first])]
    for start, end in pairwise([first, *breaks, last]):
        count = max(FEWEST_IN_PIECE, round(NODES_OF_TIME * (end - start) / (last - first)))
        nodes.append(np.linspace(start, end, count)[1:])
    return np.concatenate(nodes), breaks


def _spline_weights(nodes: Array, breaks: tuple[float, ...], log_times: Array) -> Array:
    """What each node adds to log H at each log time (node, time): a cubic spline in each piece, lines outside."""
    from scipy.interpolate import CubicSpline

    weights = np.zeros((len(nodes), len(log_times)))
    ends = [nodes[0], *breaks, nodes[-1]]
    for start, end in pairwise(ends):
        inside = (nodes >= start - 1e-12) & (nodes <= end + 1e-12)
        spline = CubicSpline(nodes[inside], np.eye(int(inside.sum())), axis=0)
        here = (log_times >= start) & (log_times <= end)
        weights[np.ix_(inside, here)] = spline(log_times[here]).T
        for edge, beyond in ((start, log_times < ends[0]), (end, log_times > ends[-1])):
            if edge in (ends[0], ends[-1]) and beyond.any():
                line = spline(edge) + np.outer(log_times[beyond] - edge, spline(edge, 1))
                weights[np.ix_(inside, beyond)] = line.T
    return weights


@cached_njit(exponentials, **SUMS)
def _average_hazard(coefficients, x, weight):  # pragma: no cover
    """log H of the average of S over nodes of eta (sample, treatment, time)."""
    samples, treatments, points, times = coefficients.shape
    nodes = x.shape[2]
    averages, power = np.empty((samples, treatments, times)), np.ones(points)
    log_hazard = np.empty(times)
    for s in range(samples):
        for a in range(treatments):
            alive = averages[s, a]
            alive[:] = 0.0
            for k in range(nodes):
                power[1] = x[s, a, k]
                for j in range(2, points):
                    power[j] = 2 * x[s, a, k] * power[j - 1] - power[j - 2]
                log_hazard[:] = 0.0
                for j in range(points):
                    for t in range(times):
                        log_hazard[t] += coefficients[s, a, j, t] * power[j]
                if nodes == 1:
                    for t in range(times):
                        alive[t] = log_hazard[t]
                    break
                for t in range(times):
                    alive[t] += weight[s, a, k] * exponential(-exponential(log_hazard[t]))
            if nodes > 1:
                for t in range(times):
                    alive[t] = np.log(max(-np.log(max(alive[t], LEAST_SURVIVAL)), LEAST_HAZARD))
    return averages
