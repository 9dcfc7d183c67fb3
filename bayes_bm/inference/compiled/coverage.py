"""Which models the compiled densities cover; all others are sampled through PyMC's graph."""

from bayes_bm.inference.compiled.formulas import FILES
from bayes_bm.model.model_inputs import ModelInputs

FAMILIES = ("weibull", "exponential")
"""Of the kernel that sums powers of time."""
PLAIN = {
    *("patients", "patients_averaged", "points", "medians", "median_intervals", "medians_not_reached", "counts"),
    "hazard_ratios",
}
"""Evidence that it knows."""
KNOWN = {*PLAIN, "registry"}
"""Evidence that the density of cells knows."""


def is_plain_weibull(inputs: ModelInputs) -> bool:
    """Whether the kernel of Weibull models covers a model: alike patients, or mixes of them."""
    spec = inputs.spec
    plain = spec.hazard.family in FAMILIES and not spec.hazard.cure and not len(inputs.evidence.background)
    return plain and not inputs.any_integrated and set(inputs.kinds) <= PLAIN and not goes_together(inputs)


def goes_together(inputs: ModelInputs) -> bool:
    """Whether covariates are correlated inside arms whose mixes are modelled."""
    return inputs.arm_mixes is not None and bool(inputs.arm_mixes.loading.any())


def why_not(inputs: ModelInputs) -> str | None:
    """Why no compiled density covers a model; None where one does."""
    spec = inputs.spec
    if spec.hazard.family not in FILES:
        return f"the family is {spec.hazard.family}"
    if spec.unknown_clocks:
        return "a clock of unknown time"
    if inputs.missing_patients.any():
        return "patients averaged over covariates they lack"
    if inputs.averaged_ratios.any():
        return "hazard ratios averaged over covariates"
    unknown = set(inputs.kinds) - KNOWN
    if unknown:
        return f"evidence of kind {', '.join(sorted(unknown))}"
    return None if is_plain_weibull(inputs) else _why_no_cells(inputs)


def _why_no_cells(inputs: ModelInputs) -> str | None:
    """What the density of cells does not know, beside what neither does."""
    spec = inputs.spec
    if goes_together(inputs):
        return "covariates that go together inside arms"
    if spec.case_mixes:
        return f"mixes of arms under the family {spec.hazard.family}"
    if inputs.any_integrated and not inputs.family.proportional:
        return "arms averaged over their covariates, hazards not proportional"
    if inputs.any_integrated and not spec.proportional and "hazard_ratios" in inputs.kinds:
        return "arms averaged over their covariates beside ratios of hazards that are not proportional"
    return None
