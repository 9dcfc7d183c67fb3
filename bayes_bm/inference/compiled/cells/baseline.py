"""Flexible baselines: walks of log coefficients, and the logarithms of their sums at each baseline and time.

log c[b] = sum of the walks of b                total[s] = log sum_k c_k I_k(s) - log sum_k c_k I_k(t0)
"""

import math

import numpy as np
from numba import njit

from bayes_bm.hazards.families.spline_basis import LEAST_TOTAL
from bayes_bm.inference.compiled.cells.fields import POWERS, Field
from bayes_bm.inference.compiled.fields import INNER, INNER_SUMS, numbers, whole
from bayes_bm.inference.compiled.totals import dot


@njit(**INNER)
def coefficients(theta, own):
    """Of each baseline (baseline, function); their sums at t0 stand behind."""
    root, of_walk, first = numbers(own, Field.step_root), whole(own, Field.baseline_walk), whole(own, Field.walk_first)
    reference, sd_at = numbers(own, Field.at_reference), whole(own, Field.walk_sd)
    functions, baselines = reference.size, of_walk.size // 3
    found = np.zeros((baselines, functions + 1))
    for b in range(baselines):
        for w in of_walk[3 * b : 3 * b + 3]:
            position, sd = 0.0, theta[sd_at[w]] if w >= 0 else 0.0
            for k in range(1, functions if w >= 0 else 0):
                position += sd * root[k - 1] * theta[first[w] + k - 1]
                found[b, k] += position
        for k in range(functions):
            found[b, k] = math.exp(found[b, k])
            found[b, functions] += found[b, k] * reference[k]
    return found


@njit(**INNER)
def coefficients_back(theta, own, of_baseline, by_sum, by_reference, score):
    """From d / d c_k by the spots (baseline, function), and by log of the sum at t0 (baseline,), to the walks."""
    root, of_walk, first = numbers(own, Field.step_root), whole(own, Field.baseline_walk), whole(own, Field.walk_first)
    reference, sd_at = numbers(own, Field.at_reference), whole(own, Field.walk_sd)
    functions = reference.size
    for b in range(of_baseline.shape[0]):
        share = by_reference[b] / of_baseline[b, functions]
        for w in of_walk[3 * b : 3 * b + 3]:
            onward = 0.0
            for k in range(functions - 1, 0 if w >= 0 else functions, -1):
                onward += of_baseline[b, k] * (by_sum[b, k] + share * reference[k])
                step = root[k - 1] * onward
                score[first[w] + k - 1] += theta[sd_at[w]] * step
                score[sd_at[w]] += theta[first[w] + k - 1] * step


@njit(**INNER)
def run_of(values, first, last):
    """The end of the equal values from `first` on, at most `last`."""
    end = first + 1
    while end < last and values[end] == values[first]:
        end += 1
    return end


@njit(**INNER_SUMS)
def sums(of_baseline, baseline, values, found):
    """The sums of integrals and of functions at spots (2, spot); `values` (2 function x spot).

    Spots of a baseline stand together, so that each function is added to all of them at once.
    """
    functions, spots, start = of_baseline.shape[1] - 1, baseline.size, np.int64(0)
    found[:] = LEAST_TOTAL
    while start < spots:
        end, c = run_of(baseline, start, spots), of_baseline[baseline[start]]
        for row in range(2):
            total = found[row][start:end]
            for k in range(functions):
                first, weight = (row * functions + k) * spots, c[k]
                at_spots = values[first + start : first + end]
                for i in range(total.size):
                    total[i] += weight * at_spots[i]
        start = end


@njit(**INNER_SUMS)
def sums_back(baseline, values, found, by_log, by_sum, by_reference):
    """`by_log` (2, spot), the derivative by the logarithms that cells read, becomes that by the sums."""
    functions, spots, start = by_sum.shape[1], baseline.size, np.int64(0)
    while start < spots:
        end, b = run_of(baseline, start, spots), baseline[start]
        for row in range(2):
            by_total, total = by_log[row][start:end], found[row][start:end]
            lost = 0.0
            for i in range(total.size):
                lost += by_total[i]
                by_total[i] /= total[i]
            by_reference[b] -= lost
            for k in range(functions):
                first = (row * functions + k) * spots
                by_sum[b, k] += dot(by_total, values[first + start : first + end])
        start = end


@njit(**INNER)
def placed(own, log_u, values):
    """Integrals and functions of the basis (2 function,) at a time that is worked out while sampling."""
    u, breaks, lengths = math.exp(log_u), numbers(own, Field.breaks), numbers(own, Field.lengths)
    pieces, size = numbers(own, Field.pieces), values.size
    piece = 0
    while piece + 1 < breaks.size and breaks[piece + 1] < u:
        piece += 1
    t = (u - breaks[piece]) / lengths[piece]
    for k in range(size):
        value = 0.0
        for power in range(POWERS):
            value = value * t + pieces[(piece * POWERS + power) * size + k]
        values[k] = value


@njit(**INNER)
def background_at(own, log_u):
    """log Hb and log hb at a time that is worked out while sampling."""
    steps = numbers(own, Field.background)
    size, u = steps.size // 3, math.exp(log_u)
    piece = 0
    while piece + 1 < size and steps[piece + 1] <= u:
        piece += 1
    cum = steps[2 * size + piece] + steps[size + piece] * (u - steps[piece])
    rate = steps[size + piece]
    return (math.log(cum) if cum > 0 else NEVER), (math.log(rate) if rate > 0 else NEVER)


NEVER = -1e4
"""As in `hazards.modifiers.background`."""
