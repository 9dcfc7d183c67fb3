"""The linear predictor of each arm on posterior draws, in numpy: the twin of `model._linear_predictor`."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_bm.effects import Design
from bayes_bm.spec import Spec


@dataclass(frozen=True)
class Draws:
    """Posterior draws flattened to (sample, ...), zero where the spec leaves an effect out."""

    intercept: np.ndarray
    log_hr: np.ndarray
    log_shape: np.ndarray
    treatment_log_shape: np.ndarray
    study_effect: np.ndarray
    study_log_shape: np.ndarray
    study_treatment_effect: np.ndarray
    study_sd: np.ndarray
    study_treatment_sd: np.ndarray
    study_shape_sd: np.ndarray
    coefficient: np.ndarray
    chains: int

    @property
    def samples(self) -> int:
        return len(self.intercept)


def draws(posterior: xr.Dataset, shape: Design, spec: Spec) -> Draws:
    """Flatten a posterior; treatments and pairs carry a leading zero column for "reference" and "none"."""
    chains, per_chain = posterior.sizes["chain"], posterior.sizes["draw"]
    samples = chains * per_chain

    def scalar(name: str) -> np.ndarray:
        return posterior[name].values.reshape(samples) if name in posterior else np.zeros(samples)

    def vector(name: str, size: int, *, pad: bool = False) -> np.ndarray:
        values = posterior[name].values.reshape(samples, -1) if name in posterior else np.zeros((samples, size))
        return np.concatenate([np.zeros((samples, 1)), values], axis=1) if pad else values

    return Draws(
        intercept=scalar("intercept"),
        log_hr=vector("log_hr", len(shape.compared), pad=True),
        log_shape=scalar("log_shape"),
        treatment_log_shape=vector("treatment_log_shape", len(shape.compared), pad=True),
        study_effect=vector("study_effect", len(shape.studies)),
        study_log_shape=vector("study_log_shape", len(shape.studies)),
        study_treatment_effect=vector("study_treatment_effect", len(shape.pairs), pad=True),
        study_sd=scalar("study_sd"),
        study_treatment_sd=scalar("study_treatment_sd"),
        study_shape_sd=scalar("study_shape_sd"),
        coefficient=vector("coefficient", len(spec.covariates)),
        chains=chains,
    )


def arm_predictors(of: Draws, shape: Design) -> tuple[np.ndarray, np.ndarray]:
    """eta and log_shape (sample, arm row) of every arm in the evidence, at covariates of zero (their centres)."""
    deviation = of.study_treatment_effect[:, shape.arm_pair]
    eta = of.intercept[:, None] + of.study_effect[:, shape.arm_study] + of.log_hr[:, shape.arm_treatment] + deviation
    of_treatment = of.treatment_log_shape[:, shape.arm_treatment]
    return eta, of.log_shape[:, None] + of.study_log_shape[:, shape.arm_study] + of_treatment


def ratio_means(of: Draws, shape: Design) -> np.ndarray:
    """The study's own log hazard ratio behind each hazard-ratio row (sample, row)."""
    deviation = of.study_treatment_effect
    contrast = of.log_hr[:, shape.hr_treatment] - of.log_hr[:, shape.hr_reference]
    return contrast + deviation[:, shape.hr_pair] - deviation[:, shape.hr_reference_pair]
