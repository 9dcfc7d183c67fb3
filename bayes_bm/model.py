"""Spec + evidence -> pm.Model.

Every datum enters through `pm.Data`, every kind of evidence is its own named observed variable with a density that can
be simulated from, and effects are written non-centred (with tens of patients a study, the better choice: `facts.md`).
The model knows nothing of files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_bm import likelihoods, missing
from bayes_bm.baseline import family_of
from bayes_bm.clocks import arm_family
from bayes_bm.effects import Design, design, labels
from bayes_bm.evidence import Evidence
from bayes_bm.hazards import Family
from bayes_bm.hazards.averaged import averaged
from bayes_bm.hazards.clocked import CLOCKS
from bayes_bm.integration import any_averaged, arm_points
from bayes_bm.missing import covariate_laws
from bayes_bm.observations import KINDS, averages, observations, present
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
from bayes_bm.spec import Covariate, Spec
from bayes_bm.tensor import TENSOR, PointShape, joined, shape_of

# ---------------------------------------------------------------------------------------------- model


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


def build_model(spec: Spec, evidence: Evidence) -> pm.Model:
    """The hierarchical model. Raises nothing: spec and evidence were checked at the boundary."""
    shape, family = design(spec, evidence), family_of(spec, evidence)
    with pm.Model(coords=_coords(spec, evidence, shape, family)) as model:
        parts = _parts(spec, shape, family)
        eta, of_arm = _arm_predictors(parts, shape)
        by_treatment = _slopes(spec, shape)
        slopes, of_arms = by_treatment, arm_family(family, shape.clocks)
        if by_treatment is not None and by_treatment.type.ndim == 2:
            slopes = by_treatment[shape.arm_treatment]
        mixed = _mixed(spec, evidence, family, slopes)
        for name, arrays in observations(spec, evidence, family, ties=True).items():
            if name == "hazard_ratios":
                _observe_ratios(arrays, parts, shape, family, by_treatment, proportional=spec.proportional)
            elif name == "patients_imputed":
                known = {key: values for key, values in arrays.items() if key != "blank"}
                lacked = _lacked(spec, evidence, family, arrays, slopes)
                _observe(name, known, of_arms, eta, of_arm, slopes, lacked)
            else:
                _observe(name, arrays, of_arms, eta, of_arm, slopes, mixed if averages(name) else None)
    return model


def _coords(spec: Spec, evidence: Evidence, shape: Design, family: Family) -> dict[str, list[str]]:
    # of the coefficients of a flexible baseline the first is one
    knots = {"location": location_labels(spec, family)} if family.knots else {}
    return labels(spec, shape) | knots | {"covariate_law_term": missing.labels(spec, evidence)}


def location_labels(spec: Spec, family: Family) -> list[str]:
    """Where on the time axis each coefficient but the first speaks, in the spec's unit."""
    location = family.knots.location[1:] if family.knots else ()
    return [f"{value * spec.reference_time:.4g}" for value in location]


def variable(name: str, prior: Prior, dims: str | None = None) -> Any:
    """The PyMC variable of a prior record."""
    law, given = _law(prior)
    return law(name, **given, dims=dims)


def _law(prior: Prior) -> tuple[Any, dict[str, np.ndarray]]:
    """PyMC's distribution of a prior record and its parameters.

    Numbers go in as float64 arrays: PyTensor narrows a bare Python float to float32 where that looks exact (3.0), and
    1 / 3.0 is then wrong in the eighth digit.
    """
    given = {key: np.array(value, dtype=float) for key, value in prior.model_dump(exclude={"why", "dist"}).items()}
    match prior:
        case Normal():
            return pm.Normal, {"mu": given["mean"], "sigma": given["sd"]}
        case HalfNormal():
            return pm.HalfNormal, {"sigma": given["sd"]}
        case StudentT():
            return pm.StudentT, {"nu": given["df"], "mu": given["mean"], "sigma": given["sd"]}
        case HalfStudentT():
            return pm.HalfStudentT, {"nu": given["df"], "sigma": given["sd"]}
        case Exponential():
            return pm.Exponential, {"lam": given["rate"]}
        case Gamma():
            return pm.Gamma, {"alpha": given["shape"], "beta": given["rate"]}
        case LogNormal():
            return pm.LogNormal, {"mu": given["mean"], "sigma": given["sd"]}
        case Uniform():
            return pm.Uniform, {"lower": given["lower"], "upper": given["upper"]}
    raise TypeError(f"no PyMC variable for {describe(prior)}")


def _product(matrix: Any, vector: Any) -> Any:
    """matrix . vector, as sums: without a BLAS (pip brings none) PyTensor's own product falls back to Python."""
    return pt.sum(matrix * vector, axis=1)


def _padded(effect: Any) -> Any:
    """A leading zero, for "the reference" and for "no such pair"."""
    return pt.concatenate([pt.zeros(1), effect])


def _parts(spec: Spec, shape: Design, family: Family) -> Parts:
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
        name: _below(f"bias_{name}", term.prior, latest if name == "immortal_time" else np.inf)
        for name, term in terms.items()
        if term.prior is not None
    }
    if unknown:
        pm.Deterministic("bias", pt.stack(list(unknown.values())), dims="bias_term")
    # an array, because a bare float may be narrowed to float32 (`variable`)
    fixed = {name: pt.as_tensor(np.array(term.value.value)) for name, term in terms.items() if term.value is not None}
    return pt.stack([(unknown | fixed)[name] for name in terms])


def _below(name: str, prior: Prior, latest: float) -> Any:
    """The variable of a prior on times, cut off at the latest that the evidence allows."""
    if not np.isfinite(latest):
        return variable(name, prior)
    time: Any = latest * pm.Uniform(f"{name}_share", 0.0, 1.0)
    law, given = _law(prior)
    pm.Potential(f"{name}_prior", pm.logp(law.dist(**given), time) + np.log(latest))
    return time


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


def _arm_predictors(parts: Parts, shape: Design) -> tuple[Any, list[Any]]:
    """eta of each arm, and its shape parameters one by one, coefficients first."""
    index = {name: pm.Data(name, getattr(shape, name)) for name in ("arm_study", "arm_treatment", "arm_pair")}
    study, treatment = index["arm_study"], index["arm_treatment"]
    eta = parts.level.study[study] + parts.log_hr[treatment] + parts.deviation[index["arm_pair"]]
    if parts.bias is not None:
        eta = eta + _product(pm.Data("arm_bias", shape.arm_bias), parts.bias)
    shapes = _shapes_at(parts, [of.study[study] for of in _all_shapes(parts)], treatment)
    return eta, [*shapes, *_clocks(parts, shape)]


def _clocks(parts: Parts, shape: Design) -> list[Any]:
    """Unknown times of each arm's clock, one by one, behind its shape (`hazards.clocked`)."""
    if shape.clocks is None:
        return []
    of, acts = shape.clocks, np.array(shape.clocks.acts)
    return [acts[:, at] * (pt.sum(of.of_bias[at] * parts.bias) + of.known[:, at]) for at in range(len(CLOCKS))]


def _all_shapes(parts: Parts) -> list[ByStudy]:
    return [*([parts.coefficients] if parts.coefficients is not None else []), *parts.shapes]


def _shapes_at(parts: Parts, of_study: list[Any], treatment: Any) -> list[Any]:
    """Shapes of some study's arms: a treatment adds to the first parameter."""
    if parts.treatment_shape is None:
        return of_study
    return [of_study[0] + parts.treatment_shape[treatment], *of_study[1:]]


def _exchangeable(name: str, sd_name: str, sd: Prior, dims: str) -> Any:
    standard = pm.Normal(f"{name}_standard", dims=dims)
    return pm.Deterministic(name, variable(sd_name, sd) * standard, dims=dims)


def _study_level(spec: Spec, shape: Design) -> ByStudy:
    """intercept + study_effect, or each study's own level (rule 11)."""
    if spec.free_levels:
        levels = variable("study_effect", spec.priors.intercept, "study") if shape.studies else pt.zeros(0)
        return ByStudy(pt.zeros(()), levels)
    intercept = variable("intercept", spec.priors.intercept)
    effect = spec.effects.study
    if effect is None or effect.sd is None or not shape.studies:
        return ByStudy(intercept, intercept + pt.zeros(len(shape.studies)))
    return ByStudy(intercept, intercept + _exchangeable("study_effect", "study_sd", effect.sd, "study"))


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
    return ByStudy(common, common + _exchangeable("study_log_shape", "study_shape_sd", effect.sd, "study"))


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
    effect = sd * _product(pm.Data("pair_cholesky", shape.pair_cholesky), standard)
    return pm.Deterministic("study_treatment_effect", effect, dims="study_treatment")


def _coefficients(spec: Spec) -> Any:
    """One coefficient a covariate, each with its own prior, stacked under one name."""
    if not spec.covariates:
        return None
    parts = [variable(f"coefficient_{name}", term.prior) for name, term in spec.covariates.items()]
    return pm.Deterministic("coefficient", pt.stack(parts), dims="covariate")


def _slopes(spec: Spec, shape: Design) -> Any:
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


@dataclass(frozen=True)
class Mixed:
    """Arms averaged over their covariates: the averaged family, and what each point adds to eta (arm, point).

    With `by_row` each row has points, and weights, of its own (row, 2 point).
    """

    family: Family
    offsets: Any
    by_row: bool = False


def _mixed(spec: Spec, evidence: Evidence, family: Family, slopes: Any) -> Mixed | None:
    if not any_averaged(spec, evidence):
        return None
    points = pm.Data("integration_points", arm_points(spec, evidence))
    offsets = pt.sum(points * (slopes if slopes.type.ndim == 1 else slopes[:, None, :]), axis=2)
    return Mixed(averaged(family, spec.integration.points), offsets)


def _lacked(spec: Spec, evidence: Evidence, family: Family, arrays: dict[str, np.ndarray], slopes: Any) -> Mixed:
    """Patients averaged over the covariates they lack (`missing`); their laws' coefficients are `covariate_law`."""
    laws = covariate_laws(spec, evidence)
    mean, factor = missing.prior(laws)
    standard = pm.Normal("covariate_law_standard", dims="covariate_law_term")
    phi: Any = pm.Deterministic("covariate_law", mean + _product(factor, standard), dims="covariate_law_term")
    rows = SimpleNamespace(**{name: arrays[name] for name in ("arm_row", "x", "blank")})

    def at(places: Any) -> Any:
        return phi[places][:, None] if np.ndim(places) else phi[int(places)]

    def slope(column: int) -> Any:
        return slopes[column] if slopes.type.ndim == 1 else slopes[rows.arm_row, column][:, None]

    added, log_weight, log_known = missing.nodes(spec, laws, rows, at, slope, xp=TENSOR)
    # with the laws' prior it is what the known covariates say, no datum of its own
    known: Any = pt.sum(arrays["weight"] * log_known)
    pm.Potential("covariates_known", known)
    of_rows = pt.concatenate([added, log_weight], axis=1)
    return Mixed(averaged(family, missing.rule(laws)[0].shape[1], weighted=True), of_rows, by_row=True)


def _observe(
    name: str,
    arrays: dict[str, np.ndarray],
    family: Family,
    eta: Any,
    shapes: list[Any],
    slopes: Any,
    mixed: "Mixed | None",
) -> None:
    """One observed variable: its data, its arm's predictor, its density and its simulator."""
    kind = KINDS[name]
    arrays = {**arrays, "reached_after": np.ones(len(arrays["arm_row"]))} if kind.value == "reached_after" else arrays
    data = {key: pm.Data(f"{name}_{key}", values) for key, values in arrays.items()}
    rows = data.pop("arm_row")
    x = data.pop("x", None)
    at = eta[rows]
    if slopes is not None and x is not None:
        at = at + _product(x, slopes if slopes.type.ndim == 1 else slopes[rows])
    observed = data.pop(kind.value)
    keys, terms = list(data), present(arrays)
    points = None if mixed is None else mixed.offsets if mixed.by_row else mixed.offsets[rows]
    law = family if mixed is None else mixed.family
    of_rows = [*(of[rows] for of in shapes), *([] if points is None else [points])]
    count = len(of_rows)

    def log_density(value, at, *rest):
        known = dict(zip(keys, rest[count:], strict=True))
        fields = SimpleNamespace(**{kind.value: value}, **known, **terms)
        return kind.log_density(law, fields, at, _shape(family, rest[:count], points=points is not None), xp=TENSOR)

    def draw(at, *rest, rng, size):
        known = dict(zip(keys, rest[count:], strict=True))
        fields = SimpleNamespace(**{kind.value: _observed_for_draw(name, arrays)}, **known, **terms)
        return kind.draw(law, fields, at, joined(rest[:count], np.shape(at)), rng)

    parameters = [at, *of_rows, *data.values()]
    if all(parameter.type.ndim == 1 for parameter in parameters):
        pm.CustomDist(name, *parameters, logp=log_density, random=draw, observed=observed)
        return
    # the values of a basis stand on a trailing axis of their own, and so do integration points
    wide = ["(m)" if parameter is points else "(k)" for parameter in parameters]
    cores = ",".join("()" if at.type.ndim == 1 else core for at, core in zip(parameters, wide, strict=True))
    pm.CustomDist(name, *parameters, logp=log_density, random=draw, signature=f"{cores}->()", observed=observed)


def _shape(family: Family, parts: Sequence[Any], *, points: bool = False) -> Any:
    if points:
        return PointShape(_shape(family, parts[:-1]), parts[-1])
    return shape_of(parts[1:], parts[0]) if family.knots else shape_of(parts)


def _observed_for_draw(name: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The observed values that a simulator needs as limits (censoring times)."""
    return arrays[KINDS[name].value]


def _observe_ratios(
    arrays: dict[str, np.ndarray], parts: Parts, shape: Design, family: Family, slopes: Any, *, proportional: bool
) -> None:
    """Log hazard ratios about the study's own, crude ones about that of its patients together (rule 7)."""
    names = ("hr_treatment", "hr_reference", "hr_pair", "hr_reference_pair")
    treatment, reference, pair, reference_pair = (pm.Data(name, getattr(shape, name)) for name in names)
    data = {key: pm.Data(f"hazard_ratios_{key}", values) for key, values in arrays.items()}
    one = parts.log_hr[treatment] + parts.deviation[pair]
    other = parts.log_hr[reference] + parts.deviation[reference_pair]
    if parts.bias is not None:
        one = one + _product(pm.Data("hr_bias", shape.hr_bias), parts.bias)
    mean = one - other
    rows = arrays.get("averaged", np.zeros(0, dtype=int))
    if not proportional or len(rows):
        study = pm.Data("hr_study", shape.hr_study)
        common = [of.both[study] for of in _all_shapes(parts)]
        of_sides = [_shapes_at(parts, common, at) for at in (treatment, reference)]
        nodes: dict[str, Any] = {key: values for key, values in data.items() if key.startswith("log_")}
        level = parts.level.both[study]
        etas = level + one, level + other
    if not proportional:
        shapes = [_shape(family, of) for of in of_sides]
        mean = likelihoods.event_weighted_log_hr(
            family, SimpleNamespace(**nodes), etas, (shapes[0], shapes[1]), xp=TENSOR
        )
    if len(rows):
        law, wide = averaged(family, arrays["x"].shape[1]), []
        for at, of in zip((shape.hr_treatment, shape.hr_reference), of_sides, strict=True):
            slope = slopes[at[rows]][:, None, :] if slopes.type.ndim == 2 else slopes
            offsets = pt.sum(data["x"] * slope, axis=2)
            wide.append(_shape(family, [*(one[rows] for one in of), offsets], points=True))
        of_rows = SimpleNamespace(**{key: values[rows] for key, values in nodes.items()})
        levels = etas[0][rows], etas[1][rows]
        found = likelihoods.event_weighted_log_hr(law, of_rows, levels, (wide[0], wide[1]), xp=TENSOR)
        mean = pt.set_subtensor(mean[rows], found)
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
