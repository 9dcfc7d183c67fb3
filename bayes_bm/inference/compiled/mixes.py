"""The hazard of an arm whose patients differ, its derivatives, and what arms print of their mix (decision 23).

Cell m of an arm has weight w_m and adds o_m to log H of the others' H0, so with X_m = H0 exp(o_m)

    H = -log sum w exp(-X)                    alive_m = w_m exp(-X_m) / sum      d H / d o_m = alive_m X_m
    h = h0 sum w exp(o - X) / sum w exp(-X)   dying_m: the same of exp(o - X)    d H / d log w_m = -alive_m

A row reads H at its end and at its entry; `cells` (cell, column) keeps both until its derivative is known.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.inference.compiled.fields import JIT

OFFSET, LOG_WEIGHT, BY_OFFSET, BY_LOG_WEIGHT, HAZARD, ALIVE, ENTRY_HAZARD, ENTRY_ALIVE, DYING = range(9)
"""Columns of `cells`: what a cell adds and its log weight, derivatives by them, X and alive at a row's end and entry,
and the share of a cell among those who die at the end."""
COLUMNS = 9
LARGEST_LOG = 700.0
"""Log of a cell's H beyond which nobody is alive, whatever it is."""
SMALL_HAZARD = 1.0
"""Largest H of a cell up to which 1 - S is summed, which keeps its digits however small it is."""
NEVER = -5e3
"""Log of an entry time below which everyone came at time zero (`likelihoods.NO_ENTRY`)."""
HALVINGS = 200
"""Of the bracket in which a median is sought; Newton's steps need about five."""


@njit(**JIT)
def hazard_of(cells: Any, log_cum: Any, hazard: Any, alive: Any) -> Any:
    """H of an arm where log H0 is `log_cum`; X and alive of its cells go into these two columns."""
    top, largest = -np.inf, 0.0
    for m in range(cells.shape[0]):
        value = math.exp(min(log_cum + cells[m, OFFSET], LARGEST_LOG))
        cells[m, hazard] = value
        largest = max(largest, value)
        top = max(top, cells[m, LOG_WEIGHT] - value)
    total = 0.0
    for m in range(cells.shape[0]):
        cells[m, alive] = math.exp(cells[m, LOG_WEIGHT] - cells[m, hazard] - top)
        total += cells[m, alive]
    for m in range(cells.shape[0]):
        cells[m, alive] /= total
    if largest > SMALL_HAZARD:
        return -(top + math.log(total))
    dead = 0.0
    for m in range(cells.shape[0]):
        dead -= math.exp(cells[m, LOG_WEIGHT]) * math.expm1(-cells[m, hazard])
    return -math.log1p(-dead)


@njit(**JIT)
def steepness(cells: Any, hazard: Any, alive: Any) -> Any:
    """d H / d log H0 at the time of these columns."""
    total = 0.0
    for m in range(cells.shape[0]):
        total += cells[m, alive] * cells[m, hazard]
    return total


@njit(**JIT)
def used_in_mix(cells: Any, end: Any, start: Any, eta: Any, k: Any) -> Any:
    """H(end) - H(start) of an arm and its derivatives by eta and log k; `used_back` hands on those by cells."""
    used = hazard_of(cells, k * end + eta, HAZARD, ALIVE)
    by_eta = steepness(cells, HAZARD, ALIVE)
    by_log_k = k * end * by_eta
    if start > NEVER:
        used -= hazard_of(cells, k * start + eta, ENTRY_HAZARD, ENTRY_ALIVE)
        at_entry = steepness(cells, ENTRY_HAZARD, ENTRY_ALIVE)
        by_eta -= at_entry
        by_log_k -= k * start * at_entry
    else:
        for m in range(cells.shape[0]):
            cells[m, ENTRY_HAZARD] = 0.0
            # weights sum to one, so what is common to all of them is nothing
            cells[m, ENTRY_ALIVE] = 0.0
    return used, by_eta, by_log_k


@njit(**JIT)
def used_back(cells: Any, by_used: Any) -> None:
    """Derivatives by cells of what has this one by the last `used_in_mix`."""
    for m in range(cells.shape[0]):
        now, then = cells[m, ALIVE], cells[m, ENTRY_ALIVE]
        cells[m, BY_OFFSET] += by_used * (now * cells[m, HAZARD] - then * cells[m, ENTRY_HAZARD])
        cells[m, BY_LOG_WEIGHT] -= by_used * (now - then)


@njit(**JIT)
def log_tilt(cells: Any) -> Any:
    """log(h / h0) at the end of the last `used_in_mix`, and its derivative by log H0 there."""
    top = -np.inf
    for m in range(cells.shape[0]):
        top = max(top, cells[m, OFFSET])
    total, slope = 0.0, 0.0
    for m in range(cells.shape[0]):
        cells[m, DYING] = cells[m, ALIVE] * math.exp(cells[m, OFFSET] - top)
        total += cells[m, DYING]
    for m in range(cells.shape[0]):
        cells[m, DYING] /= total
        slope += (cells[m, ALIVE] - cells[m, DYING]) * cells[m, HAZARD]
    return top + math.log(total), slope


@njit(**JIT)
def tilt_back(cells: Any, by_tilt: Any) -> None:
    """Derivatives by cells of what has this one by the last `log_tilt`."""
    for m in range(cells.shape[0]):
        alive, dying, hazard = cells[m, ALIVE], cells[m, DYING], cells[m, HAZARD]
        cells[m, BY_OFFSET] += by_tilt * (dying * (1 - hazard) + alive * hazard)
        cells[m, BY_LOG_WEIGHT] += by_tilt * (dying - alive)


@njit(**JIT)
def median_in_mix(cells: Any, entry: Any, eta: Any, k: Any) -> Any:
    """log of the median of those alive at entry, and its derivatives by eta, log k and H (`median_back`).

    y = log H0 of the median solves H(y) = log 2 + H(entry), by Newton's steps inside a bracket.
    """
    wanted, by_entry = math.log(2.0), 0.0
    for m in range(cells.shape[0]):
        cells[m, ENTRY_HAZARD] = cells[m, ENTRY_ALIVE] = 0.0
    if entry > NEVER:
        wanted += hazard_of(cells, k * entry + eta, ENTRY_HAZARD, ENTRY_ALIVE)
        by_entry = steepness(cells, ENTRY_HAZARD, ENTRY_ALIVE)
    low, high = np.inf, -np.inf
    for m in range(cells.shape[0]):
        low, high = min(low, -cells[m, OFFSET]), max(high, -cells[m, OFFSET])
    # H lies between that of the worst cell and that of the best
    low, high = math.log(wanted) + low, math.log(wanted) + high
    y, slope = 0.5 * (low + high), 1.0
    for _ in range(HALVINGS):
        excess = hazard_of(cells, y, HAZARD, ALIVE) - wanted
        slope = steepness(cells, HAZARD, ALIVE)
        if excess > 0:
            high = y
        else:
            low = y
        step = y - excess / slope if slope > 0 else 0.5 * (low + high)
        if not low <= step <= high:
            step = 0.5 * (low + high)
        moved = abs(step - y)
        y = step
        if moved <= 1e-15 * max(1.0, abs(y)):
            break
    hazard_of(cells, y, HAZARD, ALIVE)
    slope = steepness(cells, HAZARD, ALIVE)
    log_median = (y - eta) / k
    by_eta = (by_entry / slope - 1) / k
    by_log_k = -log_median + (entry * by_entry / slope if entry > NEVER else 0.0)
    return log_median, by_eta, by_log_k, -1 / (k * slope)


# ---------------------------------------------------------------------------------------------- printed numbers


@njit(**JIT)
def softplus(x: Any) -> Any:
    """log(1 + exp(x))."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@njit(**JIT)
def share_term(present: Any, n: Any, logit: Any) -> Any:
    """Binomial log density of so many of n without its constant, and its derivative by the logit."""
    # one exponential and one logarithm for both softplus and the share
    small = math.exp(-abs(logit))
    share = (1.0 if logit > 0 else small) / (1 + small)
    return present * logit - n * (max(logit, 0.0) + math.log1p(small)), present - n * share


@njit(**JIT)
def printed_share(present: Any, n: Any, place: Any, sd: Any, node: Any, log_weight: Any, steps: Any) -> Any:
    """log of the mean of the binomial over a share whose logit is N(place, sd^2), without its constant.

    Nodes stand about the mode (`arm_mixes.printed_log_density`). Also the derivatives by place and sd: means of those
    of the binomial over what is left of the share.
    """
    rough = (present + 0.5) / (n + 1)
    logit, variance = math.log(rough / (1 - rough)), 1 / ((n + 1) * rough * (1 - rough))
    z = sd * (logit - place) / (sd * sd + variance)
    curvature = 1.0
    for _ in range(steps):
        share = 1 / (1 + math.exp(-(place + sd * z)))
        curvature = 1 + sd * sd * n * share * (1 - share)
        z += (sd * (present - n * share) - z) / curvature
    width = 1 / math.sqrt(curvature)
    top, terms, slopes = -np.inf, np.empty(node.size), np.empty(node.size)
    for i in range(node.size):
        score = z + width * node[i]
        density, slopes[i] = share_term(present, n, place + sd * score)
        terms[i] = density - 0.5 * score * score + log_weight[i]
        top = max(top, terms[i])
    total, by_place, by_sd = 0.0, 0.0, 0.0
    for i in range(node.size):
        part = math.exp(terms[i] - top)
        total += part
        by_place += part * slopes[i]
        by_sd += part * slopes[i] * (z + width * node[i])
    value = top + math.log(total) + math.log(width) - HALF_LOG_TWO_PI
    return value, by_place / total, by_sd / total
