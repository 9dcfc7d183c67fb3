"""Who is averaged over what: rows of averages and of mixtures, and the arrays behind them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayes_bm.hazards.modifiers.unknown_clock import CLOCKS
from bayes_bm.inference.compiled.cells.bases import base_family
from bayes_bm.inference.compiled.coordinates import Coordinates
from bayes_bm.inference.compiled.structure import bias_place
from bayes_bm.model.covariates.missing import prior, rule
from bayes_bm.model.model_inputs import ModelInputs

Fields = dict[str, object]
NONE = np.zeros(0)


@dataclass(frozen=True)
class LackingPatients:
    """Distinct patients who lack covariates: arm, x, blank (distinct, ...), weights summed; `mixture` of each patient
    is its row of mixtures (patient,).
    """

    arm: np.ndarray
    x: np.ndarray
    blank: np.ndarray
    weight: np.ndarray
    mixture: np.ndarray


@dataclass(frozen=True)
class Mixtures:
    """Rows of mixtures: arms at integration points, sides of crude ratios, mixes of arms, patients who lack covariates.

    Arms whose hazards are proportional are averaged at integration points by `averages.py`, in rows of their own.
    """

    inputs: ModelInputs

    @classmethod
    def of(cls, inputs: ModelInputs) -> "Mixtures":
        return cls(inputs)

    @cached_property
    def factored(self) -> bool:
        """Whether covariates multiply the hazard that the formula gives."""
        family = base_family(self.inputs.family)
        return family.effect == "hazard" and not self.inputs.family.cured

    @cached_property
    def _points_of_arms(self) -> np.ndarray:
        """Arms whose integration points are a row of mixtures."""
        inputs = self.inputs
        return np.flatnonzero(inputs.averaged_arms & inputs.any_integrated & (not self.factored))

    @cached_property
    def average_of_arm(self) -> np.ndarray:
        """Row of averages of each arm, -1 for none (arm,)."""
        mask = self.inputs.averaged_arms & self.inputs.any_integrated & self.factored
        return np.where(mask, np.cumsum(mask) - 1, -1)

    @cached_property
    def mixture_of_arm(self) -> np.ndarray:
        """Row of mixtures of each arm, -1 for none (arm,)."""
        arms = len(self.inputs.design.arm_study)
        found = np.full(arms, -1)
        if self.inputs.arm_mixes is not None:
            return self._first_mix + np.arange(arms)
        found[self._points_of_arms] = np.arange(len(self._points_of_arms))
        return found

    @cached_property
    def _crude(self) -> np.ndarray:
        """Crude ratios, by their place among all."""
        return self.inputs.kinds.get("hazard_ratios", {}).get("averaged", np.zeros(0, dtype=int))

    def of_ratio_sides(self, ratios: np.ndarray) -> np.ndarray:
        """Row of mixtures of both sides of some ratios, -1 for none (ratio, 2)."""
        first, place = len(self._points_of_arms), {ratio: i for i, ratio in enumerate(self._crude.tolist())}
        rows = [
            (first + 2 * place[one], first + 2 * place[one] + 1) if one in place else (-1, -1)
            for one in ratios.tolist()
        ]
        return np.array(rows, dtype=int).reshape(-1, 2)

    @property
    def _first_mix(self) -> int:
        return len(self._points_of_arms) + 2 * len(self._crude)

    @cached_property
    def patients(self) -> LackingPatients:
        """Those who lack covariates; no rows where nobody does."""
        data, width = self.inputs.kinds.get("patients_imputed"), len(self.inputs.spec.covariates)
        if data is None:
            none, nobody = np.zeros((0, width)), np.zeros(0, dtype=int)
            return LackingPatients(nobody, none, none, np.zeros(0), nobody)
        alike = np.column_stack([data["arm_row"], data["x"], data["blank"]])
        distinct, row = np.unique(alike, axis=0, return_inverse=True)
        weight = np.bincount(row.ravel(), weights=data["weight"], minlength=len(distinct))
        arm, x, blank = distinct[:, 0].astype(int), distinct[:, 1 : 1 + width], distinct[:, 1 + width :]
        mixes = 0 if self.inputs.arm_mixes is None else len(self.inputs.arm_mixes.arms)
        return LackingPatients(arm, x, blank, weight, self._first_mix + mixes + row.ravel())

    @cached_property
    def _sizes(self) -> np.ndarray:
        """Parts of each row of mixtures."""
        inputs = self.inputs
        sizes = [inputs.spec.integration.points] * self._first_mix
        if inputs.arm_mixes is not None:
            sizes += [inputs.arm_mixes.count] * len(inputs.arm_mixes.arms)
        if len(self.patients.arm):
            sizes += [rule(inputs.covariate_models)[0].shape[1]] * len(self.patients.arm)
        return np.array(sizes, dtype=int)

    @property
    def _ends(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self._sizes)])

    def packed(self) -> Fields:
        """Fields of the rows of mixtures."""
        if not len(self._sizes):
            return {"mixture_first": [], "part_first": [0, 0], "linear_arm": [], "linear_x": []}
        ends, inputs = self._ends, self.inputs
        mixes = 0 if inputs.arm_mixes is None else len(inputs.arm_mixes.arms)
        sides = len(inputs.design.arm_study) + (2 * self._crude[:, None] + np.arange(2)).ravel()
        at_ratios = inputs.kinds["hazard_ratios"]["x"] if len(self._crude) else np.zeros((0, 0, 0))
        x = [*np.swapaxes(inputs.arm_points[self._points_of_arms], 1, 2)] if len(self._points_of_arms) else []
        x += [*np.repeat(np.swapaxes(at_ratios, 1, 2), 2, axis=0)] if len(self._crude) else []
        return {
            "mixture_first": ends,
            "part_first": [ends[self._first_mix], ends[self._first_mix + mixes]],
            "linear_arm": np.concatenate([self._points_of_arms, sides]),
            "linear_x": np.array(x),
        }

    def places(self, mixture: np.ndarray) -> Fields:
        """Fields of the parts of cells, whose rows of mixtures are given (cell,), and of places."""
        if not (mixture >= 0).any():
            return dict.fromkeys(("cell_mixture", "cell_first", "place_cell", "place_part"), NONE)
        sizes = np.where(mixture >= 0, self._sizes[mixture], 1)
        first = np.concatenate([[0], np.cumsum(sizes)])
        fields: Fields = {"cell_mixture": mixture, "cell_first": first, "place_cell": [], "place_part": []}
        if self.factored:
            return fields
        cell = np.repeat(np.arange(len(mixture)), sizes)
        within = np.arange(len(cell)) - first[cell]
        part = np.where(mixture[cell] >= 0, self._ends[mixture[cell]] + within, -1)
        return {**fields, "place_cell": cell, "place_part": part}


def pack_lacking(inputs: ModelInputs, coordinates: Coordinates, patients: LackingPatients) -> Fields:
    """Patients who lack covariates, and the laws of what they lack."""
    models = inputs.covariate_models
    if not models:
        return dict.fromkeys(LACKING_FIELDS, NONE)
    names, node = list(inputs.spec.covariates), rule(models)
    mean, factor = prior(models)
    earlier = np.full((len(models), len(names)), -1)
    for row, model in enumerate(models):
        earlier[row, : len(model.earlier)] = model.earlier
    bounds = [inputs.spec.covariates[model.name].scaled(np.array([0.0, 1.0])) for model in models]
    return {
        "lacking_arm": patients.arm,
        "lacking_level": np.searchsorted(models[0].arms, patients.arm),
        "law_at": [coordinates.starts["covariate_law_standard"]],
        "law_column": [model.column for model in models],
        "law_two": [model.two_valued for model in models],
        "law_first": [model.first for model in models],
        "law_levels": [len(models[0].arms)],
        "law_earlier": earlier,
        "law_counts": [len(model.earlier) for model in models],
        "lacking_x": patients.x,
        "lacking_blank": patients.blank,
        "lacking_weight": patients.weight,
        "law_mean": mean,
        "law_factor": factor,
        "law_middle": models[0].middle,
        "law_spread": models[0].spread,
        "law_bounds": bounds,
        "law_node": node[0],
        "law_log_node": node[1],
    }


LACKING_FIELDS = (
    *("lacking_arm", "lacking_level", "law_at", "law_column", "law_two", "law_first", "law_levels", "law_earlier"),
    *("law_counts", "lacking_x", "lacking_blank", "lacking_weight", "law_mean", "law_factor", "law_middle"),
    *("law_spread", "law_bounds", "law_node", "law_log_node"),
)
"""Of `pack_lacking`, in order."""


def pack_clocks(inputs: ModelInputs, coordinates: Coordinates) -> Fields:
    """Coordinates of unknown times of clocks, and what each arm makes of them, as shares of t0."""
    clocks, biases = inputs.design.clocks, list(inputs.spec.modelled_biases)
    if clocks is None:
        return {"clock_at": [], "clock_scale": [], "clock_stated": []}
    coordinate, scale = [-1] * len(CLOCKS), np.zeros_like(clocks.acts)
    for clock, name in enumerate(CLOCKS):
        if name in inputs.spec.unknown_clocks:
            coordinate[clock] = bias_place(coordinates, name)
            scale[:, clock] = clocks.acts[:, clock] * clocks.of_bias[clock, biases.index(name)]
    return {"clock_at": coordinate, "clock_scale": scale, "clock_stated": clocks.acts * clocks.stated}
