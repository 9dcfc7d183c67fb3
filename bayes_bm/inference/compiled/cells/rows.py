"""Log densities of rows of evidence from log H and log h of cells (`model.likelihoods`), and their derivatives.

`cum` is H of each cell, `by_cum` and `by_hazard` collect derivatives by H and by log h. A cell of -1 is time zero.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.inference.compiled import fields, order_statistics, stages
from bayes_bm.inference.compiled.cells import fields as cell_fields
from bayes_bm.inference.compiled.cells.fields import CELLS, Field
from bayes_bm.inference.compiled.fields import INNER, INNER_SUMS, JIT, numbers, whole
from bayes_bm.inference.compiled.order_statistics import LOG_TWO, beta_tail_slope, log_beta_tail, log_dead
from bayes_bm.inference.compiled.stages import SIGNATURE, Frame, array_at, frame_at, own_of, rows_at
from bayes_bm.runtime.compiling import cached_cfunc


@njit(**INNER)
def _used(cum, end, start):
    return cum[end] - (cum[start] if start >= 0 else 0.0)


@njit(**INNER)
def _used_back(by_cum, end, start, slope):
    by_cum[end] += slope
    if start >= 0:
        by_cum[start] -= slope


@njit(**INNER_SUMS)
def _weighted(weight, values, slopes, sign):
    """Sum of weights times values, which may be infinite where the weight is 0; `slopes` get the derivatives."""
    value = 0.0
    for i in range(weight.size):
        value += weight[i] * (values[i] if weight[i] != 0 else 0.0)
        slopes[i] += sign * weight[i]
    return sign * value


@njit(**INNER)
def patients(own, cum, log_hazard, by_cum, by_hazard):
    """Weights of events times log h, less weights of the living times H; then events known to an interval."""
    value = _weighted(numbers(own, Field.cell_events), log_hazard, by_hazard, 1.0)
    value += _weighted(numbers(own, Field.cell_weight), cum, by_cum, -1.0)
    lower, upper = whole(own, Field.interval_lower), whole(own, Field.interval_upper)
    weight = numbers(own, Field.interval_weight)
    for i in range(lower.size):
        used = _used(cum, upper[i], lower[i])
        value += weight[i] * log_dead(used)
        _used_back(by_cum, upper[i], lower[i], weight[i] / math.expm1(used))
    return value


@njit(**INNER)
def binomials(own, cum, by_cum):
    """Points, counts and registry intervals: alive log S + dead log(1 - S) from start to end."""
    value, ends, starts = 0.0, whole(own, Field.binomial_end), whole(own, Field.binomial_start)
    alive, dead = numbers(own, Field.binomial_alive), numbers(own, Field.binomial_dead)
    constant = numbers(own, Field.binomial_constant)
    for i in range(ends.size):
        used = _used(cum, ends[i], starts[i])
        value += constant[i] - alive[i] * used
        slope = -alive[i]
        if dead[i] != 0:
            value += dead[i] * log_dead(used)
            slope += dead[i] / math.expm1(used)
        _used_back(by_cum, ends[i], starts[i], slope)
    return value


@njit(**INNER)
def order_medians(own, cum, log_hazard, by_cum, by_hazard):
    """Beta(F(m); alpha, alpha) f(m) of a median known with n only."""
    value, ends, entries = 0.0, whole(own, Field.order_end), whole(own, Field.order_entry)
    alpha, constant = numbers(own, Field.order_alpha), numbers(own, Field.order_constant)
    for i in range(ends.size):
        used = _used(cum, ends[i], entries[i])
        value += (alpha[i] - 1) * (log_dead(used) - used) + constant[i] + log_hazard[ends[i]] - used
        by_hazard[ends[i]] += 1
        _used_back(by_cum, ends[i], entries[i], (alpha[i] - 1) * (1 / math.expm1(used) - 1) - 1)
    return value


@njit(**INNER)
def unreached_medians(own, cum, by_cum):
    """log P(median > follow-up) = log I_S(alpha, alpha)."""
    value, ends, entries = 0.0, whole(own, Field.unreached_end), whole(own, Field.unreached_entry)
    alpha, log_beta = numbers(own, Field.unreached_alpha), numbers(own, Field.unreached_log_beta)
    for i in range(ends.size):
        used = _used(cum, ends[i], entries[i])
        log_tail = log_beta_tail(used, alpha[i], log_beta[i])
        value += log_tail
        _used_back(by_cum, ends[i], entries[i], beta_tail_slope(used, alpha[i], log_beta[i], log_tail))
    return value


@njit(**INNER)
def normal_medians(own, cum, logs, log_median, by_cum, slopes):
    """A median with its interval: normal on its log; its cells stand last, at the model's median of the arm.

    H(m) = log 2 + H(entry), so d log m = (d H(entry) / (log 2 + H(entry)) - d log H) / (d log H / d log m).
    """
    value, entries, printed = 0.0, whole(own, Field.normal_entry), numbers(own, Field.normal_log)
    shift, sd, fixed = numbers(own, Field.normal_shift), numbers(own, Field.normal_sd), whole(own, Field.count)[CELLS]
    for i in range(entries.size):
        median = math.exp(log_median[i])
        z = (printed[i] - math.log(median - shift[i])) / sd[i]
        value -= 0.5 * z * z + math.log(sd[i]) + HALF_LOG_TWO_PI
        steep = math.exp(log_median[i] + logs[1, fixed + i] - logs[0, fixed + i])
        by_target = z / sd[i] * median / (median - shift[i]) / steep
        slopes[0, fixed + i] -= by_target
        if entries[i] >= 0:
            by_cum[entries[i]] += by_target / (LOG_TWO + cum[entries[i]])
    return value


@cached_cfunc(SIGNATURE, fields, cell_fields, stages, order_statistics, **JIT)
def rows(pointer: Any) -> Any:
    """Log density of all rows but ratios; derivatives by H, and by log H and log h, of the cells."""
    frame = frame_at(pointer)
    own, cum = own_of(frame), array_at(frame, Frame.cum, np.float64)
    logs, slopes = rows_at(frame, Frame.logs, 2), rows_at(frame, Frame.slopes, 2)
    log_median, by_cum = array_at(frame, Frame.log_median, np.float64), array_at(frame, Frame.by_cum, np.float64)
    value = patients(own, cum, logs[1], by_cum, slopes[1]) + binomials(own, cum, by_cum)
    value += order_medians(own, cum, logs[1], by_cum, slopes[1]) + unreached_medians(own, cum, by_cum)
    return value + normal_medians(own, cum, logs, log_median, by_cum, slopes)
