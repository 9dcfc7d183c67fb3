"""Which models the compiled density covers; all others are sampled through PyMC's graph."""

from bayes_bm.model.model_inputs import ModelInputs

FAMILIES = ("weibull", "exponential")
KNOWN = {
    *("patients", "patients_averaged", "points", "medians", "median_intervals", "medians_not_reached", "counts"),
    "hazard_ratios",
}


def why_not(inputs: ModelInputs) -> str | None:
    """Why the compiled density does not cover a model; None where it does."""
    spec = inputs.spec
    if spec.hazard.family not in FAMILIES:
        return f"the family is {spec.hazard.family}"
    if spec.hazard.cure:
        return "a cured share"
    if len(inputs.evidence.background):
        return "background mortality"
    if spec.unknown_clocks:
        return "a clock of unknown time"
    if inputs.any_integrated:
        return "arms averaged over their covariates"
    if inputs.missing_patients.any():
        return "patients averaged over covariates they lack"
    if inputs.averaged_ratios.any():
        return "hazard ratios averaged over covariates"
    unknown = set(inputs.kinds) - KNOWN
    return f"evidence of kind {', '.join(sorted(unknown))}" if unknown else None
