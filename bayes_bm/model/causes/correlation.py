"""The correlation of a study's levels between causes: its prior, and what it adds to a density of independent levels.

Levels are standard normals in each cause's own model. Under a correlation matrix R those of one study are N(0, R), so
the density gains log N(z; 0, R) - log N(z; 0, I), which is zero where R is the identity. R has the prior of
Lewandowski, Kurowicka and Joe (2009, doi 10.1016/j.jmva.2009.04.008), density det(R)^(eta - 1), by its partial
correlations tanh(w): one coordinate for each pair of causes. Plain arithmetic, so that numbers and PyTensor's variables
go through it alike; causes are few.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import betaln

from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor

Matrix = list[list[Any]]
"""Rows of a lower triangular matrix, or of a symmetric one."""


def pairs(causes: int) -> list[tuple[int, int]]:
    """Return pairs of causes in the order of the coordinates."""
    return list(combinations(range(causes), 2))


def cholesky_of_partial(partial: Sequence[Tensor], causes: int) -> Matrix:
    """Return the Cholesky factor of the matrix whose partial correlations are given, pair by pair."""
    of_pair = dict(zip(pairs(causes), partial, strict=True))
    factor: Matrix = []
    for row in range(causes):
        left, entries = 1.0, []
        for column in range(row):
            entries.append(of_pair[column, row] * left**0.5)
            left = left - entries[-1] ** 2
        factor.append([*entries, left**0.5])
    return factor


def correlations(factor: Matrix) -> list[Tensor]:
    """Return the correlation of each pair, in the order of `pairs`."""
    return [_dot(factor[one], factor[other]) for one, other in pairs(len(factor))]


def factor_of_correlations(values: Sequence[Tensor], causes: int) -> Matrix:
    """Return the Cholesky factor of the matrix of correlations, pair by pair."""
    of_pair = dict(zip(pairs(causes), values, strict=True))
    factor: Matrix = []
    for row in range(causes):
        entries: list[Any] = []
        for column in range(row):
            entries.append((of_pair[column, row] - _dot(entries, factor[column])) / factor[column][column])
        factor.append([*entries, (1.0 - sum(entry**2 for entry in entries)) ** 0.5])
    return factor


def log_prior(w: Sequence[Tensor], causes: int, eta: float, *, xp: Namespace) -> Tensor:
    """Log density of the coordinates: partial correlation tanh(w) of a pair (i, j) is 2 Beta(b, b) - 1, with
    b = eta + (K - 2 - i) / 2.
    """
    total = 0.0
    for (first, _), coordinate in zip(pairs(causes), w, strict=True):
        b = eta + (causes - 2 - first) / 2
        # 1 - tanh(w)^2 = 4 s(2 w) s(-2 w), with s the logistic function; once more for the slope of tanh
        log_rest = 2 * np.log(2.0) - xp.softplus(2 * coordinate) - xp.softplus(-2 * coordinate)
        total = total + b * log_rest - betaln(b, b) - (2 * b - 1) * np.log(2.0)
    return total


def log_ratio(z: Sequence[Tensor], values: Sequence[Tensor], *, xp: Namespace) -> Tensor:
    """Return log N(z; 0, R) - log N(z; 0, I) of each study (..., study); `z` of each cause, `values` of each pair."""
    factor = factor_of_correlations(values, len(z))
    total, white = 0.0, []
    for row, own in enumerate(z):
        middle = sum(entry * earlier for entry, earlier in zip(factor[row], white, strict=False))
        white.append((own - middle) / factor[row][row])
        total = total - xp.log(factor[row][row]) - 0.5 * (white[-1] ** 2 - own**2)
    return total


def _dot(one: Sequence[Any], other: Sequence[Any]) -> Any:
    """Sum products as far as the shorter of two rows goes."""
    return sum(a * b for a, b in zip(one, other, strict=False))
