"""Cells whose patients are a mixture of parts, under any family: S = sum w S_m, f = sum w f_m.

Part m has weight w_m and adds o_m to eta. A place is where the formula is asked: a part of a cell or, where hazards are
proportional, the cell, whose parts then have log H + o_m and log h + o_m. With alive_m = w_m S_m / S and dying_m the
same of f:

    d log H / d log H_m = alive_m H_m / H            d log h / d log H_m = (alive_m - dying_m) H_m
    d log H / d log w_m = w_m (S - S_m) / (S H)      d log h / d log h_m = dying_m
                                                     d log h / d log w_m = dying_m - alive_m

Weights sum to one, so that of the derivatives by them what is common to all parts is nothing.
"""

import math

import numpy as np
from numba import njit

from bayes_bm.inference.compiled import exponentials, fields
from bayes_bm.inference.compiled.cells.fields import Field
from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.fields import (
    BY_LOG_WEIGHT,
    BY_OFFSET,
    FACTOR,
    INNER,
    INNER_SUMS,
    JIT,
    LOG_WEIGHT,
    OFFSET,
    SLOPES,
    WEIGHT,
    numbers,
    whole,
)
from bayes_bm.runtime.compiling import cached_njit

TINY_LOG_HAZARD = -30.0
"""log H of every part below which H is their mean: nobody has died."""
SMALL_HAZARD = 0.02
"""H up to which 1 - exp(-H) is a series: no difference from 1 is taken."""
HALF, THIRD, FOURTH, FIFTH, SIXTH = (1 / n for n in range(2, 7))
LARGEST_LOG = 700.0
"""Log of a part's H beyond which nobody is alive, whatever it is."""
LARGEST_OFFSET = 300.0
"""Of an offset and of log H, up to which their exponentials multiply without running over."""
STEPS, NEAR = 100, 1e-9
"""Newton's steps at most, and the size of log H of the last, which leaves its square."""
SHARE, TILT, DYING, CUM_WEIGHT, HAZARD_WEIGHT = range(5)
"""What is kept of each part of a cell: the five derivatives above, in order of log H_m, log h_m and log w_m."""
KEPT = 5


@njit(**INNER)
def linear_parts(own, arm, parts):
    """Parts that stand at integration points: what these add to eta."""
    of_arm, x = whole(own, Field.linear_arm), numbers(own, Field.linear_x)
    covariates = (arm.shape[1] - SLOPES) // 2
    points = x.size // (of_arm.size * covariates) if of_arm.size else 0
    for a in range(of_arm.size):
        for m in range(points):
            parts[LOG_WEIGHT, a * points + m] = -math.log(points)
        for c in range(covariates):
            at_points, slope = x[(a * covariates + c) * points :], arm[of_arm[a], SLOPES + c]
            for m in range(points):
                parts[OFFSET, a * points + m] += slope * at_points[m]


@njit(**INNER)
def linear_parts_back(own, arm, parts):
    """From derivatives by offsets to those by the slopes of covariates."""
    of_arm, x = whole(own, Field.linear_arm), numbers(own, Field.linear_x)
    covariates = (arm.shape[1] - SLOPES) // 2
    points = x.size // (of_arm.size * covariates) if of_arm.size else 0
    for a in range(of_arm.size):
        for c in range(covariates):
            at_points, total = x[(a * covariates + c) * points :], 0.0
            for m in range(points):
                total += parts[BY_OFFSET, a * points + m] * at_points[m]
            arm[of_arm[a], SLOPES + covariates + c] += total


@njit(**INNER)
def weights_and_factors(parts):
    """Exponentials of the log weights and of the offsets."""
    for m in range(parts.shape[1]):
        parts[WEIGHT, m], parts[FACTOR, m] = exponential(parts[LOG_WEIGHT, m]), exponential(parts[OFFSET, m])


@njit(**INNER_SUMS)
def _dead(cum, weight, gone):
    """1 - exp(-H) of each part, into `gone`; their mean."""
    total = 0.0
    for m in range(cum.size):
        h = cum[m]
        series = h * (1 - HALF * h * (1 - THIRD * h * (1 - FOURTH * h * (1 - FIFTH * h * (1 - SIXTH * h)))))
        gone[m] = series if h < SMALL_HAZARD else 1 - exponential(-h)
        total += weight[m] * gone[m]
    return total


@njit(**INNER_SUMS)
def _exponentials(logs, top, each):
    """exp(logs - top) into `each`; their sum."""
    total = 0.0
    for m in range(logs.size):
        each[m] = exponential(logs[m] - top)
        total += each[m]
    return total


@njit(**INNER)
def _largest(values):
    most = -np.inf
    for m in range(values.size):
        most = max(most, values[m])
    return most


@njit(**INNER)
def _least(values):
    least = np.inf
    for m in range(values.size):
        least = min(least, values[m])
    return least


@njit(**INNER)
def mixed(own, parts, first, factored, at_places, logs, kept):
    """log H and log h of cells (2, cell) from those of places (2, place); `kept` (5, part of a cell)."""
    of_mixture, begins, rows = (
        whole(own, Field.cell_mixture),
        whole(own, Field.cell_first),
        whole(own, Field.mixture_first),
    )
    widest = 0
    for r in range(rows.size - 1):
        widest = max(widest, rows[r + 1] - rows[r])
    log_cum, log_hazard, cum, scratch = np.empty(widest), np.empty(widest), np.empty(widest), np.empty(widest)
    for i in range(logs.shape[1]):
        row, begin = of_mixture[first + i], begins[first + i] - begins[first]
        place = i if factored else begin
        if row < 0:
            logs[0, i], logs[1, i] = at_places[0, place], at_places[1, place]
            continue
        m0, count = rows[row], rows[row + 1] - rows[row]
        if factored:
            offset = parts[OFFSET, m0 : m0 + count]
            most = _largest(offset)
            if -_least(offset) < LARGEST_OFFSET and max(most, at_places[0, i]) < LARGEST_OFFSET:
                logs[0, i], logs[1, i] = multiplied_mixture(
                    at_places[0, i],
                    at_places[1, i],
                    most,
                    parts[FACTOR, m0 : m0 + count],
                    parts[WEIGHT, m0 : m0 + count],
                    cum[:count],
                    kept,
                    begin,
                )
                continue
            for m in range(count):
                log_cum[m], log_hazard[m] = at_places[0, i] + offset[m], at_places[1, i] + offset[m]
        else:
            for m in range(count):
                log_cum[m], log_hazard[m] = at_places[0, begin + m], at_places[1, begin + m]
        logs[0, i], logs[1, i] = mixture_of(
            log_cum[:count],
            log_hazard[:count],
            parts[LOG_WEIGHT, m0 : m0 + count],
            parts[WEIGHT, m0 : m0 + count],
            cum[:count],
            scratch[:count],
            kept,
            begin,
        )


@njit(**JIT)
def multiplied_mixture(log_cum, log_hazard, most, factor, weight, cum, kept, begin):
    """`mixture_of` of parts with H and h times their factors, log `most` at most: one exponential a part, not three."""
    count = factor.size
    share, by_weight = kept[SHARE, begin : begin + count], kept[CUM_WEIGHT, begin : begin + count]
    alive, dying = kept[TILT, begin : begin + count], kept[DYING, begin : begin + count]
    by_hazard_weight = kept[HAZARD_WEIGHT, begin : begin + count]
    _multiples(exponential(log_cum), factor, cum)
    if log_cum + most < TINY_LOG_HAZARD:
        total = _multiples_of(weight, factor, dying)
        for m in range(count):
            alive[m], dying[m] = weight[m], dying[m] / total
            share[m], by_weight[m] = dying[m], dying[m] - weight[m]
        log_total = log_cum + math.log(total)
    else:
        dead = _dead(cum, weight, alive)
        if dead < 0.5:
            log_alive = math.log1p(-dead)
            per_alive, per_log = 1 / (1 - dead), 1 / ((1 - dead) * -log_alive)
            for m in range(count):
                by_weight[m] = weight[m] * (alive[m] - dead) * per_log
                alive[m] = weight[m] * (1 - alive[m]) * per_alive
        else:
            least = _least(cum)
            all_alive = _survivors_above(cum, least, weight, alive)
            log_alive = math.log(all_alive) - least
            for m in range(count):
                alive[m] /= all_alive
                by_weight[m] = (weight[m] - alive[m]) / -log_alive
        total = _multiples_of(alive, factor, dying)
        for m in range(count):
            share[m], dying[m] = alive[m] * cum[m] / -log_alive, dying[m] / total
        log_total = math.log(-log_alive)
    for m in range(count):
        by_hazard_weight[m] = dying[m] - alive[m]
        # from here on what stood as alive is the tilt
        alive[m] = -by_hazard_weight[m] * cum[m]
    return log_total, log_hazard + math.log(total)


@njit(**INNER)
def _multiples(number, factor, found):
    for m in range(factor.size):
        found[m] = number * factor[m]


@njit(**INNER_SUMS)
def _multiples_of(one, other, found):
    """Products into `found`; their sum."""
    total = 0.0
    for m in range(one.size):
        found[m] = one[m] * other[m]
        total += found[m]
    return total


@njit(**INNER_SUMS)
def _survivors_above(cum, least, weight, alive):
    """w exp(least - H) of each part, into `alive`; their sum."""
    total = 0.0
    for m in range(cum.size):
        alive[m] = weight[m] * exponential(least - cum[m])
        total += alive[m]
    return total


@njit(**JIT)
def mixture_of(log_cum, log_hazard, log_weight, weight, cum, scratch, kept, begin):
    """log H and log h of a mixture; its derivatives into `kept` from `begin` on."""
    count, most = log_cum.size, _largest(log_cum)
    share, by_weight = kept[SHARE, begin : begin + count], kept[CUM_WEIGHT, begin : begin + count]
    alive, dying = kept[TILT, begin : begin + count], kept[DYING, begin : begin + count]
    by_hazard_weight = kept[HAZARD_WEIGHT, begin : begin + count]
    if most < TINY_LOG_HAZARD:
        for m in range(count):
            scratch[m] = log_weight[m] + log_cum[m]
            alive[m], cum[m] = weight[m], exponential(log_cum[m])
        top = _largest(scratch)
        total = _exponentials(scratch, top, share)
        log_total = top + math.log(total)
        for m in range(count):
            share[m] /= total
            by_weight[m] = share[m] - weight[m]
            scratch[m] = log_weight[m] + log_hazard[m]
        log_alive = 0.0
    else:
        for m in range(count):
            cum[m] = exponential(min(log_cum[m], LARGEST_LOG))
        dead = _dead(cum, weight, scratch)
        if dead < 0.5:
            log_alive = math.log1p(-dead)
            for m in range(count):
                alive[m] = weight[m] * (1 - scratch[m]) / (1 - dead)
                by_weight[m] = weight[m] * (scratch[m] - dead) / (1 - dead) / -log_alive
        else:
            for m in range(count):
                scratch[m] = log_weight[m] - cum[m]
            top = _largest(scratch)
            total = _exponentials(scratch, top, alive)
            log_alive = top + math.log(total)
            for m in range(count):
                alive[m] /= total
                by_weight[m] = (weight[m] - alive[m]) / -log_alive
        for m in range(count):
            share[m] = alive[m] * cum[m] / -log_alive
            scratch[m] = log_weight[m] + log_hazard[m] - cum[m]
        log_total = math.log(-log_alive)
    top = _largest(scratch)
    total = _exponentials(scratch, top, dying)
    for m in range(count):
        dying[m] /= total
        by_hazard_weight[m] = dying[m] - alive[m]
        # from here on what stood as alive is the tilt
        alive[m] = -by_hazard_weight[m] * cum[m]
    return log_total, top + math.log(total) - log_alive


@njit(**INNER)
def unmixed_targets(own, parts, first, target):
    """Change log H that mixtures are to have, of the cells from `first` on, to that of a part without an offset."""
    of_mixture, rows = whole(own, Field.cell_mixture), whole(own, Field.mixture_first)
    for i in range(target.size):
        row = of_mixture[first + i]
        if row >= 0:
            m0, m1 = rows[row], rows[row + 1]
            target[i] = _unmixed(target[i], parts[FACTOR, m0:m1], parts[WEIGHT, m0:m1])


@njit(**INNER)
def _unmixed(target, factor, weight):
    """log H at offset 0 where -log sum w exp(-H factor) is exp(target): Newton inside a bracket.

    H is at least that of the mean factor, by Jensen's inequality, and at most that of the least.
    """
    least, mean = np.inf, 0.0
    for m in range(factor.size):
        least = min(least, factor[m])
        mean += weight[m] * factor[m]
    low, high = target - math.log(mean), target - math.log(least)
    log_cum = low
    for _ in range(STEPS):
        h = math.exp(log_cum)
        alive, dying = _survivors(h, factor, least, weight)
        cum = h * least - math.log(alive)
        shortfall = target - math.log(cum)
        if shortfall > 0:
            low = log_cum
        else:
            high = log_cum
        step = shortfall * cum / (h * dying / alive)
        if abs(step) <= NEAR or high - low <= NEAR:
            return log_cum + (step if abs(step) <= NEAR else 0.0)
        newton = log_cum + step
        log_cum = newton if low < newton < high else (low + high) / 2
    return np.nan


@njit(**INNER_SUMS)
def _survivors(h, factor, least, weight):
    """Sums of w exp(-h (f - least)), and of f times that."""
    alive, dying = 0.0, 0.0
    for m in range(factor.size):
        each = weight[m] * exponential(h * (least - factor[m]))
        alive += each
        dying += factor[m] * each
    return alive, dying


@njit(**INNER)
def mixed_back(own, parts, first, factored, slopes, kept, by_places):
    """From derivatives by log H and log h of cells (2, cell) to those of places (2, place), and to parts."""
    of_mixture, begins, rows = (
        whole(own, Field.cell_mixture),
        whole(own, Field.cell_first),
        whole(own, Field.mixture_first),
    )
    for i in range(slopes.shape[1]):
        row, begin = of_mixture[first + i], begins[first + i] - begins[first]
        place, by_cum, by_hazard = (i if factored else begin), slopes[0, i], slopes[1, i]
        if row < 0:
            by_places[0, place], by_places[1, place] = by_cum, by_hazard
            continue
        m0, count = rows[row], rows[row + 1] - rows[row]
        if factored:
            by_places[0, i] = by_places[1, i] = 0.0
        for m in range(count):
            e = begin + m
            one, other = by_cum * kept[SHARE, e] + by_hazard * kept[TILT, e], by_hazard * kept[DYING, e]
            parts[BY_LOG_WEIGHT, m0 + m] += by_cum * kept[CUM_WEIGHT, e] + by_hazard * kept[HAZARD_WEIGHT, e]
            if factored:
                by_places[0, i] += one
                by_places[1, i] += other
                parts[BY_OFFSET, m0 + m] += one + other
            else:
                by_places[0, e], by_places[1, e] = one, other


@cached_njit(exponentials, fields, **JIT)
def mixed_rows(rows, wide, logs):
    """Change log H and log h of patients whose parts add nothing (2, item) to those of the mixtures of their rows.

    `wide` (row, 2 part): what each part adds to both, then its log weight. For a caller in Python.
    """
    parts = wide.shape[1] // 2
    log_cum, log_hazard, cum, scratch, weight = (
        np.empty(parts),
        np.empty(parts),
        np.empty(parts),
        np.empty(parts),
        np.empty(parts),
    )
    kept = np.empty((KEPT, parts))
    for i in range(rows.size):
        of_row = wide[rows[i]]
        for m in range(parts):
            log_cum[m], log_hazard[m] = logs[0, i] + of_row[m], logs[1, i] + of_row[m]
            weight[m] = exponential(of_row[parts + m])
        logs[0, i], logs[1, i] = mixture_of(log_cum, log_hazard, of_row[parts:], weight, cum, scratch, kept, 0)
