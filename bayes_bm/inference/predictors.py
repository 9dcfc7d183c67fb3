"""Linear predictors of a model's rows on posterior draws, worked out once for answers, checks and log-likelihood."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import xarray as xr

from bayes_bm.hazards import Family
from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.mixed_arms import MixedArms
from bayes_bm.model import likelihoods
from bayes_bm.model.covariates.arm_mixes import arm_spreads, mix_offsets
from bayes_bm.model.linear_predictor import (
    Draws,
    Effects,
    arm_predictors,
    covariate_shift,
    draw_ratio_means,
    missing_offsets,
    point_offsets,
    read_draws,
)
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.model.observations import is_arm_level
from bayes_bm.model.prognosis import PrognosticRatios, prognostic_means


class ArmPredictor(NamedTuple):
    """What a hazard is computed from: the family, eta (sample, row) and the shape (sample, row, shape)."""

    family: Family
    eta: np.ndarray
    shape: np.ndarray


@dataclass(frozen=True)
class Predictors:
    """The inputs of a model with draws of its parameters."""

    inputs: ModelInputs
    draws: Draws

    @cached_property
    def effects(self) -> Effects:
        """The draws as the linear predictor reads them."""
        return self.draws.effects

    @cached_property
    def at_centres(self) -> ArmPredictor:
        """Every arm at its covariates' centres, on its own clock where that is unknown."""
        eta, shape = arm_predictors(self.effects, self.inputs.design, xp=NUMPY)
        return ArmPredictor(self.inputs.arm_family, eta, NUMPY.join_shape(shape))

    @cached_property
    def arms(self) -> ArmPredictor:
        """Every arm as a whole, the distribution that its printed numbers come from.

        Where arms are averaged over their covariates, so is the family (`hazards.modifiers`).
        """
        if not self.inputs.any_averaged:
            return self.at_centres
        if self.inputs.arm_mixes is not None:
            wide = np.concatenate([self.at_centres.shape, self.point_offsets, self.point_log_weights], axis=-1)
            family = MixedArms(self.inputs.arm_family, self.inputs.arm_mixes.count)
            return ArmPredictor(family, self.at_centres.eta, wide)
        offsets = self.point_offsets
        wide = np.concatenate([self.at_centres.shape, offsets], axis=-1)
        return ArmPredictor(AveragedOverCovariates(self.inputs.family, offsets.shape[-1]), self.at_centres.eta, wide)

    @cached_property
    def point_offsets(self) -> np.ndarray:
        """What each integration point, or cell of a mix, adds to eta of each arm (sample, arm, point)."""
        if self.inputs.arm_mixes is not None:
            return self._mix[0]
        return self.offsets_at(self.inputs.arm_points)

    @cached_property
    def point_log_weights(self) -> np.ndarray:
        """Log weight of each of them in each arm (sample, arm, point)."""
        if self.inputs.arm_mixes is not None:
            return self._mix[1]
        return np.full(self.point_offsets.shape, -np.log(self.point_offsets.shape[-1]))

    @cached_property
    def _mix(self) -> tuple[np.ndarray, np.ndarray]:
        mixes = self.inputs.arm_mixes
        if mixes is None:
            raise TypeError("a spec without case_mix has no mixes")
        spread = arm_spreads(self.inputs.spec, mixes, self.draws.mix_within)
        return mix_offsets(self.effects, self.inputs.spec, mixes, self.draws.mix, spread, xp=NUMPY)

    def offsets_at(self, points: np.ndarray, samples: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The same for other points (arm, point, covariate), at some draws."""
        effects = self.draws.at(samples).effects
        return point_offsets(effects, self.inputs.design.arm_treatment, points, xp=NUMPY)

    def shifts(self, arm_row: np.ndarray, x: np.ndarray, samples: np.ndarray | slice = slice(None)) -> np.ndarray:
        """What their covariates `x` (patient, covariate) add to eta of patients of some arms (sample, patient)."""
        treatment = self.inputs.design.arm_treatment[arm_row]
        whole = isinstance(samples, slice) and samples == slice(None)
        effects = self.effects if whole else self.draws.at(samples).effects
        # zeros of every patient, so that each has a number of its own where there are no covariates
        zeros = np.zeros((len(effects.level), len(treatment)))
        return zeros + covariate_shift(effects, treatment, x, xp=NUMPY)

    def missing_offsets(
        self, arrays: Mapping[str, np.ndarray], samples: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """What each node of what patients lack adds to eta, then its log weight (sample, patient, 2 node)."""
        rows = SimpleNamespace(**{name: arrays[name] for name in ("arm_row", "x", "blank")})
        treatment, inputs = self.inputs.design.arm_treatment[rows.arm_row], self.inputs
        draws = self.draws.at(samples)
        nodes = missing_offsets(
            draws.effects, draws.covariate_law, treatment, inputs.spec, inputs.covariate_models, rows, xp=NUMPY
        )
        return np.concatenate(np.broadcast_arrays(nodes.added, nodes.log_weight), axis=-1)

    def rows(
        self, name: str, arrays: Mapping[str, np.ndarray], samples: np.ndarray | slice = slice(None)
    ) -> ArmPredictor:
        """The rows of a kind of evidence, at some draws."""
        arm_row = arrays["arm_row"]
        family, eta, shape = self.arms if is_arm_level(name) else self.at_centres
        eta, shape = eta[samples][:, arm_row], shape[samples][:, arm_row]
        if "x" in arrays and arrays["x"].shape[1]:
            eta = eta + self.shifts(arm_row, arrays["x"], samples)
        if name != "patients_imputed":
            return ArmPredictor(family, eta, shape)
        offsets = self.missing_offsets(arrays, samples)
        wide = np.concatenate([shape, offsets], axis=-1)
        return ArmPredictor(MixedArms(family, offsets.shape[-1] // 2), eta, wide)

    @cached_property
    def ratio_means(self) -> np.ndarray:
        """The study's own log hazard ratio behind each hazard-ratio row (sample, ratio)."""
        inputs = self.inputs
        arrays = inputs.kinds.get("hazard_ratios", {})
        return draw_ratio_means(self.draws, inputs.design, inputs.family, arrays, proportional=inputs.spec.proportional)

    @cached_property
    def prognostic_means(self) -> np.ndarray:
        """The log ratio of the average study behind each prognostic ratio (sample, ratio)."""
        rows = self.inputs.prognostic_ratios
        if rows is None:
            return np.zeros((self.draws.samples, 0))
        return prognostic_means(rows, self.draws.coefficient, self.draws.transport, xp=NUMPY)

    def prognostic_log_density(self, rows: PrognosticRatios) -> np.ndarray:
        """Log density of the ratios of each study and covariate together (sample, group)."""
        return likelihoods.prognostic_ratios(
            rows.log_hr,
            self.prognostic_means,
            rows.se,
            change=rows.change,
            sd=self.draws.prognosis_sd[:, None],
            members=rows.members,
            dot=lambda members, values: values @ members.T,
            xp=NUMPY,
        )


def read_predictors(inputs: ModelInputs, posterior: xr.Dataset) -> Predictors:
    """Join the inputs of a model and a posterior of it."""
    return Predictors(inputs, read_draws(posterior, inputs.design, inputs.spec, inputs.family))
