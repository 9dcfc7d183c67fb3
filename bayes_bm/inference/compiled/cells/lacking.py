"""Patients who lack covariates: the parts of each at the nodes of what is lacked (`model.covariates.missing.nodes`).

    value of a covariate k at a node = what is known, or what the law of k says there, given those before it
    log weight = sum over k of the log law of what is given less known, normalised

The log of its total is what the known covariates say of the laws' coefficients phi = mean + factor . standard.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.inference.compiled import fields, stages
from bayes_bm.inference.compiled.cells import fields as cell_fields
from bayes_bm.inference.compiled.cells.fields import LACKING, Field
from bayes_bm.inference.compiled.fields import (
    APART,
    BY_LOG_WEIGHT,
    BY_OFFSET,
    COVARIATES,
    JIT,
    LOG_WEIGHT,
    OFFSET,
    PART_ROWS,
    SLOPES,
    numbers,
    whole,
)
from bayes_bm.inference.compiled.fields import Field as Structure
from bayes_bm.inference.compiled.formulas import tails
from bayes_bm.inference.compiled.formulas.tails import softplus
from bayes_bm.inference.compiled.stages import SIGNATURE, Frame, array_at, data_of, frame_at, matrix_at, own_of, rows_at
from bayes_bm.runtime.compiling import cached_cfunc

VALUE, LINEAR, LOG_SD = range(3)
"""Columns of a node's laws."""


@njit(**APART)
def _coefficients(own, theta):
    """phi of all laws."""
    mean, factor, coordinate = numbers(own, Field.law_mean), numbers(own, Field.law_factor), whole(own, Field.law_at)
    phi = np.empty(mean.size)
    for i in range(mean.size):
        phi[i] = mean[i]
        for j in range(i + 1):
            phi[i] += factor[i * mean.size + j] * theta[coordinate[0] + j]
    return phi


@njit(**APART)
def _standard(own, column, value):
    return (value - numbers(own, Field.law_middle)[column]) / numbers(own, Field.law_spread)[column]


@njit(**APART)
def _node(own, phi, patient, node, values, laws):
    """What is lacked at a node: `values` (covariate,), `laws` (law, VALUE...); offset is not summed; the log weight."""
    columns, two, coordinate = whole(own, Field.law_column), whole(own, Field.law_two), whole(own, Field.law_first)
    earlier, counts = whole(own, Field.law_earlier), whole(own, Field.law_counts)
    levels = whole(own, Field.law_levels)[0]
    nodes, log_nodes = numbers(own, Field.law_node), numbers(own, Field.law_log_node)
    blank, x = numbers(own, Field.lacking_blank), numbers(own, Field.lacking_x)
    bounds, covariates, count = numbers(own, Field.law_bounds), values.size, nodes.size // columns.size
    for c in range(covariates):
        values[c] = x[patient * covariates + c]
    log_weight = 0.0
    for k in range(columns.size):
        c, place, lacked_before = columns[k], coordinate[k] + levels, False
        linear = phi[coordinate[k] + whole(own, Field.lacking_level)[patient]]
        for j in range(counts[k]):
            e = earlier[k * covariates + j]
            linear += phi[place] * _standard(own, e, values[e])
            place += 1
            lacked_before |= blank[patient * covariates + e] > 0
        lacked, z = blank[patient * covariates + c] > 0, nodes[k * count + node]
        laws[k, LINEAR] = linear
        if two[k]:
            low, high = bounds[2 * k], bounds[2 * k + 1]
            has = z if lacked else (values[c] - low) / (high - low)
            log_weight += 0.0 if lacked else -math.log(2.0)
            if lacked or lacked_before:
                log_weight += has * linear - softplus(linear)
            values[c] = low + (high - low) * has if lacked else values[c]
            laws[k, VALUE] = has
        else:
            sd = math.exp(phi[place])
            log_weight += log_nodes[k * count + node]
            laws[k, LOG_SD] = phi[place]
            if lacked:
                standard = linear + sd * z
                values[c] = numbers(own, Field.law_middle)[c] + numbers(own, Field.law_spread)[c] * standard
                laws[k, VALUE] = z
            else:
                away = (_standard(own, c, values[c]) - linear) / sd
                laws[k, VALUE] = away
                if lacked_before:
                    log_weight += -0.5 * away * away - phi[place] - HALF_LOG_TWO_PI
    return log_weight


@njit(**APART)
def _node_back(own, phi, patient, slopes, by_offset, by_log_weight, values, laws, by_values, by_slopes, by_phi):
    """The way back of `_node` and of the offset; `slopes` (covariate,) of the patient's arm."""
    columns, two, coordinate = whole(own, Field.law_column), whole(own, Field.law_two), whole(own, Field.law_first)
    earlier, counts = whole(own, Field.law_earlier), whole(own, Field.law_counts)
    levels = whole(own, Field.law_levels)[0]
    blank, spread, covariates = numbers(own, Field.lacking_blank), numbers(own, Field.law_spread), values.size
    for c in range(covariates):
        by_values[c] = 0.0
    for k in range(columns.size - 1, -1, -1):
        c, lacked_before = columns[k], False
        lacked = blank[patient * covariates + c] > 0
        for j in range(counts[k]):
            lacked_before |= blank[patient * covariates + earlier[k * covariates + j]] > 0
        by_linear, sd_at = 0.0, coordinate[k] + levels + counts[k]
        if lacked:
            by_slopes[c] += by_offset * values[c]
            by_values[c] += by_offset * slopes[c]
        if two[k]:
            if lacked or lacked_before:
                by_linear = by_log_weight * (laws[k, VALUE] - 1 / (1 + math.exp(-laws[k, LINEAR])))
        elif lacked:
            by_linear = by_values[c] * spread[c]
            by_phi[sd_at] += by_linear * laws[k, VALUE] * math.exp(laws[k, LOG_SD])
        elif lacked_before:
            away = laws[k, VALUE]
            by_linear = by_log_weight * away / math.exp(laws[k, LOG_SD])
            by_phi[sd_at] += by_log_weight * (away * away - 1)
        by_phi[coordinate[k] + whole(own, Field.lacking_level)[patient]] += by_linear
        for j in range(counts[k]):
            e, place = earlier[k * covariates + j], coordinate[k] + levels + j
            by_phi[place] += by_linear * _standard(own, e, values[e])
            by_values[e] += by_linear * phi[place] / spread[e]


@njit(**APART)
def _add_lacking(data, own, theta, arm, parts, first):
    """Parts of the patients from `first` on; what their known covariates say."""
    of_arm, weight = whole(own, Field.lacking_arm), numbers(own, Field.lacking_weight)
    columns, covariates = whole(own, Field.law_column), whole(data, Structure.place)[COVARIATES]
    count, phi, blank = (
        numbers(own, Field.law_node).size // columns.size,
        _coefficients(own, theta),
        numbers(own, Field.lacking_blank),
    )
    values, laws, value = np.empty(covariates), np.empty((columns.size, 3)), 0.0
    for i in range(of_arm.size):
        begin, top = first + i * count, -np.inf
        for m in range(count):
            parts[LOG_WEIGHT, begin + m] = _node(own, phi, i, m, values, laws)
            top = max(top, parts[LOG_WEIGHT, begin + m])
            for c in range(covariates):
                if blank[i * covariates + c] > 0:
                    parts[OFFSET, begin + m] += arm[of_arm[i], SLOPES + c] * values[c]
        total = 0.0
        for m in range(count):
            total += math.exp(parts[LOG_WEIGHT, begin + m] - top)
        log_total = top + math.log(total)
        for m in range(count):
            parts[LOG_WEIGHT, begin + m] -= log_total
        value += weight[i] * log_total
    return value


@njit(**APART)
def _add_lacking_back(data, own, theta, arm, parts, first, score):
    of_arm, weight = whole(own, Field.lacking_arm), numbers(own, Field.lacking_weight)
    columns, covariates = whole(own, Field.law_column), whole(data, Structure.place)[COVARIATES]
    count, phi = numbers(own, Field.law_node).size // columns.size, _coefficients(own, theta)
    values, by_values, laws = np.empty(covariates), np.empty(covariates), np.empty((columns.size, 3))
    by_phi = np.zeros(phi.size)
    for i in range(of_arm.size):
        begin, common = first + i * count, 0.0
        slopes = arm[of_arm[i], SLOPES : SLOPES + covariates]
        by_slopes = arm[of_arm[i], SLOPES + covariates :]
        for m in range(count):
            common += parts[BY_LOG_WEIGHT, begin + m]
        for m in range(count):
            _node(own, phi, i, m, values, laws)
            share = math.exp(parts[LOG_WEIGHT, begin + m])
            by_log_weight = parts[BY_LOG_WEIGHT, begin + m] + share * (weight[i] - common)
            by_offset = parts[BY_OFFSET, begin + m]
            _node_back(own, phi, i, slopes, by_offset, by_log_weight, values, laws, by_values, by_slopes, by_phi)
    factor, coordinate = numbers(own, Field.law_factor), whole(own, Field.law_at)[0]
    for i in range(phi.size):
        for j in range(i + 1):
            score[coordinate + j] += factor[i * phi.size + j] * by_phi[i]


_READS = (fields, cell_fields, stages, tails)


@cached_cfunc(SIGNATURE, *_READS, **JIT)
def lacking(pointer: Any) -> Any:
    """Parts of patients who lack covariates; the log density of what is known of them."""
    frame = frame_at(pointer)
    data, own, theta = data_of(frame), own_of(frame), array_at(frame, Frame.theta, np.float64)
    arm = matrix_at(frame, Frame.arm, SLOPES + 2 * whole(data, Structure.place)[COVARIATES])
    parts = rows_at(frame, Frame.parts, PART_ROWS)
    return _add_lacking(data, own, theta, arm, parts, whole(own, Field.part_first)[LACKING])


@cached_cfunc(SIGNATURE, *_READS, **JIT)
def lacking_back(pointer: Any) -> Any:
    """From derivatives by the parts to slopes and to the laws."""
    frame = frame_at(pointer)
    data, own, theta = data_of(frame), own_of(frame), array_at(frame, Frame.theta, np.float64)
    arm = matrix_at(frame, Frame.arm, SLOPES + 2 * whole(data, Structure.place)[COVARIATES])
    parts = rows_at(frame, Frame.parts, PART_ROWS)
    score = array_at(frame, Frame.score, np.float64)
    _add_lacking_back(data, own, theta, arm, parts, whole(own, Field.part_first)[LACKING], score)
    return 0.0
