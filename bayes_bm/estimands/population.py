"""The population behind an answer: levels and shapes over posterior draws, and the effects it is averaged over."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bayes_bm.estimands.quadrature import Population
from bayes_bm.estimands.who import WHO, AverageStudy, NewHospital, NewStudy, Patient, Study, Who, population_of
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import checked, score
from bayes_bm.model.design import CORRELATION
from bayes_bm.model.linear_predictor import on_first
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.priors import Prior


def population(result: Result, who: Who) -> Population:
    """The law of (eta, shape) by draw and treatment for whoever is asked about."""
    if isinstance(who, Patient):
        of, (shift, sd) = population(result, who.on), _patient_score(result, who.values)
        return replace(of, eta=of.eta + shift, eta_sd=np.hypot(of.eta_sd, sd))
    if (result.spec.free_levels or result.spec.free_shapes) and not isinstance(who, Study):
        return _on_baseline(result, who)
    match who:
        case AverageStudy():
            return make_population(result, *_means(result))
        case NewStudy():
            return _new_study(result)
        case NewHospital():
            return _new_hospital(result)
        case Study(study=study):
            return _named_study(result, study)
    raise InputError("who", found=who, allowed=f"{', '.join(WHO)}, study:NAME")


def make_population(
    result: Result, eta: Array, shape: Array, eta_sd: Array | None = None, shape_sd: Array | None = None
):
    zero = np.zeros_like(eta)
    sds = (zero if eta_sd is None else eta_sd, zero if shape_sd is None else np.broadcast_to(shape_sd, eta.shape))
    knots = result.inputs.family.knots
    walk = None if knots is None else np.sqrt(knots.step)
    return Population(result.inputs.family, result.spec.reference_time, eta, shape, *sds, walk=walk)


def _means(result: Result) -> tuple[Array, Array]:
    of = result.predictors.draws
    return of.intercept[:, None] + of.log_hr, of.shape[:, None] + of.treatment_shape


def _moved(shape: Array, by: Array) -> Array:
    """The shape with its first parameter moved by (sample, 1 or treatment)."""
    return shape + on_first(np.broadcast_to(by, shape.shape[:-1]), shape.shape[-1])


def _not_reference(result: Result) -> Array:
    return np.array([False] + [True] * len(result.spec.treatments.compare))


def _new_study(result: Result) -> Population:
    of = result.predictors.draws
    variance = of.study_sd[:, None] ** 2 + np.where(_not_reference(result), of.study_treatment_sd[:, None] ** 2, 0.0)
    return make_population(result, *_means(result), np.sqrt(variance), of.study_shape_sd[:, None])


def _stream(result: Result, stage: int) -> np.random.Generator:
    """One stream a stage, spawned from the spec's seed, so that answers do not depend on the order of asking."""
    return np.random.default_rng(np.random.SeedSequence(result.spec.seed, spawn_key=(stage,)))


def _new_hospital(result: Result) -> Population:
    """Level and shape drawn once a draw, shared by all treatments; a deviation for each, correlated as in the model."""
    of, rng = result.predictors.draws, _stream(result, 14)
    level = of.study_sd * rng.standard_normal(of.samples)
    eta, of_shape = _means(result)
    if result.inputs.family.knots is not None and result.spec.effects.study_shape is not None:
        moved = of_shape + _fresh_walk(result, rng)[:, None]
    else:
        moved = _moved(of_shape, (of.study_shape_sd * rng.standard_normal(of.samples))[:, None])
    return make_population(result, eta + level[:, None] + _fresh_deviations(result, rng), moved)


def _fresh_walk(result: Result, rng: np.random.Generator) -> Array:
    """What a study not yet seen adds to the shape of a flexible baseline (sample, shape): a walk."""
    of, knots = result.predictors.draws, result.inputs.family.knots
    step = np.sqrt(knots.step) if knots is not None else np.zeros(0)
    walk = of.study_shape_sd[:, None] * np.cumsum(step * rng.standard_normal((of.samples, len(step))), axis=1)
    return np.pad(walk, ((0, 0), (1, of.shape.shape[-1] - 1 - len(step))))


def _fresh_deviations(result: Result, rng: np.random.Generator) -> Array:
    """study_treatment_effect of a study not yet seen (sample, treatment), correlated as in the model; reference 0."""
    of, compared = result.predictors.draws, len(result.spec.treatments.compare)
    factor = np.linalg.cholesky(_correlation(compared))
    noise = rng.standard_normal((of.samples, compared)) @ factor.T
    return _with_reference(of.study_treatment_sd[:, None] * noise)


def _with_reference(deviation: Array) -> Array:
    return np.concatenate([np.zeros((len(deviation), 1)), deviation], axis=1)


def _correlation(size: int) -> Array:
    return CORRELATION + (1 - CORRELATION) * np.eye(size)


def _named_study(result: Result, study: str) -> Population:
    shape, of = result.inputs.design, result.predictors.draws
    if study not in shape.studies:
        raise InputError("study", found=study, allowed="; ".join(shape.studies) or "no study has absolute evidence")
    at = shape.studies.index(study)
    eta, of_shape = _means(result)
    deviation = _with_reference(_study_deviations(result, study))
    return make_population(result, eta + of.study_effect[:, [at]] + deviation, of_shape + of.study_shape[:, [at]])


def _study_deviations(result: Result, study: str) -> Array:
    """study_treatment_effect of a study (sample, compared); unseen treatments drawn given the seen ones."""
    shape, of, rng = result.inputs.design, result.predictors.draws, _stream(result, 15)
    compared = shape.compared
    if result.spec.effects.study_treatment is None:
        return np.zeros((of.samples, len(compared)))
    seen = [at for at, name in enumerate(compared) if (study, name) in shape.pairs]
    unseen = [at for at in range(len(compared)) if at not in seen]
    deviation = np.empty((of.samples, len(compared)))
    columns = [shape.pairs.index((study, compared[at])) + 1 for at in seen]
    deviation[:, seen] = of.study_treatment_effect[:, columns]
    if unseen:
        correlation = _correlation(len(compared))
        weights = np.linalg.solve(correlation[np.ix_(seen, seen)], correlation[np.ix_(seen, unseen)])
        left = correlation[np.ix_(unseen, unseen)] - correlation[np.ix_(unseen, seen)] @ weights
        noise = rng.standard_normal((of.samples, len(unseen))) @ np.linalg.cholesky(left).T
        deviation[:, unseen] = deviation[:, seen] @ weights + of.study_treatment_sd[:, None] * noise
    return deviation


def _on_baseline(result: Result, who: Who) -> Population:
    """Free study levels or shapes say nothing about another study; only a stated baseline does
    (docs/decisions.md#11-free-levels).

    The baseline is the reference treatment's; the others deviate from it as in any study that was not seen.
    """
    baseline = result.spec.baseline
    if baseline is None:
        raise InputError(
            f"who = {who.name}",
            found="a spec with free study levels or shapes (exchangeable = false)",
            allowed="study:NAME, or a [baseline] with intercept and log_shape in the spec",
            hint="hazard ratios are answered without",
        )
    of, rng = result.predictors.draws, _stream(result, 16)
    level = _draws_of(baseline.intercept, of.samples, rng)[:, None]
    eta, shape = level + of.log_hr, of.shape[:, None] + of.treatment_shape
    if baseline.log_shape is not None:
        # the posterior holds no common one where shapes are free; where it does, the stated one takes its place
        common = 0.0 if result.spec.free_shapes else of.shape[:, :1]
        shape = _moved(shape, _draws_of(baseline.log_shape, of.samples, rng)[:, None] - common)
    if isinstance(who, NewHospital):
        return make_population(result, eta + _fresh_deviations(result, _stream(result, 17)), shape)
    spread = np.where(_not_reference(result), of.study_treatment_sd[:, None], 0.0)
    return make_population(result, eta, shape, spread if isinstance(who, NewStudy) else None)


def log_hr_without_level(result: Result, who: Who) -> Array:
    """Conditional log hazard ratio (sample, treatment) without a level; a new hospital has its own deviations."""
    deviation = _fresh_deviations(result, _stream(result, 17)) if isinstance(population_of(who), NewHospital) else 0.0
    # of a patient's covariates only what modifies the treatment's effect is left in a ratio
    shift = _patient_score(result, who.values)[0] if isinstance(who, Patient) else np.zeros((1, 1))
    return result.predictors.draws.log_hr + deviation + shift - shift[:, :1]


def _draws_of(prior: Prior, samples: int, rng: np.random.Generator) -> Array:
    return np.asarray(scipy_distribution(prior).rvs(size=samples, random_state=rng))


def _patient_score(result: Result, values: Mapping[str, float]) -> tuple[Array, Array]:
    """x . (coefficient + interaction[a]) of a patient, mean and sd over what is not given (sample, treatment)."""
    spec = result.spec
    return score(spec, result.case_mix, checked(spec, values), result.predictors.draws.slopes)
