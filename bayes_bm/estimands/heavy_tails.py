"""The rule that averages over the level of a new study whose law is a Student t, beside normal deviations.

level + deviation has the density E_g N(0, study_sd^2 / g + deviation_sd^2), g ~ Gamma(df / 2, rate df / 2). Both
averages are trapezoids over log g, and over x in level = scale sinh x: the integrands are smooth and fall off at both
ends, where the trapezoid's error falls off exponentially in the step (Trefethen and Weideman 2014,
doi 10.1137/130932132).
"""

import numpy as np

from bayes_bm.estimands.gauss_rule import Rule
from bayes_bm.runtime.types import Array

LEVEL_POINTS = 41
"""Number of points over the level: E[S] to 1e-5 for scales up to 1 (tests/model/test_heavy_tails.py)."""
FARTHEST = 5.5
"""Largest x: 120 scales, beyond which a Student t with 4 degrees of freedom has 6e-8 of its weight."""
MIXING_POINTS = 81
"""Number of points over log g."""
TAIL = 30.0
"""Minus the log of the density of log g, relative to its peak, at which it is cut off."""


def heavy_level_rule(study_sd: Array, deviation_sd: Array, df: float) -> Rule:
    """Return nodes and weights of level + deviation at every draw (sample, 1, node); a node of 0 where nothing varies.

    `study_sd` is the scale of the Student t, `deviation_sd` the standard deviation of the normal (sample,).
    """
    mixing, share = _mixing(df)
    variance = study_sd[:, None] ** 2 / mixing + deviation_sd[:, None] ** 2
    scale = np.sqrt(study_sd**2 + deviation_sd**2)
    unit = np.where(scale > 0, scale, 1.0)[:, None]
    x = np.linspace(-FARTHEST, FARTHEST, LEVEL_POINTS)
    relative = variance / unit**2
    squares = np.sinh(x) ** 2
    density = np.stack([_density(one, relative, share) for one in squares], axis=-1)
    weight = density * np.cosh(x)
    weight /= weight.sum(axis=-1, keepdims=True)
    return Rule((scale[:, None] * np.sinh(x))[:, None], weight[:, None])


def _density(square: float, variance: Array, share: Array) -> Array:
    """Density of the level at a squared distance, up to a constant (sample,)."""
    held = np.maximum(variance, np.finfo(float).tiny)
    return np.exp(-0.5 * square / held - 0.5 * np.log(held)) @ share


def _mixing(df: float) -> tuple[Array, Array]:
    """Points of g and their shares."""
    lowest = -max(2 * TAIL / df, np.sqrt(4 * TAIL / df))
    log_g = np.linspace(lowest, np.sqrt(4 * TAIL / df), MIXING_POINTS)
    log_share = 0.5 * df * (log_g - np.expm1(log_g))
    share = np.exp(log_share)
    return np.exp(log_g), share / share.sum()
