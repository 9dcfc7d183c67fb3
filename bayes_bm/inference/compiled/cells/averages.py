"""Arms averaged over covariates, hazards proportional (`hazards.numerics.mixture`): S = mean of exp(-H exp(offset)).

Offsets, r = exp(offset) relative to the largest, of each row of averages and point are worked out once. Cells of a row
that are many take their means from `transforms.py`; few, or far ones, take one exponential a point.
"""

import math

import numpy as np
from numba import njit

from bayes_bm.hazards.numerics.constants import LARGEST_LOG_HAZARD
from bayes_bm.hazards.numerics.mixture import SMALL_HAZARD, SMALL_LOG_HAZARD
from bayes_bm.inference.compiled import exponentials, fields, logarithms
from bayes_bm.inference.compiled.cells import transforms
from bayes_bm.inference.compiled.cells.fields import Field
from bayes_bm.inference.compiled.cells.transforms import (
    LEAST_ALIVE,
    NARROWEST,
    largest,
    means,
    means_back,
    nodes_for,
    pays,
)
from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.fields import INNER, INNER_SUMS, JIT, SLOPES, numbers, whole
from bayes_bm.inference.compiled.logarithms import log_less, logarithm
from bayes_bm.runtime.compiling import cached_njit

TOP, LEAST = 0, 1
"""Of a row of `offsets`: the largest offset, and the least r; then r of each point."""
POINTS = 2


@njit(**INNER_SUMS)
def offsets_of(own, arm):
    """Of each row of averages (row, 2 + point)."""
    of_arm, x = whole(own, Field.average_arm), numbers(own, Field.average_x)
    covariates = (arm.shape[1] - SLOPES) // 2
    points = x.size // (of_arm.size * covariates) if x.size else 0
    found = np.zeros((of_arm.size, POINTS + points))
    for a in range(of_arm.size):
        for c in range(covariates):
            at_points, slope = x[(a * covariates + c) * points :], arm[of_arm[a], SLOPES + c]
            for m in range(points):
                found[a, POINTS + m] += slope * at_points[m]
        row = found[a, POINTS:]
        top = row[0] if points else 0.0
        for m in range(points):
            top = max(top, row[m])
        for m in range(points):
            row[m] = exponential(row[m] - top)
        least = 1.0
        for m in range(points):
            least = min(least, row[m])
        found[a, TOP], found[a, LEAST] = top, least
    return found


@njit(**INNER_SUMS)
def slopes_of_offsets(own, by_offsets, arm):
    """From derivatives by offsets to those by the slopes of covariates."""
    of_arm, x = whole(own, Field.average_arm), numbers(own, Field.average_x)
    covariates = (arm.shape[1] - SLOPES) // 2
    points = by_offsets.shape[1] - POINTS
    for a in range(of_arm.size):
        for c in range(covariates):
            at_points, total = x[(a * covariates + c) * points :], 0.0
            for m in range(points):
                total += by_offsets[a, POINTS + m] * at_points[m]
            arm[of_arm[a], SLOPES + covariates + c] += total


@njit(**INNER_SUMS)
def _moments(z, row, each):
    """Means over points of exp(-(r - least) z), of r times it and of r^2 times it; `each` gets r times it."""
    points, least = row.size - POINTS, row[LEAST]
    alive, weighted, squares = 0.0, 0.0, 0.0
    for m in range(points):
        each[m] = exponential((least - row[POINTS + m]) * z)
    for m in range(points):
        r = row[POINTS + m]
        alive += each[m]
        each[m] *= r
        weighted += each[m]
        squares += each[m] * r
    return alive / points, weighted / points, squares / points


@njit(**INNER)
def columns(table, first, end):
    """A copy of some columns, whose rows compiled code then knows to lie together."""
    found = np.empty((table.shape[0], end - first))
    for row in range(table.shape[0]):
        values, into = table[row, first:end], found[row]
        for i in range(values.size):
            into[i] = values[i]
    return found


@njit(**INNER)
def put_columns(table, first, given):
    """Put such a copy back."""
    for row in range(given.shape[0]):
        values, into = given[row], table[row, first : first + given.shape[1]]
        for i in range(values.size):
            into[i] = values[i]


@njit(**INNER)
def _at_most(values, most):
    found = np.empty(values.size)
    for i in range(values.size):
        found[i] = min(values[i], most)
    return found


@njit(**INNER)
def _run(of_average, first):
    """The end of the cells from `first` on that have the same row of averages."""
    end = first + 1
    while end < of_average.size and of_average[end] == of_average[first]:
        end += 1
    return end


@njit(**INNER)
def _nodes(row, z):
    """The reach and number of nodes of `transforms` for these cells; 0 nodes where the points themselves cost less."""
    spread = max(1 - row[LEAST], NARROWEST)
    reach = largest(z, spread)
    nodes = nodes_for(reach * spread)
    return reach, nodes if pays(z.size, row.size - POINTS, nodes) else 0


@njit(**INNER)
def _direct(row, log_z, each):
    """z, -log S, and the means of exp(..), r times it and r^2 times it, over the points themselves."""
    points = row.size - POINTS
    z = math.exp(min(log_z, LARGEST_LOG_HAZARD)) if log_z >= SMALL_LOG_HAZARD else 0.0
    alive, weighted, squares = _moments(z, row, each)
    used = z * row[LEAST] - math.log(alive)
    if z < SMALL_HAZARD:
        dead = 0.0
        for m in range(points):
            dead += math.expm1((row[LEAST] - row[POINTS + m]) * z)
        used = z * row[LEAST] - math.log1p(dead / points)
    return z, used, alive, weighted, squares


@njit(**INNER)
def averaged(of_average, offsets, logs, kept):
    """Change log H and log h of averaged cells; kept (5, cell): z, -log S, and the three means."""
    each, first = np.empty(offsets.shape[1] - POINTS), np.int64(0)
    while first < of_average.size:
        end = _run(of_average, first)
        if of_average[first] >= 0:
            some_logs, some_kept = columns(logs, first, end), np.empty((kept.shape[0], end - first))
            _averaged(offsets[of_average[first]], some_logs, some_kept, each)
            put_columns(logs, first, some_logs)
            put_columns(kept, first, some_kept)
        first = end


@njit(**INNER)
def _logs(z, least, found, kept):
    """From D, T and U of cells: log(-log S) and log(T / S) (2, cell); `kept` as `averaged` has it."""
    of_dead, weighted, squares, logs = found[0], found[1], found[2], np.empty((2, z.size))
    for i in range(z.size):
        dead = z[i] * of_dead[i]
        kept[0, i], kept[1, i], kept[2, i] = z[i], z[i] * least - log_less(dead), 1 - dead
        kept[3, i], kept[4, i] = weighted[i], squares[i]
    for i in range(z.size):
        logs[0, i], logs[1, i] = logarithm(kept[1, i]), logarithm(weighted[i] / kept[2, i])
    return logs


@njit(**INNER)
def _averaged(row, logs, kept, each):
    """Cells of one row of averages."""
    log_z, z = logs[0] + row[TOP], np.empty(logs.shape[1])
    for i in range(z.size):
        z[i] = exponential(min(log_z[i], LARGEST_LOG_HAZARD))
    reach, nodes = _nodes(row, z)
    if nodes:
        found = means(row[POINTS:], row[LEAST], _at_most(z, reach), reach, nodes)
        log_used, tilt = _logs(z, row[LEAST], found, kept)
        inside = _inside(z, reach, kept[2], log_z)
        for i in range(z.size):
            logs[0, i] = log_used[i] if inside[i] else log_z[i]
            logs[1, i] += row[TOP] + tilt[i] if inside[i] else 0.0
    else:
        inside = np.zeros(z.size)
    for i in range(z.size):
        if not inside[i]:
            kept[0, i], kept[1, i], kept[2, i], kept[3, i], kept[4, i] = _direct(row, log_z[i], each)
            none_dead = log_z[i] < SMALL_LOG_HAZARD
            logs[0, i] = log_z[i] + math.log(kept[3, i]) if none_dead else math.log(kept[1, i])
            logs[1, i] += row[TOP] + math.log(kept[3, i] / kept[2, i])


@njit(**INNER)
def _inside(z, reach, alive, log_z):
    """1 where a cell is read from nodes, 0 where it is left to the points themselves."""
    found = np.empty(z.size)
    for i in range(z.size):
        # selections, which a processor does for eight cells at once
        reached = 1.0 if z[i] <= reach else 0.0
        living = reached if alive[i] > LEAST_ALIVE else 0.0
        found[i] = living if log_z[i] >= SMALL_LOG_HAZARD else 0.0
    return found


@njit(**INNER)
def averaged_back(of_average, offsets, by_offsets, slopes, kept):
    """As `mixture.slopes`: to log H of a patient at offset zero, and to the offsets."""
    each, first = np.empty(offsets.shape[1] - POINTS), np.int64(0)
    while first < of_average.size:
        end, a = _run(of_average, first), of_average[first]
        if a >= 0:
            some = columns(slopes, first, end)
            _averaged_back(offsets[a], by_offsets[a, POINTS:], some, columns(kept, first, end), each)
            put_columns(slopes, first, some)
        first = end


@njit(**INNER)
def _moments_back(by_cum, by_hazard, kept, onward):
    """From derivatives by log H and log h to those by log H of a patient at offset zero, in place, and `onward`."""
    z, used, every_alive, every_weighted, every_square = kept[0], kept[1], kept[2], kept[3], kept[4]
    constant, falling = onward[0], onward[1]
    for i in range(by_cum.size):
        alive, weighted, by_tilt = every_alive[i], every_weighted[i], by_hazard[i]
        lived, tilted = 1 / alive, 1 / weighted
        # z / -log S where nobody has died
        each_used = z[i] / used[i] if z[i] > 0 else tilted
        share = by_cum[i] * each_used * lived
        by_cum[i] = share * weighted - by_tilt * z[i] * (every_square[i] * tilted - weighted * lived)
        constant[i], falling[i] = share + by_tilt * (tilted + z[i] * lived), by_tilt * z[i] * tilted


@njit(**INNER)
def _averaged_back(row, by_offsets, slopes, kept, each):
    """Cells of one row of averages; exp(-(r - least) z) of a point counts constant - falling r times r."""
    n = slopes.shape[1]
    onward, z = np.empty((2, n)), kept[0]
    _moments_back(slopes[0], slopes[1], kept, onward)
    reach, nodes = _nodes(row, z)
    for i in range(n):
        if nodes and z[i] <= reach and kept[2, i] > LEAST_ALIVE:
            continue
        if onward[0, i] != 0 or onward[1, i] != 0:
            _point_by_point(z[i], row, onward[:, i], by_offsets, each)
        onward[0, i], onward[1, i] = 0.0, 0.0
    if nodes:
        means_back(row[POINTS:], row[LEAST], _at_most(z, reach), reach, nodes, onward, by_offsets)


@njit(**INNER_SUMS)
def _point_by_point(z, row, onward, by_offsets, each):
    """What `transforms.means_back` does, of one cell."""
    points, least = row.size - POINTS, row[LEAST]
    for m in range(points):
        each[m] = exponential((least - row[POINTS + m]) * z)
    constant, falling = onward[0] / points, onward[1] / points
    for m in range(points):
        r = row[POINTS + m]
        by_offsets[m] += (constant - falling * r) * r * each[m]


@cached_njit(exponentials, fields, logarithms, transforms, **JIT)
def averaged_rows(of_average, offsets, logs):
    """As `averaged`, for a caller in Python."""
    averaged(of_average, offsets, logs, np.empty((5, of_average.size)))
