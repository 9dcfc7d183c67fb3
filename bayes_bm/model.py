"""Spec + evidence -> pm.Model.

Every datum enters through `pm.Data`, every kind of evidence is its own named observed variable with a density that can
be simulated from, and effects are written non-centred (with tens of patients a study, the better choice: `facts.md`).
The model knows nothing of files.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_bm import likelihoods
from bayes_bm.arrays import Namespace
from bayes_bm.effects import Design, design
from bayes_bm.evidence import Evidence
from bayes_bm.hazards import FAMILIES, Family
from bayes_bm.observations import KINDS, observations
from bayes_bm.priors import (
    Exponential,
    Gamma,
    HalfNormal,
    HalfStudentT,
    LogNormal,
    Normal,
    Prior,
    StudentT,
    Uniform,
    describe,
)
from bayes_bm.spec import Spec


def _betaln(a: Any, b: Any) -> Any:
    """log B(a, b); PyTensor has none of its own."""
    terms: list[Any] = [pt.gammaln(a), pt.gammaln(b), pt.gammaln(a + b)]
    return terms[0] + terms[1] - terms[2]


TENSOR: Namespace = SimpleNamespace(
    exp=pt.exp,
    log=pt.log,
    where=pt.switch,
    gammaln=pt.gammaln,
    betaln=_betaln,
    betainc=pt.betainc,
    log1mexp=pt.log1mexp,
)


# ---------------------------------------------------------------------------------------------- model


def build_model(spec: Spec, evidence: Evidence) -> pm.Model:
    """The hierarchical model. Raises nothing: spec and evidence were checked at the boundary."""
    shape, family = design(spec, evidence), FAMILIES[spec.hazard.family]
    with pm.Model(coords=_coords(spec, shape)) as model:
        eta, log_shape, log_hr = _linear_predictor(spec, shape)
        coefficient = _coefficients(spec)
        for name, arrays in observations(spec, evidence).items():
            if name == "hazard_ratios":
                _observe_ratios(arrays, log_hr, shape)
            else:
                _observe(name, arrays, family, eta, log_shape, coefficient)
    return model


def _coords(spec: Spec, shape: Design) -> dict[str, list[str]]:
    return {
        "study": list(shape.studies),
        "treatment": list(shape.compared),
        "study_treatment": shape.pair_labels,
        "covariate": list(spec.covariates),
    }


def variable(name: str, prior: Prior, dims: str | None = None) -> Any:
    """The PyMC variable of a prior record.

    Numbers go in as float64 arrays: PyTensor narrows a bare Python float to float32 where that looks exact (3.0), and
    1 / 3.0 is then wrong in the eighth digit.
    """
    given = {key: np.array(value, dtype=float) for key, value in prior.model_dump(exclude={"why", "dist"}).items()}
    match prior:
        case Normal():
            return pm.Normal(name, given["mean"], given["sd"], dims=dims)
        case HalfNormal():
            return pm.HalfNormal(name, given["sd"], dims=dims)
        case StudentT():
            return pm.StudentT(name, nu=given["df"], mu=given["mean"], sigma=given["sd"], dims=dims)
        case HalfStudentT():
            return pm.HalfStudentT(name, nu=given["df"], sigma=given["sd"], dims=dims)
        case Exponential():
            return pm.Exponential(name, given["rate"], dims=dims)
        case Gamma():
            return pm.Gamma(name, alpha=given["shape"], beta=given["rate"], dims=dims)
        case LogNormal():
            return pm.LogNormal(name, given["mean"], given["sd"], dims=dims)
        case Uniform():
            return pm.Uniform(name, given["lower"], given["upper"], dims=dims)
    raise TypeError(f"no PyMC variable for {describe(prior)}")


def _product(matrix: Any, vector: Any) -> Any:
    """matrix . vector, as sums: without a BLAS (pip brings none) PyTensor's own product falls back to Python."""
    return pt.sum(matrix * vector, axis=1)


def _padded(effect: Any) -> Any:
    """A leading zero, for "the reference" and for "no such pair"."""
    return pt.concatenate([pt.zeros(1), effect])


def _linear_predictor(spec: Spec, shape: Design) -> tuple[Any, Any, Any]:
    """eta and log shape of each arm, and the (treatment, pair) tables that hazard ratios read."""
    log_hr = _padded(variable("log_hr", spec.priors.log_hr, "treatment"))
    effect = spec.effects.study_treatment
    deviation = pt.zeros(1) if effect is None or not shape.pairs else _padded(_study_treatment(effect.sd, shape))
    level = _study_level(spec, shape)
    index = {name: pm.Data(name, getattr(shape, name)) for name in ("arm_study", "arm_treatment", "arm_pair")}
    eta = level[index["arm_study"]] + log_hr[index["arm_treatment"]] + deviation[index["arm_pair"]]
    log_shape = _study_shape(spec, shape)[index["arm_study"]]
    if spec.priors.treatment_log_shape is not None:
        of_treatment = _padded(variable("treatment_log_shape", spec.priors.treatment_log_shape, "treatment"))
        log_shape = log_shape + of_treatment[index["arm_treatment"]]
    return eta, log_shape, (log_hr, deviation)


def _exchangeable(name: str, sd_name: str, sd: Prior, dims: str) -> Any:
    standard = pm.Normal(f"{name}_standard", dims=dims)
    return pm.Deterministic(name, variable(sd_name, sd) * standard, dims=dims)


def _study_level(spec: Spec, shape: Design) -> Any:
    """intercept + study_effect, or each study's own level (rule 11)."""
    if spec.free_levels:
        return variable("study_effect", spec.priors.intercept, "study") if shape.studies else pt.zeros(0)
    intercept = variable("intercept", spec.priors.intercept)
    effect = spec.effects.study
    if effect is None or effect.sd is None or not shape.studies:
        return intercept + pt.zeros(len(shape.studies))
    return intercept + _exchangeable("study_effect", "study_sd", effect.sd, "study")


def _study_shape(spec: Spec, shape: Design) -> Any:
    effect = spec.effects.study_shape
    if spec.free_shapes and not shape.studies:
        return pt.zeros(0)
    prior = spec.priors.log_shape
    if spec.free_shapes and spec.priors.shape is not None:
        return pm.Deterministic(
            "study_log_shape", pt.log(variable("study_shape", spec.priors.shape, "study")), dims="study"
        )
    if prior is None:
        raise TypeError("a spec without priors.log_shape was not checked by parse_spec")
    if spec.free_shapes:
        return variable("study_log_shape", prior, "study")
    log_shape = variable("log_shape", prior)
    if effect is None or effect.sd is None or not shape.studies:
        return log_shape + pt.zeros(len(shape.studies))
    return log_shape + _exchangeable("study_log_shape", "study_shape_sd", effect.sd, "study")


def _study_treatment(prior: Prior, shape: Design) -> Any:
    sd = variable("study_treatment_sd", prior)
    standard = pm.Normal("study_treatment_effect_standard", dims="study_treatment")
    effect = sd * _product(pm.Data("pair_cholesky", shape.pair_cholesky), standard)
    return pm.Deterministic("study_treatment_effect", effect, dims="study_treatment")


def _coefficients(spec: Spec) -> Any:
    """One coefficient a covariate, each with its own prior, stacked under one name."""
    if not spec.covariates:
        return None
    parts = [variable(f"coefficient_{name}", term.prior) for name, term in spec.covariates.items()]
    return pm.Deterministic("coefficient", pt.stack(parts), dims="covariate")


def _observe(
    name: str, arrays: dict[str, np.ndarray], family: Family, eta: Any, log_shape: Any, coefficient: Any
) -> None:
    """One observed variable: its data, its arm's predictor, its density and its simulator."""
    kind = KINDS[name]
    arrays = {**arrays, "reached_after": np.ones(len(arrays["arm_row"]))} if kind.value == "reached_after" else arrays
    data = {key: pm.Data(f"{name}_{key}", values) for key, values in arrays.items()}
    rows = data.pop("arm_row")
    x = data.pop("x", None)
    at = eta[rows]
    if coefficient is not None and x is not None:
        at = at + _product(x, coefficient)
    observed = data.pop(kind.value)
    keys = list(data)

    def log_density(value, at, of_shape, *rest):
        fields = SimpleNamespace(**{kind.value: value}, **dict(zip(keys, rest, strict=True)))
        return kind.log_density(family, fields, at, of_shape, xp=TENSOR)

    def draw(at, of_shape, *rest, rng, size):
        fields = SimpleNamespace(**{kind.value: _observed_for_draw(name, arrays)}, **dict(zip(keys, rest, strict=True)))
        return kind.draw(family, fields, at, of_shape, rng)

    pm.CustomDist(name, at, log_shape[rows], *data.values(), logp=log_density, random=draw, observed=observed)


def _observed_for_draw(name: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The observed values that a simulator needs as limits (censoring times)."""
    return arrays[KINDS[name].value]


def _observe_ratios(arrays: dict[str, np.ndarray], tables: tuple[Any, Any], shape: Design) -> None:
    """Log hazard ratios about the study's own: log_hr[a] - log_hr[b] + d_ja - d_jb (rule 7)."""
    log_hr, deviation = tables
    names = ("hr_treatment", "hr_reference", "hr_pair", "hr_reference_pair")
    treatment, reference, pair, reference_pair = (pm.Data(name, getattr(shape, name)) for name in names)
    mean = log_hr[treatment] - log_hr[reference] + deviation[pair] - deviation[reference_pair]
    data = {key: pm.Data(f"hazard_ratios_{key}", values) for key, values in arrays.items()}
    cholesky = np.linalg.inv(arrays["whitener"])

    def log_density(value, mean, whitener, log_diagonal):
        return pt.sum(likelihoods.hazard_ratios(value, mean, whitener, log_diagonal=log_diagonal, dot=_product))

    def draw(mean, whitener, log_diagonal, rng, size):
        return mean + cholesky @ rng.standard_normal(len(cholesky))

    pm.CustomDist(
        "hazard_ratios",
        mean,
        data["whitener"],
        data["log_diagonal"],
        logp=log_density,
        random=draw,
        signature="(n),(n,n),(n)->(n)",
        observed=data["log_hr"],
    )
