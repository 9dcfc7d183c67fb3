"""Survival, hazard, quantiles and restricted means of a population, by quadrature over its random effects.

Arrays in, arrays out. A population is, for every posterior draw and treatment, a law of (eta, shape): a point, or a
bivariate normal of eta and the first shape parameter when the answer averages over fresh study effects. Averages are
taken over S and h S *before* anything is compared, and given alive at s they are E[S(t)] / E[S(s)], so that survivors
reweight the effects (docs/decisions.md, 14, 15).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from scipy import special

from bayes_bm.estimands import level_averages
from bayes_bm.hazards import Family
from bayes_bm.hazards.family import inverse
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.runtime.types import Array

LEVEL_NODES, SHAPE_NODES, LEAST_WEIGHT = 41, 15, 1e-10
"""Gauss-Hermite nodes over level and log shape: E[S] to 1e-6 for sds up to 1 and 0.5, and to 1e-5 for 1.5 and 0.6
(tests/estimands/test_quadrature.py)."""
WALK_NODES = 128
"""Quasi-random points over the shape of a flexible baseline in a new study: E[S] to about 1e-3 (same tests)."""
LARGEST_LOG = 700.0
"""A cumulative hazard or a rate beyond exp(700) is as good as infinite; exp of it would overflow."""
ROUNDING = 1e-14
"""Of the log of an average."""
TIME_NODES, FEWER_NODES, MANY_PARTS = 64, 16, 12
CHUNK = 4_000_000


@dataclass(frozen=True)
class Population:
    """Law of (eta, shape) by draw and treatment: eta (sample, treatment), shape (sample, treatment, shape).

    The sds (sample, treatment) are those of eta and of the first shape parameter, zero where not averaged over. Of a
    flexible baseline `walk` holds the square roots of the steps between its coefficients, and the second sd is that of
    a random walk over all of them.
    """

    family: Family
    reference_time: float
    eta: Array
    shape: Array
    eta_sd: Array
    shape_sd: Array
    walk: Array | None = None

    @property
    def averaged(self) -> bool:
        return bool(np.any(self.eta_sd > 0) or np.any(self.shape_sd > 0))

    def part(self, rows: slice | Array) -> "Population":
        fields = (self.eta, self.shape, self.eta_sd, self.shape_sd)
        return Population(self.family, self.reference_time, *(values[rows] for values in fields), walk=self.walk)


def _hermite(count: int, needed: bool) -> tuple[Array, Array]:
    """Nodes and weights of a standard normal expectation; one node where nothing varies."""
    if not needed:
        return np.zeros(1), np.ones(1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


Node = tuple[float, float, float | tuple[float, ...]]


def _nodes(of: Population) -> list[Node]:
    """(weight, level, shape) of the product rule, without the corners that weigh nothing.

    A walk has as many dimensions as steps: then quasi-random points of level and steps, all of one weight; shape holds
    the standard walk's values.
    """
    if of.walk is not None and np.any(of.shape_sd > 0):
        normal = _walk_points(1 + len(of.walk))
        walks = np.cumsum(normal[:, 1:] * of.walk, axis=1)
        return [(1 / len(normal), float(z), tuple(row)) for z, row in zip(normal[:, 0], walks.tolist(), strict=True)]
    level, level_weight = _hermite(LEVEL_NODES, bool(np.any(of.eta_sd > 0)))
    shape, shape_weight = _hermite(SHAPE_NODES, bool(np.any(of.shape_sd > 0)))
    pairs = [
        (v * w, z, y)
        for y, v in zip(shape, shape_weight, strict=True)
        for z, w in zip(level, level_weight, strict=True)
        if v * w > LEAST_WEIGHT
    ]
    return pairs


@cache
def _walk_points(dimensions: int) -> Array:
    """Normal scores of scrambled Sobol points and of their mirror images (point, dimension)."""
    # a second to import
    from scipy.stats import qmc

    unit = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(14)).random_base2(WALK_NODES.bit_length() - 2)
    normal = special.ndtri(unit)
    return np.concatenate([normal, -normal])


def _at(of: Population, level: float, shape: float | tuple[float, ...]) -> tuple[Array, Array]:
    """eta (sample, treatment, 1) and shape (sample, treatment, 1, shape) at a node."""
    moved = of.shape
    if isinstance(shape, tuple):
        moved = of.shape.copy()
        moved[..., 1 : 1 + len(shape)] += np.array(shape) * of.shape_sd[..., None]
    elif shape:
        moved = of.shape.copy()
        moved[..., 0] += shape * of.shape_sd
    return (of.eta + level * of.eta_sd)[..., None], moved[..., None, :]


@dataclass(frozen=True)
class _Times:
    """log u with what the family knows of it, worked out once for all nodes."""

    log_u: Array
    placed: Array


def _times(of: Population, log_u: Array) -> _Times:
    return _Times(log_u, of.family.place(log_u))


def _cum_hazard(of: Population, times: _Times, eta: Array, shape: Array) -> Array:
    return np.exp(np.minimum(of.family.log_cum_hazard(times.placed, eta, shape, xp=NUMPY), LARGEST_LOG))


def _least_cum_hazard(of: Population, times: _Times) -> Array:
    """H of those who last longest, the lowest level at each shape: exp(this) S does not underflow for them."""
    # of accelerated time, those with the largest eta
    sign = 1.0 if of.family.effect == "hazard" else -1.0
    longest: dict[float | tuple[float, ...], float] = {}
    for _, level, shape in _nodes(of):
        longest[shape] = sign * min(sign * level, sign * longest.get(shape, level))
    return np.min([_cum_hazard(of, times, *_at(of, level, shape)) for shape, level in longest.items()], axis=0)


def _survivors(of: Population, times: _Times, *, less: Array | float = 0.0) -> Array:
    """E[S] exp(less) at log_u (sample, treatment, time)."""
    alive = np.zeros((*of.eta.shape, times.log_u.shape[-1]))
    if _level_is_a_factor(of):
        for given in _by_shape(of, times, less, rate=False):
            level_averages.add_survivors(alive, *given)
        return alive
    for weight, level, shape in _nodes(of):
        alive += weight * np.exp(less - _cum_hazard(of, times, *_at(of, level, shape)))
    return alive


def _moments(of: Population, times: _Times, *, less: Array | float = 0.0) -> tuple[Array, Array]:
    """E[S] and E[u h S] at log_u (sample, treatment, time), both times exp(less); u h is the slope of H in log time."""
    alive, slope = (np.zeros((*of.eta.shape, times.log_u.shape[-1])) for _ in range(2))
    if _level_is_a_factor(of):
        for given in _by_shape(of, times, less, rate=True):
            level_averages.add_moments(alive, slope, *given)
        return alive, slope
    for weight, level, of_shape in _nodes(of):
        eta, shape = _at(of, level, of_shape)
        survival = weight * np.exp(less - _cum_hazard(of, times, eta, shape))
        log_rate = of.family.log_hazard(times.placed, eta, shape, xp=NUMPY) + times.log_u
        alive += survival
        # where nobody is left the hazard may overflow, and counts for nothing
        slope += survival * np.exp(np.minimum(log_rate, LARGEST_LOG))
    return alive, slope


def _level_is_a_factor(of: Population) -> bool:
    """Whether the level is averaged over and multiplies H."""
    return of.family.proportional and of.walk is None and bool(np.any(of.eta_sd > 0))


def _by_shape(of: Population, times: _Times, less: Array | float, *, rate: bool) -> Iterator[tuple[Array, ...]]:
    """What `averages` takes at each node of shape: log H, and with `rate` log u h, at eta = 0; levels and weights."""
    size, zero = (*of.eta.shape, times.log_u.shape[-1]), np.zeros((*of.eta.shape, 1))
    nodes, below = _nodes(of), np.ascontiguousarray(np.broadcast_to(less, size))
    for node in dict.fromkeys(shape for _, _, shape in nodes):
        level, weight = np.array([(level, weight) for weight, level, shape in nodes if shape == node]).T.copy()
        shape = _at(of, 0.0, node)[1]
        logs = [of.family.log_cum_hazard(times.placed, zero, shape, xp=NUMPY)]
        if rate:
            logs.append(of.family.log_hazard(times.placed, zero, shape, xp=NUMPY) + times.log_u)
        known = (np.ascontiguousarray(np.broadcast_to(values, size)) for values in logs)
        yield *known, np.ascontiguousarray(of.eta), np.ascontiguousarray(of.eta_sd), below, level, weight


def _chunks(samples: int, width: int) -> Iterator[slice]:
    step = max(1, CHUNK // max(width, 1))
    for start in range(0, samples, step):
        yield slice(start, min(start + step, samples))


def _by_chunk(of: Population, width: int, compute: Callable[[Population], Array]) -> Array:
    treatments = of.eta.shape[1]
    return np.concatenate([compute(of.part(rows)) for rows in _chunks(len(of.eta), width * treatments)])


def _at_times(of: Population, time: Array) -> _Times:
    """The same times for every draw and treatment (1, 1, time)."""
    with np.errstate(divide="ignore"):
        return _times(of, np.maximum(np.log(time / of.reference_time), -700.0)[None, None, :])


def _alive(of: Population, time: Array, *, less: Array | float = 0.0) -> Array:
    return _survivors(of, _at_times(of, time), less=less)


def survival(of: Population, times: Array, *, alive_at: float = 0.0) -> Array:
    """E[S(t)] / E[S(s)] (sample, treatment, time)."""
    times = np.asarray(times, dtype=float)

    def compute(part: Population) -> Array:
        if alive_at == 0:
            return _alive(part, times)
        start = np.array([alive_at])
        less = _least_cum_hazard(part, _at_times(part, start))
        return _alive(part, times, less=less) / _alive(part, start, less=less)

    return _by_chunk(of, len(times), compute)


def hazard(of: Population, times: Array) -> Array:
    """E[h S] / E[S]: the hazard of those still alive, per time unit (sample, treatment, time)."""
    times = np.asarray(times, dtype=float)

    def compute(part: Population) -> Array:
        at = _at_times(part, times)
        alive, slope = _moments(part, at, less=_least_cum_hazard(part, at))
        return slope / alive / times

    return _by_chunk(of, len(times), compute)


def rmst(of: Population, horizon: float, *, alive_at: float = 0.0) -> Array:
    """Restricted mean from s to the horizon, integral of S(t) / S(s) dt (sample, treatment), in time units.

    Gauss-Legendre between the times at which the hazard is not smooth, after t = a + (b - a) v^4 in the first part,
    which removes the kink of t^k at zero.
    """
    breaks = of.reference_time * np.exp(np.array(of.family.breaks))
    edges = [alive_at, *breaks[(breaks > alive_at) & (breaks < horizon)], horizon]
    times, steps = _pieces(np.array(edges), first=True, fewer=len(edges) > MANY_PARTS)
    return survival(of, times, alive_at=alive_at) @ steps


def cumulative_incidence(of: Sequence[Population], times: Array, *, alive_at: float = 0.0) -> Array:
    """Share that had each cause first by t, free of all at s (cause, sample, treatment, time), times rising.

    F_k(t) = integral over (s, t] of h_k(u) product over causes l of S_l(u) / S_l(s) du, with S and h those of each
    population: its effects are independent of the others', so averages multiply. Gauss-Legendre between times, in
    t = a + (b - a) v^4 from time zero, where h may be infinite.
    """
    edges = np.concatenate([[alive_at], np.asarray(times, dtype=float)])
    breaks = np.concatenate([one.reference_time * np.exp(np.array(one.family.breaks)) for one in of])
    inner = breaks[(breaks > edges[0]) & (breaks < edges[-1])]
    ends = np.unique(np.concatenate([edges, inner]))
    at, step = _pieces(ends, first=alive_at == 0)
    free = np.prod([survival(one, at, alive_at=alive_at) for one in of], axis=0)
    found = []
    for one in of:
        piece = (hazard(one, at) * free * step).reshape(*free.shape[:2], len(ends) - 1, TIME_NODES).sum(axis=-1)
        whole = np.cumsum(piece, axis=-1)
        past = np.searchsorted(ends, edges[1:]) - 1
        found.append(np.where(past < 0, 0.0, whole[..., np.maximum(past, 0)]))
    return np.stack(found)


def _pieces(ends: Array, *, first: bool, fewer: bool = False) -> tuple[Array, Array]:
    """Nodes and steps of Gauss-Legendre between ends, one piece after another; the first may start at time zero.

    `fewer` in all but the first: yearly steps of a background hazard make many short pieces, in which S hardly falls.
    """
    at, step = [], []
    for part, (start, end) in enumerate(pairwise(ends)):
        node, weight = np.polynomial.legendre.leggauss(FEWER_NODES if fewer and part > 0 else TIME_NODES)
        v = (node + 1) / 2
        power = 4 if part == 0 and first else 1
        at.append(start + (end - start) * v**power)
        step.append((end - start) * power * v ** (power - 1) * weight / 2)
    return np.concatenate(at), np.concatenate(step)


def quantile(of: Population, q: float, *, alive_at: float = 0.0) -> Array:
    """Time by which a share q has had the event, E[S(t)] = (1 - q) E[S(s)] (sample, treatment); safeguarded Newton."""

    def compute(part: Population) -> Array:
        target = (1 - q) * (_alive(part, np.array([alive_at]))[..., 0] if alive_at > 0 else np.ones(part.eta.shape))
        log_u = _solve(part, target)
        return np.exp(log_u) * part.reference_time

    return _by_chunk(of, 1, compute)


def _solve(of: Population, target: Array, *, steps: int = 100, tolerance: float = 1e-11) -> Array:
    """log u at which E[S] = target, inf where it stays above. Newton on log E[S] in log time, kept inside a bracket."""
    low, high = np.full(target.shape, -60.0), np.full(target.shape, 60.0)
    # a share above the target is never reached where the average curve has become flat
    far = [_survivors(of, _times(of, np.full((*target.shape, 1), end)))[..., 0] for end in (60.0, 700.0)]
    never = (far[1] > target) & np.isclose(far[0], far[1], rtol=1e-9, atol=0)
    log_u = inverse(of.family, np.log(-np.log(target)), of.eta, of.shape, xp=NUMPY)
    log_u, rows = np.clip(log_u, low, high), np.arange(len(target))
    for _ in range(steps):
        # draws whose every treatment stands still are left
        step = _newton(of.part(rows), target[rows], log_u, low, high, rows)
        log_u[rows] += step
        rows = rows[np.any(np.abs(step) >= tolerance, axis=1)]
        if not len(rows):
            break
    return np.where(never, np.inf, log_u)


def _newton(of: Population, target: Array, log_u: Array, low: Array, high: Array, rows: Array) -> Array:
    """The next step of these rows of `log_u`, whose bracket is narrowed; halfway where Newton's would leave it."""
    at = log_u[rows]
    alive, slope = (values[..., 0] for values in _moments(of, _times(of, at[..., None])))
    above = alive > target
    low[rows], high[rows] = np.where(above, at, low[rows]), np.where(above, high[rows], at)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        away = np.log(alive) - np.log(target)
        newton = at + away * alive / slope
    # a root that is found is an end of its bracket
    found = np.abs(away) < ROUNDING
    inside = np.isfinite(newton) & (found | (newton > low[rows]) & (newton < high[rows]))
    return np.where(inside, newton, (low[rows] + high[rows]) / 2) - at
