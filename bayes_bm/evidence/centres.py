"""Where the evidence's patients lie in a covariate, and the centres that follow from it.

A covariate enters the model less its centre, so the centre says whom `intercept` and `log_hr` are about. One that lies
far from every patient makes them extrapolations, whatever their priors say. The coefficient keeps its meaning.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_bm.evidence.arm_covariates import states_covariate
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.frames import records
from bayes_bm.spec.covariates import Covariate
from bayes_bm.spec.document import Spec

REACH = 3.0
"""Sds on either side of a printed mean within which an arm's patients are taken to lie."""


@dataclass(frozen=True)
class CovariateRange:
    """Mean of a covariate in the evidence, its least and largest value, and whether it has just two."""

    mean: float
    low: float
    high: float
    two_valued: bool

    @property
    def centre(self) -> float:
        """The lower of two values, who is a patient; else the mean, rounded to about a thousandth of their range."""
        if self.two_valued or self.high == self.low:
            return self.low
        digits = 2 - int(np.floor(np.log10(self.high - self.low)))
        return float(round(self.mean, digits))


def covariate_range(evidence: Evidence, name: str) -> CovariateRange | None:
    """What patients and arms say of a covariate; None where they say nothing."""
    values, weight, low, high = [], [], [], []
    patients = evidence.patients
    rows = patients[patients[name].notna()] if name in patients else patients[:0]
    if len(rows):
        values += rows[name].astype(float).tolist()
        weight += rows["weight"].astype(float).tolist()
        low, high = [min(values)], [max(values)]
    seen = set(rows["arm_row"].astype(int))
    for row, arm in enumerate(records(evidence.arms)):
        stated = states_covariate(arm, name)
        if row in seen or not stated:
            continue
        n = float(arm["n"]) if pd.notna(arm.get("n")) else 1.0
        if stated == "share":
            share = float(arm[f"share_{name}"])
            values, weight = [*values, 0.0, 1.0], [*weight, n * (1 - share), n * share]
            low, high = [*low, 0.0], [*high, 1.0]
        else:
            mean, reach = float(arm[f"mean_{name}"]), REACH * float(arm[f"sd_{name}"])
            # both ends, so that they count as more than two values
            values, weight = [*values, mean - reach, mean, mean + reach], [*weight, 0.0, n, 0.0]
            low, high = [*low, mean - reach], [*high, mean + reach]
    if not values or not sum(weight) > 0:
        return None
    mean = float(np.average(values, weights=weight))
    return CovariateRange(mean, min(low), max(high), two_valued=len(set(values)) == 2)


def with_centres(spec: Spec, evidence: Evidence) -> Spec:
    """The spec with a number for every centre that it does not state: the evidence's, or 0 where that says nothing."""
    if all(term.centre is not None for term in spec.covariates.values()):
        return spec
    settled = {}
    for name, term in spec.covariates.items():
        ranges = covariate_range(evidence, name) if term.centre is None else None
        centre = _unseen_centre(term) if ranges is None else ranges.centre
        settled[name] = term.model_copy(update={"centre": centre})
    return spec.model_copy(update={"covariates": settled})


def _unseen_centre(term: Covariate) -> float:
    """Of a covariate about which the evidence says nothing: the mean of a typical arm if stated, else 0."""
    if term.case_mix is None or term.kind != "continuous":
        return term.middle
    return float(getattr(term.case_mix.mean, "mean", 0.0))


def at_zero(spec: Spec) -> Spec:
    """The spec with 0 for every centre that it does not state: of a world whose truth is written about zero."""
    terms = {name: term.model_copy(update={"centre": term.middle}) for name, term in spec.covariates.items()}
    return spec.model_copy(update={"covariates": terms})


def far_centres(spec: Spec, evidence: Evidence) -> dict[str, CovariateRange]:
    """Covariates whose stated centre lies beyond everybody in the evidence, with where these lie."""
    ranges = {name: covariate_range(evidence, name) for name in spec.covariates}
    return {
        name: limits
        for name, limits in ranges.items()
        if limits is not None
        and (centre := spec.covariates[name].centre) is not None
        and not limits.low <= centre <= limits.high
    }
