"""The population behind an answer: levels and shapes over posterior draws, and the effects it is averaged over."""

from dataclasses import replace

import numpy as np

from bayes_bm.estimands.gauss_rule import Rule
from bayes_bm.estimands.heavy_tails import heavy_level_rule
from bayes_bm.estimands.patient_scores import score_of
from bayes_bm.estimands.quadrature import Population
from bayes_bm.estimands.who import WHO, AverageStudy, NewHospital, NewStudy, Patient, Study, Who, population_of
from bayes_bm.inference.result import Result
from bayes_bm.model.design import DEVIATION_VARIANCE
from bayes_bm.model.linear_predictor import on_first
from bayes_bm.model.study_levels import standard_level
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.runtime.types import Array
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.priors import Prior


def population(result: Result, who: Who) -> Population:
    """The law of (eta, shape) by draw and treatment for whoever is asked about.

    Where the spec models mixes of arms, a new study and a new hospital are averaged over the arms' (decision 23).
    """
    if isinstance(who, NewStudy | NewHospital) and averages_mix(result, who):
        who = Patient({}, on=who)
    if isinstance(who, Patient):
        base, score = population_at_centres(result, who.on), score_of(result, who)
        return replace(base, eta=base.eta + score.mean).averaged_over(score.rule)
    return population_at_centres(result, who)


def averages_mix(result: Result, who: Who) -> bool:
    """Whether an answer that names no patient is of the arms' patients together, not of one at the centres."""
    return isinstance(who, NewStudy | NewHospital) and result.spec.case_mixes and result.case_mix.known


def population_at_centres(result: Result, who: Who) -> Population:
    """The same for patients at the covariates' centres."""
    if (result.spec.free_levels or result.spec.free_shapes) and not isinstance(who, Study):
        return _baseline_population(result, who)
    match who:
        case AverageStudy():
            return make_population(result, *mean_effects(result))
        case NewStudy():
            return _new_study(result)
        case NewHospital():
            return _new_hospital(result)
        case Study(study=study):
            return _named_study(result, study)
    raise InputError("who", found=who, allowed=f"{', '.join(WHO)}, study:NAME")


def make_population(
    result: Result, eta: Array, shape: Array, eta_sd: Array | None = None, shape_sd: Array | None = None
) -> Population:
    zero = np.zeros_like(eta)
    sds = (zero if eta_sd is None else eta_sd, zero if shape_sd is None else np.broadcast_to(shape_sd, eta.shape))
    knots = result.inputs.family.knots
    walk = None if knots is None else np.sqrt(knots.step)
    return Population(result.inputs.family, result.spec.reference_time, eta, shape, *sds, walk=walk)


def mean_effects(result: Result) -> tuple[Array, Array]:
    """eta (sample, treatment) and shape (sample, treatment, shape) where all effects of studies are zero."""
    draws = result.predictors.draws
    return draws.intercept[:, None] + draws.log_hr, draws.shape[:, None] + draws.treatment_shape


def _shift_first_shape(shape: Array, shift: Array) -> Array:
    """The shape with its first parameter moved by (sample, 1 or treatment)."""
    return shape + on_first(np.broadcast_to(shift, shape.shape[:-1]), shape.shape[-1])


def _new_study(result: Result) -> Population:
    draws, df = result.predictors.draws, result.spec.level_df
    eta, shape = mean_effects(result)
    if df is not None:
        rule = heavy_level_rule(draws.study_sd, np.sqrt(DEVIATION_VARIANCE) * draws.study_treatment_sd, df)
        wide = Rule(*(np.broadcast_to(values, (*eta.shape, values.shape[-1])) for values in rule))
        return make_population(result, eta, shape, None, draws.study_shape_sd[:, None]).averaged_over(wide)
    sd = np.sqrt(draws.study_sd**2 + DEVIATION_VARIANCE * draws.study_treatment_sd**2)[:, None]
    return make_population(result, eta, shape, np.broadcast_to(sd, eta.shape), draws.study_shape_sd[:, None])


def _random_stream(result: Result, stage: RandomStage) -> np.random.Generator:
    """Return the stage's stream of the spec's seed, so that answers do not depend on the order of asking."""
    return random_stream(result.spec.seed, stage)


def _new_hospital(result: Result) -> Population:
    """Level and shape drawn once a draw, shared by all treatments; a deviation of each."""
    draws, rng = result.predictors.draws, _random_stream(result, RandomStage.HOSPITAL_EFFECTS)
    level = draws.study_sd * standard_level(result.spec, rng.standard_normal(draws.samples))
    eta, shape = mean_effects(result)
    if result.inputs.family.knots is not None and result.spec.effects.study_shape is not None:
        moved = shape + _fresh_walk(result, rng)[:, None]
    else:
        moved = _shift_first_shape(shape, (draws.study_shape_sd * rng.standard_normal(draws.samples))[:, None])
    return make_population(result, eta + level[:, None] + _fresh_deviations(result, rng), moved)


def _fresh_walk(result: Result, rng: np.random.Generator) -> Array:
    """What a study not yet seen adds to the shape of a flexible baseline (sample, shape): a walk."""
    draws, knots = result.predictors.draws, result.inputs.family.knots
    step = np.sqrt(knots.step) if knots is not None else np.zeros(0)
    walk = draws.study_shape_sd[:, None] * np.cumsum(step * rng.standard_normal((draws.samples, len(step))), axis=1)
    return np.pad(walk, ((0, 0), (1, draws.shape.shape[-1] - 1 - len(step))))


def _fresh_deviations(result: Result, rng: np.random.Generator) -> Array:
    """study_treatment_effect of a study not yet seen (sample, treatment), independent, the reference's too."""
    draws, treatments = result.predictors.draws, len(result.spec.treatments.names)
    noise = rng.standard_normal((draws.samples, treatments))
    return np.sqrt(DEVIATION_VARIANCE) * draws.study_treatment_sd[:, None] * noise


def _named_study(result: Result, study: str) -> Population:
    design, draws = result.inputs.design, result.predictors.draws
    if study not in design.studies:
        raise InputError("study", found=study, allowed="; ".join(design.studies) or "no study has absolute evidence")
    study_index = design.studies.index(study)
    eta, shape = mean_effects(result)
    deviation = _study_deviations(result, study)
    return make_population(
        result, eta + draws.study_effect[:, [study_index]] + deviation, shape + draws.study_shape[:, [study_index]]
    )


def _study_deviations(result: Result, study: str) -> Array:
    """study_treatment_effect of a study (sample, treatment); a treatment that it did not give has a fresh one."""
    design, draws = result.inputs.design, result.predictors.draws
    deviation = _fresh_deviations(result, _random_stream(result, RandomStage.STUDY_DEVIATIONS))
    for column, treatment in enumerate(design.treatments):
        if (study, treatment) in design.pairs:
            deviation[:, column] = draws.study_treatment_effect[:, design.pairs.index((study, treatment)) + 1]
    return deviation


def _baseline_population(result: Result, who: Who) -> Population:
    """Free study levels or shapes say nothing about another study; only a stated baseline does
    (docs/decisions.md#11-free-levels).

    The baseline is what the reference treatment does where the answer is for, so the reference is as stated; the others
    differ from it by a contrast of a study not yet seen, which varies by study_treatment_sd.
    """
    baseline = result.spec.baseline
    if baseline is None:
        raise InputError(
            f"who = {who.name}",
            found="a spec with free study levels or shapes (exchangeable = false)",
            allowed="study:NAME, or a [baseline] with intercept and log_shape in the spec",
            hint="hazard ratios are answered without",
        )
    draws, rng = result.predictors.draws, _random_stream(result, RandomStage.STATED_BASELINE)
    level = _draw_prior(baseline.intercept, draws.samples, rng)[:, None]
    eta, shape = level + draws.log_hr, draws.shape[:, None] + draws.treatment_shape
    if baseline.log_shape is not None:
        # the posterior holds no common one where shapes are free; where it does, the stated one takes its place
        common = 0.0 if result.spec.free_shapes else draws.shape[:, :1]
        shape = _shift_first_shape(shape, _draw_prior(baseline.log_shape, draws.samples, rng)[:, None] - common)
    if isinstance(who, NewHospital):
        return make_population(result, eta + _fresh_contrasts(result), shape)
    spread = np.repeat(draws.study_treatment_sd[:, None], eta.shape[1], axis=1)
    spread[:, 0] = 0.0
    return make_population(result, eta, shape, spread if isinstance(who, NewStudy) else None)


def _fresh_contrasts(result: Result) -> Array:
    """Deviations of a study not yet seen less that of the reference (sample, treatment)."""
    deviation = _fresh_deviations(result, _random_stream(result, RandomStage.HOSPITAL_DEVIATIONS))
    return deviation - deviation[:, :1]


def log_hr_without_level(result: Result, who: Who) -> Array:
    """Conditional log hazard ratio (sample, treatment) without a level; a new hospital has its own deviations."""
    deviation = _fresh_contrasts(result) if isinstance(population_of(who), NewHospital) else 0.0
    # of a patient's covariates only what modifies the treatment's effect is left in a ratio
    shift = score_of(result, who).mean if isinstance(who, Patient) else np.zeros((1, 1))
    return result.predictors.draws.log_hr + deviation + shift - shift[:, :1]


def _draw_prior(prior: Prior, samples: int, rng: np.random.Generator) -> Array:
    return np.asarray(scipy_distribution(prior).rvs(size=samples, random_state=rng))
