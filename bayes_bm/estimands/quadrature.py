"""Survival, hazard, quantiles and restricted means of a population, by quadrature over its random effects.

Arrays in, arrays out. A population is, for every posterior draw and treatment, a law of (eta, shape): a point, or a
bivariate normal of eta and the first shape parameter when the answer averages over fresh study effects. Averages are
taken over S and h S *before* anything is compared, and given alive at s they are E[S(t)] / E[S(s)], so that survivors
reweight the effects (docs/decisions.md, 14, 15).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
from scipy import special

from bayes_bm.estimands import level_averages
from bayes_bm.estimands.gauss_rule import Rule
from bayes_bm.hazards import Family
from bayes_bm.hazards.family import inverse
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.hazards.numerics.unit_rule import unit_rule
from bayes_bm.runtime.types import Array

LEVEL_NODES = 41
"""Number of Gauss-Hermite nodes over the level: with `SHAPE_NODES`, E[S] to 1e-6 for sds up to 1 and 0.5 of level and
log shape, and to 1e-5 for 1.5 and 0.6 (tests/estimands/test_quadrature.py)."""
SHAPE_NODES = 15
"""Number of Gauss-Hermite nodes over the log shape; its sd is the smaller, so fewer give the same error."""
LEAST_WEIGHT = 1e-10
"""Product weight (a probability) at or below which a node is left out: far below the error of the rule."""
WALK_NODES = 128
"""Quasi-random points over the shape of a flexible baseline in a new study: E[S] to about 1e-3 (same tests)."""
LARGEST_LOG = 700.0
"""A cumulative hazard or a rate beyond exp(700) is as good as infinite; exp of it would overflow."""
LATEST_LOG, LATE_LOG = 60.0, 50.0
"""log u up to which a quantile is looked for, and beyond which it is asked whether it is reached at all."""
ROUNDING = 1e-14
"""Error of the log of an average (no unit), rounding in double precision; a root is found below it."""
TIME_NODES = 64
"""Number of Gauss-Legendre nodes in each piece of time."""
FEWER_NODES = 16
"""Number of nodes in each piece but the first where pieces are many and short, so that S hardly falls in one."""
MANY_PARTS = 12
"""Number of ends of pieces above which `FEWER_NODES` is used; yearly steps of a background hazard make so many."""
TINY = 1e-300
"""Weight that stands for none: its logarithm is finite."""
MANY_READINGS = 100
"""Times and nodes of shape, together, above which a table of E[S] costs less than a sum for each."""
PLACES = 1000
"""About as many places has a table."""
CHUNK = 4_000_000
"""Number of values (draws x treatments x times) worked out at once, about 32 MB an array."""


@dataclass(frozen=True)
class Population:
    """Law of (eta, shape) by draw and treatment: eta (sample, treatment), shape (sample, treatment, shape).

    The sds (sample, treatment) are those of eta and of the first shape parameter, zero where not averaged over. Of a
    flexible baseline `walk` holds the square roots of the steps between its coefficients, and the second sd is that of
    a random walk over all of them. `not_given` is the rule of what covariates that are not given add to eta.
    """

    family: Family
    reference_time: float
    eta: Array
    shape: Array
    eta_sd: Array
    shape_sd: Array
    walk: Array | None = None
    not_given: Rule | None = None

    @property
    def averaged(self) -> bool:
        return bool(np.any(self.eta_sd > 0) or np.any(self.shape_sd > 0)) or self.not_given is not None

    def part(self, rows: slice | Array) -> "Population":
        fields = {name: getattr(self, name)[rows] for name in ("eta", "shape", "eta_sd", "shape_sd")}
        rule = None if self.not_given is None else Rule(*(values[rows] for values in self.not_given))
        return replace(self, **fields, not_given=rule)

    def averaged_over(self, rule: Rule | None) -> "Population":
        """The population averaged over a rule of eta besides, independent of what it is averaged over already."""
        if rule is None or self.not_given is None:
            return replace(self, not_given=self.not_given if rule is None else rule)
        node = self.not_given.node[..., :, None] + rule.node[..., None, :]
        weight = self.not_given.weight[..., :, None] * rule.weight[..., None, :]
        return replace(self, not_given=Rule(*(values.reshape(*values.shape[:-2], -1) for values in (node, weight))))

    def known(self) -> Iterator[tuple["Population", Array]]:
        """Yield the population at each node of what is not given, and the log weight (sample, treatment, 1)."""
        if self.not_given is None:
            yield self, np.zeros((1, 1, 1))
            return
        nodes, weights = (np.moveaxis(values, -1, 0) for values in self.not_given)
        for node, weight in zip(nodes, weights, strict=True):
            yield replace(self, eta=self.eta + node, not_given=None), np.log(np.maximum(weight, TINY))[..., None]


def _hermite(count: int, needed: bool) -> tuple[Array, Array]:
    """Nodes and weights of a standard normal expectation; one node where nothing varies."""
    if not needed:
        return np.zeros(1), np.ones(1)
    return _normal_nodes(count)


@cache
def _normal_nodes(count: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


Node = tuple[float, float, float | tuple[float, ...]]


def _product_nodes(population: Population) -> list[Node]:
    """(weight, level, shape) of the product rule, without the corners that weigh nothing.

    A walk has as many dimensions as steps: then quasi-random points of level and steps, all of one weight; shape holds
    the standard walk's values.
    """
    if population.walk is not None and np.any(population.shape_sd > 0):
        normal = _walk_points(1 + len(population.walk))
        walks = np.cumsum(normal[:, 1:] * population.walk, axis=1)
        return [(1 / len(normal), float(z), tuple(row)) for z, row in zip(normal[:, 0], walks.tolist(), strict=True)]
    return _hermite_products(bool(np.any(population.eta_sd > 0)), bool(np.any(population.shape_sd > 0)))


@cache
def _hermite_products(level_varies: bool, shape_varies: bool) -> list[Node]:
    level, level_weight = _hermite(LEVEL_NODES, level_varies)
    shape, shape_weight = _hermite(SHAPE_NODES, shape_varies)
    return [
        (v * w, z, y)
        for y, v in zip(shape, shape_weight, strict=True)
        for z, w in zip(level, level_weight, strict=True)
        if v * w > LEAST_WEIGHT
    ]


@cache
def _levels_by_shape(shape_varies: bool) -> list[tuple[float, Array, Array]]:
    """Nodes of shape, each with the levels and weights of its products, where the level varies."""
    nodes = _hermite_products(True, shape_varies)
    found = []
    for node in dict.fromkeys(shape for _, _, shape in nodes):
        level, weight = np.array([(level, weight) for weight, level, shape in nodes if shape == node]).T.copy()
        found.append((node, level, weight))
    return found


@cache
def _walk_points(dimensions: int) -> Array:
    """Normal scores of scrambled Sobol points and of their mirror images (point, dimension)."""
    # a second to import
    from scipy.stats import qmc

    unit = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(14)).random_base2(WALK_NODES.bit_length() - 2)
    normal = special.ndtri(unit)
    return np.concatenate([normal, -normal])


def _effects_at_node(population: Population, level: float, shape: float | tuple[float, ...]) -> tuple[Array, Array]:
    """eta (sample, treatment, 1) and shape (sample, treatment, 1, shape) at a node."""
    moved = population.shape
    if isinstance(shape, tuple):
        moved = population.shape.copy()
        moved[..., 1 : 1 + len(shape)] += np.array(shape) * population.shape_sd[..., None]
    elif shape:
        moved = population.shape.copy()
        moved[..., 0] += shape * population.shape_sd
    return (population.eta + level * population.eta_sd)[..., None], moved[..., None, :]


@dataclass(frozen=True)
class _PlacedTimes:
    """log u with what the family knows of it, worked out once for all nodes."""

    log_u: Array
    placed: Array


def _place_times(population: Population, log_u: Array) -> _PlacedTimes:
    return _PlacedTimes(log_u, population.family.place(log_u))


def _cum_hazard(population: Population, times: _PlacedTimes, eta: Array, shape: Array) -> Array:
    return np.exp(np.minimum(population.family.log_cum_hazard(times.placed, eta, shape, xp=NUMPY), LARGEST_LOG))


def _least_cum_hazard(population: Population, times: _PlacedTimes) -> Array:
    """H of those who last longest, the lowest level at each shape: exp(this) S does not underflow for them."""
    if population.not_given is not None:
        return np.min([_least_cum_hazard(placed, times) for placed, _ in population.known()], axis=0)
    # of accelerated time, those with the largest eta
    sign = 1.0 if population.family.effect == "hazard" else -1.0
    longest: dict[float | tuple[float, ...], float] = {}
    for _, level, shape in _product_nodes(population):
        longest[shape] = sign * min(sign * level, sign * longest.get(shape, level))
    return np.min(
        [
            _cum_hazard(population, times, *_effects_at_node(population, level, shape))
            for shape, level in longest.items()
        ],
        axis=0,
    )


def _survivors(population: Population, times: _PlacedTimes, *, less: Array | float = 0.0) -> Array:
    """E[S] exp(less) at log_u (sample, treatment, time)."""
    alive = np.zeros((*population.eta.shape, times.log_u.shape[-1]))
    if _level_is_a_factor(population):
        if population.not_given is not None and isinstance(less, float) and _table_pays(population, times):
            return _survivors_by_table(population, times) * np.exp(less)
        for given in _kernel_inputs(population, times, less, rate=False):
            level_averages.add_survivors(alive, *given)
        return alive
    if population.not_given is not None:
        parts = (_survivors(placed, times, less=less + log_weight) for placed, log_weight in population.known())
        return np.add.reduce(list(parts))
    for weight, level, shape in _product_nodes(population):
        alive += weight * np.exp(less - _cum_hazard(population, times, *_effects_at_node(population, level, shape)))
    return alive


def _table_pays(population: Population, times: _PlacedTimes) -> bool:
    """Whether E[S], one function of log H, is asked often enough for its table."""
    if times.log_u.shape[0] > 1:
        return False
    shapes = SHAPE_NODES if np.any(population.shape_sd > 0) else 1
    return times.log_u.shape[-1] * shapes > MANY_READINGS


def _survivors_by_table(population: Population, times: _PlacedTimes) -> Array:
    """E[S] at log_u (sample, treatment, time), of a population with covariates that are not given."""
    width = PLACES * population.eta.shape[1]
    return np.concatenate([_read_tables(population.part(rows), times) for rows in _chunks(len(population.eta), width)])


def _read_tables(population: Population, times: _PlacedTimes) -> Array:
    rule, eta, size = population.not_given, population.eta, (*population.eta.shape, times.log_u.shape[-1])
    assert rule is not None
    level, weight = (values[_normal_nodes(LEVEL_NODES)[1] > LEAST_WEIGHT] for values in _normal_nodes(LEVEL_NODES))
    low, tables = level_averages.offset_tables(population.eta_sd, *rule, level, weight)
    alive, zero = np.zeros(size), np.zeros((*eta.shape, 1))
    for score, of_shape in zip(*_hermite(SHAPE_NODES, bool(np.any(population.shape_sd > 0))), strict=True):
        shape = _effects_at_node(population, 0.0, float(score))[1]
        log_cum = np.broadcast_to(population.family.log_cum_hazard(times.placed, zero, shape, xp=NUMPY), size)
        level_averages.add_tabulated(alive, tables, low, np.array(log_cum, order="C"), eta, float(of_shape))
    return alive


def _moments(population: Population, times: _PlacedTimes, *, less: Array | float = 0.0) -> tuple[Array, Array]:
    """E[S] and E[u h S] at log_u (sample, treatment, time), both times exp(less); u h is the slope of H in log time."""
    alive, slope = (np.zeros((*population.eta.shape, times.log_u.shape[-1])) for _ in range(2))
    if _level_is_a_factor(population):
        for given in _kernel_inputs(population, times, less, rate=True):
            level_averages.add_moments(alive, slope, *given)
        return alive, slope
    if population.not_given is not None:
        parts = [_moments(placed, times, less=less + log_weight) for placed, log_weight in population.known()]
        return np.add.reduce([alive for alive, _ in parts]), np.add.reduce([slope for _, slope in parts])
    for weight, level, node_shape in _product_nodes(population):
        eta, shape = _effects_at_node(population, level, node_shape)
        survival = weight * np.exp(less - _cum_hazard(population, times, eta, shape))
        log_rate = population.family.log_hazard(times.placed, eta, shape, xp=NUMPY) + times.log_u
        alive += survival
        # where nobody is left the hazard may overflow, and counts for nothing
        slope += survival * np.exp(np.minimum(log_rate, LARGEST_LOG))
    return alive, slope


def _level_is_a_factor(population: Population) -> bool:
    """Whether the level is averaged over and multiplies H."""
    return population.family.proportional and population.walk is None and bool(np.any(population.eta_sd > 0))


def _kernel_inputs(
    population: Population, times: _PlacedTimes, less: Array | float, *, rate: bool
) -> Iterator[tuple[Array, ...]]:
    """Yield what `level_averages` takes at each node of shape: log H, and with `rate` log u h, at eta = 0.

    Law of eta, what is not given, offsets, levels and weights of the nodes follow.
    """
    size, zero = (*population.eta.shape, times.log_u.shape[-1]), np.zeros((*population.eta.shape, 1))
    rule = population.not_given or Rule(zero, np.ones_like(zero))
    given = (np.broadcast_to(values, (*population.eta.shape, values.shape[-1])) for values in rule)
    law = tuple(np.array(values, order="C") for values in (population.eta, population.eta_sd, *given))
    # copies, also where nothing is broadcast: for arrays that cannot be written numba compiles once more
    log_offsets = np.array(np.broadcast_to(less, size), order="C")
    for node, level, weight in _levels_by_shape(bool(np.any(population.shape_sd > 0))):
        shape = _effects_at_node(population, 0.0, node)[1]
        logs = [population.family.log_cum_hazard(times.placed, zero, shape, xp=NUMPY)]
        if rate:
            logs.append(population.family.log_hazard(times.placed, zero, shape, xp=NUMPY) + times.log_u)
        broadcast_logs = (np.array(np.broadcast_to(values, size), order="C") for values in logs)
        yield (
            *broadcast_logs,
            *law,
            log_offsets,
            level,
            weight,
        )


def _chunks(samples: int, width: int) -> Iterator[slice]:
    step = max(1, CHUNK // max(width, 1))
    for start in range(0, samples, step):
        yield slice(start, min(start + step, samples))


def _compute_in_chunks(population: Population, width: int, compute: Callable[[Population], Array]) -> Array:
    treatments = population.eta.shape[1]
    return np.concatenate([compute(population.part(rows)) for rows in _chunks(len(population.eta), width * treatments)])


def _place_common_times(population: Population, time: Array) -> _PlacedTimes:
    """The same times for every draw and treatment (1, 1, time)."""
    with np.errstate(divide="ignore"):
        return _place_times(population, np.maximum(np.log(time / population.reference_time), -700.0)[None, None, :])


def _survivors_at(population: Population, time: Array, *, less: Array | float = 0.0) -> Array:
    return _survivors(population, _place_common_times(population, time), less=less)


def survival(population: Population, times: Array, *, alive_at: float = 0.0) -> Array:
    """E[S(t)] / E[S(s)] (sample, treatment, time)."""
    times = np.asarray(times, dtype=float)

    def compute(part: Population) -> Array:
        if alive_at == 0:
            return _survivors_at(part, times)
        start = np.array([alive_at])
        less = _least_cum_hazard(part, _place_common_times(part, start))
        return _survivors_at(part, times, less=less) / _survivors_at(part, start, less=less)

    return _compute_in_chunks(population, len(times), compute)


def hazard(population: Population, times: Array) -> Array:
    """E[h S] / E[S]: the hazard of those still alive, per time unit (sample, treatment, time)."""
    times = np.asarray(times, dtype=float)

    def compute(part: Population) -> Array:
        placed = _place_common_times(part, times)
        alive, slope = _moments(part, placed, less=_least_cum_hazard(part, placed))
        return slope / alive / times

    return _compute_in_chunks(population, len(times), compute)


def rmst(population: Population, horizon: float, *, alive_at: float = 0.0, discount: float = 0.0) -> Array:
    """Restricted mean from s to the horizon, integral of S(t) / S(s) dt (sample, treatment), in time units.

    Gauss-Legendre between the times at which the hazard is not smooth, after t = a + (b - a) v^4 in the first part,
    which removes the kink of t^k at zero. `discount` is a continuous rate per time unit: time at t counts
    exp(-discount (t - s)).
    """
    breaks = population.reference_time * np.exp(np.array(population.family.breaks))
    times, steps = restricted_mean_rule(breaks, horizon, alive_at=alive_at)
    return survival(population, times, alive_at=alive_at) @ (steps * np.exp(-discount * (times - alive_at)))


def restricted_mean_rule(breaks: Array, horizon: float, *, alive_at: float = 0.0) -> tuple[Array, Array]:
    """Return times and steps of the integral from s to the horizon; `breaks` are times at which the hazard jumps."""
    edges = [alive_at, *breaks[(breaks > alive_at) & (breaks < horizon)], horizon]
    return legendre_rule(np.array(edges), first=True, fewer=len(edges) > MANY_PARTS)


def legendre_rule(ends: Array, *, first: bool, fewer: bool = False) -> tuple[Array, Array]:
    """Nodes and steps of Gauss-Legendre between ends, one piece after another; the first may start at time zero.

    `fewer` in all but the first: yearly steps of a background hazard make many short pieces, in which S hardly falls.
    """
    nodes, steps = [], []
    for part, (start, end) in enumerate(pairwise(ends)):
        v, weight = unit_rule(FEWER_NODES if fewer and part > 0 else TIME_NODES)
        power = 4 if part == 0 and first else 1
        nodes.append(start + (end - start) * v**power)
        steps.append((end - start) * power * v ** (power - 1) * weight)
    return np.concatenate(nodes), np.concatenate(steps)


def quantile(population: Population, q: float, *, alive_at: float = 0.0) -> Array:
    """Time by which a share q has had the event, E[S(t)] = (1 - q) E[S(s)] (sample, treatment); safeguarded Newton."""

    def compute(part: Population) -> Array:
        target = (1 - q) * (
            _survivors_at(part, np.array([alive_at]))[..., 0] if alive_at > 0 else np.ones(part.eta.shape)
        )
        log_u = _solve_log_u(part, target)
        return np.exp(log_u) * part.reference_time

    return _compute_in_chunks(population, 1, compute)


def _solve_log_u(population: Population, target: Array, *, steps: int = 100, tolerance: float = 1e-6) -> Array:
    """log u at which E[S] = target, inf where it stays above. Newton on log E[S] in log time, kept inside a bracket.

    What a step below the tolerance leaves is about its square.
    """
    low, high = np.full(target.shape, -LATEST_LOG), np.full(target.shape, LATEST_LOG)
    log_u = inverse(population.family, np.log(-np.log(target)), population.eta, population.shape, xp=NUMPY)
    log_u, rows = np.clip(log_u, low, high), np.arange(len(target))
    for _ in range(steps):
        # draws whose every treatment stands still are left
        step = _newton_step(population.part(rows), target[rows], log_u, low, high, rows)
        log_u[rows] += step
        rows = rows[np.any(np.abs(step) >= tolerance, axis=1)]
        if not len(rows):
            break
    late = np.flatnonzero(np.any(log_u > LATE_LOG, axis=1))
    if len(late):
        log_u[late] = np.where(_never(population.part(late), target[late]), np.inf, log_u[late])
    return log_u


def _never(population: Population, target: Array) -> Array:
    """Where E[S] stays above the target: the average curve has become flat before it (sample, treatment)."""
    far = [
        _survivors(population, _place_times(population, np.full((*target.shape, 1), end)))[..., 0]
        for end in (LATEST_LOG, 700.0)
    ]
    return (far[1] > target) & np.isclose(far[0], far[1], rtol=1e-9, atol=0)


def _newton_step(population: Population, target: Array, log_u: Array, low: Array, high: Array, rows: Array) -> Array:
    """The next step of these rows of `log_u`, whose bracket is narrowed; halfway where Newton's would leave it."""
    position = log_u[rows]
    alive, slope = (values[..., 0] for values in _moments(population, _place_times(population, position[..., None])))
    survival_above = alive > target
    low[rows], high[rows] = (
        np.where(survival_above, position, low[rows]),
        np.where(survival_above, high[rows], position),
    )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        away = np.log(alive) - np.log(target)
        newton = position + away * alive / slope
    # a root that is found is an end of its bracket
    converged = np.abs(away) < ROUNDING
    accepted = np.isfinite(newton) & (converged | (newton > low[rows]) & (newton < high[rows]))
    return np.where(accepted, newton, (low[rows] + high[rows]) / 2) - position
