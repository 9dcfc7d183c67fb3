"""The density of all rows of one study with its own effects integrated out, at every posterior draw.

    p(y_j | theta) = integral of p(y_j | theta, u) p(u | theta) du,   u = level, shape, deviations, mixes not printed

A study that is left out brings fresh effects; the density at its fitted effects would say how well the study predicts
itself. The integral is taken over standard normal scores z, u = sd z (deviations of one study correlated as in the
model), by quadrature about the mode of each draw: Gauss-Hermite products up to three effects, Sobol points beyond.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from types import SimpleNamespace
from typing import Protocol

import numpy as np
from scipy import special, stats
from scipy.stats import qmc

from bayes_bm.checks.direct_indirect import keep_studies
from bayes_bm.checks.posterior_modes import modes
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.predictors import Predictors
from bayes_bm.inference.result import Result
from bayes_bm.model import likelihoods
from bayes_bm.model.covariates.arm_mixes import drawn_mixes
from bayes_bm.model.design import Design
from bayes_bm.model.linear_predictor import Draws, on_first
from bayes_bm.model.model_inputs import ModelInputs, prepare
from bayes_bm.model.observations import KINDS, active_terms
from bayes_bm.model.study_levels import standard_level
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array

NODES = {1: 15, 2: 9, 3: 7}
"""Gauss-Hermite nodes a dimension: the integral to 1e-4 of itself (tests/checks/test_leave_one_study_out.py)."""
SOBOL = 64
"""Points beyond three effects, a power of 2, each with its mirror image: of a study of six effects of the main answer
the log of the integral then errs by 0.011 at a draw (sd) and by 0.001 on average, as by 512 points without (0.009)."""
CHUNK = 400_000
"""Numbers (draw x row) worked on at once."""


def studies_of(evidence: Evidence) -> list[str]:
    """Return every study with a row in use, by name."""
    tables = (evidence.arms, evidence.hazard_ratios, evidence.prognostic_ratios)
    return sorted({study for table in tables for study in table["study"]})


def keep_study(evidence: Evidence, study: str) -> Evidence:
    """Return the rows of one study."""
    return keep_studies(evidence, studies={study}, treatments=evidence.treatments)


def drop_study(evidence: Evidence, study: str) -> Evidence:
    """Return all rows but those of one study."""
    kept = keep_studies(evidence, studies={*studies_of(evidence)} - {study}, treatments=evidence.treatments)
    return replace(kept, rebuilt=tuple(arm for arm in evidence.rebuilt if arm.study != study))


@dataclass(frozen=True)
class StudyRows:
    """Hold the rows of one study and the draws of what all studies share; `log_density` takes its effects' scores z."""

    result: Result
    study: str
    samples: slice | Array = slice(None)

    @cached_property
    def evidence(self) -> Evidence:
        return keep_study(self.result.evidence, self.study)

    @cached_property
    def inputs(self) -> ModelInputs:
        """Return the inputs of the study alone, its integration points as the whole evidence has them."""
        whole = self.result.inputs
        points = (
            whole.arm_points[(whole.evidence.arms["study"] == self.study).to_numpy()] if whole.any_integrated else None
        )
        return prepare(self.result.spec, self.evidence, points_of_whole=points)

    @property
    def design(self) -> Design:
        return self.inputs.design

    @property
    def size(self) -> int:
        """Return the number of rows in use."""
        of_kinds = sum(len(next(iter(arrays.values()))) for arrays in self.inputs.kinds.values())
        return of_kinds + len(self.evidence.prognostic_ratios)

    @cached_property
    def shared(self) -> Draws:
        """Return draws of what all studies share."""
        return self.result.predictors.draws.at(self.samples)

    @property
    def count(self) -> int:
        """Return the number of draws."""
        return self.shared.samples

    @property
    def has_level(self) -> bool:
        return self.result.spec.effects.study is not None and bool(self.design.studies)

    @property
    def has_shape(self) -> bool:
        return self.result.spec.effects.study_shape is not None and bool(self.design.studies)

    @property
    def effects(self) -> int:
        mixes = self.inputs.arm_mixes
        unknown = 0 if mixes is None else int(mixes.unknown.sum())
        return self.has_level + self.has_shape + len(self.design.pairs) + unknown

    def with_effects(self, z: Array) -> Draws:
        """Return draws with effects of this study alone, from its scores (sample, effect).

        In order: level, shape, deviations, and what its arms do not print of their mix.
        """
        shared, count = self.shared, len(z)
        level, shape, rest = z[:, : self.has_level], z[:, self.has_level :], z[:, self.has_level + self.has_shape :]
        studies, width, pairs = len(self.design.studies), shared.shape.shape[-1], len(self.design.pairs)
        mixes, mix = self.inputs.arm_mixes, shared.mix
        study_shape = np.zeros((count, studies, width))
        if self.has_shape:
            study_shape = on_first(shared.study_shape_sd[:, None] * shape[:, :1], width)
        deviation = shared.study_treatment_sd[:, None] * (rest[:, :pairs] @ self.design.pair_factor.T)
        if mixes is not None:
            mix = drawn_mixes(mixes, shared, rest[:, pairs:])
        return replace(
            shared,
            mix=mix,
            study_effect=self._level(level) if self.has_level else np.zeros((count, studies)),
            study_shape=study_shape,
            study_treatment_effect=np.concatenate([np.zeros((count, 1)), deviation], axis=1),
        )

    def _level(self, score: Array) -> Array:
        """Return the level of each score (sample, 1)."""
        return self.shared.study_sd[:, None] * standard_level(self.result.spec, score)

    def part(self, places: Array) -> "StudyRows":
        """Return the same at some of the draws; inputs are not prepared again."""
        whole = np.arange(self.result.predictors.draws.samples)[self.samples]
        made = replace(self, samples=whole[places])
        vars(made).update(inputs=self.inputs, shared=self.shared.at(places))
        return made

    def log_density(self, z: Array) -> Array:
        """Return log p(y_j | theta, u(z)) of every draw (sample,)."""
        return rows_log_density(self.inputs, self.with_effects(z))


def rows_log_density(inputs: ModelInputs, draws: Draws) -> Array:
    """Return the log density of all rows at draws that hold the effects of their studies (sample,)."""
    predictors, total = Predictors(inputs, draws), np.zeros(draws.samples)
    for name, arrays in inputs.kinds.items():
        if name == "hazard_ratios":
            total += _ratio_log_density(arrays, predictors.ratio_means)
            continue
        data = SimpleNamespace(**arrays, **active_terms(arrays))
        family, eta, shape = predictors.rows(name, arrays)
        # a search far out meets a median of nothing, whose log density is minus infinity
        with np.errstate(divide="ignore"):
            total += KINDS[name].log_density(family, data, eta, shape, xp=NUMPY).sum(axis=1)
    if inputs.prognostic_ratios is not None:
        total += predictors.prognostic_log_density(inputs.prognostic_ratios).sum(axis=1)
    return total


def _ratio_log_density(arrays: dict[str, Array], mean: Array) -> Array:
    def dot(whitener: Array, noise: Array) -> Array:
        return noise @ whitener.T

    terms = likelihoods.hazard_ratios(
        arrays["log_hr"], mean, arrays["whitener"], log_diagonal=arrays["log_diagonal"], dot=dot
    )
    return terms.sum(axis=1)


def integrated_log_density(result: Result, study: str) -> Array:
    """Return log p(y_j | theta) of one study at every draw (sample,), its own effects integrated.

    The posterior may be of a fit without the study, so long as `result.evidence` holds it.
    """
    require_population(result)
    rows = StudyRows(result, study)
    return np.concatenate([integrated(StudyRows(result, study, part)) for part in _draw_chunks(result, rows)])


def require_population(result: Result) -> None:
    """A study that is left out is predicted from the population of studies; free levels or shapes have none."""
    if result.spec.free_levels or result.spec.free_shapes:
        raise InputError(
            "leave-one-out",
            found="a spec with free study levels or shapes (exchangeable = false)",
            allowed="exchangeable effects",
            hint="nothing says what another study's level would be (docs/decisions.md, 11), so a study left out cannot"
            " be predicted",
        )
    if result.inputs.missing_patients.any():
        raise InputError(
            "leave-one-out",
            found="patients who lack covariates, averaged over them by laws of their arms",
            allowed="studies whose patients lack none; the log likelihood of single patients is there with them",
            hint="laws of arms that are left out would be another model; leaving out studies is not built for it",
        )
    if result.spec.hazard.flexible and result.spec.effects.study_shape is not None:
        raise InputError(
            "leave-one-out",
            found=f"hazard.family = {result.spec.hazard.family} whose studies differ in shape",
            allowed="a family with a form, or no [effects.study_shape]",
            hint="a walk of its own for each study is not integrated out",
        )


def _draw_chunks(result: Result, rows: StudyRows) -> Iterator[slice]:
    step = max(1, CHUNK // max(rows.size, 1))
    for start in range(0, result.predictors.draws.samples, step):
        yield slice(start, min(start + step, result.predictors.draws.samples))


class RowsOfScores(Protocol):
    """Rows of one study at `count` draws, whose density takes the scores of its own effects (sample, effect)."""

    @property
    def count(self) -> int: ...

    @property
    def effects(self) -> int: ...

    def log_density(self, z: Array) -> Array:
        """Return the log density of every draw (sample,)."""
        ...

    def part(self, places: Array) -> "RowsOfScores":
        """Return the same at some of the draws."""
        ...


def integrated(rows: RowsOfScores) -> Array:
    """Return the log density of the rows at every draw (sample,), effects of their study integrated."""
    samples, effects = rows.count, rows.effects
    if effects == 0:
        return rows.log_density(np.zeros((samples, 0)))

    joint = _Joint(rows)
    mode, curvature = modes(joint, np.zeros((samples, effects)))
    factor = np.linalg.cholesky(np.linalg.inv(curvature))
    log_scale = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    terms = []
    for node, log_weight in _quadrature_nodes(effects):
        z = mode + factor @ node
        # standard normal densities: their constants cancel
        terms.append(log_weight + joint(z) + 0.5 * np.sum(node**2))
    return log_scale + special.logsumexp(terms, axis=0)


LOWEST = -1e8
"""Log density that stands for an underflow."""


@dataclass(frozen=True)
class _Joint:
    """Log density of a study's rows and of its scores at each draw (sample,)."""

    rows: RowsOfScores

    def __call__(self, z: Array) -> Array:
        # where the density underflows it weighs nothing
        return np.maximum(np.nan_to_num(self.rows.log_density(z), nan=-np.inf), LOWEST) - 0.5 * np.sum(z**2, axis=1)

    def part(self, places: Array) -> "_Joint":
        """Return the same at some of the draws."""
        return _Joint(self.rows.part(places))


def _quadrature_nodes(effects: int) -> list[tuple[Array, float]]:
    """Return points and log weights of a standard normal expectation in so many dimensions."""
    if effects not in NODES:
        unit = qmc.Sobol(effects, scramble=True, rng=np.random.default_rng(0)).random_base2(SOBOL.bit_length() - 1)
        score = stats.norm.ppf(unit)
        return [(point, -np.log(2 * SOBOL)) for point in np.concatenate([score, -score])]
    node, weight = np.polynomial.hermite_e.hermegauss(NODES[effects])
    log_weight = np.log(weight / weight.sum())
    places = product(range(len(node)), repeat=effects)
    return [(node[list(place)], float(log_weight[list(place)].sum())) for place in places]


def fresh_scores(rows: StudyRows, rng: np.random.Generator) -> Array:
    """Draw scores of a study not seen (sample, effect)."""
    return rng.standard_normal((rows.shared.samples, rows.effects))
