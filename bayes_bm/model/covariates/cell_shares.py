"""Shares of the kinds of patients of an arm whose two-valued covariates go together (decision 23).

Behind each covariate stands a normal score, and a patient has the value 1 where it is low. The scores of a patient have
one factor u in common, by which those of any two covariates are correlated (tetrachoric correlation a_c a_d):

    share of a cell = integral of phi(u) product over c of q_c(u) or 1 - q_c(u)
    q_c(u) = Phi((Phi^-1(share_c) + a_c u) / sqrt(1 - a_c^2))

Shares of single covariates stay what they are.
"""

from typing import Any

import numpy as np

from bayes_bm.hazards.numerics.numpy_namespace import NUMPY, Namespace
from bayes_bm.spec.document import Spec

FACTOR_NODES = 24
"""Gauss-Hermite nodes of the factor: shares to 1e-7 at a correlation of 0.5 (`tests/model/test_cell_shares.py`)."""
LEAST_SHARE = 1e-9
"""Shares are held this far from 0 and 1, where a score would be infinite."""


def loadings(spec: Spec) -> np.ndarray:
    """Return a_c of each covariate (covariate,), 0 where covariates are independent inside an arm."""
    common = spec.integration.common_correlation
    if common is None:
        return np.zeros(len(spec.covariates))
    signs = np.array([-1.0 if name in common.turned else 1.0 for name in spec.covariates])
    return np.sqrt(common.value) * signs


def log_cell_shares(share: Any, cells: np.ndarray, loading: np.ndarray, *, xp: Namespace) -> Any:
    """Return the log share of each cell (..., cell) from shares of ones (..., covariate).

    `cells` (cell, covariate) are 0 and 1, `loading` (covariate,).
    """
    node, weight = np.polynomial.hermite_e.hermegauss(FACTOR_NODES)
    terms: Any = np.log(weight / weight.sum())
    for column, factor in enumerate(loading):
        held = xp.minimum(1 - LEAST_SHARE, -xp.minimum(-LEAST_SHARE, -share[..., column]))
        score = (xp.ndtri(held)[..., None] + factor * node) / np.sqrt(1 - factor**2)
        present = cells[:, column, None]
        one, other = xp.log_ndtr(score)[..., None, :], xp.log_ndtr(-score)[..., None, :]
        terms = terms + present * one + (1 - present) * other
    top = xp.max(terms)
    return top[..., 0] + xp.log(xp.sum(xp.exp(terms - top)))


def cell_shares(share: np.ndarray, cells: np.ndarray, loading: np.ndarray) -> np.ndarray:
    """Return the share of each cell (..., cell): a product where no covariates go together."""
    if loading.any():
        return np.exp(log_cell_shares(share, cells, loading, xp=NUMPY))
    each = share[..., None, :]
    return np.prod(np.where(cells > 0, each, 1 - each), axis=-1)
