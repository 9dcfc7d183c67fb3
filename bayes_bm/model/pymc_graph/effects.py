"""Effects and shapes of the linear predictor as PyTensor expressions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_bm.hazards import Family
from bayes_bm.hazards.modifiers.unknown_clock import CLOCKS
from bayes_bm.model.design import Design
from bayes_bm.model.pymc_graph.priors import exchangeable_effect, truncated_variable, variable
from bayes_bm.spec.covariates import Covariate
from bayes_bm.spec.document import Spec
from bayes_bm.spec.priors import (
    Prior,
)


@dataclass(frozen=True)
class ByStudy:
    """A value of the average study, and of each study; the first is zero where studies are free."""

    average: Any
    study: Any

    @property
    def both(self) -> Any:
        """The average study at 0, then the others."""
        return pt.concatenate([self.average[None], self.study])


@dataclass(frozen=True)
class Parts:
    """The linear predictor, part by part.

    `log_hr` (or the log time ratio), `deviation` and `treatment_shape` carry a leading zero for "the reference" or
    "none". `shapes` are the shape parameters one by one, `coefficients` the log coefficients of a flexible baseline;
    `treatment_shape` is what a treatment adds to the first of them, (treatment,) or (treatment, coefficient); `bias`
    the biases in the order of the spec, None where all are off.
    """

    log_hr: Any
    deviation: Any
    level: ByStudy
    shapes: tuple[ByStudy, ...]
    coefficients: ByStudy | None
    treatment_shape: Any
    bias: Any


def matrix_product(matrix: Any, vector: Any) -> Any:
    """matrix . vector, as sums: without a BLAS (pip brings none) PyTensor's own product falls back to Python."""
    return pt.sum(matrix * vector, axis=1)


def _padded(effect: Any) -> Any:
    """A leading zero, for "the reference" and for "no such pair"."""
    return pt.concatenate([pt.zeros(1), effect])


def make_parts(spec: Spec, shape: Design, family: Family) -> Parts:
    effect, prior = spec.hazard.treatment_effect, getattr(spec.priors, spec.hazard.treatment_effect)
    log_hr = _padded(variable(effect, prior, "treatment"))
    between = spec.effects.study_treatment
    deviation = pt.zeros(1) if between is None or not shape.pairs else _padded(_study_treatment(between.sd, shape))
    level = _study_level(spec, shape)
    shapes = tuple(_study_shape(spec, shape, name) for name in spec.hazard.shapes)
    coefficients = _coefficients_of_time(spec, shape, family) if family.knots else None
    of_treatment, bias = _treatment_shape(spec, shape, family), _biases(spec, shape)
    return Parts(log_hr, deviation, level, shapes, coefficients, of_treatment, bias)


def _biases(spec: Spec, shape: Design) -> Any:
    """Every bias of the density, those of unknown size as one parameter `bias`; None where there is none."""
    terms = spec.modelled_biases
    if not terms:
        return None
    latest = np.inf if shape.clocks is None else shape.clocks.latest
    unknown = {
        name: truncated_variable(f"bias_{name}", term.prior, latest if name == "immortal_time" else np.inf)
        for name, term in terms.items()
        if term.prior is not None
    }
    if unknown:
        pm.Deterministic("bias", pt.stack(list(unknown.values())), dims="bias_term")
    # an array, because a bare float may be narrowed to float32 (`variable`)
    fixed = {name: pt.as_tensor(np.array(term.value.value)) for name, term in terms.items() if term.value is not None}
    return pt.stack([(unknown | fixed)[name] for name in terms])


def _treatment_shape(spec: Spec, shape: Design, family: Family) -> Any:
    """What each treatment adds to the shape: to a number, or a random walk of its own to a flexible baseline's."""
    if spec.priors.treatment_log_shape is not None:
        return _padded(variable("treatment_log_shape", spec.priors.treatment_log_shape, "treatment"))
    if spec.priors.treatment_smooth_sd is None:
        return None
    sd = variable("treatment_smooth_sd", spec.priors.treatment_smooth_sd)
    walks = _from_zero(_walk("treatment_log_coefficient", sd, family, ("treatment", "location")))
    return pt.concatenate([pt.zeros((1, walks.shape[1])), walks])


def _walk(name: str, sd: Any, family: Family, dims: str | tuple[str, ...]) -> Any:
    """A random walk in time from zero over the knots, without the zero (`flexible`)."""
    if family.knots is None:
        raise TypeError("a walk needs knots")
    step = sd * np.sqrt(family.knots.step)
    return pm.Deterministic(name, pt.cumsum(pm.Normal(f"{name}_standard", dims=dims) * step, axis=-1), dims=dims)


def _from_zero(walks: Any) -> Any:
    """Walks (row, step) with the zero they start from (row, coefficient)."""
    return pt.concatenate([pt.zeros((walks.shape[0], 1)), walks], axis=-1)


def arm_predictors(parts: Parts, shape: Design) -> tuple[Any, list[Any]]:
    """eta of each arm, and its shape parameters one by one, coefficients first."""
    index = {name: pm.Data(name, getattr(shape, name)) for name in ("arm_study", "arm_treatment", "arm_pair")}
    study, treatment = index["arm_study"], index["arm_treatment"]
    eta = parts.level.study[study] + parts.log_hr[treatment] + parts.deviation[index["arm_pair"]]
    if parts.bias is not None:
        eta = eta + matrix_product(pm.Data("arm_bias", shape.arm_bias), parts.bias)
    shapes = shapes_at(parts, [of.study[study] for of in all_shapes(parts)], treatment)
    return eta, [*shapes, *_clocks(parts, shape)]


def _clocks(parts: Parts, shape: Design) -> list[Any]:
    """Unknown times of each arm's clock, one by one, behind its shape (`hazards.clocked`)."""
    if shape.clocks is None:
        return []
    of, acts = shape.clocks, np.array(shape.clocks.acts)
    return [acts[:, at] * (pt.sum(of.of_bias[at] * parts.bias) + of.known[:, at]) for at in range(len(CLOCKS))]


def all_shapes(parts: Parts) -> list[ByStudy]:
    return [*([parts.coefficients] if parts.coefficients is not None else []), *parts.shapes]


def shapes_at(parts: Parts, of_study: list[Any], treatment: Any) -> list[Any]:
    """Shapes of some study's arms: a treatment adds to the first parameter."""
    if parts.treatment_shape is None:
        return of_study
    return [of_study[0] + parts.treatment_shape[treatment], *of_study[1:]]


def _study_level(spec: Spec, shape: Design) -> ByStudy:
    """intercept + study_effect, or each study's own level (docs/decisions.md#11-free-levels)."""
    if spec.free_levels:
        levels = variable("study_effect", spec.priors.intercept, "study") if shape.studies else pt.zeros(0)
        return ByStudy(pt.zeros(()), levels)
    intercept = variable("intercept", spec.priors.intercept)
    effect = spec.effects.study
    if effect is None or effect.sd is None or not shape.studies:
        return ByStudy(intercept, intercept + pt.zeros(len(shape.studies)))
    return ByStudy(intercept, intercept + exchangeable_effect("study_effect", "study_sd", effect.sd, "study"))


def _study_shape(spec: Spec, shape: Design, name: str) -> ByStudy:
    """A shape parameter by study. Studies may differ in one, under the name it has in the contract: study_log_shape."""
    effect, prior = spec.effects.study_shape, getattr(spec.priors, name)
    differs = name == spec.hazard.varies
    if differs and spec.free_shapes:
        if not shape.studies:
            return ByStudy(pt.zeros(()), pt.zeros(0))
        if prior is not None:
            return ByStudy(pt.zeros(()), variable("study_log_shape", prior, "study"))
        if spec.priors.shape is not None:
            natural = pt.log(variable("study_shape", spec.priors.shape, "study"))
            return ByStudy(pt.zeros(()), pm.Deterministic("study_log_shape", natural, dims="study"))
    if prior is None:
        raise TypeError(f"a spec without priors.{name} was not checked by parse_spec")
    common = variable(name, prior)
    if not differs or effect is None or effect.sd is None or not shape.studies:
        return ByStudy(common, common + pt.zeros(len(shape.studies)))
    return ByStudy(common, common + exchangeable_effect("study_log_shape", "study_shape_sd", effect.sd, "study"))


def _coefficients_of_time(spec: Spec, shape: Design, family: Family) -> ByStudy:
    """Log coefficients of a flexible baseline (study, coefficient): a random walk in time, from zero (`flexible`).

    Shared, free in each study, or shared with a walk of each study's own on it.
    """
    if family.knots is None or spec.priors.smooth_sd is None:
        raise TypeError("a flexible family without knots or priors.smooth_sd was not checked by parse_spec")
    studies, own = len(shape.studies), ("study_log_coefficient", ("study", "location"))
    sd = variable("smooth_sd", spec.priors.smooth_sd)
    if spec.free_shapes:
        return ByStudy(pt.zeros(len(family.knots.location)), _from_zero(_walk(own[0], sd, family, own[1])))
    common: Any = pt.concatenate([pt.zeros(1), _walk("log_coefficient", sd, family, "location")])
    every, effect = common[None, :] + pt.zeros((studies, 1)), spec.effects.study_shape
    if effect is None or effect.sd is None or not studies:
        return ByStudy(common, every)
    return ByStudy(common, every + _from_zero(_walk(own[0], variable("study_shape_sd", effect.sd), family, own[1])))


def _study_treatment(prior: Prior, shape: Design) -> Any:
    sd = variable("study_treatment_sd", prior)
    standard = pm.Normal("study_treatment_effect_standard", dims="study_treatment")
    effect = sd * matrix_product(pm.Data("pair_cholesky", shape.pair_cholesky), standard)
    return pm.Deterministic("study_treatment_effect", effect, dims="study_treatment")


def _coefficients(spec: Spec) -> Any:
    """One coefficient a covariate, each with its own prior, stacked under one name."""
    if not spec.covariates:
        return None
    parts = [variable(f"coefficient_{name}", term.prior) for name, term in spec.covariates.items()]
    return pm.Deterministic("coefficient", pt.stack(parts), dims="covariate")


def make_slopes(spec: Spec, shape: Design) -> Any:
    """coefficient + interaction[a] of each covariate by treatment, the reference first (treatment, covariate);
    (covariate,) where all share them.
    """
    coefficient = _coefficients(spec)
    if coefficient is None or not spec.modifiers:
        return coefficient
    compared = len(shape.compared)
    of_modifier = [_interaction(name, spec.covariates[name], compared) for name in spec.modifiers]
    known: Any = pm.Deterministic("interaction", pt.stack(of_modifier, axis=1), dims=("treatment", "effect_modifier"))
    columns = [
        known[:, spec.modifiers.index(name)] if name in spec.modifiers else pt.zeros(compared)
        for name in spec.covariates
    ]
    by_treatment: Any = pt.concatenate([pt.zeros((1, len(columns))), pt.stack(columns, axis=1)])
    return coefficient + by_treatment


def _interaction(name: str, term: Covariate, compared: int) -> Any:
    """What each compared treatment adds to the coefficient of one covariate: the same, or each its own."""
    if term.interaction is None:
        raise TypeError(f"{name} has no interaction")
    if term.interaction_by == "treatment":
        return variable(f"interaction_{name}", term.interaction, "treatment")
    return variable(f"interaction_{name}", term.interaction) * pt.ones(compared)
