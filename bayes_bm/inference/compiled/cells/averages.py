"""Arms averaged over covariates, hazards proportional (`hazards.numerics.mixture`): S = mean of exp(-H exp(offset)).

Offsets, r = exp(offset) relative to the largest, of each row of averages and point are worked out once; then each cell
takes one exponential a point.
"""

import math

import numpy as np
from numba import njit

from bayes_bm.hazards.numerics.constants import LARGEST_LOG_HAZARD
from bayes_bm.hazards.numerics.mixture import SMALL_HAZARD, SMALL_LOG_HAZARD
from bayes_bm.inference.compiled.cells.fields import Field
from bayes_bm.inference.compiled.fields import JIT, SLOPES, SUMS, numbers, whole
from bayes_bm.inference.compiled.kernel import exponential

TOP, LEAST = 0, 1
"""Of a row of `offsets`: the largest offset, and the least r; then r of each point."""
POINTS = 2


@njit(**JIT)
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
        found[a, TOP] = found[a, POINTS:].max()
        for m in range(points):
            found[a, POINTS + m] = math.exp(found[a, POINTS + m] - found[a, TOP])
        found[a, LEAST] = found[a, POINTS:].min()
    return found


@njit(**JIT)
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


@njit(**SUMS)
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


@njit(**JIT)
def averaged(of_average, offsets, logs, kept):
    """Change log H and log h of averaged cells; kept (4, cell): z, -log S, and the first two means."""
    points = offsets.shape[1] - POINTS
    each = np.empty(points)
    for i in range(of_average.size):
        if of_average[i] < 0:
            continue
        row = offsets[of_average[i]]
        log_z = logs[0, i] + row[TOP]
        z = math.exp(min(log_z, LARGEST_LOG_HAZARD)) if log_z >= SMALL_LOG_HAZARD else 0.0
        alive, weighted, _ = _moments(z, row, each)
        used = z * row[LEAST] - math.log(alive)
        if log_z < SMALL_LOG_HAZARD:
            logs[0, i] = log_z + math.log(weighted)
        else:
            if z < SMALL_HAZARD:
                dead = 0.0
                for m in range(points):
                    dead += math.expm1((row[LEAST] - row[POINTS + m]) * z)
                used = z * row[LEAST] - math.log1p(dead / points)
            logs[0, i] = math.log(used)
        logs[1, i] += row[TOP] + math.log(weighted / alive)
        kept[0, i], kept[1, i], kept[2, i], kept[3, i] = z, used, alive, weighted


@njit(**SUMS)
def averaged_back(of_average, offsets, by_offsets, slopes, kept):
    """As `mixture.slopes`: to log H of a patient at offset zero, and to the offsets."""
    points = offsets.shape[1] - POINTS
    each = np.empty(points)
    for i in range(of_average.size):
        if of_average[i] < 0 or (slopes[0, i] == 0 and slopes[1, i] == 0):
            continue
        row, found, by_used, by_tilt = offsets[of_average[i]], by_offsets[of_average[i]], slopes[0, i], slopes[1, i]
        z, alive, weighted = kept[0, i], kept[2, i], kept[3, i]
        squares = _moments(z, row, each)[2]
        share = by_used * (z / kept[1, i] if z > 0 else 1 / weighted) / alive
        slopes[0, i] = share * weighted - by_tilt * z * (squares / weighted - weighted / alive)
        constant = (share + by_tilt * (1 / weighted + z / alive)) / points
        falling = by_tilt * z / weighted / points
        for m in range(points):
            found[POINTS + m] += (constant - falling * row[POINTS + m]) * each[m]
