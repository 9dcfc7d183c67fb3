"""Averages over the level of proportional hazards, compiled: H = exp(log H0(t) + eta), eta normal.

E[S] = sum over nodes of w exp(-H0(t) exp(eta + z sd)), and the same of u h S: the level is a factor of H, so each node
costs one exponential. `quadrature` has the general form for any family, which these agree with to rounding.

Where covariates that are not given add to eta besides, and times are many, E[S] is one function of log H0 + eta for all
shapes and times: its table is made once a draw and treatment (`offset_tables`), on places `STEP` apart, and read by
polynomials through `TAPS` of them. A sum over levels shifts a table, by the same polynomials at every place.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_bm.inference.compiled import exponentials
from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.fields import INNER_SUMS, SUMS
from bayes_bm.runtime.compiling import cached_njit

STEP = 0.125
"""Of log H, between the places of a table: with `TAPS` of them E[S] is right to 1e-9
(tests/estimands/test_not_given.py)."""
TAPS = 10
"""Places that a polynomial goes through."""
LOWEST, HIGHEST = -28.0, 4.0
"""Log H of a patient below which S is 1, and above which it is 0, to 1e-12."""
LARGEST = np.exp(700.0)
"""As `LARGEST_LOG` in `quadrature` (no unit): a cumulative hazard or a rate beyond it is as good as infinite."""


@njit(**INNER_SUMS)
def _factors(eta, sd, node, share, level, weight, factor, shares):  # pragma: no cover
    """exp(eta + node + z sd) and its weight at each node of what is not given and of the level."""
    levels = level.size
    for m in range(levels):
        factor[m] = exponential(level[m] * sd)
    # the first places, which all others read, are changed last
    for k in range(node.size - 1, -1, -1):
        middle = exponential(eta + node[k])
        for m in range(levels):
            factor[k * levels + m] = middle * factor[m]
            shares[k * levels + m] = share[k] * weight[m]


@cached_njit(exponentials, **SUMS)
def add_survivors(alive, log_base, eta, sd, node, share, less, level, weight):  # pragma: no cover
    """Adds E[exp(less - H)] to `alive` (sample, treatment, time), of `log_base`, log H at eta = 0, and `less`.

    `eta` and `sd` (sample, treatment); what is not given adds a node of (sample, treatment, node) with its share; nodes
    and weights of the level (node,).
    """
    samples, treatments, times = alive.shape
    nodes = node.shape[2] * level.size
    factor, shares = np.empty(nodes), np.empty(nodes)
    for s in range(samples):
        for a in range(treatments):
            _factors(eta[s, a], sd[s, a], node[s, a], share[s, a], level, weight, factor, shares)
            for t in range(times):
                base, total = exponential(log_base[s, a, t]), 0.0
                for m in range(nodes):
                    total += shares[m] * exponential(less[s, a, t] - min(base * factor[m], LARGEST))
                alive[s, a, t] += total


@cached_njit(exponentials, **SUMS)
def add_moments(alive, slope, log_base, log_rate, eta, sd, node, share, less, level, weight):  # pragma: no cover
    """As `add_survivors`, and E[u h exp(less - H)] to `slope`, of `log_rate`, log u h at eta = 0."""
    samples, treatments, times = alive.shape
    nodes = node.shape[2] * level.size
    factor, shares = np.empty(nodes), np.empty(nodes)
    for s in range(samples):
        for a in range(treatments):
            _factors(eta[s, a], sd[s, a], node[s, a], share[s, a], level, weight, factor, shares)
            for t in range(times):
                base, rate = exponential(log_base[s, a, t]), exponential(log_rate[s, a, t])
                total, moment = 0.0, 0.0
                for m in range(nodes):
                    survival = shares[m] * exponential(less[s, a, t] - min(base * factor[m], LARGEST))
                    total += survival
                    moment += survival * min(rate * factor[m], LARGEST)
                alive[s, a, t] += total
                slope[s, a, t] += moment


@njit(**INNER_SUMS)
def _lagrange(part, weight):  # pragma: no cover
    """Weights of the places -4, ..., 5 in the value at `part` of the way from place 0 to 1."""
    for i in range(TAPS):
        product = 1.0
        for j in range(TAPS):
            if j != i:
                product *= (part + (TAPS // 2 - 1) - j) / (i - j)
        weight[i] = product


def offset_tables(eta_sd: Any, node: Any, share: Any, level: Any, weight: Any) -> tuple[float, Any]:
    """E[exp(-exp(x + offset))] on places of x (sample, treatment, place), and the first place.

    An offset is a node of what is not given (sample, treatment, node), whose shares sum to one, plus a level times its
    sd (sample, treatment).
    """
    reach = np.abs(level).max() * eta_sd.max()
    low, high = LOWEST - node.max() - reach - TAPS * STEP, HIGHEST - node.min() + reach + TAPS * STEP
    tables = np.empty((*eta_sd.shape, int((high - low) / STEP) + 1))
    given = (eta_sd, *(np.broadcast_to(values, (*eta_sd.shape, values.shape[-1])) for values in (node, share)))
    _fill_tables(tables, low, *(np.array(values, order="C") for values in given), level, weight)
    return low, tables


@cached_njit(exponentials, **SUMS)
def _fill_tables(tables, low, eta_sd, node, share, level, weight):  # pragma: no cover
    samples, treatments, places = tables.shape
    at_nodes, shifts = np.empty(places), np.empty(TAPS)
    for s in range(samples):
        for a in range(treatments):
            at_nodes[:] = 0.0
            for k in range(node.shape[2]):
                start, of_node = low + node[s, a, k], share[s, a, k]
                for j in range(places):
                    at_nodes[j] += of_node * exponential(-exponential(start + STEP * j))
            table = tables[s, a]
            table[:] = 0.0
            # levels close to each other shift by the same places: one pass a place, not one a level and tap
            most = int(np.abs(level).max() * eta_sd[s, a] / STEP) + TAPS
            of_shift = np.zeros(2 * most + 1)
            for m in range(level.size):
                moved = level[m] * eta_sd[s, a] / STEP
                whole = math.floor(moved)
                _lagrange(moved - whole, shifts)
                for i in range(TAPS):
                    of_shift[most + int(whole) + i - (TAPS // 2 - 1)] += weight[m] * shifts[i]
            for place in range(of_shift.size):
                if of_shift[place] != 0.0:
                    _add_shifted(table, at_nodes, place - most, of_shift[place])


@njit(**INNER_SUMS)
def _add_shifted(table, values, shift, factor):  # pragma: no cover
    """Add factor times the value so many places on: 1 before the first, 0 behind the last."""
    places = table.size
    first, last = max(0, -shift), min(places, places - shift)
    for j in range(first):
        table[j] += factor
    for j in range(first, last):
        table[j] += factor * values[j + shift]


@cached_njit(exponentials, **SUMS)
def add_tabulated(alive, tables, low, log_base, eta, weight):  # pragma: no cover
    """Adds weight times what the tables say at log_base + eta to `alive` (sample, treatment, time)."""
    samples, treatments, times = alive.shape
    places, taps = tables.shape[2], np.empty(TAPS)
    before, behind = TAPS // 2 - 1, places - TAPS // 2 - 1
    for s in range(samples):
        for a in range(treatments):
            table = tables[s, a]
            for t in range(times):
                position = (log_base[s, a, t] + eta[s, a] - low) / STEP
                if not position > before:
                    alive[s, a, t] += weight
                elif position < behind:
                    place = int(position)
                    _lagrange(position - place, taps)
                    total = 0.0
                    for i in range(TAPS):
                        total += taps[i] * table[place + i - before]
                    alive[s, a, t] += weight * total
