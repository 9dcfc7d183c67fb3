"""Averages over the level of proportional hazards, compiled: H = exp(log H0(t) + eta), eta normal.

E[S] = sum over nodes of w exp(-H0(t) exp(eta + z sd)), and the same of u h S: the level is a factor of H, so each node
costs one exponential. `quadrature` has the general form for any family, which these agree with to rounding.
"""

import numpy as np
from numba import njit

from bayes_bm.inference.compiled import exponentials
from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.fields import SUMS
from bayes_bm.runtime.compiling import cached_njit

LARGEST = np.exp(700.0)
"""As `LARGEST_LOG` in `quadrature` (no unit): a cumulative hazard or a rate beyond it is as good as infinite."""


@njit(**SUMS)
def _levels(eta, sd, level, factor):  # pragma: no cover
    """exp(eta + z sd) at each node."""
    for m in range(level.size):
        factor[m] = exponential(eta + level[m] * sd)


@cached_njit(exponentials, **SUMS)
def add_survivors(alive, log_base, eta, sd, less, level, weight):  # pragma: no cover
    """Adds E[exp(less - H)] to `alive` (sample, treatment, time), of `log_base`, log H at eta = 0, and `less`.

    `eta` and `sd` (sample, treatment); nodes and weights of the level (node,).
    """
    samples, treatments, times = alive.shape
    factor = np.empty(level.size)
    for s in range(samples):
        for a in range(treatments):
            _levels(eta[s, a], sd[s, a], level, factor)
            for t in range(times):
                base, total = exponential(log_base[s, a, t]), 0.0
                for m in range(level.size):
                    total += weight[m] * exponential(less[s, a, t] - min(base * factor[m], LARGEST))
                alive[s, a, t] += total


@cached_njit(exponentials, **SUMS)
def add_moments(alive, slope, log_base, log_rate, eta, sd, less, level, weight):  # pragma: no cover
    """As `add_survivors`, and E[u h exp(less - H)] to `slope`, of `log_rate`, log u h at eta = 0."""
    samples, treatments, times = alive.shape
    factor = np.empty(level.size)
    for s in range(samples):
        for a in range(treatments):
            _levels(eta[s, a], sd[s, a], level, factor)
            for t in range(times):
                base, rate = exponential(log_base[s, a, t]), exponential(log_rate[s, a, t])
                total, moment = 0.0, 0.0
                for m in range(level.size):
                    survival = weight[m] * exponential(less[s, a, t] - min(base * factor[m], LARGEST))
                    total += survival
                    moment += survival * min(rate * factor[m], LARGEST)
                alive[s, a, t] += total
                slope[s, a, t] += moment
