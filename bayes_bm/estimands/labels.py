"""Labels of answers: what the evidence informs, and what is the prior alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_bm.estimands.summary import summarize
from bayes_bm.evidence.audit import follow_up
from bayes_bm.evidence.centres import far_centres
from bayes_bm.inference.result import Result
from bayes_bm.runtime.types import Array
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.priors import Prior, standard_deviation

PRIOR_ONLY_RATIO = 0.9
"""Share of the prior sd (no unit) from which a posterior sd says that the data moved nothing (decision 17)."""
FAR_CENTRE = "centre beyond the evidence"
"""Mark of an answer at covariates' centres, one of which lies beyond every patient of the evidence."""
WANES = "effect wanes by assumption"
"""Mark of an extrapolated answer of a model whose treatment effects wane."""
MARKS = ("extrapolated", WANES, FAR_CENTRE, "prior only", "all-cause", "excess")
"""Marks on an answer, in the order in which a label names them."""


class AnswerFlags:
    """Marks on an answer: beyond follow-up, from the prior only; with a background hazard, what it speaks about.

    "all-cause": of all deaths, background included; "excess": of the deaths that it does not explain. `at_centres` says
    whether the answers are about patients at the covariates' centres.
    """

    def __init__(self, result: Result, *, of_deaths: str = "all-cause", at_centres: bool = True) -> None:
        marks = _known_marks(result)
        self._until, self._prior_only = marks.until, marks.prior_only
        self._effect = result.spec.hazard.treatment_effect
        self._wanes = [] if result.spec.waning is None else [WANES]
        self._far = [FAR_CENTRE] if at_centres and marks.far else []
        self._deaths = [of_deaths] if result.spec.evidence.background is not None else []

    def until(self, treatment: str) -> float:
        """End of the treatment's follow-up; NaN where nothing says."""
        return float(self._until.get(treatment, np.nan))

    def absolute(self, treatment: str, time: float | None) -> str:
        follow_up_end = self._until.get(treatment, np.nan)
        extrapolated = time is not None and not (np.isfinite(follow_up_end) and time <= follow_up_end * (1 + 1e-9))
        marks = ["extrapolated", *self._wanes] if extrapolated else []
        unmoved = ["prior only"] if f"{self._effect}[{treatment}]" in self._prior_only else []
        return "; ".join([*marks, *self._far, *unmoved, *self._deaths])

    def contrast(self, *sides: tuple[str, float | None]) -> str:
        """Marks of either side, each at the time it speaks about."""
        marks = [self.absolute(name, time) for name, time in sides]
        return "; ".join(mark for mark in MARKS if any(mark in side_marks for side_marks in marks))


@dataclass(frozen=True)
class _KnownMarks:
    """Hold what the marks of all answers of a result follow from."""

    until: dict[str, float]
    prior_only: list[str]
    far: bool


def _known_marks(result: Result) -> _KnownMarks:
    """Return the marks of a result, worked out once: they cost more than an answer, and a page asks for many."""
    kept = vars(result)
    if "known_marks" not in kept:
        spec, evidence = result.spec, result.evidence
        kept["known_marks"] = _KnownMarks(
            follow_up(spec, evidence), prior_only(result), bool(far_centres(spec, evidence))
        )
    return kept["known_marks"]


def prior_only(result: Result) -> list[str]:
    """Parameters whose posterior sd is at least 0.9 of the prior's (docs/decisions.md#17-prior-only)."""
    return [label for label, prior, values in prior_draws(result) if _is_prior_only(prior, values)]


def _is_prior_only(prior: Prior, values: Array) -> bool:
    prior_sd = standard_deviation(prior)
    return bool(np.isfinite(prior_sd) and float(np.std(values, ddof=1)) >= PRIOR_ONLY_RATIO * prior_sd)


def prior_and_posterior(result: Result) -> list[dict[str, Any]]:
    """Prior and posterior of each top-level parameter side by side."""
    rows = []
    for label, prior, values in prior_draws(result):
        distribution = scipy_distribution(prior)
        rows.append(
            {
                "parameter": label,
                "prior": prior,
                "prior_mean": float(distribution.mean()),
                "prior_sd": float(distribution.std()),
                "prior_only": _is_prior_only(prior, values),
                **summarize(values, result.spec.interval),
            }
        )
    return rows


def prior_draws(result: Result) -> Iterator[tuple[str, Prior, Array]]:
    """Label, prior and draws (sample,) of each top-level parameter."""
    spec, posterior = result.spec, result.posterior
    named = {
        "intercept": spec.priors.intercept,
        **{name: getattr(spec.priors, name) for name in (*spec.hazard.shapes, "smooth_sd", "treatment_smooth_sd")},
        "waning_start": spec.waning and spec.waning.prior,
        "study_sd": spec.effects.study and spec.effects.study.sd,
        "study_treatment_sd": spec.effects.study_treatment and spec.effects.study_treatment.sd,
        "study_shape_sd": spec.effects.study_shape and spec.effects.study_shape.sd,
        "prognosis_sd": spec.prognosis and spec.prognosis.sd,
        "transport_sd": spec.prognosis and spec.prognosis.transport_sd,
    }
    for name, prior in named.items():
        if prior is not None and name in posterior:
            yield name, prior, posterior[name].values.ravel()
    effect = spec.hazard.treatment_effect
    vectors = {name: getattr(spec.priors, name) for name in (effect, "treatment_log_shape")}
    for name, prior in vectors.items():
        if prior is not None and name in posterior:
            for treatment in spec.treatments.compare:
                yield f"{name}[{treatment}]", prior, posterior[name].sel(treatment=treatment).values.ravel()
    for name, term in spec.treatments.classes.items():
        prior = getattr(spec.priors, effect)
        yield f"class_{effect}[{name}]", prior, posterior[f"class_{effect}"].sel(treatment_class=name).values.ravel()
        if term.sd is not None:
            yield f"class_sd[{name}]", term.sd, posterior["class_sd"].sel(spread_class=name).values.ravel()
    for name in spec.unknown_biases:
        prior = spec.modelled_biases[name].prior
        if prior is not None:
            yield f"bias[{name}]", prior, posterior["bias"].sel(bias_term=name).values.ravel()
    yield from _mix_draws(result)
    for name, term in spec.covariates.items():
        yield f"coefficient[{name}]", term.prior, posterior["coefficient"].sel(covariate=name).values.ravel()
        if term.interaction is not None:
            interactions = posterior["interaction"].sel(effect_modifier=name)
            shared = term.interaction_by == "shared"
            for treatment in spec.treatments.compare[:1] if shared else spec.treatments.compare:
                label = name if shared else f"{treatment}, {name}"
                yield f"interaction[{label}]", term.interaction, interactions.sel(treatment=treatment).values.ravel()


def _mix_draws(result: Result) -> Iterator[tuple[str, Prior, Array]]:
    """The population of arms' mixes: mean, sd, what treatments differ by, and sds inside arms."""
    posterior, treatments = result.posterior, result.spec.treatments.names
    for name, term in result.spec.covariates.items() if "case_mix_mean" in posterior else ():
        mix = term.case_mix
        if mix is None:
            continue
        for parameter, prior in (("case_mix_mean", mix.mean), ("case_mix_sd", mix.sd)):
            yield f"{parameter}[{name}]", prior, posterior[parameter].sel(covariate=name).values.ravel()
        for treatment, prior in zip(treatments, mix.differences(treatments), strict=False):
            draws = posterior["case_mix_by_treatment"].sel(case_mix_term=f"{treatment}, {name}")
            yield f"case_mix_by_treatment[{treatment}, {name}]", prior, draws.values.ravel()
        if mix.within_sd is not None:
            draws = posterior["case_mix_within"].sel(spread_covariate=name)
            yield f"case_mix_within[{name}]", mix.within_sd, draws.values.ravel()
