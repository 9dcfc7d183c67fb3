"""Kinds of patients of an arm whose covariates go together, and their shares (decision 23).

Behind each two-valued covariate stands a normal score, and a patient has the value 1 where it is low. The scores of a
patient have one factor u in common, by which those of any two covariates are correlated (tetrachoric correlation
a_c a_d):

    share of a cell = integral of phi(u) product over c of q_c(u) or 1 - q_c(u)
    q_c(u) = Phi((Phi^-1(share_c) + a_c u) / sqrt(1 - a_c^2))

A continuous covariate has the same factor, x_c = mean_c + sd_c z_c with z_c = a_c u + sqrt(1 - a_c^2) e_c. Given these
z_c, or a sum of them, the factor is normal again. Shares, means and sds of single covariates stay what they are.
"""

from itertools import product
from typing import Any, NamedTuple

import numpy as np

from bayes_bm.hazards.numerics.numpy_namespace import NUMPY, Namespace
from bayes_bm.spec.document import Spec

FACTOR_NODES = 24
"""Gauss-Hermite nodes of the factor: shares to 1e-7 at a correlation of 0.5 (`tests/model/test_cell_shares.py`)."""
LEAST_SHARE = 1e-9
"""Shares are held this far from 0 and 1, where a score would be infinite."""


class Factor(NamedTuple):
    """The common factor of kinds of patients, normal: middle (kind,) and sd (1,)."""

    middle: np.ndarray
    spread: np.ndarray


STANDARD = Factor(np.zeros(1), np.ones(1))
"""Where no continuous covariate is known."""


def loadings(spec: Spec) -> np.ndarray:
    """Return a_c of each covariate (covariate,), 0 where covariates are independent inside an arm."""
    common = spec.integration.common_correlation
    if common is None:
        return np.zeros(len(spec.covariates))
    signs = np.array([-1.0 if name in common.turned else 1.0 for name in spec.covariates])
    return np.sqrt(common.value) * signs


def log_cell_shares(
    share: Any,
    cells: np.ndarray,
    loading: np.ndarray,
    *,
    xp: Namespace,
    middle: Any = STANDARD.middle,
    spread: Any = STANDARD.spread,
) -> Any:
    """Return the log share of each cell (..., cell) from shares of ones (..., covariate).

    `cells` (cell, covariate) are 0 and 1, `loading` (covariate,), both of the two-valued covariates alone. The factor
    is normal with `middle` (..., cell) and sd `spread` (..., 1): standard, or as continuous covariates leave it.
    """
    node, weight = np.polynomial.hermite_e.hermegauss(FACTOR_NODES)
    terms: Any = np.log(weight / weight.sum())
    factor = middle[..., None] + spread[..., None] * node
    for column, strength in enumerate(loading):
        held = xp.minimum(1 - LEAST_SHARE, -xp.minimum(-LEAST_SHARE, -share[..., column]))
        score = (xp.ndtri(held)[..., None, None] + strength * factor) / np.sqrt(1 - strength**2)
        present = cells[:, column, None]
        terms = terms + present * xp.log_ndtr(score) + (1 - present) * xp.log_ndtr(-score)
    top = xp.max(terms)
    return top[..., 0] + xp.log(xp.sum(xp.exp(terms - top)))


def cell_shares(share: np.ndarray, cells: np.ndarray, loading: np.ndarray, factor: Factor = STANDARD) -> np.ndarray:
    """Return the share of each cell (..., cell): a product where no covariates go together."""
    if loading.any():
        whole = log_cell_shares(share, cells, loading, xp=NUMPY, middle=factor.middle, spread=factor.spread)
        return np.exp(whole)
    each = share[..., None, :]
    return np.prod(np.where(cells > 0, each, 1 - each), axis=-1)


class Kinds(NamedTuple):
    """Kinds of patients: codes 0 and 1 of two-valued covariates and scores of others (kind, covariate), and shares."""

    scores: np.ndarray
    share: np.ndarray


def kinds_together(share: np.ndarray, two_valued: np.ndarray, loading: np.ndarray, *, nodes: int) -> Kinds:
    """List the kinds of patients with a share above zero, at Gauss-Hermite nodes of each continuous covariate.

    `share` (covariate,) of ones is read of two-valued covariates. Scores of continuous ones have variance 1.
    """
    node, weight = np.polynomial.hermite_e.hermegauss(nodes)
    places = np.array([*product(*(range(2 if two else nodes) for two in two_valued))]).reshape(-1, len(two_valued))
    others = ~two_valued
    strength = loading[others]
    covariance = np.outer(strength, strength) + np.diag(1 - strength**2)
    z = node[places[:, others]] @ np.linalg.cholesky(covariance).T
    cells = places[:, two_valued].astype(float)
    shares = cell_shares(share[two_valued], cells, loading[two_valued], factor_given(z, strength))
    scores = np.empty(places.shape)
    scores[:, two_valued], scores[:, others] = cells, z
    shares = shares * np.prod((weight / weight.sum())[places[:, others]], axis=1)
    return Kinds(scores[shares > 0], shares[shares > 0])


def factor_given(z: np.ndarray, strength: np.ndarray) -> Factor:
    """Return the law of the factor given scores of continuous covariates (kind, covariate) and their loadings."""
    precision = 1 + np.sum(strength**2 / (1 - strength**2))
    return Factor(z @ (strength / (1 - strength**2)) / precision, np.array([precision**-0.5]))
