"""Who is asked about, in a model of several causes: independent populations, or members with effects of all causes.

Averages over studies multiply where a study's effects are independent between causes. Where levels are correlated, and
where covariates are not given (a patient has the same ones for every cause), the average is over members: quasi-random
points of the effects, and of the covariates, that all causes share.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from bayes_bm.estimands.cause_quadrature import Member
from bayes_bm.estimands.population import averages_mix, make_population, mean_effects, population, population_at_centres
from bayes_bm.estimands.quadrature import Population
from bayes_bm.estimands.who import NewHospital, NewStudy, Patient, PatientMix, Who, population_of
from bayes_bm.inference.causes.result import JointResult
from bayes_bm.inference.result import Result
from bayes_bm.model.causes.correlation import factor_of_correlations
from bayes_bm.model.covariates.case_mix import checked, complete
from bayes_bm.model.covariates.named_mix import named_mix
from bayes_bm.model.design import DEVIATION_VARIANCE
from bayes_bm.model.study_levels import standard_level
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.runtime.types import Array

MEMBERS = 256
"""Quasi-random points over the effects of a new study, and over its patients: F to about 1e-3
(tests/estimands/test_joint_answers.py)."""


@dataclass(frozen=True)
class Asked:
    """Independent populations, one a cause, or the members over which an average is taken."""

    populations: Sequence[Population]
    members: Sequence[Member] | None


def asked_about(joint: JointResult, who: Who) -> Asked:
    """Return the law of every cause's (eta, shape) for whoever is asked about."""
    results = list(joint.results.values())
    _check_mixes(results, who)
    patients = _patients(results[0], who)
    studies = population_of(who)
    tied = joint.correlated and isinstance(studies, NewStudy | NewHospital)
    if not tied and (patients is None or len(patients) == 1):
        return Asked([population(result, who) for result in results], None)
    at_centres = [_point(result, who) for result in results]
    members = list(_members(joint, who, at_centres, patients))
    return Asked(members[0].populations, members)


def _check_mixes(results: Sequence[Result], who: Who) -> None:
    if any(averages_mix(result, who) for result in results) or (
        isinstance(who, Patient) and any(result.spec.case_mixes for result in results)
    ):
        raise InputError(
            f"who = {who.name}", found="[covariates.NAME.case_mix], of which each cause's model has its own parameters",
            allowed="average-study or study:NAME", hint="arms' mixes that causes share are not built",
        )  # fmt: skip


def _patients(result: Result, who: Who) -> Array | None:
    """Covariates, centred and scaled, of patients of equal weight who are asked about together (patient, covariate):
    one where all are given. None where no patient is asked about.
    """
    if not isinstance(who, Patient):
        return None
    spec = result.spec
    if isinstance(who, PatientMix):
        named = named_mix(spec, result.case_mix, who.values)
        whole, own = complete(spec, result.case_mix, named.names, named.cells), named.share
    else:
        patient = checked(spec, who.values)
        given = [name for name in spec.covariates if name in patient]
        whole = complete(spec, result.case_mix, given, np.array([[patient[name] for name in given]]))
        own = np.ones(1)
    x = whole.x.reshape(-1, whole.x.shape[-1])
    if len(x) == 1 and not np.any(whole.residual):
        return x
    # systematic draws of cells and, in another order, of residuals
    cells = _systematic((own[:, None] * whole.share).ravel())
    rows = np.random.default_rng(MEMBERS).permutation(_systematic(whole.residual_share))
    return x[cells] + whole.residual[rows]


def _systematic(weight: Array) -> Array:
    """Places of MEMBERS equal parts of a law on atoms."""
    parts = (np.arange(MEMBERS) + 0.5) / MEMBERS
    return np.minimum(np.searchsorted(np.cumsum(weight / weight.sum()), parts), len(weight) - 1)


def _point(result: Result, who: Who) -> Population:
    """Means of the effects, or those of the study that is asked about; without anything to average over."""
    studies = population_of(who)
    if isinstance(studies, NewStudy | NewHospital):
        return make_population(result, *mean_effects(result))
    return population_at_centres(result, studies)


def _members(joint: JointResult, who: Who, centres: Sequence[Population], patients: Array | None) -> Iterator[Member]:
    """As many as there are points of a new study's effects, or patients who are asked about together."""
    results, studies = list(joint.results.values()), population_of(who)
    several = isinstance(studies, NewStudy) or (patients is not None and len(patients) > 1)
    count = MEMBERS if several else 1
    shifts = [centres]
    if isinstance(studies, NewStudy):
        shifts = [_shifted(joint, centres, score[None]) for score in _sobol(_dimensions(results), count)]
    elif isinstance(studies, NewHospital):
        rng = random_stream(joint.first.spec.seed, RandomStage.CAUSE_HOSPITALS)
        size = results[0].predictors.draws.samples
        shifts = [_shifted(joint, centres, rng.standard_normal((size, _dimensions(results))))]
    for place in range(count):
        populations = shifts[place % len(shifts)]
        if patients is not None:
            x = patients[place % len(patients)]
            added = [result.predictors.draws.slopes @ x for result in results]
            populations = [replace(one, eta=one.eta + more) for one, more in zip(populations, added, strict=True)]
        yield Member(1 / count, populations)


def _dimensions(results: Sequence[Result]) -> int:
    """Normal scores that a new study takes: a level and a deviation of each treatment, and a shape, of each cause."""
    return sum(1 + len(result.spec.treatments.names) + _steps(result) for result in results)


def _steps(result: Result) -> int:
    """Scores of a shape: one, or one a step of a walk."""
    knots = result.inputs.family.knots
    return 1 if knots is None else len(knots.step)


def _sobol(dimensions: int, count: int) -> Array:
    """Normal scores of scrambled Sobol points and their mirror images (point, dimension)."""
    from scipy.stats import qmc

    rng = np.random.default_rng(MEMBERS)
    unit = qmc.Sobol(dimensions, scramble=True, rng=rng).random_base2((count // 2).bit_length() - 1)
    normal = special.ndtri(unit)
    return rng.permutation(np.concatenate([normal, -normal]))


def _shifted(joint: JointResult, centres: Sequence[Population], scores: Array) -> list[Population]:
    """Populations at the effects that scores stand for: (sample, score), or the same of every sample (1, score)."""
    results = list(joint.results.values())
    causes = len(results)
    pairs = joint.correlation.transpose("pair", "chain", "draw").to_numpy()
    factor = factor_of_correlations(list(pairs.reshape(len(pairs), -1)), causes)
    found, start = [], causes
    for cause, (result, centre) in enumerate(zip(results, centres, strict=True)):
        draws, treatments = result.predictors.draws, len(result.spec.treatments.names)
        standard = sum(entry * scores[:, other] for other, entry in enumerate(factor[cause]))
        level = draws.study_sd * standard_level(result.spec, np.asarray(standard))
        apart = scores[:, start : start + treatments] * np.sqrt(DEVIATION_VARIANCE) * draws.study_treatment_sd[:, None]
        start += treatments
        steps = scores[:, start : start + _steps(result)] * draws.study_shape_sd[:, None]
        start += _steps(result)
        found.append(
            replace(centre, eta=centre.eta + level[:, None] + apart, shape=_moved(result, centre.shape, steps))
        )
    return found


def _moved(result: Result, shape: Array, steps: Array) -> Array:
    """The shape of a study whose scores of shape are `steps` (sample, step)."""
    moved, knots = shape.copy(), result.inputs.family.knots
    if knots is None:
        if moved.shape[-1]:
            moved[..., 0] += steps[:, :1]
        return moved
    walk = np.cumsum(np.sqrt(knots.step) * steps, axis=1)
    moved[..., 1 : 1 + walk.shape[1]] += walk[:, None]
    return moved
