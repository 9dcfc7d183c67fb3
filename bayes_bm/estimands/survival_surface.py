"""The curve of one treatment at every draw as a surface over eta, read off for any number of patients.

A patient enters only through a shift of eta. So for each draw and time the curve, averaged over whatever is averaged,
is worked out on a grid of eta and read off between its points (cubic; error below 1e-4).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.gauss_rule import Rule
from bayes_bm.estimands.quadrature import Population
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.compiled import exponentials
from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.fields import INNER_SUMS
from bayes_bm.runtime.compiling import cached_njit
from bayes_bm.runtime.inner_functions import INNER
from bayes_bm.runtime.types import Array

STEP = 0.2
"""Step of the grid of eta (log scale): cubics between its points are right to 1e-4 of survival."""
EDGE = 2
"""Number of grid points beyond the patients on either side; a cubic needs one on each side of its interval."""
LOWEST = -14.0
"""Log cumulative hazard at which the table starts: below exp(-14) a cumulative hazard is none."""
PER_STEP = 4
"""Number of steps of the table of averages over the level in one step of the grid of eta."""
LEAST_WEIGHT = 1e-6
"""Weight (a probability) at or below which a node of shape is left out: below the error of the grid."""


@dataclass(frozen=True)
class Surface:
    """S at each draw, grid point and time (draw, point, time), in single precision; point k of draw d lies at
    low[d] + k STEP.
    """

    low: Array
    values: Array


def survival_surface(population: Population, low: Array, high: Array, times: Array) -> Surface:
    """The curve of one treatment on a grid of eta that holds every patient."""
    low = low - EDGE * STEP
    points = np.ceil((high - low) / STEP).astype(int) + EDGE + 1
    if population.family.proportional and population.walk is None:
        return Surface(low, _proportional_surface(population, low, points, times))
    # other families: the general quadrature at every point, as if each were a treatment
    grid = low[:, None] + STEP * np.arange(points.max())
    spread: dict[str, Any] = {
        name: np.broadcast_to(getattr(population, name), grid.shape) for name in ("eta_sd", "shape_sd")
    }
    if population.not_given is not None:
        nodes = len(population.not_given.node[0, 0])
        spread["not_given"] = Rule(*(np.broadcast_to(v, (*grid.shape, nodes)) for v in population.not_given))
    shape = np.broadcast_to(population.shape, (*grid.shape, population.shape.shape[-1])).copy()
    values = quadrature.survival(replace(population, eta=grid, shape=shape, **spread), times)
    return Surface(low, values.astype(np.float32))


def _proportional_surface(population: Population, low: Array, points: Array, times: Array) -> Array:
    """log H = log H0(t) + eta: the average over the level is one function of log H, tabulated for each draw."""
    node, node_weight = np.polynomial.hermite_e.hermegauss(quadrature.LEVEL_NODES)
    varies = bool(np.any(population.shape_sd > 0))
    shape_node, shape_weight = np.polynomial.hermite_e.hermegauss(quadrature.SHAPE_NODES if varies else 1)
    share = shape_weight / shape_weight.sum()
    shape_node, share = shape_node[share > LEAST_WEIGHT], share[share > LEAST_WEIGHT]
    log_u = np.log(times / population.reference_time)
    baseline = np.stack([_log_baseline(population, log_u, z) for z in shape_node], axis=1)
    level, level_weight = (
        population.eta_sd * node,
        np.broadcast_to(node_weight / node_weight.sum(), (len(low), len(node))),
    )
    if population.not_given is not None:
        added, weight = (values[:, 0] for values in population.not_given)
        level = (level[:, :, None] + added[:, None]).reshape(len(low), -1)
        level_weight = (level_weight[:, :, None] * weight[:, None]).reshape(len(low), -1)
    level_weight = np.ascontiguousarray(level_weight)
    return _tabulate_survival(baseline, share, low, points, STEP, level, level_weight, LOWEST, PER_STEP)


def _log_baseline(population: Population, log_u: Array, z: float) -> Array:
    """log H at eta = 0 with the first shape z sds away (draw, time)."""
    shape = population.shape.copy()
    if shape.shape[-1]:
        shape[..., 0] += z * population.shape_sd
    zero = np.zeros((len(shape), 1))
    return population.family.log_cum_hazard(population.family.place(log_u[None, :]), zero, shape, xp=NUMPY)


@cached_njit(exponentials)
def _tabulate_survival(
    baseline, shape_weight, low, points, step, level, level_weight, lowest, per_step
):  # pragma: no cover
    """S averaged over shape nodes, from a table over log H of its average over the level, draw by draw.

    `level` of each draw and its weights (draw, node); `points` of each draw, behind which the grid stays empty. The
    table has `per_step` steps to one of the grid, so the points of a grid all lie at the same place between its
    entries, `per_step` apart: they stand in one row of it.
    """
    draws, shapes, times = baseline.shape
    highest, table_step = 5.0, step / per_step
    averages = np.zeros((draws, points.max(), times), dtype=np.float32)
    for d in range(draws):
        # beyond that nobody is left even at the lowest level
        width = int((highest - level[d].min() - lowest) / step) + 1
        table, factor = np.empty((per_step, width)), np.exp(level[d])
        for k in range(per_step * width):
            table[k % per_step, k // per_step] = _level_survival(
                np.exp(lowest + k * table_step), factor, level_weight[d]
            )
        total = np.empty((times, points[d]))
        for t in range(times):
            total[t] = 0.0
            for w in range(shapes):
                _add_table_rows(table, (baseline[d, w, t] + low[d] - lowest) / table_step, shape_weight[w], total[t])
        for k in range(points[d]):
            for t in range(times):
                averages[d, k, t] = total[t, k]
    return averages


@njit(**INNER_SUMS)
def _level_survival(cum_hazard, factor, node_weight):  # pragma: no cover
    """E exp(-H) over the level, which multiplies the cumulative hazard at each node."""
    total = 0.0
    for m in range(len(factor)):
        total += node_weight[m] * exponential(-cum_hazard * factor[m])
    return total


@njit(fastmath=True, **INNER)
def _add_table_rows(table, position, weight, total):  # pragma: no cover
    """Adds weight x table, read off by cubics at `at`, in steps of the table, and whole rows of it further on.

    Before the table everybody is alive, behind it nobody.
    """
    row_count, width = table.shape
    k = int(np.floor(position))
    f = position - k
    a, b = -f * (f - 1) * (f - 2) / 6 * weight, (f + 1) * (f - 1) * (f - 2) / 2 * weight
    c, d = -(f + 1) * f * (f - 2) / 2 * weight, (f + 1) * f * (f - 1) / 6 * weight
    # entries k - 1 to k + 2 of point 0: their row, and their place in it
    first_column, last_column = (k - 1) // row_count, (k + 2) // row_count
    first = min(max(-first_column, 0), len(total))
    last = max(min(width - last_column, len(total)), first)
    one, two = table[(k - 1) % row_count, first_column + first :], table[k % row_count, k // row_count + first :]
    three, four = (
        table[(k + 1) % row_count, (k + 1) // row_count + first :],
        table[(k + 2) % row_count, last_column + first :],
    )
    for g in range(first):
        total[g] += weight
    for g in range(last - first):
        total[first + g] += a * one[g] + b * two[g] + c * three[g] + d * four[g]
