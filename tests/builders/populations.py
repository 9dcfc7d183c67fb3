"""Populations stated by hand, and the fine grid that their averages are held against."""

import numpy as np
from scipy import stats

from bayes_bm.estimands.quadrature import Population
from bayes_bm.hazards import FAMILIES

T0 = 12.0


WEIBULL = FAMILIES["weibull"]


def population(eta, log_shape, eta_sd=0.0, shape_sd=0.0) -> Population:
    """One draw and one treatment, unless arrays say otherwise."""
    arrays = (np.atleast_2d(np.asarray(value, dtype=float)) for value in (eta, log_shape, eta_sd, shape_sd))
    eta, log_shape, *sds = arrays
    return Population(WEIBULL, T0, eta, log_shape[..., None], *sds)


def grid(eta: float, log_shape: float, eta_sd: float, shape_sd: float):
    """Levels, shapes and weights of a fine trapezoid over both normals."""
    z, w = np.linspace(-9, 9, 401), np.linspace(-8, 8, 201)
    weight = np.outer(stats.norm.pdf(z), stats.norm.pdf(w))
    level, shape = np.meshgrid(eta + eta_sd * z, np.exp(log_shape + shape_sd * w), indexing="ij")
    return level, shape, weight / weight.sum()
