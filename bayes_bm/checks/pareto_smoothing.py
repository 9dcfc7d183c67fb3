"""Importance weights are smoothed and judged by Pareto k, and draws are taken by them."""

from typing import Any

import numpy as np

from bayes_bm.runtime.types import Array

HIGH_K = 0.7
"""Pareto k above which importance weights cannot be relied on (Vehtari et al. 2024, JMLR 25, 72)."""


def pareto_smoothed(log_weight: Array) -> tuple[Array, float]:
    """Return log weights (draw,), smoothed and normalised, and Pareto k; -inf where the largest are all the same."""
    from arviz_stats.base.array import array_stats

    try:
        # its weights are one over the exponent of what it is given
        smoothed: Any = array_stats.psislw(-log_weight)
        smooth, k = np.asarray(smoothed[0]), float(smoothed[1])
    except ValueError:  # what is flat has no tail to fit
        smooth, k = log_weight, -np.inf
    return smooth - np.logaddexp.reduce(smooth), k


def resampled(weight: Array, count: int, rng: np.random.Generator) -> Array:
    """Return places of `count` draws, each about as often as it weighs (systematic resampling), in random order."""
    points = (np.arange(count) + rng.random()) / count
    places = np.searchsorted(np.cumsum(weight / weight.sum()), points, side="right")
    return rng.permutation(np.minimum(places, len(weight) - 1))
