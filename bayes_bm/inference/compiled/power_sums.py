"""log sum w u^k of groups of patients as polynomials in log k, so that its cost does not grow with the patients.

Between LOWEST and HIGHEST the logarithm of k is cut into panels of equal width; in each the function is interpolated at
Chebyshev nodes. It is analytic, so the error falls by a constant factor with each node and faster the narrower a panel:
panels are halved until values and derivatives at points between the nodes agree with the sum itself to TOLERANCE.
Groups that never do (times of very unlike size with very unlike weights) are marked and summed patient by patient.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.polynomial import chebyshev

from bayes_bm.inference.compiled import exponentials, fields
from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.fields import DEGREE, JIT, SUMS
from bayes_bm.runtime.compiling import cached_njit

LOWEST = np.log(0.1)
"""Smallest log k of the panels; below, the sum itself is worked out: exact, and as slow as there are patients."""
HIGHEST = np.log(10.0)
"""Largest log k of the panels; above, the sum itself is worked out."""
PANELS = (8, 16, 32, 64)
"""Numbers of panels that are tried, in this order."""
TOLERANCE = 1e-12
"""Of a value, which is a relative error of the sum; ten times that of a derivative."""


def fit_power_sums(log_u: np.ndarray, weight: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (group, panel x DEGREE), highest power first, and which groups they hold for (group).

    Rows of group g are first[g] to first[g + 1].
    """
    coefficients, holds = _checked(log_u, weight, first, PANELS[0])
    for panels in PANELS[1:]:
        if holds.all():
            break
        finer = _checked(log_u, weight, first, panels)
        # more panels than a group needs cost it digits, so one that never holds must not decide for all
        if finer[1].sum() > holds.sum():
            coefficients, holds = finer
    return coefficients, holds


def _checked(log_u: np.ndarray, weight: np.ndarray, first: np.ndarray, panels: int) -> tuple[np.ndarray, np.ndarray]:
    coefficients = _fitted(log_u, weight, first, panels)
    return coefficients, _errors(log_u, weight, first, coefficients) < TOLERANCE


def _edges(panels: int) -> np.ndarray:
    return np.linspace(LOWEST, HIGHEST, panels + 1)


def _at(panels: int, local: np.ndarray) -> np.ndarray:
    """log k (panel, point) at points of [-1, 1] of each panel."""
    edges = _edges(panels)
    return (edges[:-1, None] + edges[1:, None] + local * np.diff(edges)[:, None]) / 2


def _fitted(log_u: np.ndarray, weight: np.ndarray, first: np.ndarray, panels: int) -> np.ndarray:
    nodes = np.cos(np.pi * (np.arange(DEGREE) + 0.5) / DEGREE)
    values = power_sums(np.exp(_at(panels, nodes)).ravel(), log_u, weight, first)[0].reshape(-1, DEGREE)
    # values at the nodes -> Chebyshev coefficients -> powers of t: exact up to rounding, nothing is solved
    basis = chebyshev.chebvander(nodes, DEGREE - 1)
    scale = np.where(np.arange(DEGREE) == 0, 1, 2) / DEGREE
    powers = np.zeros((DEGREE, DEGREE))
    for n in range(DEGREE):
        powers[n, : n + 1] = chebyshev.cheb2poly(np.eye(DEGREE)[n, : n + 1])
    return ((values @ basis * scale) @ powers)[:, ::-1].reshape(len(first) - 1, panels * DEGREE)


def _errors(log_u: np.ndarray, weight: np.ndarray, first: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Largest error of each group at points between the nodes and at the edges, where it is largest."""
    panels = coefficients.shape[1] // DEGREE
    local = np.cos(np.pi * np.array([0.0, 1.0, 2.0, DEGREE / 2, DEGREE]) / DEGREE)
    values, slopes = power_sums(np.exp(_at(panels, local)).ravel(), log_u, weight, first)
    coefficients = coefficients.reshape(len(coefficients), panels, DEGREE)[..., None, :]
    powers = np.arange(DEGREE)[::-1]
    errors = np.sum(coefficients * local[:, None] ** powers, axis=-1).reshape(values.shape)
    steep = np.sum(coefficients[..., :-1] * powers[:-1] * local[:, None] ** (powers[:-1] - 1), axis=-1)
    steep = steep.reshape(slopes.shape) * 2 * panels / (HIGHEST - LOWEST)
    of_value = np.abs(errors - values) / np.maximum(1, np.abs(values) / 1000)
    of_slope = np.abs(steep - slopes) / np.maximum(1, np.abs(slopes)) / 10
    return np.maximum(of_value, of_slope).max(axis=1, initial=0.0)


@njit(**SUMS)
def log_power_sum(k: Any, log_u: Any, weight: Any) -> Any:
    """log sum w u^k and its derivative by log k."""
    largest = -np.inf
    for i in range(log_u.size):
        largest = max(largest, log_u[i])
    total, moment = 0.0, 0.0
    for i in range(log_u.size):
        term = weight[i] * exponential(k * (log_u[i] - largest))
        total += term
        moment += term * log_u[i]
    return math.log(total) + k * largest, k * moment / total


@cached_njit(exponentials, fields, **JIT)
def power_sums(k: Any, log_u: Any, weight: Any, first: Any) -> Any:
    """log sum w u^k and its derivative by log k of each group at each k (group, k)."""
    values, slopes = np.empty((first.size - 1, k.size)), np.empty((first.size - 1, k.size))
    for g in range(first.size - 1):
        rows = slice(first[g], first[g + 1])
        for i in range(k.size):
            values[g, i], slopes[g, i] = log_power_sum(k[i], log_u[rows], weight[rows])
    return values, slopes
