"""From the formula's log H and log h of cells to those of their patients: cure, averages over covariates, background.

Each layer changes both in place, (2, cell), and keeps what its way back needs; the way back changes the derivatives by
both in place. Equations are those of `hazards.modifiers`.
"""

import math

import numpy as np
from numba import njit

from bayes_bm.hazards.family import LEAST_LOG_HAZARD
from bayes_bm.hazards.numerics.constants import LARGEST_LOG_HAZARD
from bayes_bm.inference.compiled.fields import INNER
from bayes_bm.inference.compiled.formulas.tails import log1mexp, log_cum_from_tails, softplus


@njit(**INNER)
def add_logs(one, other):
    """log(exp(one) + exp(other))."""
    most, least = max(one, other), min(one, other)
    return most + math.log1p(math.exp(least - most))


@njit(**INNER)
def cured(logit, logs, kept):
    """S = pi + (1 - pi) S0; kept (4, cell): derivatives of log H by log H0 and logit, then those log h has besides."""
    log_share, log_rest = -softplus(-logit), -softplus(logit)
    share = math.exp(log_share)
    for i in range(logs.shape[1]):
        log_cum = min(logs[0, i], LARGEST_LOG_HAZARD)
        total = math.exp(log_cum)
        log_dead = log_cum if log_cum < LEAST_LOG_HAZARD else log1mexp(-total)
        log_alive = add_logs(log_share, log_rest - total)
        logs[0, i] = log_cum_from_tails(log_rest + log_dead, log_alive)
        # -d S / d H0 = (1 - pi) S0, d S / d logit = pi (1 - pi) F0, each over S H
        scale = -log_alive - logs[0, i]
        kept[0, i] = math.exp(log_rest - total + log_cum + scale)
        kept[1, i] = -math.exp(log_share + log_rest + log_dead + scale)
        mixed = add_logs(log_share + total, log_rest)
        logs[1, i] += log_rest - mixed
        alive_cured = math.exp(log_share + total - mixed)
        kept[2, i] = -alive_cured * total
        kept[3, i] = -share - (alive_cured * (1 - share) - (1 - alive_cured) * share)


@njit(**INNER)
def cured_back(slopes, kept):
    """The derivative by logit; `slopes` (2, cell) become those of the uncured."""
    by_logit = 0.0
    for i in range(slopes.shape[1]):
        by_logit += slopes[0, i] * kept[1, i] + slopes[1, i] * kept[3, i]
        slopes[0, i] = slopes[0, i] * kept[0, i] + slopes[1, i] * kept[2, i]
    return by_logit


@njit(**INNER)
def with_background(background, logs, kept):
    """H = H0 + Hb, h = h0 + hb; `background` and `kept` (2, cell): their logarithms, and the family's shares."""
    for row in range(2):
        for i in range(logs.shape[1]):
            excess = logs[row, i]
            logs[row, i] = add_logs(excess, background[row, i])
            kept[row, i] = math.exp(excess - logs[row, i])


@njit(**INNER)
def multiplied(slopes, kept):
    """The way back from a background."""
    for row in range(2):
        for i in range(slopes.shape[1]):
            slopes[row, i] *= kept[row, i]


@njit(**INNER)
def empty_rows(rows, n):
    """What a layer keeps (row, cell)."""
    return np.empty((rows, n))
