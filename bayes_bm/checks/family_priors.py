"""The same spec under another hazard family: every prior carried over, so that the families start from one belief.

Three rules, so that a family's row differs from the base's by the shape of its hazard and not by its priors:

level    between proportional-hazards families `intercept` is log H(t0) and stays. Else its centre is put where the
         median survival, everything at its prior centre, is the spec's own; its sd stays, and it is mirrored between
         hazards and times, as are effects: under a Weibull of shape k a log time ratio is -1 / k times the log hazard
         ratio, and k is near 1
effect   `log_hr` and `log_time_ratio` are mirror images with the same sd, so are the coefficients of covariates
         and biases
shape    the sd of log T has one prior in all families: log sd(log T) = constant - log k for a Weibull of shape k.
         A Gompertz slope gives the log hazard the Weibull's change from t0 / 2 to 2 t0. Other shapes and `smooth_sd`
         have priors of their own (`OWN`); a family without such a parameter loses it
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import polygamma

from bayes_bm.hazards import FAMILIES, Family
from bayes_bm.hazards.family import inverse
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.biases import LINEAR_BIASES
from bayes_bm.spec.defaults import MARK, PRIORS
from bayes_bm.spec.document import Spec
from bayes_bm.spec.hazard import EFFECT_NAMES
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.reading import parse_spec

PriorTable = dict[str, Any]
"""A prior as a spec states it: dist, its numbers, why."""
DEFAULT_SHAPE: PriorTable = {
    "dist": "normal",
    "mean": 0.0,
    "sd": 0.3,
    "why": "the spec's family has no shape: near constant hazards, Weibull shapes 0.55 to 1.8 in 95 of 100 draws",
}
OWN: dict[str, PriorTable] = {
    name: {**PRIORS[name], "why": PRIORS[name]["why"].removeprefix(MARK)}
    for name in ("q", "logit_constant", "log_shape_ratio", "log_gap", "logit_early", "smooth_sd")
}
"""Shapes that no Weibull has: their priors are those of a spec that says nothing of them."""
WEIBULL_SD = float(np.pi / np.sqrt(6))
"""sd of log T of a Weibull of shape 1."""
Q = float(OWN["q"]["mean"])
GENGAMMA_SD = float(np.sqrt(polygamma(1, Q**-2)) / Q)
"""sd of log T of a generalised gamma with log_sd = 0 and q at its prior centre."""
APART = 1 / 4
"""Variance between two groups of 50 of 100 each whose log times are 1 apart, the centre of a mixture's priors."""
WITHIN = 1 - APART / WEIBULL_SD**2
"""The share of a Weibull's variance of log T that is left to each of those groups."""
GOMPERTZ = float(np.log(4) / 1.5)
"""Slope per (k - 1) with the Weibull's change of the log hazard from t0 / 2 to 2 t0: (k - 1) log 4 = 1.5 slope."""
SPREAD = {
    "weibull": ("log_shape", 0.0, 1.0),
    "weibull_aft": ("log_shape", 0.0, 1.0),
    "loglogistic": ("log_shape", float(np.log(np.pi / np.sqrt(3) / WEIBULL_SD)), 1.0),
    "lognormal": ("log_sd", float(np.log(WEIBULL_SD)), -1.0),
    "gengamma": ("log_sd", float(np.log(WEIBULL_SD / GENGAMMA_SD)), -1.0),
    # d log sd(log T) / d log shape = shape psi''(shape) / (2 psi'(shape)) = -0.73 at shape 1
    "gamma": ("log_shape", 0.0, float(-2 * polygamma(1, 1) / polygamma(2, 1))),
    "gompertz": ("slope", 0.0, GOMPERTZ),
    # at its prior centre half the hazard is constant, so the other half changes twice as fast
    "gompertz_makeham": ("slope", 0.0, 2 * GOMPERTZ),
    # var log T = WEIBULL_SD^2 / k^2 + APART, which is WEIBULL_SD^2 at shape 1 of the Weibull
    "weibull_mixture": ("log_shape", -float(np.log(WITHIN)) / 2, 1 / WITHIN),
}
"""Shape parameter of each family, and its (shift, scale) on a Weibull's log shape."""
NAMED_ONLY = ("gompertz_makeham", "weibull_mixture")
"""Families that `sensitivity` fits where they are named: only many patients tell their shapes from the priors."""


def of_family(spec: Spec, family: str) -> Spec:
    """Return the spec under another family, its priors carried over; the rest is left out or refused.

    Raises `InputError` for an unknown family, for a prior that has no mirror image, and where the family's own rules
    refuse the spec.
    """
    if family not in FAMILIES:
        raise InputError("families", found=family, allowed=", ".join(FAMILIES))
    if family == spec.hazard.family:
        return spec
    document = spec.document()
    old_family, new_family = FAMILIES[spec.hazard.family], FAMILIES[family]
    document["hazard"] = {name: value for name, value in document["hazard"].items() if name == "cure"}
    document["hazard"]["family"] = family
    _carry_shapes(document, old_family, new_family)
    if old_family.effect != new_family.effect:
        _carry_effects(document, old_family, new_family)
    if old_family.effect != new_family.effect or new_family.effect == "time":
        _carry_level(document, spec, old_family, new_family)
    return parse_spec(document, where=f"{spec.name}, hazard.family = {family}", folder=spec.folder)


def left_out(old_spec: Spec, new_spec: Spec) -> list[str]:
    """Return the effects of the old spec that the family of the new one cannot have."""
    gone = [
        "study_shape" if old_spec.effects.study_shape is not None and new_spec.effects.study_shape is None else "",
        "treatment_log_shape"
        if old_spec.priors.treatment_log_shape is not None and new_spec.priors.treatment_log_shape is None
        else "",
        "treatment_smooth_sd"
        if old_spec.priors.treatment_smooth_sd is not None and new_spec.priors.treatment_smooth_sd is None
        else "",
    ]
    return [name for name in gone if name]


# ---------------------------------------------------------------------------------------------- the three rules


def _carry_shapes(document: dict[str, Any], old_family: Family, new_family: Family) -> None:
    priors, effects = document["priors"], document["effects"]
    if "shape" in priors and (old_family.name, new_family.name) not in {
        ("weibull", "weibull_aft"),
        ("weibull_aft", "weibull"),
    }:
        raise InputError(
            "priors.shape",
            found="a shape on its natural scale",
            allowed="priors.log_shape",
            hint="to change the family",
        )
    old_name, shift, scale = SPREAD.get(old_family.name, ("", 0.0, 1.0))
    weibull = _transformed(priors[old_name], 1 / scale, -shift / scale) if old_name in priors else DEFAULT_SHAPE
    if "shape" not in priors:
        both = old_family.flexible and new_family.flexible
        for name in {*old_family.shapes} | {"smooth_sd"} | (set() if both else {"treatment_smooth_sd"}):
            priors.pop(name, None)
    if new_family.name in SPREAD and "shape" not in priors:
        name, start, factor = SPREAD[new_family.name]
        priors[name] = (
            _with_origin(_transformed(weibull, factor, start), old_family, old_name)
            if old_name
            else _transformed(weibull, factor, start)
        )
    priors |= {name: OWN[name] for name in new_family.shapes if name in OWN}
    priors |= {"smooth_sd": OWN["smooth_sd"]} if new_family.flexible else {}
    _carry_shape_effects(document, old_family, new_family)
    if not effects:
        document.pop("effects")


def _carry_shape_effects(document: dict[str, Any], old_family: Family, new_family: Family) -> None:
    """Carry what studies and treatments differ by in shape, on the scale of the other shape parameter."""
    priors, effects = document["priors"], document["effects"]
    factor = (
        SPREAD[new_family.name][2] / SPREAD[old_family.name][2]
        if {old_family.name, new_family.name} <= set(SPREAD)
        else None
    )
    study = effects.get("study_shape")
    if study is not None and study["exchangeable"]:
        if factor is None:
            # two flexible families mean the same by it
            if not (old_family.flexible and new_family.flexible):
                effects.pop("study_shape")
        else:
            study["sd"] = _with_origin(
                _transformed(study["sd"], abs(factor), 0.0), old_family, "effects.study_shape.sd"
            )
    elif study is not None and not (new_family.flexible or new_family.varies):
        effects.pop("study_shape")
    if "treatment_log_shape" in priors:
        prior = priors.pop("treatment_log_shape")
        if factor is not None:
            priors["treatment_log_shape"] = _with_origin(
                _transformed(prior, factor, 0.0), old_family, "treatment_log_shape"
            )
    level = document.get("baseline", {})
    if "log_shape" in level:
        prior = level.pop("log_shape")
        if factor is not None:
            scale, shift = factor, SPREAD[new_family.name][1] - factor * SPREAD[old_family.name][1]
            level["log_shape"] = _with_origin(_transformed(prior, scale, shift), old_family, "baseline.log_shape")


def _carry_effects(document: dict[str, Any], old_family: Family, new_family: Family) -> None:
    priors = document["priors"]
    prior = priors.pop(EFFECT_NAMES[old_family.effect])
    priors[EFFECT_NAMES[new_family.effect]] = _with_origin(
        _transformed(prior, -1.0, 0.0), old_family, EFFECT_NAMES[old_family.effect]
    )
    linear = {name: term for name, term in document.get("bias", {}).items() if name in LINEAR_BIASES}
    for name, term in (linear | document.get("meta_regression", {})).items():
        if "prior" in term:
            place = f"bias.{name}" if name in linear else f"meta_regression.{name}"
            term["prior"] = _with_origin(_transformed(term["prior"], -1.0, 0.0), old_family, place)
        else:
            term["value"]["value"] *= -1.0
    for term in document.get("covariates", {}).values():
        for name, prior in term.items():
            if isinstance(prior, dict) and "dist" in prior:  # its coefficient, and what it changes in treatment effects
                term[name] = _with_origin(_transformed(prior, -1.0, 0.0), old_family, "the coefficient")


def _carry_level(document: dict[str, Any], spec: Spec, old_family: Family, new_family: Family) -> None:
    """Mirror, then move to the centre at which the median survival is the spec's own."""
    sign = -1.0 if old_family.effect != new_family.effect else 1.0
    for table, stated in ((document["priors"], spec.priors), (document.get("baseline"), spec.baseline)):
        if table is None or stated is None:
            continue
        centre = float(np.median(scipy_distribution(stated.intercept).ppf(0.5)))
        shapes = (_centres(spec.document()["priors"], old_family), _centres(document["priors"], new_family))
        target = _level_at(new_family, _log_median(old_family, centre, shapes[0]), shapes[1])
        table["intercept"] = _with_origin(
            _transformed(table["intercept"], sign, target - sign * centre), old_family, "intercept"
        )


def _centres(priors: Mapping[str, PriorTable], family: Family) -> np.ndarray:
    """Return prior centres of the family's shapes; coefficients of a flexible one are those of a constant hazard."""
    shape_priors = [priors.get(name) for name in family.shapes]
    return np.array([0.0 if prior is None else _centre(prior) for prior in shape_priors])


def _centre(prior: PriorTable) -> float:
    return float(prior.get("mean", (prior["lower"] + prior["upper"]) / 2 if "lower" in prior else 0.0))


LOG_LOG_2 = float(np.log(np.log(2)))
"""log H at the median."""


def _log_median(family: Family, eta: float, shape: np.ndarray) -> float:
    """Return log(median / t0); of a flexible family that of its constant hazard."""
    if family.flexible:
        return LOG_LOG_2 - eta
    return float(inverse(family, np.array(LOG_LOG_2), np.array(eta), shape, xp=NUMPY))


def _level_at(family: Family, log_median: float, shape: np.ndarray) -> float:
    """Return the level at which the median is this: of accelerated time it only shifts log T."""
    if family.effect == "time":
        return log_median - _log_median(family, 0.0, shape)
    if family.flexible:
        return LOG_LOG_2 - log_median
    return LOG_LOG_2 - float(family.log_cum_hazard(np.array(log_median), np.array(0.0), shape, xp=NUMPY))


# ---------------------------------------------------------------------------------------------- priors, moved


def _with_origin(prior: PriorTable, old_family: Family, name: str) -> PriorTable:
    """Return the prior with where it comes from; the reason given there speaks about that parameter, not this one."""
    return {**prior, "why": f"carried over from {name} of {old_family.name} (there: {prior['why']})"}


def _transformed(prior: PriorTable, scale: float, shift: float) -> PriorTable:
    """Return the prior of scale x + shift."""
    if scale == 1 and shift == 0:
        return prior
    kind, size = prior["dist"], abs(scale)
    if kind in ("normal", "student_t"):
        return {**prior, "mean": scale * prior.get("mean", 0.0) + shift, "sd": size * prior["sd"]}
    if kind == "uniform":
        ends = sorted(scale * prior[end] + shift for end in ("lower", "upper"))
        return {**prior, "lower": ends[0], "upper": ends[1]}
    if scale < 0 or shift != 0:
        raise InputError(
            "prior", found=kind, allowed="normal, student_t or uniform", hint="one on one side of 0 has no mirror image"
        )
    if kind in ("half_normal", "half_student_t"):
        return {**prior, "sd": size * prior["sd"]}
    if kind in ("exponential", "gamma"):
        return {**prior, "rate": prior["rate"] / size}
    return {**prior, "mean": prior.get("mean", 0.0) + float(np.log(size))}
