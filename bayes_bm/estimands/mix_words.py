"""Which ratio an answer gives: of patients alike, or of all patients of a population together."""

import numpy as np

from bayes_bm.estimands.population import averages_mix
from bayes_bm.estimands.quantities import checked_treatment, hazard_ratio, is_proportional, lacks_level
from bayes_bm.estimands.who import PatientMix, Who
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.named_mix import MEAN, SHARE
from bayes_bm.spec.level import Level


def mix_words(result: Result, who: Who, *, reference: str | None = None) -> str:
    """Return in words whom an answer averages over, with both ratios of each treatment; nothing where over nobody.

    The ratio of patients alike has their covariates the same in both groups. The ratio of all patients together is of
    two groups of this mix, at the spec's reference time: it is nearer to 1, because in the worse group fewer frail
    patients are left.
    """
    if not (isinstance(who, PatientMix) or averages_mix(result, who)):
        return ""
    if isinstance(who, PatientMix):
        named = ", ".join(_words(name, value) for name, value in who.values.items())
        left = [name for name in result.spec.covariates if not _names(who, name)]
        rest = f"; what is not named ({', '.join(left)}) is as in the evidence" if left else ""
        whom = f"a population with {named}{rest}"
    else:
        whom = "the mix of the evidence's arms"
    return f"Averaged over the patients of {whom}. {_ratios(result, who, reference)}".strip()


def _names(who: PatientMix, name: str) -> bool:
    return f"{SHARE}{name}" in who.values or f"{MEAN}{name}" in who.values


def _words(name: str, value: float) -> str:
    """share_x=0.7 as a surgeon reads it."""
    if name.startswith(SHARE):
        return f"{100 * value:.3g} % {name.removeprefix(SHARE)}"
    return f"a mean {name.removeprefix(MEAN)} of {value:g}"


def _ratios(result: Result, who: Who, reference: str | None) -> str:
    """Both hazard ratios of each treatment; of accelerated time, and where one number holds none, nothing."""
    spec = result.spec
    if result.inputs.family.effect == "time" or not is_proportional(result) or lacks_level(result, who):
        return ""
    base, time = checked_treatment(result, reference), spec.reference_time
    log_hr, names = result.predictors.draws.log_hr, spec.treatments.names
    together = hazard_ratio(result, [time], who=who, reference=base)
    sentences = []
    for name in (name for name in names if name != base):
        alike = np.exp(log_hr[:, names.index(name)] - log_hr[:, names.index(base)])
        texts = [
            _interval(values, spec.interval) for values in (alike, together.sel(treatment=name).to_numpy().ravel())
        ]
        sentences.append(
            f"Hazard ratio of {name} against {base}: {texts[0]} between two patients alike"
            f"{' at the centres of covariates' if spec.modifiers else ''}, {texts[1]} between two groups of these"
            f" patients, at {time:g} {spec.time_unit}."
        )
    return " ".join(sentences)


def _interval(values: np.ndarray, level: Level) -> str:
    low, middle, high = np.quantile(values, level.quantiles)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
