"""Rows of a study that does not exist yet: its arms and what it would print, with numbers to be filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.estimands.quantities import survival
from bayes_bm.evidence.biases import acts_on
from bayes_bm.evidence.reading import select
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.inference.result import Result
from bayes_bm.runtime.types import Array
from bayes_bm.spec.biases import Biases
from bayes_bm.spec.document import Spec
from bayes_bm.updates.designs import Design, PlannedArm

STUDY = "planned study"
POINTS = (0.5, 1.0, 2.0)
"""Times at which survival is printed, in reference times, as far as patients are followed."""
Z = 1.959963984540054
KEPT_BIASES = ("single_arm", "small_study")
"""Biases of a design, which a planned study has too; those of clocks, years and mixed series it can avoid."""
Mix = Mapping[str, tuple[float, float]]
"""Mean and sd of each covariate of an arm's patients, in its own unit."""


def planned_spec(spec: Spec, arms: Sequence[PlannedArm]) -> Spec:
    """Return the spec as it reads a planned study: every row counts, and no bias that planning avoids."""
    treatments = {arm.treatment for arm in arms}
    biases = {
        name: term.model_copy(update={"acts_on": ()})
        for name, term in spec.bias.named(KEPT_BIASES).items()
        if treatments & {*acts_on(name, term, spec)}
    }
    evidence = spec.evidence.model_copy(update={"include": {}, "exclude": (), "also": (), "allow_overlap": ()})
    # a planned study is at the centre of covariates of studies
    return spec.model_copy(update={"evidence": evidence, "bias": Biases(**biases), "meta_regression": {}})


def planned_evidence(
    result: Result, spec: Spec, design: Design, arms: Sequence[PlannedArm], rng: np.random.Generator
) -> Evidence:
    """Return the rows of one study; patients' times, points, medians and ratios stand for what will be drawn."""
    mixes = [arm_mix(result, design, arm.treatment) for arm in arms]
    tables: dict[str, list[dict[str, Any]]] = {
        "arms": [_arm_row(spec, *both) for both in zip(arms, mixes, strict=True)]
    }
    if design.prints == "patients":
        pairs = zip(arms, mixes, strict=True)
        tables["patients"] = [row for arm, mix in pairs for row in _patient_rows(spec, arm, mix, rng)]
    elif design.prints == "ratio":
        del tables["arms"]
        tables["hazard_ratios"] = list(_ratio_rows(result, design, arms))
    else:
        middle = _typical_survival(result, design)
        rows = {"points": _point_rows, "median": _median_row}[design.prints]
        kind = {"points": "points", "median": "medians"}[design.prints]
        tables[kind] = [row for arm in arms for row in rows(spec, arm, middle[arm.treatment])]
    checked = {kind: check_table(kind, pd.DataFrame(rows), where=STUDY) for kind, rows in tables.items()}
    return replace(select(spec, checked), background=result.evidence.background, remarks=())


# ---------------------------------------------------------------------------------------------- who the patients are


def arm_mix(result: Result, design: Design, treatment: str) -> Mix | None:
    """Return the case mix of an arm: a named study's, its treatment's, or of a randomised study everybody's."""
    spec, names = result.spec, list(result.spec.covariates)
    if not names or not result.case_mix.known:
        return None
    if result.inputs.arm_mixes is not None:
        shares = _mean_mix(result, design, treatment)
        mean, covariance = result.case_mix.moments(names)
        two = [spec.covariates[name].kind == "two_valued" for name in names]
        sds = np.where(two, np.sqrt(shares * (1 - shares)), np.sqrt(np.diag(covariance)))
        return dict(zip(names, zip(shares.tolist(), sds.tolist(), strict=True), strict=True))
    mean, covariance = result.case_mix.moments(names)
    return {name: (float(mean[i]), float(np.sqrt(covariance[i, i]))) for i, name in enumerate(names)}


def _mean_mix(result: Result, design: Design, treatment: str) -> Array:
    """Posterior mean of shares and means over the arms that the design's patients resemble (covariate,)."""
    arms, mix = result.evidence.arms, result.predictors.draws.mix.mean(axis=0)
    chosen = np.ones(len(arms), dtype=bool)
    if design.case_mix_of is not None:
        chosen = (arms["study"] == design.case_mix_of).to_numpy()
    elif not design.randomised or not design.side_by_side or len(design.arms) == 1:
        of_treatment = (arms["treatment"] == treatment).to_numpy()
        chosen = of_treatment if of_treatment.any() else chosen
    return mix[chosen].mean(axis=0)


def _arm_row(spec: Spec, arm: PlannedArm, mix: Mix | None) -> dict[str, Any]:
    row = {"study": STUDY, "arm": arm.treatment, "treatment": arm.treatment, "endpoint": spec.endpoint, "n": arm.n}
    row |= {} if spec.measure is None else {"measure": spec.measure}
    for name, (mean, sd) in (mix or {}).items():
        two = _two_valued(spec, name)
        row |= {f"share_{name}": mean} if two else {f"mean_{name}": mean, f"sd_{name}": sd}
    return row


def _two_valued(spec: Spec, name: str) -> bool:
    term = spec.covariates[name]
    return term.kind == "two_valued" or (term.kind is None and (term.lower, term.upper) == (0.0, 1.0))


def _patient_rows(spec: Spec, arm: PlannedArm, mix: Mix | None, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Patients with covariates of the arm's mix; their times are drawn later."""
    named = {"study": STUDY, "arm": arm.treatment, "treatment": arm.treatment, "time": spec.reference_time, "event": 1}
    columns = {}
    for name, term in spec.covariates.items():
        mean, sd = (term.middle, 0.0) if mix is None else mix[name]
        values = rng.random(arm.n) < mean if _two_valued(spec, name) else mean + sd * rng.standard_normal(arm.n)
        columns[name] = np.clip(values.astype(float), term.lower, term.upper)
    return [{**named, **{name: float(values[i]) for name, values in columns.items()}} for i in range(arm.n)]


# ---------------------------------------------------------------------------------------------- what is printed


def _typical_survival(result: Result, design: Design) -> dict[str, Array]:
    """Posterior mean of S at POINTS under each treatment: printed sizes and errors follow from it."""
    times = [share * result.spec.reference_time for share in POINTS]
    means = survival(result, times).mean(["chain", "draw"])
    kept = [time for time in times if design.followup is None or time <= design.followup]
    return {name: means.sel(treatment=name, time=kept).to_numpy() for name in design.arms}


def _point_rows(spec: Spec, arm: PlannedArm, middle: Array) -> list[dict[str, Any]]:
    named = {"study": STUDY, "arm": arm.treatment, "endpoint": spec.endpoint, "n": arm.n}
    return [
        {**named, "time": share * spec.reference_time, "survival": float(value)}
        for share, value in zip(POINTS, middle, strict=False)
    ]


def _median_row(spec: Spec, arm: PlannedArm, middle: Array) -> list[dict[str, Any]]:
    """A median with the interval that an exponential curve of so many patients has (decision 6)."""
    sd = 1 / (np.log(2) * np.sqrt(spec.evidence.effective_share.value * arm.n))
    named = {"study": STUDY, "arm": arm.treatment, "endpoint": spec.endpoint, "n": arm.n, "median": spec.reference_time}
    low, high = (spec.reference_time * np.exp(sign * Z * sd) for sign in (-1, 1))
    return [{**named, "ci_low": float(low), "ci_high": float(high)}]


def _ratio_rows(result: Result, design: Design, arms: Sequence[PlannedArm]) -> list[dict[str, Any]]:
    """Log ratios of all arms to the first, with the variance of their expected deaths, 1/d + 1/d_0."""
    spec, middle = result.spec, _typical_survival(result, design)
    deaths = {arm.treatment: arm.n * (1 - float(middle[arm.treatment][-1])) for arm in arms}
    first, named = arms[0].treatment, {"study": STUDY, "endpoint": spec.endpoint, "hr": 1.0}
    adjusted = "; ".join(spec.covariates)
    return [
        {**named, "treatment": arm.treatment, "reference": first, "adjusted_for": adjusted or None}
        | {"se_log_hr": float(np.sqrt(1 / deaths[arm.treatment] + 1 / deaths[first]))}
        | ({"se_reference": float(np.sqrt(1 / deaths[first]))} if len(arms) > 2 else {})
        | {"followup": POINTS[-1] * spec.reference_time if design.followup is None else design.followup}
        for arm in arms[1:]
    ]
