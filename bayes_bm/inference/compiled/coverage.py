"""Which models the compiled density covers; all others are sampled through PyMC's graph."""

from dataclasses import replace

from bayes_bm.evidence.arm_covariates import patients_with_missing_covariates
from bayes_bm.evidence.hazard_ratios import averaged_ratios
from bayes_bm.evidence.records import Evidence
from bayes_bm.model.baseline_hazard import family_of
from bayes_bm.model.covariates.integration_points import any_averaged
from bayes_bm.model.observations import observations
from bayes_bm.spec.document import Spec

FAMILIES = ("weibull", "exponential")
KNOWN = {"patients", "points", "medians", "median_intervals", "medians_not_reached", "counts", "hazard_ratios"}


def why_not(spec: Spec, evidence: Evidence) -> str | None:
    """Why the compiled density does not cover a model; None where it does."""
    if spec.hazard.family not in FAMILIES:
        return f"the family is {spec.hazard.family}"
    if spec.hazard.cure:
        return "a cured share"
    if len(evidence.background):
        return "background mortality"
    if spec.unknown_clocks:
        return "a clock of unknown time"
    if any_averaged(spec, evidence):
        return "arms averaged over their covariates"
    if patients_with_missing_covariates(spec, evidence).any():
        return "patients averaged over covariates they lack"
    if averaged_ratios(evidence.hazard_ratios, spec).any():
        return "hazard ratios averaged over covariates"
    # kinds are seen from one patient as well as from a million
    unknown = set(observations(spec, replace(evidence, patients=evidence.patients.head(1)), family_of(spec))) - KNOWN
    return f"evidence of kind {', '.join(sorted(unknown))}" if unknown else None
