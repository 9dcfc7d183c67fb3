"""What the numbers of a patient page rest on: evidence by treatment, by covariate, and beyond it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_bm.estimands.labels import prior_only
from bayes_bm.estimands.predict import any_prior_only, patient_distance
from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE, audit
from bayes_bm.evidence.coefficient_words import informed_by
from bayes_bm.evidence.covariate_notes import reading_at_centres
from bayes_bm.inference.result import Result
from bayes_bm.report.patient.controls import two_values
from bayes_bm.report.sentences import time_text
from bayes_bm.report.text import counted, treatment_text

NOT_KNOWN = "not known"
"""The cell of a covariate that a patient leaves out."""


@dataclass(frozen=True)
class Facts:
    """What is the same for every patient, worked out once.

    `informed` are words by covariate, `silent` covariates whose coefficient no evidence informs, `prior_treatments`
    treatments of whose effect the same is true; `treatments` and `contrasts` are rows of the audit.
    """

    informed: Mapping[str, str]
    silent: frozenset[str]
    prior_treatments: frozenset[str]
    treatments: tuple[dict[Any, Any], ...]
    contrasts: tuple[dict[Any, Any], ...]
    at_centres: str

    def side_by_side(self, treatment: str, reference: str) -> int:
        """Return how many studies held both."""
        pair = {treatment, reference}
        return next((int(row["studies"]) for row in self.contrasts if {row["treatment"], row["reference"]} == pair), 0)


def page_facts(result: Result) -> Facts:
    """Return what the numbers of a result rest on."""
    spec, unmoved, audited = result.spec, prior_only(result), audit(result.spec, result.evidence)
    effect = spec.hazard.treatment_effect
    return Facts(
        informed=informed_by(spec, result.evidence) if spec.covariates else {},
        silent=frozenset(name for name in spec.covariates if any_prior_only(name, unmoved)),
        prior_treatments=frozenset(name for name in spec.treatments.compare if f"{effect}[{name}]" in unmoved),
        treatments=tuple(audited.treatments.to_dict("records")),
        contrasts=tuple(audited.contrasts.to_dict("records")),
        at_centres=reading_at_centres(spec, result.evidence),
    )


def value_text(result: Result, name: str, value: float) -> str:
    """Return a covariate's value in words: `KPS 70 or more`, `61 years`."""
    term = result.spec.covariates[name]
    return two_values(result, name, term).get(value) or f"{value:g} {term.unit}".strip()


def patient_words(result: Result, patient: Mapping[str, float]) -> str:
    """Return who is asked about: `performance status: KPS 70 or more; age: 61 years`."""
    covariates = result.spec.covariates
    given = [name for name in covariates if name in patient]
    return "; ".join(f"{covariates[name].words(name)}: {value_text(result, name, patient[name])}" for name in given)


def basis_table(
    result: Result, facts: Facts, wanted: Sequence[str], patients: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """Return one row a treatment and a covariate: what was given, what its effect rests on, what to beware of."""
    heads = ["effect", *(("patient",) if len(patients) == 1 else ("patient A", "patient B")), "rests on", "beware"]
    outside = [patient_distance(result, patient).outside for patient in patients]
    rows = [_treatment_row(result, facts, name, wanted, len(patients)) for name in wanted]
    rows += [_covariate_row(result, facts, name, patients, outside) for name in result.spec.covariates]
    return {"head": heads, "numeric": [], "rows": rows}


def _treatment_row(result: Result, facts: Facts, name: str, wanted: Sequence[str], patients: int) -> list[str]:
    row = next(row for row in facts.treatments if row["treatment"] == name)
    spec, size = result.spec, float(row["size"])
    effective = f", about {size:.0f} effective patients" if np.isfinite(size) and size > 0 else ""
    rests = f"{counted(int(row['studies']), 'study')}, {counted(int(row['arms']), 'arm')}{effective}"
    marks: list[str] = []
    reference = spec.treatments.reference
    if name != reference and reference in wanted:
        sides = facts.side_by_side(name, reference)
        words = f"{counted(sides, 'study')} side by side with {treatment_text(reference)}" if sides else NO_SIDE_BY_SIDE
        rests += f"; {words}"
        if not sides:
            marks.append("compared across studies only")
    if name in facts.prior_treatments:
        marks.append("prior only")
    until = float(row["until"])
    if not (np.isfinite(until) and until >= spec.horizon):
        shown = time_text(spec, float(f"{until:.3g}")) if np.isfinite(until) else "the start"
        marks.append(f"extrapolated after {shown}")
    return [treatment_text(name), *([""] * patients), rests, "; ".join(marks)]


def _covariate_row(
    result: Result,
    facts: Facts,
    name: str,
    patients: Sequence[Mapping[str, float]],
    outside: Sequence[Sequence[str]],
) -> list[str]:
    values = [value_text(result, name, one[name]) if name in one else NOT_KNOWN for one in patients]
    marks: list[str] = []
    if any(name in one for one in patients) and name in facts.silent:
        marks.append("prior only")
    if any(name in names for names in outside):
        marks.append("beyond the evidence")
    return [result.spec.covariates[name].words(name), *values, facts.informed[name], "; ".join(marks)]
