"""The same spec under another hazard family: every prior carried over, so that the families start from one belief.

Three rules, so that a family's row differs from the base's by the shape of its hazard and not by its priors:

level    between proportional-hazards families `intercept` is log H(t0) and stays. Else its centre is put where the
         median survival, everything at its prior centre, is the spec's own; its sd stays, and it is mirrored between
         hazards and times, as are effects: under a Weibull of shape k a log time ratio is -1 / k times the log hazard
         ratio, and k is near 1
effect   `log_hr` and `log_time_ratio` are mirror images with the same sd, so are the coefficients of covariates
         and biases
shape    the sd of log T has one prior in all families: log sd(log T) = constant - log k for a Weibull of shape k.
         A Gompertz slope gives the log hazard the Weibull's change from t0 / 2 to 2 t0. `q` and `smooth_sd` have priors
         of their own; a family without such a parameter loses it
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
from bayes_bm.spec.document import Spec
from bayes_bm.spec.hazard import EFFECT_NAMES
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.reading import parse_spec

Law = dict[str, Any]
DEFAULT_SHAPE: Law = {
    "dist": "normal",
    "mean": 0.0,
    "sd": 0.3,
    "why": "the spec's family has no shape: near constant hazards, Weibull shapes 0.55 to 1.8 in 95 of 100 draws",
}
Q: Law = {
    "dist": "normal",
    "mean": 0.5,
    "sd": 0.5,
    "why": "between log-normal (0) and Weibull (1), each one sd away",
}
SMOOTH: Law = {
    "dist": "half_normal",
    "sd": 1.0,
    "why": "over the follow-up the hazard changes by a factor of up to seven (2 sd)",
}
WEIBULL_SD = float(np.pi / np.sqrt(6))
"""sd of log T of a Weibull of shape 1."""
GENGAMMA_SD = float(np.sqrt(polygamma(1, 1 / Q["mean"] ** 2)) / Q["mean"])
"""sd of log T of a generalised gamma with log_sd = 0 and q at its prior centre."""
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
}
"""Shape parameter of each family, and its (shift, scale) on a Weibull's log shape."""


def of_family(spec: Spec, family: str) -> Spec:
    """The spec under another family, its priors carried over; what the family cannot have is left out or refused.

    Raises `InputError` for an unknown family, for a prior that has no mirror image, and where the family's own rules
    refuse the spec.
    """
    if family not in FAMILIES:
        raise InputError("families", found=family, allowed=", ".join(FAMILIES))
    if family == spec.hazard.family:
        return spec
    document = spec.document()
    before, after = FAMILIES[spec.hazard.family], FAMILIES[family]
    document["hazard"] = {name: value for name, value in document["hazard"].items() if name == "cure"}
    document["hazard"]["family"] = family
    _carry_shapes(document, before, after)
    if before.effect != after.effect:
        _carry_effects(document, before, after)
    if before.effect != after.effect or after.effect == "time":
        _carry_level(document, spec, before, after)
    return parse_spec(document, where=f"{spec.name}, hazard.family = {family}", folder=spec.folder)


def left_out(before: Spec, after: Spec) -> list[str]:
    """Effects that the family of `after` cannot have."""
    gone = [
        "study_shape" if before.effects.study_shape is not None and after.effects.study_shape is None else "",
        "treatment_log_shape"
        if before.priors.treatment_log_shape is not None and after.priors.treatment_log_shape is None
        else "",
        "treatment_smooth_sd"
        if before.priors.treatment_smooth_sd is not None and after.priors.treatment_smooth_sd is None
        else "",
    ]
    return [name for name in gone if name]


# ---------------------------------------------------------------------------------------------- the three rules


def _carry_shapes(document: dict[str, Any], before: Family, after: Family) -> None:
    priors, effects = document["priors"], document["effects"]
    if "shape" in priors and (before.name, after.name) not in {("weibull", "weibull_aft"), ("weibull_aft", "weibull")}:
        raise InputError(
            "priors.shape",
            found="a shape on its natural scale",
            allowed="priors.log_shape",
            hint="to change the family",
        )
    own, shift, scale = SPREAD.get(before.name, ("", 0.0, 1.0))
    weibull = _moved(priors[own], 1 / scale, -shift / scale) if own in priors else DEFAULT_SHAPE
    if "shape" not in priors:
        both = before.flexible and after.flexible
        for name in {*before.shapes} | {"smooth_sd"} | (set() if both else {"treatment_smooth_sd"}):
            priors.pop(name, None)
    if after.name in SPREAD and "shape" not in priors:
        name, start, factor = SPREAD[after.name]
        priors[name] = _said(_moved(weibull, factor, start), before, own) if own else _moved(weibull, factor, start)
    priors |= {"q": Q} if "q" in after.shapes else {}
    priors |= {"smooth_sd": SMOOTH} if after.flexible else {}
    _carry_shape_effects(document, before, after)
    if not effects:
        document.pop("effects")


def _carry_shape_effects(document: dict[str, Any], before: Family, after: Family) -> None:
    """What studies and treatments differ by in shape, on the scale of the other shape parameter."""
    priors, effects = document["priors"], document["effects"]
    factor = SPREAD[after.name][2] / SPREAD[before.name][2] if {before.name, after.name} <= set(SPREAD) else None
    study = effects.get("study_shape")
    if study is not None and study["exchangeable"]:
        if factor is None:
            # two flexible families mean the same by it
            if not (before.flexible and after.flexible):
                effects.pop("study_shape")
        else:
            study["sd"] = _said(_moved(study["sd"], abs(factor), 0.0), before, "effects.study_shape.sd")
    elif study is not None and not (after.flexible or after.varies):
        effects.pop("study_shape")
    if "treatment_log_shape" in priors:
        law = priors.pop("treatment_log_shape")
        if factor is not None:
            priors["treatment_log_shape"] = _said(_moved(law, factor, 0.0), before, "treatment_log_shape")
    level = document.get("baseline", {})
    if "log_shape" in level:
        law = level.pop("log_shape")
        if factor is not None:
            scale, shift = factor, SPREAD[after.name][1] - factor * SPREAD[before.name][1]
            level["log_shape"] = _said(_moved(law, scale, shift), before, "baseline.log_shape")


def _carry_effects(document: dict[str, Any], before: Family, after: Family) -> None:
    priors = document["priors"]
    law = priors.pop(EFFECT_NAMES[before.effect])
    priors[EFFECT_NAMES[after.effect]] = _said(_moved(law, -1.0, 0.0), before, EFFECT_NAMES[before.effect])
    for name, term in document.get("bias", {}).items():
        if name not in LINEAR_BIASES:
            continue
        if "prior" in term:
            term["prior"] = _said(_moved(term["prior"], -1.0, 0.0), before, f"bias.{name}")
        else:
            term["value"]["value"] *= -1.0
    for term in document.get("covariates", {}).values():
        for name, law in term.items():
            if isinstance(law, dict) and "dist" in law:  # its coefficient, and what it changes in treatment effects
                term[name] = _said(_moved(law, -1.0, 0.0), before, "the coefficient")


def _carry_level(document: dict[str, Any], spec: Spec, before: Family, after: Family) -> None:
    """Mirror, then move to the centre at which the median survival is the spec's own."""
    sign = -1.0 if before.effect != after.effect else 1.0
    for table, own in ((document["priors"], spec.priors), (document.get("baseline"), spec.baseline)):
        if table is None or own is None:
            continue
        centre = float(np.median(scipy_distribution(own.intercept).ppf(0.5)))
        shapes = (_centres(spec.document()["priors"], before), _centres(document["priors"], after))
        target = _level_at(after, _log_median(before, centre, shapes[0]), shapes[1])
        table["intercept"] = _said(_moved(table["intercept"], sign, target - sign * centre), before, "intercept")


def _centres(priors: Mapping[str, Law], family: Family) -> np.ndarray:
    """Prior centres of the family's shapes; coefficients of a flexible one are those of a constant hazard."""
    laws = [priors.get(name) for name in family.shapes]
    return np.array([0.0 if law is None else _centre(law) for law in laws])


def _centre(law: Law) -> float:
    return float(law.get("mean", (law["lower"] + law["upper"]) / 2 if "lower" in law else 0.0))


LOG_LOG_2 = float(np.log(np.log(2)))


def _log_median(family: Family, eta: float, shape: np.ndarray) -> float:
    """log(median / t0); of a flexible family that of its constant hazard."""
    if family.flexible:
        return LOG_LOG_2 - eta
    return float(inverse(family, np.array(LOG_LOG_2), np.array(eta), shape, xp=NUMPY))


def _level_at(family: Family, log_median: float, shape: np.ndarray) -> float:
    """The level at which the median is this: of accelerated time it only shifts log T."""
    if family.effect == "time":
        return log_median - _log_median(family, 0.0, shape)
    if family.flexible:
        return LOG_LOG_2 - log_median
    return LOG_LOG_2 - float(family.log_cum_hazard(np.array(log_median), np.array(0.0), shape, xp=NUMPY))


# ---------------------------------------------------------------------------------------------- priors, moved


def _said(law: Law, before: Family, name: str) -> Law:
    """The law with where it comes from; the reason given there speaks about that parameter, not this one."""
    return {**law, "why": f"carried over from {name} of {before.name} (there: {law['why']})"}


def _moved(law: Law, scale: float, shift: float) -> Law:
    """The law of scale x + shift."""
    if scale == 1 and shift == 0:
        return law
    kind, size = law["dist"], abs(scale)
    if kind in ("normal", "student_t"):
        return {**law, "mean": scale * law.get("mean", 0.0) + shift, "sd": size * law["sd"]}
    if kind == "uniform":
        ends = sorted(scale * law[end] + shift for end in ("lower", "upper"))
        return {**law, "lower": ends[0], "upper": ends[1]}
    if scale < 0 or shift != 0:
        raise InputError(
            "prior", found=kind, allowed="normal, student_t or uniform", hint="one on one side of 0 has no mirror image"
        )
    if kind in ("half_normal", "half_student_t"):
        return {**law, "sd": size * law["sd"]}
    if kind in ("exponential", "gamma"):
        return {**law, "rate": law["rate"] / size}
    return {**law, "mean": law.get("mean", 0.0) + float(np.log(size))}
