"""Stages of two-valued covariates that go together inside arms by one factor (`model.covariates.cell_shares`).

log share of a kind of patients = log sum_k w_k product over c of q_c(u_k) or 1 - q_c(u_k)
q_c(u) = Phi(s),  s = (Phi^-1(share_c) + a_c u) / sqrt(1 - a_c^2)

d log q / d share = phi(s) / Phi(s) / (phi(Phi^-1(share)) sqrt(1 - a^2)), and so of 1 - q with the other sign
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.inference.compiled import exponentials, fields, stages, totals
from bayes_bm.inference.compiled.cells import fields as cell_fields
from bayes_bm.inference.compiled.cells.fields import MIXES, Field
from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.fields import (
    BY_LOG_WEIGHT,
    BY_MIX,
    COVARIATES,
    INNER,
    INNER_SUMS,
    JIT,
    LOG_WEIGHT,
    MIX_COLUMNS,
    PART_ROWS,
    VALUE,
    numbers,
    whole,
)
from bayes_bm.inference.compiled.fields import Field as Structure
from bayes_bm.inference.compiled.formulas import tails
from bayes_bm.inference.compiled.formulas.tails import log_tail
from bayes_bm.inference.compiled.stages import SIGNATURE, Frame, array_at, data_of, frame_at, own_of, rows_at
from bayes_bm.inference.compiled.totals import dot
from bayes_bm.model.covariates.cell_shares import LEAST_SHARE
from bayes_bm.runtime.compiling import cached_cfunc

ABSENT, PRESENT, BY_ABSENT, BY_PRESENT = range(4)
"""Of a covariate at a node: log(1 - q) and log q, and their derivatives by the arm's share."""
ROUGH = (2.515517, 0.802853, 0.010328), (1.432788, 0.189269, 0.001308)
"""Of a normal quantile to 4.5e-4 (Abramowitz and Stegun 26.2.23): numerator, denominator."""
STEPS = 3
"""Of Halley, from 4.5e-4 on: each cubes the error."""


@njit(**INNER)
def normal_score(share: Any) -> Any:
    """Phi^-1(share)."""
    rare = min(share, 1 - share)
    t = math.sqrt(-2 * math.log(rare))
    over, under = ROUGH
    z = (over[0] + t * (over[1] + t * over[2])) / (1 + t * (under[0] + t * (under[1] + t * under[2]))) - t
    for _ in range(STEPS):
        error = (math.exp(log_tail(-z)) - rare) * math.exp(z * z / 2 + HALF_LOG_TWO_PI)
        z -= error / (1 + error * z / 2)
    return z if share <= 0.5 else -z


@njit(**INNER)
def _logs_at_nodes(data, values, table):
    """Of an arm's shares (covariate,), at each node (4, covariate, node)."""
    loading, node = numbers(data, Structure.mix_loading), numbers(data, Structure.factor_node)
    for c in range(loading.size):
        share, rest = min(max(values[c], LEAST_SHARE), 1 - LEAST_SHARE), math.sqrt(1 - loading[c] ** 2)
        score = normal_score(share)
        steep = math.exp(score * score / 2 + HALF_LOG_TWO_PI) / rest if share == values[c] else 0.0
        for k in range(node.size):
            s = (score + loading[c] * node[k]) / rest
            density = -s * s / 2 - HALF_LOG_TWO_PI
            table[PRESENT, c, k], table[ABSENT, c, k] = log_tail(-s), log_tail(s)
            table[BY_PRESENT, c, k] = math.exp(density - table[PRESENT, c, k]) * steep
            table[BY_ABSENT, c, k] = -math.exp(density - table[ABSENT, c, k]) * steep


@njit(**INNER_SUMS)
def _share_at_nodes(data, kind, table, each):
    """The log share of one kind of patients (covariate,); `each` gets what a node has of it (node,)."""
    weight, top, total = numbers(data, Structure.factor_log_weight), -np.inf, 0.0
    for k in range(each.size):
        each[k] = weight[k]
    for c in range(kind.size):
        logs = table[PRESENT if kind[c] > 0 else ABSENT, c]
        for k in range(each.size):
            each[k] += logs[k]
    for k in range(each.size):
        top = max(top, each[k])
    for k in range(each.size):
        each[k] = exponential(each[k] - top)
        total += each[k]
    for k in range(each.size):
        each[k] /= total
    return top + math.log(total)


@njit(**INNER)
def _add(data, mix, parts, begin):
    """Log shares of the parts of every arm, which stand from `begin` on."""
    covariates, kinds, nodes = mix.shape[1], numbers(data, Structure.part_x), numbers(data, Structure.factor_node).size
    count = kinds.size // covariates
    table, each = np.empty((4, covariates, nodes)), np.empty(nodes)
    for r in range(mix.shape[0]):
        _logs_at_nodes(data, mix[r, :, VALUE], table)
        for m in range(count):
            kind = kinds[m::count]
            parts[LOG_WEIGHT, begin + r * count + m] += _share_at_nodes(data, kind, table, each)


@njit(**INNER)
def _add_back(data, mix, parts, begin):
    """From derivatives by the log weights of parts to those by the arms' own logits."""
    covariates, kinds, nodes = mix.shape[1], numbers(data, Structure.part_x), numbers(data, Structure.factor_node).size
    count = kinds.size // covariates
    table, each, by_share = np.empty((4, covariates, nodes)), np.empty(nodes), np.empty(covariates)
    for r in range(mix.shape[0]):
        _logs_at_nodes(data, mix[r, :, VALUE], table)
        by_share[:] = 0.0
        for m in range(count):
            kind = kinds[m::count]
            _share_at_nodes(data, kind, table, each)
            by_log_weight = parts[BY_LOG_WEIGHT, begin + r * count + m]
            for c in range(covariates):
                by_share[c] += by_log_weight * dot(each, table[BY_PRESENT if kind[c] > 0 else BY_ABSENT, c])
        for c in range(covariates):
            if whole(data, Structure.mix_unknown_at)[r * covariates + c] >= 0:
                mix[r, c, BY_MIX] += by_share[c] * mix[r, c, VALUE] * (1 - mix[r, c, VALUE])


@njit(**INNER)
def _mix_at(frame, data):
    """Of each arm and covariate (arm, covariate, MIX_COLUMNS)."""
    covariates, flat = whole(data, Structure.place)[COVARIATES], array_at(frame, Frame.mix, np.float64)
    return flat.reshape((flat.size // (covariates * MIX_COLUMNS), covariates, MIX_COLUMNS))


_READS = (fields, cell_fields, stages, exponentials, tails, totals)


@cached_cfunc(SIGNATURE, *_READS, **JIT)
def together(pointer: Any) -> Any:
    """Weights of the parts of arms."""
    frame = frame_at(pointer)
    data, own, parts = data_of(frame), own_of(frame), rows_at(frame, Frame.parts, PART_ROWS)
    _add(data, _mix_at(frame, data), parts, whole(own, Field.part_first)[MIXES])
    return 0.0


@cached_cfunc(SIGNATURE, *_READS, **JIT)
def together_back(pointer: Any) -> Any:
    """From derivatives by the weights to the population of arms."""
    frame = frame_at(pointer)
    data, own, parts = data_of(frame), own_of(frame), rows_at(frame, Frame.parts, PART_ROWS)
    _add_back(data, _mix_at(frame, data), parts, whole(own, Field.part_first)[MIXES])
    return 0.0
