"""Hazard ratios beside some that are averaged at nodes: by events over follow-up, crude ones over covariates too.

The sides of all ratios stand behind the arms. The mean of log(h_a / h_b) over the events of both is worked out at the
nodes of follow-up, or as `contrasts.event_weighted`, or is the difference of eta where hazards are proportional.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.inference.compiled import contrasts, fields, stages
from bayes_bm.inference.compiled.cells import fields as cell_fields
from bayes_bm.inference.compiled.cells import layers
from bayes_bm.inference.compiled.cells.fields import Field
from bayes_bm.inference.compiled.cells.layers import add_logs
from bayes_bm.inference.compiled.contrasts import event_weighted
from bayes_bm.inference.compiled.fields import BY_ETA, BY_LOG_K, COVARIATES, ETA, INNER, JIT, SLOPES, numbers, whole
from bayes_bm.inference.compiled.fields import Field as Structure
from bayes_bm.inference.compiled.stages import SIGNATURE, Frame, array_at, data_of, frame_at, matrix_at, own_of, rows_at
from bayes_bm.model.likelihoods import LARGEST_LOG
from bayes_bm.runtime.compiling import cached_cfunc


@njit(**INNER)
def node_means(own, cum, log_hazard, means):
    """Log hazard ratios averaged over follow-up by events, at nodes (decision 7)."""
    cell, log_step = whole(own, Field.ratio_cell), numbers(own, Field.ratio_log_step)
    ratio = whole(own, Field.ratio_row)
    nodes = log_step.size // ratio.size
    for i in range(ratio.size):
        total, weighted, most = 0.0, 0.0, -np.inf
        for n in range(nodes):
            most = max(most, _log_weight(cell, cum, log_hazard, i, n, nodes) + log_step[i * nodes + n])
        for n in range(nodes):
            one, other = cell[2 * i * nodes + n], cell[(2 * i + 1) * nodes + n]
            weight = math.exp(_log_weight(cell, cum, log_hazard, i, n, nodes) + log_step[i * nodes + n] - most)
            total += weight
            weighted += weight * (log_hazard[one] - log_hazard[other])
        means[ratio[i]] = weighted / total


@njit(**INNER)
def _log_weight(cell, cum, log_hazard, i, n, nodes):
    """log(f_a + f_b) at a node."""
    one, other = cell[2 * i * nodes + n], cell[(2 * i + 1) * nodes + n]
    return add_logs(log_hazard[one] - min(cum[one], LARGEST), log_hazard[other] - min(cum[other], LARGEST))


LARGEST = math.exp(LARGEST_LOG)


@njit(**INNER)
def node_means_back(own, cum, log_hazard, means, by_means, by_cum, by_hazard):
    """The mean is sum w d / sum w: by d it is w, by log w it is w (d - mean)."""
    cell, log_step = whole(own, Field.ratio_cell), numbers(own, Field.ratio_log_step)
    ratio = whole(own, Field.ratio_row)
    nodes = log_step.size // ratio.size
    for i in range(ratio.size):
        total, most = 0.0, -np.inf
        for n in range(nodes):
            most = max(most, _log_weight(cell, cum, log_hazard, i, n, nodes) + log_step[i * nodes + n])
        for n in range(nodes):
            total += math.exp(_log_weight(cell, cum, log_hazard, i, n, nodes) + log_step[i * nodes + n] - most)
        for n in range(nodes):
            one, other = cell[2 * i * nodes + n], cell[(2 * i + 1) * nodes + n]
            both = _log_weight(cell, cum, log_hazard, i, n, nodes)
            weight = by_means[ratio[i]] * math.exp(both + log_step[i * nodes + n] - most) / total
            by_log_weight = weight * (log_hazard[one] - log_hazard[other] - means[ratio[i]])
            by_hazard[one] += weight
            by_hazard[other] -= weight
            for side in (one, other):
                share = by_log_weight * math.exp(log_hazard[side] - min(cum[side], LARGEST) - both)
                by_hazard[side] += share
                if cum[side] < LARGEST:
                    by_cum[side] -= share


@njit(**INNER)
def _plain_means(data, sides, means, by_sides):
    """Means from eta and log shape of both sides, and their derivatives (side, 4)."""
    log_followup = numbers(data, Structure.ratio_log_followup)
    for i in range(means.size):
        one, other = by_sides[2 * i], by_sides[2 * i + 1]
        for side in range(2):
            for column in range(2):
                by_sides[2 * i + side, column] = sides[2 * i + side, column]
        if log_followup.size:
            means[i] = event_weighted(log_followup[i], one, other)
        else:
            one[BY_ETA], other[BY_ETA] = 1.0, -1.0
            means[i] = one[ETA] - other[ETA]


@njit(**INNER)
def ratio_density(printed, means, whitener, log_diagonal, by_means):
    """Jointly normal within a study; `by_means` gets the derivatives."""
    value, rows = 0.0, means.size
    for i in range(rows):
        noise = 0.0
        for j in range(rows):
            noise += whitener[i * rows + j] * (printed[j] - means[j])
        value -= 0.5 * noise * noise + log_diagonal[i] + HALF_LOG_TWO_PI
        for j in range(rows):
            by_means[j] += noise * whitener[i * rows + j]
    return value


@cached_cfunc(SIGNATURE, fields, cell_fields, stages, contrasts, layers, **JIT)
def ratios(pointer: Any) -> Any:
    """Log density of all hazard ratios; derivatives by H and log h of cells, and by their sides."""
    frame = frame_at(pointer)
    data, own, cum = data_of(frame), own_of(frame), array_at(frame, Frame.cum, np.float64)
    logs, slopes = rows_at(frame, Frame.logs, 2), rows_at(frame, Frame.slopes, 2)
    by_cum, printed = array_at(frame, Frame.by_cum, np.float64), numbers(data, Structure.ratio_log)
    arm = matrix_at(frame, Frame.arm, SLOPES + 2 * whole(data, Structure.place)[COVARIATES])
    count = printed.size
    sides, by_sides = arm[arm.shape[0] - 2 * count :], np.zeros((2 * count, 4))
    means, by_means = np.empty(count), np.zeros(count)
    _plain_means(data, sides, means, by_sides)
    node_means(own, cum, logs[1], means)
    whitener, diagonal = numbers(data, Structure.ratio_whitener), numbers(data, Structure.ratio_log_diagonal)
    value = ratio_density(printed, means, whitener, diagonal, by_means)
    node_means_back(own, cum, logs[1], means, by_means, by_cum, slopes[1])
    at_nodes = whole(own, Field.ratio_row)
    for i in range(at_nodes.size):
        by_means[at_nodes[i]] = 0.0
    for i in range(2 * count):
        sides[i, BY_ETA] += by_means[i // 2] * by_sides[i, BY_ETA]
        sides[i, BY_LOG_K] += by_means[i // 2] * by_sides[i, BY_LOG_K]
    return value
