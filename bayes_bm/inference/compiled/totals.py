"""Sums that a compiler may reorder, so that several terms are added at once."""

from typing import Any

from numba import njit

from bayes_bm.inference.compiled.fields import INNER_SUMS


@njit(**INNER_SUMS)
def total_of(values: Any) -> Any:
    """Sum."""
    total = 0.0
    for i in range(values.size):
        total += values[i]
    return total


@njit(**INNER_SUMS)
def dot(one: Any, other: Any) -> Any:
    """Sum of products."""
    total = 0.0
    for i in range(one.size):
        total += one[i] * other[i]
    return total
