"""Pointwise log-likelihood of every kind of evidence on posterior draws."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.hazards.modifiers.averaged_over_covariates import averaged
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.model import likelihoods
from bayes_bm.model.linear_predictor import (
    arm_predictors,
    point_offsets,
    read_draws,
)
from bayes_bm.model.observations import KINDS, active_terms, is_arm_level, observations

if TYPE_CHECKING:
    from bayes_bm.inference.result import Result

POINTWISE_LIMIT = 50_000_000
"""Above so many (draw x row) numbers the log-likelihood is stored per arm, not per patient."""


def pointwise_log_likelihood(result: "Result") -> xr.Dataset:
    """Log density of every row of evidence at every draw, by kind (chain, draw, row).

    Refused for a stack of imputations: a row is another patient in each, and LOO over the stack would mix them.
    """
    hint = "result.of_imputation(1).log_likelihood"
    result.require_one_target("pointwise log-likelihood", differ="patients", hint=hint)
    of, found = result.draws, {}
    for name, arrays in observations(result.spec, result.evidence, result.family).items():
        if name == "hazard_ratios":
            found[name] = _ratio_log_likelihood(result, arrays, result.ratio_means)
            continue
        data = SimpleNamespace(**arrays, **active_terms(arrays))
        cost = max(1, result.law_of(name, arrays, slice(0, 1))[2].shape[-1] // 4)
        terms = np.empty((of.samples, len(data.arm_row)))
        whole = terms.size <= POINTWISE_LIMIT
        if not whole:
            terms = np.empty((of.samples, len(result.evidence.arms)))
        for rows in np.array_split(np.arange(of.samples), max(1, cost * of.samples * len(data.arm_row) // 2_000_000)):
            law, at, shape = result.law_of(name, arrays, rows)
            values = KINDS[name].log_density(law, data, at, shape, xp=NUMPY)
            terms[rows] = values if whole else _sum_by(values, data.arm_row, terms.shape[1])
        found[name] = terms
    return xr.Dataset({name: _labelled(values, of.chains, name) for name, values in found.items()})


def averaged_log_likelihood(result: "Result", posterior: xr.Dataset, points: np.ndarray) -> np.ndarray:
    """Log likelihood of each arm at draws of a posterior, its kinds averaged over `points` (draw, arm)."""
    of = read_draws(posterior, result.design, result.spec, result.family)
    eta, of_arm = arm_predictors(of, result.design)
    wide = np.concatenate([of_arm, point_offsets(of, result.design, points)], axis=-1)
    law, total = averaged(result.family, points.shape[1]), np.zeros(eta.shape)
    for name, arrays in observations(result.spec, result.evidence, result.family, ties=True).items():
        if is_arm_level(name):
            rows = arrays["arm_row"]
            data = SimpleNamespace(**arrays, **active_terms(arrays))
            cost = of.samples * len(rows) * points.shape[1]
            for part in np.array_split(np.arange(of.samples), max(1, cost // 4_000_000)):
                at = np.ix_(part, rows)
                values = KINDS[name].log_density(law, data, eta[at], wide[at], xp=NUMPY)
                total[part] += _sum_by(values, rows, total.shape[1])
    return total


def _sum_by(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    return np.stack([np.bincount(group, weights=row, minlength=groups) for row in values])


def _ratio_log_likelihood(result: "Result", arrays: Mapping[str, np.ndarray], mean: np.ndarray) -> np.ndarray:
    def dot(whitener: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return noise @ whitener.T

    terms = likelihoods.hazard_ratios(
        arrays["log_hr"], mean, arrays["whitener"], log_diagonal=arrays["log_diagonal"], dot=dot
    )
    studies = pd.Categorical(result.evidence.hazard_ratios["study"])
    return _sum_by(terms, studies.codes, len(studies.categories))


def _labelled(values: np.ndarray, chains: int, name: str) -> xr.DataArray:
    shaped = values.reshape(chains, -1, values.shape[1])
    return xr.DataArray(shaped, dims=("chain", "draw", f"{name}_row"))
