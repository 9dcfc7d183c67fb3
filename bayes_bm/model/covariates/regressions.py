"""Regressions of one covariate on others: their coefficients at the mode, and the curvature there.

Each coefficient has a normal prior with mean 0 and precision `ridge` (column,), zero where it has none.
"""

import numpy as np
from scipy.special import expit, log_ndtr

from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.runtime.types import Array

STEPS = 200
"""Most of Newton's steps; separated data take tens."""
WIDE = 2.5
"""Prior sd of a coefficient on standardised covariates (Gelman 2008, doi 10.1214/08-AOAS191, has a t law of it)."""


def logistic(design: Array, response: Array, weight: Array, ridge: Array) -> tuple[Array, Array]:
    """Mode and inverse curvature of a logistic regression's posterior, by Newton's steps."""
    mode, covariance = np.zeros(design.shape[1]), np.diag(ridge)
    for _ in range(STEPS):
        share = expit(design @ mode)
        curvature = (design * (weight * share * (1 - share))[:, None]).T @ design + np.diag(ridge)
        covariance = np.linalg.inv(curvature)
        step = covariance @ (design.T @ (weight * (response - share)) - ridge * mode)
        # a step of at most 1 keeps separated data from overshooting
        mode = mode + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-10:
            break
    return mode, covariance


def probit(design: Array, response: Array, weight: Array, ridge: Array) -> Array:
    """Mode of a probit regression's posterior, by Fisher's scoring; `response` (row,) is true or false."""
    mode, sign = np.zeros(design.shape[1]), np.where(response, 1.0, -1.0)
    for _ in range(STEPS):
        score = design @ mode
        # phi / Phi of either side, in logarithms: neither underflows where a row is certain
        log_density = -0.5 * score**2 - HALF_LOG_TWO_PI
        upper, lower = np.exp(log_density - log_ndtr(score)), np.exp(log_density - log_ndtr(-score))
        curvature = (design * (weight * upper * lower)[:, None]).T @ design + np.diag(ridge)
        slope = design.T @ (weight * sign * np.where(response, upper, lower)) - ridge * mode
        step = np.linalg.solve(curvature, slope)
        mode = mode + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-10:
            break
    return mode


def linear(design: Array, response: Array, weight: Array, ridge: Array) -> tuple[Array, Array]:
    """Coefficients and log residual sd of a linear regression: means and covariance, the log sd's 1 / (2 df)."""
    gram = (design * weight[:, None]).T @ design
    moment, freedom = design.T @ (weight * response), max(weight.sum() - design.shape[1], 1.0)
    rough = response - design @ np.linalg.solve(gram + np.diag(ridge), moment)
    variance = max(float(weight @ rough**2 / freedom), 1e-12)
    covariance = np.zeros((design.shape[1] + 1, design.shape[1] + 1))
    covariance[:-1, :-1] = np.linalg.inv(gram / variance + np.diag(ridge))
    beta = covariance[:-1, :-1] @ moment / variance
    covariance[-1, -1] = 1 / (2 * freedom)
    return np.append(beta, 0.5 * np.log(variance)), covariance
