"""Blocks of the sampler's coordinates: the variables of `model.pymc_graph.build_model`, in its order."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bayes_bm.hazards import Family
from bayes_bm.model.covariates.arm_mixes import mix_terms
from bayes_bm.model.design import Design
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.spec.document import Spec
from bayes_bm.spec.priors import Normal, Prior, StudentT, Uniform

STANDARD = Normal(dist="normal", mean=0.0, sd=1.0, why="standardised effect of a study")


@dataclass(frozen=True)
class Block:
    """Coordinates of one PyMC variable: its name, prior, size, and the dimension of its labels (none for a number).

    `each` are priors of the single coordinates where they differ, all of the law of `prior`.
    """

    name: str
    prior: Prior
    size: int
    dims: str | None = None
    each: tuple[Prior, ...] = ()

    @property
    def priors(self) -> tuple[Prior, ...]:
        """Prior of each coordinate."""
        return self.each or (self.prior,) * self.size


def model_blocks(inputs: ModelInputs) -> tuple[Block, ...]:
    """All blocks of a model, some of them empty."""
    of_effects = _blocks(inputs.spec, inputs.design, walk_steps(inputs.family))
    return (*of_effects, *_mix_blocks(inputs), *_law_blocks(inputs), *_prognosis_blocks(inputs))


def walk_steps(family: Family) -> int:
    """Steps of a walk of log coefficients, 0 where the family has none."""
    return len(family.knots.location) - 1 if family.knots else 0


def _blocks(spec: Spec, design: Design, steps: int) -> Iterator[Block]:
    """In the order in which `model.build_model` makes its variables."""
    effects, priors = spec.effects, spec.priors
    studies, treatments, pairs = len(design.studies), len(design.compared), len(design.pairs)
    effect = spec.hazard.treatment_effect
    if spec.treatments.classes:
        yield from _class_blocks(spec, _given(getattr(priors, effect)))
    else:
        yield Block(effect, _given(getattr(priors, effect)), treatments, "treatment")
    if effects.study_treatment is not None and pairs:
        yield Block("study_treatment_sd", effects.study_treatment.sd, 1)
        yield Block("study_treatment_effect_standard", STANDARD, pairs, "study_treatment")
    if spec.free_levels:
        yield Block("study_effect", priors.intercept, studies, "study")
    else:
        yield Block("intercept", priors.intercept, 1)
        if effects.study is not None and studies:
            yield Block("study_effect_standard", _standard_level(effects.study.df), studies, "study")
            yield Block("study_sd", _given(effects.study.sd), 1)
    for name in spec.hazard.shapes:
        if name == spec.hazard.varies:
            yield from _shape_blocks(spec, studies, name)
        else:
            yield Block(name, _given(getattr(priors, name)), 1)
    if steps:
        yield from _walk_blocks(spec, studies, steps)
    if priors.treatment_log_shape is not None:
        yield Block("treatment_log_shape", priors.treatment_log_shape, treatments, "treatment")
    if priors.treatment_smooth_sd is not None:
        yield Block("treatment_smooth_sd", priors.treatment_smooth_sd, 1)
        yield Block("treatment_log_coefficient_standard", STANDARD, treatments * steps, "treatment")
    for name in spec.unknown_biases:
        yield _bias_block(name, _given(spec.modelled_biases[name].prior), design)
    for name, term in spec.covariates.items():
        yield Block(f"coefficient_{name}", term.prior, 1)
    for name in spec.modifiers:
        term = spec.covariates[name]
        alone = term.interaction_by == "treatment"
        dims = "treatment" if alone else None
        yield Block(f"interaction_{name}", _given(term.interaction), treatments if alone else 1, dims)
    if spec.waning is not None and spec.waning.prior is not None:
        yield Block("waning_start", spec.waning.prior, 1)


def _class_blocks(spec: Spec, prior: Prior) -> Iterator[Block]:
    """In place of one effect a treatment: effects of classes, about which members lie, and of treatments in none."""
    classes, effect = spec.treatments.classes, spec.hazard.treatment_effect
    yield Block(f"class_{effect}", prior, len(classes), "treatment_class")
    for name, term in classes.items():
        if term.sd is not None:
            yield Block(f"class_member_sd_{name}", term.sd, 1)
    for term in classes.values():
        if term.sd is not None:
            yield from (Block(f"class_member_{member}", STANDARD, 1) for member in term.members)
    members = {member for term in classes.values() for member in term.members}
    yield from (Block(f"class_member_{one}", prior, 1) for one in spec.treatments.compare if one not in members)


def _bias_block(name: str, prior: Prior, design: Design) -> Block:
    """Of an immortal time that the evidence ends, the coordinate is its share of that (`pymc_graph.priors`)."""
    latest = truncation(name, design)
    if latest is None:
        return Block(f"bias_{name}", prior, 1)
    return Block(f"bias_{name}{SHARE}", Uniform(dist="uniform", lower=0.0, upper=latest, why="the evidence"), 1)


SHARE = "_share"


def truncation(name: str, design: Design) -> float | None:
    """Latest that a time of the clock can be, in the spec's unit; None where nothing ends its prior."""
    latest = np.inf if design.clocks is None or name != "immortal_time" else design.clocks.latest
    return latest if np.isfinite(latest) else None


def _law_blocks(inputs: ModelInputs) -> Iterator[Block]:
    """Of the laws of covariates that patients lack."""
    terms = sum(len(model.mean) for model in inputs.covariate_models)
    yield Block("covariate_law_standard", STANDARD, terms, "covariate_law_term")


def _standard_level(df: float | None) -> Prior:
    """Law of a study's level in units of study_sd."""
    return STANDARD if df is None else StudentT(dist="student_t", df=df, mean=0.0, sd=1.0, why=STANDARD.why)


def _mix_blocks(inputs: ModelInputs) -> Iterator[Block]:
    """Of mixes of arms: scores of what is not printed, then the population of arms in each covariate."""
    if inputs.arm_mixes is None:
        return
    yield Block("case_mix_standard", STANDARD, len(inputs.arm_mixes.unknown_labels), "unknown_mix")
    for name, mix in mix_terms(inputs.spec).items():
        yield Block(f"mix_mean_{name}", mix.mean, 1)
        yield Block(f"mix_sd_{name}", mix.sd, 1)
        if mix.by_treatment is not None:
            each = mix.differences(inputs.spec.treatments.names)
            yield Block(f"mix_by_{name}", mix.by_treatment, len(each), "mix_treatment", each)
        if mix.within_sd is not None:
            yield Block(f"mix_within_{name}", mix.within_sd, 1)


def _prognosis_blocks(inputs: ModelInputs) -> Iterator[Block]:
    ratios, prognosis = inputs.prognostic_ratios, inputs.spec.prognosis
    if ratios is None or prognosis is None:
        return
    yield Block("prognosis_sd", prognosis.sd, 1)
    if ratios.transported and prognosis.transport_sd is not None:
        yield Block("transport_standard", STANDARD, len(ratios.transported), "transported")
        yield Block("transport_sd", prognosis.transport_sd, 1)


def _shape_blocks(spec: Spec, studies: int, name: str) -> Iterator[Block]:
    """Of the shape in which studies may differ."""
    priors, effect = spec.priors, spec.effects.study_shape
    common = getattr(priors, name)
    if not spec.free_shapes:
        yield Block(name, _given(common), 1)
        if effect is not None and studies:
            yield Block("study_log_shape_standard", STANDARD, studies, "study")
            yield Block("study_shape_sd", _given(effect.sd), 1)
    elif common is not None:
        yield Block("study_log_shape", common, studies, "study")
    else:
        yield Block("study_shape", _given(priors.shape), studies, "study")


def _walk_blocks(spec: Spec, studies: int, steps: int) -> Iterator[Block]:
    """Walks of log coefficients: shared, free in each study, or shared with one of each study's own on it."""
    effect = spec.effects.study_shape
    yield Block("smooth_sd", _given(spec.priors.smooth_sd), 1)
    if spec.free_shapes:
        yield Block("study_log_coefficient_standard", STANDARD, studies * steps, "study")
        return
    yield Block("log_coefficient_standard", STANDARD, steps, "location")
    if effect is not None and effect.sd is not None and studies:
        yield Block("study_shape_sd", effect.sd, 1)
        yield Block("study_log_coefficient_standard", STANDARD, studies * steps, "study")


def _given(prior: Prior | None) -> Prior:
    if prior is None:
        raise TypeError("a spec without a prior it needs was not checked by parse_spec")
    return prior
