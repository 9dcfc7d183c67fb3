"""The sampler's coordinates: which there are, their priors, and the parameters that draws of them stand for.

They are PyMC's value variables of `model.build_model`, in PyMC's order: parameters that are positive or bounded enter
as their logarithm or logit, effects of studies as standard normals (non-centred) or, where `centring` says so, centred;
`plain` makes the former of the latter.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.special import betaln, expit, gammaln

from bayes_bm.hazards import Family
from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.inference.compiled.blocks import SHARE, Block, model_blocks, walk_steps
from bayes_bm.inference.compiled.classes import effects_of_members
from bayes_bm.inference.compiled.parametrization import Parametrization
from bayes_bm.model.covariates.arm_mixes import ArmMixes, mix_labels, mix_terms
from bayes_bm.model.covariates.missing import CovariateModel
from bayes_bm.model.covariates.missing import labels as law_labels
from bayes_bm.model.covariates.missing import prior as prior_of_laws
from bayes_bm.model.design import STACKED, Design, contrasts_to_deviations, labels, location_labels
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.spec.document import Spec
from bayes_bm.spec.priors import (
    Exponential,
    Gamma,
    HalfNormal,
    HalfStudentT,
    LogNormal,
    Normal,
    Prior,
    StudentT,
    Uniform,
    median,
)

LAWS = (Normal, HalfNormal, StudentT, HalfStudentT, Exponential, Gamma, LogNormal, Uniform)
"""In the order of the kernel's numbers for them; the next is that of centred coordinates."""
STANDARDS = ("study_effect_standard", "study_log_shape_standard", "study_treatment_effect_standard")
"""Effects of studies, in the order of `Centring`: levels, shapes, deviations."""


@dataclass(frozen=True)
class Coordinates:
    """All blocks of a model, one after the other."""

    spec: Spec
    design: Design
    blocks: tuple[Block, ...]
    centring: Parametrization
    family: Family
    mixes: ArmMixes | None = None
    transported: tuple[str, ...] = ()
    covariate_models: tuple[CovariateModel, ...] = ()
    law_terms: tuple[str, ...] = ()

    @classmethod
    def of(cls, inputs: ModelInputs, centring: Parametrization) -> "Coordinates":
        blocks = model_blocks(inputs)
        ratios = inputs.prognostic_ratios
        transported = () if ratios is None else ratios.transported
        used = tuple(block for block in blocks if block.size)
        models = inputs.covariate_models
        terms = tuple(law_labels(models, inputs.spec, inputs.evidence)) if models else ()
        return cls(
            inputs.spec, inputs.design, used, centring, inputs.family, inputs.arm_mixes, transported, models, terms
        )

    @property
    def steps(self) -> int:
        """Steps of a walk of log coefficients, 0 where the family has none."""
        return walk_steps(self.family)

    @property
    def size(self) -> int:
        return sum(block.size for block in self.blocks)

    @cached_property
    def starts(self) -> dict[str, int]:
        """First coordinate of each block by name."""
        ends = np.cumsum([block.size for block in self.blocks])
        return {block.name: int(end) - block.size for block, end in zip(self.blocks, ends, strict=True)}

    @property
    def laws(self) -> np.ndarray:
        """Number of each coordinate's law (coordinate)."""
        numbers_of_priors = np.concatenate(
            [np.full(block.size, LAWS.index(type(block.prior))) for block in self.blocks]
        )
        numbers_of_priors[self.centred] = len(LAWS)
        return numbers_of_priors

    @cached_property
    def centred(self) -> np.ndarray:
        """True of centred coordinates (coordinate)."""
        mask = np.zeros(self.size, dtype=bool)
        for name, chosen in self._standards():
            mask[self.starts[name] + np.flatnonzero(chosen)] = True
        return mask

    def _standards(self) -> Iterator[tuple[str, np.ndarray]]:
        """Blocks of standard normals, and which of each are centred instead."""
        # a base that is walked on together with a level is a standard normal, whatever was chosen
        pair = self.centring.pair & (self.pair_level == 0)
        for name, chosen in zip(STANDARDS, (self.centring.level, self.centring.shape, pair), strict=True):
            if name in self.starts:
                yield name, chosen

    @property
    def numbers(self) -> np.ndarray:
        """Numbers of each coordinate's law, the last its log normalising constant (coordinate, 4)."""
        return np.array([prior_numbers(prior) for block in self.blocks for prior in block.priors])

    @property
    def start(self) -> np.ndarray:
        """The prior medians (coordinate)."""
        plain = np.array([_start(prior) for block in self.blocks for prior in block.priors])
        return self._recoordinated(plain, standard=True)

    def plain(self, draws: np.ndarray) -> np.ndarray:
        """Draws of the coordinates (..., coordinate) with standard normals for centred effects."""
        return self._recoordinated(draws, standard=False)

    @cached_property
    def pair_level(self) -> np.ndarray:
        """Number of the study (from 1) whose level is walked on together with this pair, its base; else 0 (pair,)."""
        both = {"study_effect_standard", "study_treatment_effect_standard"} <= self.starts.keys()
        together = both and self.centring.turned
        studies = [self.design.studies.index(name) + 1 if name in self.design.studies else 0 for name in self._studies]
        is_base = self.design.pair_base == np.arange(len(studies))
        return np.where(is_base & together, np.array(studies, dtype=np.int64), 0)

    @cached_property
    def level_base(self) -> np.ndarray:
        """Number of the pair (from 1) that a study's level is walked on together with; else 0 (study,)."""
        base = np.zeros(len(self.design.studies), dtype=np.int64)
        pairs = np.flatnonzero(self.pair_level)
        base[self.pair_level[pairs] - 1] = pairs + 1
        return base

    @property
    def _studies(self) -> list[str]:
        return [study for study, _ in self.design.pairs]

    def _recoordinated(self, draws: np.ndarray, *, standard: bool) -> np.ndarray:
        """The sampler's coordinates of standard normals (`standard`), or standard normals of them."""
        if not self.centred.any() and not self.pair_level.any():
            return draws
        changed, parameters = draws.copy(), self._parameters(draws)
        means = {"study_effect_standard": "intercept", "study_log_shape_standard": self.spec.hazard.varies or ""}
        sds = {"study_effect_standard": "study_sd", "study_log_shape_standard": "study_shape_sd"}
        deviations = self._with_deviations(parameters, changed, standard=standard)
        for name, chosen in self._standards():
            for j in np.flatnonzero(chosen).tolist() if name in means else ():
                middle, sd, given = parameters[means[name]], parameters[sds[name]], parameters[name][..., j]
                if name == "study_effect_standard":
                    if self.level_base[j]:
                        continue
                    middle = middle + self._of_main_arm(j, parameters, deviations)
                changed[..., self.starts[name] + j] = middle + sd * given if standard else (given - middle) / sd
        return changed

    def _of_main_arm(self, j: int, parameters: dict[str, np.ndarray], deviations: np.ndarray) -> np.ndarray:
        """What treatment and deviation add to eta of a study's main arm."""
        arm = self.centring.main[j]
        treatment, deviation = self.design.arm_treatment[arm], deviations[..., self.design.arm_pair[arm]]
        return deviation + parameters[self.spec.hazard.treatment_effect][..., treatment - 1] if treatment else deviation

    def _with_deviations(self, parameters: dict[str, np.ndarray], changed: np.ndarray, *, standard: bool) -> np.ndarray:
        """Deviations of no pair (0) and of each (..., pair); the coordinates of pairs are put into `changed`."""
        size, name = len(self.design.pairs), "study_treatment_effect_standard"
        deviation = np.zeros((*changed.shape[:-1], size + 1))
        if name not in parameters:
            return deviation
        sd, z, factor = parameters["study_treatment_sd"], parameters[name].copy(), self.design.pair_cholesky
        log_hr = np.pad(parameters[self.spec.hazard.treatment_effect], [(0, 0)] * (changed.ndim - 1) + [(1, 0)])
        treatment = [self.design.treatments.index(name) for _, name in self.design.pairs]
        for p, base in enumerate(self.design.pair_base):
            contrast = log_hr[..., treatment[p]] - log_hr[..., treatment[base]]
            earlier = z[..., :p] @ factor[p, :p]
            if self.pair_level[p]:
                z[..., p] = self._turned(p, parameters, changed, deviation, sd * earlier, standard=standard)
            elif self.centring.pair[p] and not standard:
                z[..., p] = ((parameters[name][..., p] - contrast) / sd - earlier) / factor[p, p]
            deviation[..., p + 1] = sd * (earlier + factor[p, p] * z[..., p])
            if self.pair_level[p]:
                continue
            centred = self.centring.pair[p] and standard
            changed[..., self.starts[name] + p] = contrast + deviation[..., p + 1] if centred else z[..., p]
        deviation[..., 1:] = deviation[..., 1:] @ contrasts_to_deviations(self.design.pair_base).T
        return deviation

    def _turned(
        self,
        p: int,
        parameters: dict[str, np.ndarray],
        changed: np.ndarray,
        contrasts: np.ndarray,
        middle: np.ndarray,
        *,
        standard: bool,
    ) -> np.ndarray:
        """Turn level and base deviation of a study (`kernel._level_and_base`) in `changed`; the base's standard.

        `contrasts` are the deviations of the study's other pairs to the base, `middle` what the base's is about.
        """
        j = int(self.pair_level[p]) - 1
        level_place = self.starts["study_effect_standard"] + j
        pair_place = self.starts["study_treatment_effect_standard"] + p
        level_sd = parameters["study_sd"]
        deviation_sd = parameters["study_treatment_sd"] * self.design.pair_cholesky[p, p]
        both = np.hypot(level_sd, deviation_sd)
        cosine, sine = level_sd / both, deviation_sd / both
        given = parameters["study_effect_standard"][..., j], parameters["study_treatment_effect_standard"][..., p]
        mean = parameters["intercept"] + middle
        treatment, main = (which[self.centring.main[j]] for which in (self.design.arm_treatment, self.design.arm_pair))
        mean = mean + (parameters[self.spec.hazard.treatment_effect][..., treatment - 1] if treatment else 0.0)
        mean = mean + (contrasts[..., main] if main != p + 1 else 0.0)
        centred = self.centring.level[j]
        first = (given[0] - mean) / both if centred and not standard else given[0]
        # a turn and a reflection: its own inverse
        turned = cosine * first + sine * given[1], sine * first - cosine * given[1]
        changed[..., level_place] = mean + both * turned[0] if centred and standard else turned[0]
        changed[..., pair_place] = turned[1]
        return given[1] if standard else turned[1]

    def posterior(self, draws: np.ndarray) -> xr.Dataset:
        """Every parameter and effect by name from draws of the coordinates (chain, draw, coordinate)."""
        variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
        for variable in _named_variables(self, self._parameters(self.plain(draws))):
            variables[variable.name] = (("chain", "draw", *variable.dims), variable.values)
        used = {dim for dims, _ in variables.values() for dim in dims[2:]}
        every = labels(self.spec, self.design) | mix_labels(self.spec, self.mixes)
        every["location"] = location_labels(self.spec, self.family)
        every["transported"] = list(self.transported)
        every["covariate_law_term"] = list(self.law_terms)
        named = {name: values for name, values in every.items() if name in used}
        counts = {"chain": np.arange(draws.shape[0]), "draw": np.arange(draws.shape[1])}
        return xr.Dataset(variables, coords={**counts, **named})

    def _parameters(self, draws: np.ndarray) -> dict[str, np.ndarray]:
        """Each block on its parameter's scale, a trailing axis for labels where it has them."""
        parameters = {}
        for block in self.blocks:
            first = self.starts[block.name]
            values = _constrained(block.prior, draws[..., first : first + block.size])
            parameters[block.name] = values if block.dims else values[..., 0]
        if self.spec.treatments.classes:
            parameters[self.spec.hazard.treatment_effect] = effects_of_members(self.spec, parameters)
        return parameters


class _Variable(NamedTuple):
    """A variable of the posterior: its dims behind chain and draw, and its values (..., one axis a dim)."""

    name: str
    dims: tuple[str, ...]
    values: np.ndarray


def _named_variables(coordinates: Coordinates, parameters: dict[str, np.ndarray]) -> Iterator[_Variable]:
    """Yield the parameters, then what follows from them, as `model.pymc_graph.build.build_model` names them."""
    for block in coordinates.blocks:
        if not block.name.endswith("_standard") and not block.name.startswith(STACKED):
            yield _Variable(block.name, (block.dims,) if block.dims else (), parameters[block.name])
    if coordinates.spec.treatments.classes:
        yield from _class_variables(coordinates.spec, parameters)
    for effect, sd in EXCHANGEABLE.items():
        if f"{effect}_standard" in parameters:
            yield _Variable(effect, ("study",), parameters[sd][..., None] * parameters[f"{effect}_standard"])
    if "study_treatment_effect_standard" in parameters:
        in_sds = parameters["study_treatment_effect_standard"] @ coordinates.design.pair_factor.T
        deviations = parameters["study_treatment_sd"][..., None] * in_sds
        yield _Variable("study_treatment_effect", ("study_treatment",), deviations)
    if "study_shape" in parameters:
        yield _Variable("study_log_shape", ("study",), np.log(parameters["study_shape"]))
    yield from _walks(coordinates, parameters)
    if coordinates.spec.unknown_biases:
        names = (f"bias_{name}" for name in coordinates.spec.unknown_biases)
        biases = np.stack([parameters[name if name in parameters else f"{name}{SHARE}"] for name in names], -1)
        yield _Variable("bias", ("bias_term",), biases)
    if coordinates.spec.covariates:
        coefficients = np.stack([parameters[f"coefficient_{name}"] for name in coordinates.spec.covariates], -1)
        yield _Variable("coefficient", ("covariate",), coefficients)
    if coordinates.spec.modifiers:
        interactions = np.stack([*_interactions(coordinates, parameters)], axis=-1)
        yield _Variable("interaction", ("treatment", "effect_modifier"), interactions)
    if coordinates.covariate_models:
        mean, factor = prior_of_laws(coordinates.covariate_models)
        phi = mean + parameters["covariate_law_standard"] @ factor.T
        yield _Variable("covariate_law", ("covariate_law_term",), phi)
    if "transport_standard" in parameters:
        transport = parameters["transport_sd"][..., None] * parameters["transport_standard"]
        yield _Variable("transport", ("transported",), transport)
    if coordinates.mixes is not None:
        yield from _mix_variables(coordinates.spec, coordinates.mixes, parameters)


def _class_variables(spec: Spec, parameters: dict[str, np.ndarray]) -> Iterator[_Variable]:
    """Effects of treatments, and what members of classes differ by."""
    yield _Variable(spec.hazard.treatment_effect, ("treatment",), parameters[spec.hazard.treatment_effect])
    sds = [
        parameters[f"class_member_sd_{name}"] for name, term in spec.treatments.classes.items() if term.sd is not None
    ]
    if sds:
        yield _Variable("class_sd", ("spread_class",), np.stack(sds, axis=-1))


def _mix_variables(spec: Spec, mixes: ArmMixes, parameters: dict[str, np.ndarray]) -> Iterator[_Variable]:
    """The population of arms, and the share or mean of each arm."""
    terms = mix_terms(spec)
    means, sds = (np.stack([parameters[f"mix_{kind}_{name}"] for name in terms], -1) for kind in ("mean", "sd"))
    yield _Variable("case_mix_mean", ("covariate",), means)
    yield _Variable("case_mix_sd", ("covariate",), sds)
    by_treatment = {name: parameters[f"mix_by_{name}"] for name, mix in terms.items() if mix.by_treatment is not None}
    if by_treatment:
        yield _Variable("case_mix_by_treatment", ("case_mix_term",), np.concatenate([*by_treatment.values()], axis=-1))
    within = [parameters[f"mix_within_{name}"] for name, mix in terms.items() if mix.within_sd is not None]
    if within:
        yield _Variable("case_mix_within", ("spread_covariate",), np.stack(within, -1))
    scores = parameters.get("case_mix_standard", np.zeros((*means.shape[:-1], 0)))
    location = np.repeat(means[..., None, :], len(mixes.arms), axis=-2)
    for place, name in enumerate(terms):
        if name in by_treatment:
            location[..., place] += by_treatment[name][..., mixes.treatment]
    yield _Variable("case_mix", ("case_mix_arm", "covariate"), mixes.values(location, sds[..., None, :], scores))


def _walks(coordinates: Coordinates, parameters: dict[str, np.ndarray]) -> Iterator[_Variable]:
    """Walks of log coefficients from zero, without the zero; those of studies are on the shared one."""
    if coordinates.family.knots is None:
        return
    roots = np.sqrt(coordinates.family.knots.step)

    def walk(name: str, sd: str, *outer: int) -> np.ndarray:
        standard = parameters[f"{name}_standard"]
        steps = standard.reshape(*standard.shape[:2], *outer, len(roots))
        return np.cumsum(steps * roots * parameters[sd][(..., *[None] * (len(outer) + 1))], axis=-1)

    studies, treatments = len(coordinates.design.studies), len(coordinates.design.compared)
    if "log_coefficient_standard" in parameters:
        yield _Variable("log_coefficient", ("location",), walk("log_coefficient", "smooth_sd"))
    if "study_log_coefficient_standard" in parameters:
        sd = "smooth_sd" if coordinates.spec.free_shapes else "study_shape_sd"
        yield _Variable("study_log_coefficient", ("study", "location"), walk("study_log_coefficient", sd, studies))
    if "treatment_log_coefficient_standard" in parameters:
        walks = walk("treatment_log_coefficient", "treatment_smooth_sd", treatments)
        yield _Variable("treatment_log_coefficient", ("treatment", "location"), walks)


EXCHANGEABLE = {"study_effect": "study_sd", "study_log_shape": "study_shape_sd"}
"""Effects of studies and their standard deviations."""


def _interactions(coordinates: Coordinates, parameters: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    """Of each modifier, what every compared treatment adds (..., treatment)."""
    compared = len(coordinates.design.compared)
    for name in coordinates.spec.modifiers:
        values = parameters[f"interaction_{name}"]
        shared = coordinates.spec.covariates[name].interaction_by == "shared"
        yield np.repeat(values[..., None], compared, axis=-1) if shared else values


def prior_numbers(prior: Prior) -> list[float]:
    """a, b, degrees of freedom and log normalising constant, as `effects.add_priors` reads them."""
    match prior:
        case Normal(mean=mean, sd=sd) | LogNormal(mean=mean, sd=sd):
            return [mean, sd, 0.0, -np.log(sd) - HALF_LOG_TWO_PI]
        case HalfNormal(sd=sd):
            return [0.0, sd, 0.0, np.log(2 / sd) - HALF_LOG_TWO_PI]
        case StudentT(df=df, mean=mean, sd=sd):
            return [mean, sd, df, _log_student(df) - np.log(sd)]
        case HalfStudentT(df=df, sd=sd):
            return [0.0, sd, df, _log_student(df) + np.log(2 / sd)]
        case Exponential(rate=rate):
            return [0.0, rate, 0.0, np.log(rate)]
        case Gamma(shape=shape, rate=rate):
            return [shape, rate, 0.0, float(shape * np.log(rate) - gammaln(shape))]
        case Uniform(lower=lower, upper=upper):
            return [lower, upper, 0.0, 0.0]
    raise TypeError(f"no density of {prior.dist}")


def _log_student(df: float) -> float:
    """log of the t density's constant: 1 / (sqrt(df) B(1/2, df/2))."""
    return float(-0.5 * np.log(df) - betaln(0.5, df / 2))


def _constrained(prior: Prior, x: np.ndarray) -> np.ndarray:
    match prior:
        case Normal() | StudentT():
            return x
        case Uniform(lower=lower, upper=upper):
            return lower + (upper - lower) * expit(x)
    return np.exp(x)


def _start(prior: Prior) -> float:
    match prior:
        case Normal() | StudentT():
            return median(prior)
        case Uniform():
            return 0.0
    return float(np.log(median(prior)))
