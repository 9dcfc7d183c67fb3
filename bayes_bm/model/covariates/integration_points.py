"""Covariates of arms that give only means, sds and shares: quasi-random points from stated margins (ML-NMR).

An arm of which no patient's covariates are known, but whose row in the arms table states `mean_<covariate>` and
`sd_<covariate>`, or `share_<covariate>`, for every covariate of the spec, is averaged over them: Sobol points, joined
by a Gaussian copula (Phillippo 2020, doi 10.1111/rssa.12579). Every arm has the same points of the unit cube, so that
arms differ in what they state and not by the luck of the points.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import gammaincinv, ndtr, ndtri

from bayes_bm.evidence.arm_covariates import states_covariate
from bayes_bm.evidence.hazard_ratios import adjusted_for
from bayes_bm.evidence.records import Evidence
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.spec.document import Spec

EDGE = 1e-12


def arm_points(
    spec: Spec, evidence: Evidence, averaged: np.ndarray, *, points: int | None = None, scrambling: int = 0
) -> np.ndarray:
    """Covariates of each arm at each point, centred and scaled (arm, point, covariate).

    `averaged` (arm,) says which arms are averaged; the others have zeros, as if all points were at the centres.
    """
    count = spec.integration.points if points is None else points
    values = np.zeros((len(averaged), count, len(spec.covariates)))
    if not averaged.any():
        return values
    share = _copula(spec, evidence, count, scrambling)
    for arm in np.flatnonzero(averaged):
        row = evidence.arms.iloc[arm].to_dict()
        for column, (name, term) in enumerate(spec.covariates.items()):
            values[arm, :, column] = term.scaled(_quantile(row, name, term.margin, share[:, column]))
    return values


def ratio_points(spec: Spec, evidence: Evidence, averaged: np.ndarray) -> np.ndarray:
    """Covariates of the study behind each ratio that is `averaged` (ratio,), centred and
    scaled (ratio, point, covariate).

    A covariate that the ratio was adjusted for stands at its mean.
    """
    rows = evidence.hazard_ratios[averaged].to_dict("records")
    points = np.zeros((len(rows), spec.integration.points, len(spec.covariates)))
    share = _copula(spec, evidence, spec.integration.points, 0) if rows else np.zeros((0, len(spec.covariates)))
    for ratio, row in enumerate(rows):
        fixed = adjusted_for(row.get("adjusted_for"))
        for column, (name, term) in enumerate(spec.covariates.items()):
            middle = row[f"share_{name}"] if states_covariate(row, name) == "share" else row[f"mean_{name}"]
            values = middle if name in fixed else _quantile(row, name, term.margin, share[:, column])
            points[ratio, :, column] = term.scaled(values)
    return points


def _copula(spec: Spec, evidence: Evidence, count: int, scrambling: int) -> np.ndarray:
    """Points of the unit cube whose normal scores have the correlation (point, covariate)."""
    # a second to import
    from scipy.stats import qmc

    rng = random_stream(spec.seed, RandomStage.INTEGRATION_POINTS, scrambling)
    unit = qmc.Sobol(len(spec.covariates), scramble=True, rng=rng).random_base2(int(count).bit_length() - 1)
    normal = ndtri(np.clip(unit, EDGE, 1 - EDGE))
    factor = np.linalg.cholesky(correlation(spec, evidence))
    return np.clip(ndtr(normal @ factor.T), EDGE, 1 - EDGE)


def _quantile(arm: Mapping[Any, Any], name: str, margin: str, share: np.ndarray) -> np.ndarray:
    """Quantiles of the covariate in an arm; a margin has the stated mean and sd."""
    stated = states_covariate(arm, name)
    if stated == "share":
        return (share > 1 - float(arm[f"share_{name}"])).astype(float)
    mean, sd = float(arm[f"mean_{name}"]), float(arm[f"sd_{name}"])
    if sd == 0:
        return np.full(len(share), mean)
    if margin == "gamma":
        return np.asarray(gammaincinv((mean / sd) ** 2, share) * sd**2 / mean)
    if margin == "lognormal":
        spread = np.log1p((sd / mean) ** 2)
        return np.exp(np.log(mean) - spread / 2 + np.sqrt(spread) * ndtri(share))
    return mean + sd * ndtri(share)


def correlation(spec: Spec, evidence: Evidence) -> np.ndarray:
    """Of the normal scores: as the spec states it, else that of the patients (covariate, covariate)."""
    names = list(spec.covariates)
    if spec.case_mixes:
        # independent inside an arm (decision 23)
        return np.eye(len(names))
    if spec.integration.correlation is None:
        return _positive(pooled_correlation(evidence.patients, names))
    matrix = np.eye(len(names))
    for pair in spec.integration.correlation:
        row, column = (names.index(name) for name in pair.between)
        matrix[row, column] = matrix[column, row] = pair.value
    if np.linalg.eigvalsh(matrix).min() <= 0:
        raise InputError(
            "integration.correlation",
            found="correlations that cannot stand together (the matrix is not positive definite)",
            allowed="smaller ones",
        )
    return matrix


def pooled_correlation(patients: pd.DataFrame, names: list[str]) -> np.ndarray:
    """Spearman's within each study, averaged on Fisher's z by n - 3, as a normal score's: 2 sin(pi r / 6).

    Zero where no study has two covariates that vary.
    """
    total, weight = np.zeros((len(names), len(names))), np.zeros((len(names), len(names)))
    complete = patients.dropna(subset=names) if len(patients) else patients
    for _, rows in complete.groupby("study"):
        if len(rows) < 4:
            continue
        ranks = rows[names].astype(float).rank().to_numpy()
        varies = ranks.std(axis=0) > 0
        pair = np.ix_(varies, varies)
        z = np.arctanh(np.clip(np.corrcoef(ranks[:, varies], rowvar=False), -0.999, 0.999))
        total[pair] += (len(rows) - 3) * z
        weight[pair] += len(rows) - 3
    mean = np.tanh(np.divide(total, weight, out=np.zeros_like(total), where=weight > 0))
    correlations = 2 * np.sin(np.pi * mean / 6)
    np.fill_diagonal(correlations, 1.0)
    return correlations


def _positive(matrix: np.ndarray) -> np.ndarray:
    """The matrix itself, or the nearest with eigenvalues above zero, its diagonal 1 again."""
    values, vectors = np.linalg.eigh(matrix)
    if values.min() > EDGE:
        return matrix
    kept = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    sd = np.sqrt(np.diag(kept))
    return kept / np.outer(sd, sd)
