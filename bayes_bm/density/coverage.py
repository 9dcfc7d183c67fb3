"""Which models the compiled density covers; all others are sampled through PyMC's graph."""

from dataclasses import replace

from bayes_bm.baseline import family_of
from bayes_bm.evidence import Evidence
from bayes_bm.integration import any_averaged
from bayes_bm.missing import lacking
from bayes_bm.observations import observations
from bayes_bm.ratios import modelled
from bayes_bm.spec import Spec

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
    if lacking(spec, evidence).any():
        return "patients averaged over covariates they lack"
    if modelled(evidence.hazard_ratios, spec).any():
        return "hazard ratios averaged over covariates"
    # kinds are seen from one patient as well as from a million
    unknown = set(observations(spec, replace(evidence, patients=evidence.patients.head(1)), family_of(spec))) - KNOWN
    return f"evidence of kind {', '.join(sorted(unknown))}" if unknown else None
