"""One study that does not exist yet: drawn from the posterior with effects of its own, and its density at every draw.

Its own effects enter as coordinates: what each arm's eta, and the first shape, differ by from an average study's. Each
treatment has one arm, so the coordinates are added to `log_hr` and `shape` of the draws, for every family alike.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from bayes_bm.checks.study_likelihood import rows_log_density
from bayes_bm.hazards.family import placed
from bayes_bm.inference.predictors import Predictors
from bayes_bm.inference.result import Result
from bayes_bm.model.design import DEVIATION_VARIANCE
from bayes_bm.model.linear_predictor import Draws, on_first
from bayes_bm.model.model_inputs import Arrays, ModelInputs, prepare
from bayes_bm.model.observations import KINDS
from bayes_bm.model.study_levels import drawn_level_scale
from bayes_bm.runtime.types import Array
from bayes_bm.spec.document import Spec
from bayes_bm.updates.designs import Design, PlannedArm
from bayes_bm.updates.planned_evidence import planned_evidence, planned_spec

PATIENTS = ("patients", "patients_averaged")
RATIOS = "hazard_ratios"
Numbers = Mapping[str, Arrays]
"""Arrays of every kind of evidence, by its name."""


@dataclass(frozen=True)
class FutureStudy:
    """Hold a planned study: how its rows are read, and draws of what all studies share.

    Coordinates (sample, coordinate) are of eta of each arm in order, then, where studies differ in shape, of the shape,
    and of coefficients where patients are listed with covariates: they tell of these, but no study has its own.
    """

    design: Design
    arms: tuple[PlannedArm, ...]
    inputs: ModelInputs
    shared: Draws
    level_scale: Array | None = None
    """What study_sd is multiplied by in this study at each draw (sample,); None for 1."""

    @property
    def spec(self) -> Spec:
        return self.inputs.spec

    @cached_property
    def treatments(self) -> list[int]:
        """Return the place of each arm's treatment."""
        return [self.spec.treatments.names.index(arm.treatment) for arm in self.arms]

    @property
    def shaped(self) -> bool:
        return self.spec.hazard.varies is not None and self.spec.effects.study_shape is not None

    @property
    def listed(self) -> int:
        """Return the number of covariates of patients who are listed."""
        return self.inputs.kinds["patients"]["x"].shape[1] if "patients" in self.inputs.kinds else 0

    @property
    def coordinates(self) -> int:
        return len(self.arms) + self.shaped + self.listed

    @cached_property
    def factor(self) -> Array:
        """Return what makes coordinates of scores: level, deviations, shape (sample, coordinate, score)."""
        draws, count = self.shared, len(self.arms)
        confounding = self.design.confounding_sd if count > 1 and not self.design.randomised else 0.0
        deviation = np.sqrt(DEVIATION_VARIANCE * (draws.study_treatment_sd**2 + confounding**2))
        factor = np.zeros((draws.samples, self.coordinates, 1 + count + self.shaped))
        level_sd = draws.study_sd if self.level_scale is None else draws.study_sd * self.level_scale
        factor[:, :count, 0] = level_sd[:, None]
        factor[:, range(count), range(1, 1 + count)] = deviation[:, None]
        if self.shaped:
            factor[:, count, -1] = draws.study_shape_sd
        return factor

    @cached_property
    def base(self) -> Array:
        """Return where each draw puts an average study on the coordinates' axes (sample, coordinate)."""
        draws, design = self.shared, self.inputs.design
        base = draws.intercept[:, None] + draws.log_hr[:, self.treatments]
        if self.inputs.arm_mixes is not None and not self.listed and len(design.arm_treatment):
            averaged = Predictors(self.inputs, draws)
            score = np.sum(averaged.point_offsets * np.exp(averaged.point_log_weights), axis=-1)
            rows = [int(np.flatnonzero(design.arm_treatment == treatment)[0]) for treatment in self.treatments]
            base = base + score[:, rows]
        shape = draws.shape[:, :1] if self.shaped else np.zeros((draws.samples, 0))
        return np.concatenate([base, shape, draws.coefficient[:, : self.listed]], axis=1)

    def at(self, coordinates: Array, draws: Draws | None = None) -> Draws:
        """Return draws of the study with these coordinates."""
        draws = self.shared if draws is None else draws
        log_hr, count = draws.log_hr.copy(), len(self.arms)
        log_hr[:, self.treatments] += coordinates[:, :count]
        moved = replace(draws, log_hr=log_hr)
        if self.listed:
            moved = replace(moved, coefficient=draws.coefficient + coordinates[:, -self.listed :])
        if self.shaped:
            moved = replace(moved, shape=draws.shape + on_first(coordinates[:, count], draws.shape.shape[-1]))
        return moved

    def log_density(self, numbers: Numbers, draws: Draws) -> Array:
        """Return the log density of what was printed at each draw (sample,)."""
        return rows_log_density(replace_kinds(self.inputs, numbers), draws)

    def simulated(self, places: Array, coordinates: Array, rng: np.random.Generator) -> Iterator[Numbers]:
        """Yield what is printed under each of some draws with coordinates (future, coordinate)."""
        yield from simulated_rows(self.inputs, self.design, self.at(coordinates, self.shared.at(places)), rng)


def future_study(result: Result, design: Design, arms: Sequence[PlannedArm], rng: np.random.Generator) -> FutureStudy:
    """Return a planned study read by the result's model, without effects of its own."""
    spec = planned_spec(result.spec, arms)
    inputs = prepare(spec, planned_evidence(result, spec, design, arms, rng))
    inputs = replace_kinds(inputs, {name: _whole_sizes(name, arrays) for name, arrays in inputs.kinds.items()})
    shared = _shared(result, inputs)
    # a level with heavy tails is a normal whose variance is drawn beside the parameters
    scale = None if spec.level_df is None else drawn_level_scale(spec, shared.samples, rng)
    return FutureStudy(design, tuple(arms), inputs, shared, scale)


def _whole_sizes(name: str, arrays: Arrays) -> Arrays:
    """Sizes of binomials as whole numbers: what is drawn then has the law that it is read by."""
    return {**arrays, "size": np.maximum(np.rint(arrays["size"]), 1.0)} if name == "points" else arrays


def _shared(result: Result, inputs: ModelInputs) -> Draws:
    """Draws of what studies share; effects of the study are zero, its mix is that of its design."""
    draws, design, mixes = result.predictors.draws, inputs.design, inputs.arm_mixes
    count, width = draws.samples, draws.shape.shape[-1]
    names = list(result.spec.modelled_biases)
    kept = [names.index(name) for name in inputs.spec.modelled_biases]
    return replace(
        draws,
        study_effect=np.zeros((count, len(design.studies))),
        study_shape=np.zeros((count, len(design.studies), width)),
        study_treatment_effect=np.zeros((count, 1 + len(design.pairs))),
        bias=draws.bias[:, kept],
        mix=draws.mix if mixes is None else np.broadcast_to(mixes.printed, (count, *mixes.printed.shape)),
        chains=1,
    )


# ---------------------------------------------------------------------------------------------- numbers


def replace_kinds(inputs: ModelInputs, numbers: Numbers) -> ModelInputs:
    """Return the inputs with other numbers printed."""
    other = replace(inputs)
    kept = {name: value for name, value in vars(inputs).items() if name not in other.__dict__}
    vars(other).update(kept | {"kinds": dict(numbers)})
    return other


def simulated_rows(inputs: ModelInputs, design: Design, draws: Draws, rng: np.random.Generator) -> Iterator[Numbers]:
    """Yield the numbers that a study prints under each draw, by the law of decisions 5 to 8; patients are followed as
    designed.
    """
    predictors, drawn = Predictors(inputs, draws), {}
    for name, arrays in inputs.kinds.items():
        if name == RATIOS:
            noise = rng.standard_normal(predictors.ratio_means.shape)
            drawn[name] = {"log_hr": predictors.ratio_means + noise @ np.linalg.inv(arrays["whitener"]).T}
            continue
        family, eta, shape = predictors.rows(name, arrays)
        value = KINDS[name].draw(family, SimpleNamespace(**_uncensored(name, arrays)), eta, shape, rng)
        drawn[name] = _followed(inputs, design, value, rng) if name in PATIENTS else {KINDS[name].value: value}
    for future in range(draws.samples):
        yield {
            name: {**arrays, **_placed(inputs, {key: values[future] for key, values in drawn[name].items()})}
            for name, arrays in inputs.kinds.items()
        }


def _uncensored(name: str, arrays: Arrays) -> dict[str, Any]:
    """Patients as if all were followed until they die."""
    if name in PATIENTS:
        return {**arrays, "exact": np.ones_like(arrays["exact"]), "any_entry": False}
    return arrays


def _followed(inputs: ModelInputs, design: Design, log_u: Array, rng: np.random.Generator) -> dict[str, Array]:
    """Time and event of patients who enter during accrual and may be lost (future, patient)."""
    t0, shape = inputs.spec.reference_time, log_u.shape
    end = np.full(shape, np.inf) if design.followup is None else design.followup - design.accrual * rng.random(shape)
    if design.lost > 0:
        end = np.minimum(end, t0 * rng.exponential(size=shape) / -np.log1p(-design.lost))
    log_end = np.log(end / t0)
    return {"log_u": np.minimum(log_u, log_end), "exact": (log_u <= log_end).astype(float)}


def _placed(inputs: ModelInputs, arrays: Arrays) -> Arrays:
    if inputs.family.basis is None or "log_u" not in arrays:
        return arrays
    return {**arrays, placed("log_u"): inputs.family.place(arrays["log_u"])}
