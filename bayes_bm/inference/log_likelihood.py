"""Pointwise log-likelihood of every kind of evidence on posterior draws."""

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.node_averages import averaged_at_nodes, is_summed_at_nodes
from bayes_bm.inference.predictors import ArmPredictor, Predictors
from bayes_bm.model import likelihoods
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.model.observations import KINDS, active_terms, is_arm_level
from bayes_bm.model.prognosis import NAME

POINTWISE_LIMIT = 50_000_000
"""Above so many (draw x row) numbers the log-likelihood is stored per arm, not per patient."""

AT_NODES = 16
"""What a row of an arm summed at nodes takes, in numbers a draw."""


def pointwise_log_likelihood(predictors: Predictors) -> xr.Dataset:
    """Log density of every row of evidence at every draw, by kind (chain, draw, row)."""
    inputs, draws, terms = predictors.inputs, predictors.draws, {}
    for name, arrays in inputs.kinds.items():
        if name == "hazard_ratios":
            terms[name] = _ratio_log_likelihood(inputs, predictors.ratio_means)
        else:
            terms[name] = _row_log_likelihood(predictors, name, arrays)
    if inputs.prognostic_ratios is not None:
        terms[NAME] = predictors.prognostic_log_density(inputs.prognostic_ratios)
    return xr.Dataset({name: _labelled(values, draws.chains, name) for name, values in terms.items()})


def _row_log_likelihood(predictors: Predictors, name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Of every row (sample, row), or, of very many, summed by arm (sample, arm)."""
    data, samples = SimpleNamespace(**arrays, **active_terms(arrays)), predictors.draws.samples
    at_nodes = is_arm_level(name) and is_summed_at_nodes(predictors)
    cost = 4 if at_nodes else max(1, predictors.rows(name, arrays, slice(0, 1)).shape.shape[-1] // 4)
    terms = np.empty((samples, len(data.arm_row)))
    whole = terms.size <= POINTWISE_LIMIT
    if not whole:
        terms = np.empty((samples, len(predictors.inputs.evidence.arms)))
    for part in np.array_split(np.arange(samples), max(1, cost * samples * len(data.arm_row) // 2_000_000)):
        if at_nodes:
            family, eta, shape = _chosen(
                averaged_at_nodes(predictors, predictors.inputs.arm_points, part), data.arm_row
            )
        else:
            family, eta, shape = predictors.rows(name, arrays, part)
        values = KINDS[name].log_density(family, data, eta, shape, xp=NUMPY)
        terms[part] = values if whole else _sum_by(values, data.arm_row, terms.shape[1])
    return terms


def averaged_log_likelihood(predictors: Predictors, points: np.ndarray) -> np.ndarray:
    """Log likelihood of each arm, its kinds averaged over `points` (arm, point, covariate): (draw, arm)."""
    inputs, samples = predictors.inputs, predictors.draws.samples
    total, at_nodes = np.zeros(predictors.at_centres.eta.shape), is_summed_at_nodes(predictors)
    for name, arrays in inputs.tied_kinds.items():
        if is_arm_level(name):
            rows = arrays["arm_row"]
            data = SimpleNamespace(**arrays, **active_terms(arrays))
            cost = samples * max(len(rows), total.shape[1]) * (points.shape[1] if not at_nodes else AT_NODES)
            for part in np.array_split(np.arange(samples), max(1, cost // 4_000_000)):
                averaged = averaged_at_nodes if at_nodes else _point_by_point
                family, eta, shape = _chosen(averaged(predictors, points, part), rows)
                values = KINDS[name].log_density(family, data, eta, shape, xp=NUMPY)
                total[part] += _sum_by(values, rows, total.shape[1])
    return total


def _point_by_point(predictors: Predictors, points: np.ndarray, samples: np.ndarray) -> ArmPredictor:
    """Every arm averaged over `points`, whose offsets stand behind the shapes."""
    _, eta, shape = predictors.at_centres
    wide = np.concatenate([shape[samples], predictors.offsets_at(points, samples)], axis=-1)
    return ArmPredictor(AveragedOverCovariates(predictors.inputs.family, points.shape[1]), eta[samples], wide)


def _chosen(arms: ArmPredictor, arm_row: np.ndarray) -> ArmPredictor:
    """The arm of each row."""
    return ArmPredictor(arms.family, arms.eta[:, arm_row], arms.shape[:, arm_row])


def _sum_by(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    return np.stack([np.bincount(group, weights=row, minlength=groups) for row in values])


def _ratio_log_likelihood(inputs: ModelInputs, mean: np.ndarray) -> np.ndarray:
    """Of every study's ratios together (sample, study)."""
    arrays = inputs.kinds["hazard_ratios"]

    def dot(whitener: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return noise @ whitener.T

    terms = likelihoods.hazard_ratios(
        arrays["log_hr"], mean, arrays["whitener"], log_diagonal=arrays["log_diagonal"], dot=dot
    )
    studies = pd.Categorical(inputs.evidence.hazard_ratios["study"])
    return _sum_by(terms, studies.codes, len(studies.categories))


def _labelled(values: np.ndarray, chains: int, name: str) -> xr.DataArray:
    shaped = values.reshape(chains, -1, values.shape[1])
    return xr.DataArray(shaped, dims=("chain", "draw", f"{name}_row"))
