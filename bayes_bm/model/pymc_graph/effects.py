"""Effects of the linear predictor as PyMC variables, in the order in which the sampler has always met them."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_bm.hazards import Family
from bayes_bm.model.design import Design
from bayes_bm.model.linear_predictor import Effects
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.model.pymc_graph.priors import exchangeable_effect, truncated_variable, variable
from bayes_bm.model.pymc_graph.pytensor_namespace import TENSOR
from bayes_bm.spec.covariates import Covariate
from bayes_bm.spec.document import Spec
from bayes_bm.spec.priors import Prior


def make_effects(inputs: ModelInputs) -> Effects:
    """Every effect of the model as an expression; a spec leaves some out, which are then zero or None."""
    spec, design, family = inputs.spec, inputs.design, inputs.family
    log_hr = _padded(_treatment_effects(spec))
    study_treatment = spec.effects.study_treatment
    deviation = (
        pt.zeros(1)
        if study_treatment is None or not design.pairs
        else _padded(_study_treatment(study_treatment.sd, design))
    )
    level = _study_level(spec, design)
    parameters = [_study_shape(spec, design, name) for name in spec.hazard.shapes]
    coefficients = [_log_coefficients(spec, design, family)] if family.knots else []
    treatment_shape, bias = _treatment_shape(spec, family), _biases(spec, design)
    slopes = _slopes(spec, design)
    return Effects(
        level=level,
        log_hr=log_hr,
        deviation=deviation,
        shapes=(*coefficients, *parameters),
        treatment_shape=treatment_shape,
        slopes=slopes,
        by_treatment=bool(spec.modifiers),
        covariates=len(spec.covariates),
        bias=bias,
        waning=_waning(spec),
    )


def _treatment_effects(spec: Spec) -> Any:
    """Effects of the compared treatments: each its own, or about that of its class (decision 27)."""
    name, classes = spec.hazard.treatment_effect, spec.treatments.classes
    prior = getattr(spec.priors, name)
    if not classes:
        return variable(name, prior, "treatment")
    class_effect = variable(f"class_{name}", prior, "treatment_class")
    effects: dict[str, Any] = {}
    sds = {one: variable(f"class_member_sd_{one}", term.sd) for one, term in classes.items() if term.sd is not None}
    if sds:
        pm.Deterministic("class_sd", pt.stack(list(sds.values())), dims="spread_class")
    for place, (one, term) in enumerate(classes.items()):
        for member in term.members:
            apart = sds[one] * pm.Normal(f"class_member_{member}") if one in sds else 0.0
            effects[member] = class_effect[place] + apart
    alone = [treatment for treatment in spec.treatments.compare if treatment not in effects]
    effects |= {treatment: variable(f"class_member_{treatment}", prior) for treatment in alone}
    stacked = pt.stack([effects[treatment] for treatment in spec.treatments.compare])
    return pm.Deterministic(name, stacked, dims="treatment")


def _padded(effect: Any) -> Any:
    """A leading zero, for "the reference" and for "no such pair"."""
    return pt.concatenate([pt.zeros(1), effect])


def _from_average(average: Any, studies: Any) -> Any:
    """The average study, then the others (study, ...)."""
    return pt.concatenate([average[None], studies])


# ---------------------------------------------------------------------------------------------- levels and deviations


def _study_level(spec: Spec, design: Design) -> Any:
    """intercept + study_effect, or each study's own level (decision 11), the average study first (study,)."""
    if spec.free_levels:
        levels = variable("study_effect", spec.priors.intercept, "study") if design.studies else pt.zeros(0)
        return _padded(levels)
    intercept = variable("intercept", spec.priors.intercept)
    effect = spec.effects.study
    if effect is None or effect.sd is None or not design.studies:
        return intercept + pt.zeros(1 + len(design.studies))
    deviation = exchangeable_effect("study_effect", "study_sd", effect.sd, "study", spec.level_df)
    return _from_average(intercept, intercept + deviation)


def _study_treatment(prior: Prior, design: Design) -> Any:
    """Deviations of pairs of study and treatment (pair,), independent, each with variance sd^2 / 2 (decision 10)."""
    sd = variable("study_treatment_sd", prior)
    standard = pm.Normal("study_treatment_effect_standard", dims="study_treatment")
    effect = sd * TENSOR.product(pm.Data("pair_factor", design.pair_factor), standard)
    return pm.Deterministic("study_treatment_effect", effect, dims="study_treatment")


def _biases(spec: Spec, design: Design) -> Any:
    """Every bias of the density, those of unknown size as one parameter `bias`; None where there is none."""
    terms = spec.modelled_biases
    if not terms:
        return None
    latest = np.inf if design.clocks is None else design.clocks.latest
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


# ---------------------------------------------------------------------------------------------- shapes


def _study_shape(spec: Spec, design: Design, name: str) -> Any:
    """A shape parameter by study, the average study first (study,).

    Studies may differ in one, under the name it has in a stored posterior: study_log_shape.
    """
    effect, prior = spec.effects.study_shape, getattr(spec.priors, name)
    differs = name == spec.hazard.varies
    if differs and spec.free_shapes:
        if not design.studies:
            return pt.zeros(1)
        if prior is not None:
            return _padded(variable("study_log_shape", prior, "study"))
        if spec.priors.shape is not None:
            natural = pt.log(variable("study_shape", spec.priors.shape, "study"))
            return _padded(pm.Deterministic("study_log_shape", natural, dims="study"))
    if prior is None:
        raise TypeError(f"a spec without priors.{name} was not checked by parse_spec")
    common = variable(name, prior)
    if not differs or effect is None or effect.sd is None or not design.studies:
        return common + pt.zeros(1 + len(design.studies))
    deviation = exchangeable_effect("study_log_shape", "study_shape_sd", effect.sd, "study")
    return _from_average(common, common + deviation)


def _log_coefficients(spec: Spec, design: Design, family: Family) -> Any:
    """Log coefficients of a flexible baseline (study, coefficient), the average study first: a random walk in time.

    Shared, free in each study, or shared with a walk of each study's own on it (`hazards.families.spline_basis`).
    """
    if family.knots is None or spec.priors.smooth_sd is None:
        raise TypeError("a flexible family without knots or priors.smooth_sd was not checked by parse_spec")
    studies, name, dims = len(design.studies), "study_log_coefficient", ("study", "location")
    sd = variable("smooth_sd", spec.priors.smooth_sd)
    if spec.free_shapes:
        return _from_average(pt.zeros(len(family.knots.location)), _from_zero(_walk(name, sd, family, dims)))
    common: Any = pt.concatenate([pt.zeros(1), _walk("log_coefficient", sd, family, "location")])
    effect = spec.effects.study_shape
    if effect is None or effect.sd is None or not studies:
        return common[None, :] + pt.zeros((1 + studies, 1))
    deviation = _from_zero(_walk(name, variable("study_shape_sd", effect.sd), family, dims))
    return _from_average(common, common[None, :] + deviation)


def _treatment_shape(spec: Spec, family: Family) -> Any:
    """What each treatment adds to the shape: to a number, or a random walk of its own to a flexible baseline's."""
    if spec.priors.treatment_log_shape is not None:
        return _padded(variable("treatment_log_shape", spec.priors.treatment_log_shape, "treatment"))
    if spec.priors.treatment_smooth_sd is None:
        return None
    sd = variable("treatment_smooth_sd", spec.priors.treatment_smooth_sd)
    walks = _from_zero(_walk("treatment_log_coefficient", sd, family, ("treatment", "location")))
    return pt.concatenate([pt.zeros((1, walks.shape[1])), walks])


def _walk(name: str, sd: Any, family: Family, dims: str | tuple[str, ...]) -> Any:
    """A random walk in time from zero over the knots, without the zero."""
    if family.knots is None:
        raise TypeError("a walk needs knots")
    step = sd * np.sqrt(family.knots.step)
    return pm.Deterministic(name, pt.cumsum(pm.Normal(f"{name}_standard", dims=dims) * step, axis=-1), dims=dims)


def _from_zero(walks: Any) -> Any:
    """Walks (row, step) with the zero they start from (row, coefficient)."""
    return pt.concatenate([pt.zeros((walks.shape[0], 1)), walks], axis=-1)


def _waning(spec: Spec) -> Any:
    """log(s / t0) of the time from which effects wane; None where they do not."""
    if spec.waning is None:
        return None
    prior = spec.waning.prior
    start: Any = np.array(spec.waning.start) if prior is None else variable("waning_start", prior)
    return pt.log(start / spec.reference_time)


# ---------------------------------------------------------------------------------------------- covariates


def _slopes(spec: Spec, design: Design) -> Any:
    """coefficient + interaction[a] of each covariate by treatment, the reference first (treatment, covariate);
    (covariate,) where all share them, None where there are no covariates.
    """
    if not spec.covariates:
        return None
    terms = [variable(f"coefficient_{name}", term.prior) for name, term in spec.covariates.items()]
    coefficient: Any = pm.Deterministic("coefficient", pt.stack(terms), dims="covariate")
    if not spec.modifiers:
        return coefficient
    compared = len(design.compared)
    interactions = [_interaction(name, spec.covariates[name], compared) for name in spec.modifiers]
    stacked: Any = pm.Deterministic(
        "interaction", pt.stack(interactions, axis=1), dims=("treatment", "effect_modifier")
    )
    columns = [
        stacked[:, spec.modifiers.index(name)] if name in spec.modifiers else pt.zeros(compared)
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
