"""Flexible baselines: walks of log coefficients, and the logarithms of their sums at each baseline and time.

log c[b] = sum of the walks of b                total[s] = log sum_k c_k I_k(s) - log sum_k c_k I_k(t0)
"""

import math

import numpy as np
from numba import njit

from bayes_bm.hazards.families.spline_basis import LEAST_TOTAL
from bayes_bm.inference.compiled.cells.fields import POWERS, Field
from bayes_bm.inference.compiled.fields import JIT, SUMS, numbers, whole


@njit(**JIT)
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


@njit(**JIT)
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


@njit(**SUMS)
def sums(of_baseline, baseline, values, found):
    """The sums of integrals and of functions at spots (2, spot); `values` (spot x 2 function)."""
    functions = of_baseline.shape[1] - 1
    for s in range(baseline.size):
        c, at_spot = of_baseline[baseline[s]], values[2 * functions * s :]
        total, hazard = 0.0, 0.0
        for k in range(functions):
            total += c[k] * at_spot[k]
            hazard += c[k] * at_spot[functions + k]
        found[0, s], found[1, s] = total + LEAST_TOTAL, hazard + LEAST_TOTAL


@njit(**SUMS)
def sums_back(baseline, values, found, by_log, by_sum, by_reference):
    """`by_log` (2, spot) is the derivative by the logarithms that cells read."""
    functions = by_sum.shape[1]
    for s in range(baseline.size):
        b, at_spot = baseline[s], values[2 * functions * s :]
        by_total, by_hazard = by_log[0, s] / found[0, s], by_log[1, s] / found[1, s]
        by_reference[b] -= by_log[0, s] + by_log[1, s]
        for k in range(functions):
            by_sum[b, k] += by_total * at_spot[k] + by_hazard * at_spot[functions + k]


@njit(**JIT)
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


@njit(**JIT)
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
