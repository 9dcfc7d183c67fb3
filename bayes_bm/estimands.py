"""Survival, hazard, quantiles and restricted means of a population, by quadrature over its random effects.

Arrays in, arrays out. A population is, for every posterior draw and treatment, a law of (eta, log shape): a point,
or a bivariate normal when the answer averages over fresh study effects. Averages are taken over S and h S *before*
anything is compared, and given alive at s they are E[S(t)] / E[S(s)], so that survivors reweight the effects
(`rules.md`, 14, 15).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bayes_bm.arrays import NUMPY
from bayes_bm.hazards import Family

LEVEL_NODES, SHAPE_NODES, LEAST_WEIGHT = 41, 15, 1e-10
"""Gauss-Hermite nodes over level and log shape: E[S] to 1e-6 for sds up to 1 and 0.5, and to 1e-5 for 1.5 and 0.6
(tests/test_estimands.py)."""
LARGEST_LOG = 700.0
"""A cumulative hazard or a rate beyond exp(700) is as good as infinite; exp of it would overflow."""
TIME_NODES = 64
CHUNK = 4_000_000
Array = np.ndarray


@dataclass(frozen=True)
class Population:
    """Law of (eta, log_shape) by draw and treatment: means (sample, treatment), sds, zero where not averaged over."""

    family: Family
    reference_time: float
    eta: Array
    log_shape: Array
    eta_sd: Array
    log_shape_sd: Array

    @property
    def averaged(self) -> bool:
        return bool(np.any(self.eta_sd > 0) or np.any(self.log_shape_sd > 0))

    def part(self, rows: slice) -> "Population":
        fields = (self.eta, self.log_shape, self.eta_sd, self.log_shape_sd)
        return Population(self.family, self.reference_time, *(values[rows] for values in fields))


def _hermite(count: int, needed: bool) -> tuple[Array, Array]:
    """Nodes and weights of a standard normal expectation; one node where nothing varies."""
    if not needed:
        return np.zeros(1), np.ones(1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


def _nodes(of: Population) -> list[tuple[float, float, float]]:
    """(weight, level, shape) of the product rule, without the corners that weigh nothing."""
    level, level_weight = _hermite(LEVEL_NODES, bool(np.any(of.eta_sd > 0)))
    shape, shape_weight = _hermite(SHAPE_NODES, bool(np.any(of.log_shape_sd > 0)))
    pairs = [
        (v * w, z, y)
        for y, v in zip(shape, shape_weight, strict=True)
        for z, w in zip(level, level_weight, strict=True)
        if v * w > LEAST_WEIGHT
    ]
    return pairs


def _at(of: Population, level: float, shape: float) -> tuple[Array, Array]:
    return (of.eta + level * of.eta_sd)[..., None], (of.log_shape + shape * of.log_shape_sd)[..., None]


def _cum_hazard(of: Population, log_u: Array, eta: Array, log_shape: Array) -> Array:
    return np.exp(np.minimum(of.family.log_cum_hazard(log_u, eta, log_shape, xp=NUMPY), LARGEST_LOG))


def _least_cum_hazard(of: Population, log_u: Array) -> Array:
    """H of those who last longest, the lowest level at each shape: exp(this) S does not underflow for them."""
    lowest: dict[float, float] = {}
    for _, level, shape in _nodes(of):
        lowest[shape] = min(level, lowest.get(shape, level))
    return np.min([_cum_hazard(of, log_u, *_at(of, level, shape)) for shape, level in lowest.items()], axis=0)


def _survivors(of: Population, log_u: Array, *, less: Array | float = 0.0) -> Array:
    """E[S] exp(less) at log_u (sample, treatment, time)."""
    alive = np.zeros(log_u.shape)
    for weight, level, shape in _nodes(of):
        alive += weight * np.exp(less - _cum_hazard(of, log_u, *_at(of, level, shape)))
    return alive


def _moments(of: Population, log_u: Array, *, less: Array | float = 0.0) -> tuple[Array, Array]:
    """E[S] and E[u h S] at log_u (sample, treatment, time), both times exp(less); u h is the slope of H in log time."""
    alive, slope = np.zeros(log_u.shape), np.zeros(log_u.shape)
    for weight, level, shape in _nodes(of):
        eta, log_shape = _at(of, level, shape)
        survival = weight * np.exp(less - _cum_hazard(of, log_u, eta, log_shape))
        log_rate = of.family.log_hazard(log_u, eta, log_shape, xp=NUMPY) + log_u
        alive += survival
        # where nobody is left the hazard may overflow, and counts for nothing
        slope += survival * np.exp(np.minimum(log_rate, LARGEST_LOG))
    return alive, slope


def _chunks(samples: int, width: int) -> Iterator[slice]:
    step = max(1, CHUNK // max(width, 1))
    for start in range(0, samples, step):
        yield slice(start, min(start + step, samples))


def _by_chunk(of: Population, width: int, compute: Callable[[Population], Array]) -> Array:
    treatments = of.eta.shape[1]
    return np.concatenate([compute(of.part(rows)) for rows in _chunks(len(of.eta), width * treatments)])


def _log_u(of: Population, time: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.broadcast_to(np.maximum(np.log(time / of.reference_time), -700.0), (*of.eta.shape, time.shape[-1]))


def _alive(of: Population, time: Array, *, less: Array | float = 0.0) -> Array:
    return _survivors(of, _log_u(of, time), less=less)


def survival(of: Population, times: Array, *, alive_at: float = 0.0) -> Array:
    """E[S(t)] / E[S(s)] (sample, treatment, time)."""
    times = np.asarray(times, dtype=float)

    def compute(part: Population) -> Array:
        if alive_at == 0:
            return _alive(part, times)
        start = np.array([alive_at])
        less = _least_cum_hazard(part, _log_u(part, start))
        return _alive(part, times, less=less) / _alive(part, start, less=less)

    return _by_chunk(of, len(times), compute)


def hazard(of: Population, times: Array) -> Array:
    """E[h S] / E[S]: the hazard of those still alive, per time unit (sample, treatment, time)."""
    times = np.asarray(times, dtype=float)

    def compute(part: Population) -> Array:
        log_u = _log_u(part, times)
        alive, slope = _moments(part, log_u, less=_least_cum_hazard(part, log_u))
        return slope / alive / times

    return _by_chunk(of, len(times), compute)


def rmst(of: Population, horizon: float, *, alive_at: float = 0.0) -> Array:
    """Restricted mean from s to the horizon, integral of S(t) / S(s) dt (sample, treatment), in time units.

    Gauss-Legendre after t = s + (horizon - s) v^4, which removes the kink of t^k at zero.
    """
    node, weight = np.polynomial.legendre.leggauss(TIME_NODES)
    v = (node + 1) / 2
    times = alive_at + (horizon - alive_at) * v**4
    step = (horizon - alive_at) * 4 * v**3 * weight / 2
    return survival(of, times, alive_at=alive_at) @ step


def quantile(of: Population, q: float, *, alive_at: float = 0.0) -> Array:
    """Time by which a share q has had the event, E[S(t)] = (1 - q) E[S(s)] (sample, treatment); safeguarded Newton."""

    def compute(part: Population) -> Array:
        target = (1 - q) * (_alive(part, np.array([alive_at]))[..., 0] if alive_at > 0 else np.ones(part.eta.shape))
        log_u = _solve(part, target)
        return np.exp(log_u) * part.reference_time

    return _by_chunk(of, 1, compute)


def _solve(of: Population, target: Array, *, steps: int = 100, tolerance: float = 1e-11) -> Array:
    """log u at which E[S] = target. Newton on log E[S] in log time, kept inside a bracket."""
    low, high = np.full(target.shape, -60.0), np.full(target.shape, 60.0)
    log_u = of.family.inverse(np.log(-np.log(target)), of.eta, of.log_shape, xp=NUMPY)
    log_u = np.clip(log_u, low, high)
    for _ in range(steps):
        alive, slope = (values[..., 0] for values in _moments(of, log_u[..., None]))
        above = alive > target
        low, high = np.where(above, log_u, low), np.where(above, high, log_u)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = log_u + (np.log(alive) - np.log(target)) * alive / slope
        inside = np.isfinite(newton) & (newton > low) & (newton < high)
        step = np.where(inside, newton, (low + high) / 2) - log_u
        log_u = log_u + step
        if np.all(np.abs(step) < tolerance):
            break
    return log_u
