"""Which models the compiled densities cover; all others are sampled through PyMC's graph."""

from bayes_bm.inference.compiled.formulas import FILES
from bayes_bm.model.covariates.cell_shares import loadings
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.spec.document import Spec

FAMILIES = ("weibull", "exponential")
"""Of the kernel that sums powers of time."""
PLAIN = {
    *("patients", "patients_averaged", "points", "medians", "median_intervals", "medians_not_reached", "counts"),
    "hazard_ratios",
}
"""Evidence that it knows."""
KNOWN = {*PLAIN, "registry", "patients_imputed"}
"""Evidence that the density of cells knows."""


def is_plain_weibull(inputs: ModelInputs) -> bool:
    """Whether the kernel of Weibull models covers a model: nobody is averaged over covariates, and clocks are known."""
    spec = inputs.spec
    plain = spec.hazard.family in FAMILIES and not spec.hazard.cure and not len(inputs.evidence.background)
    averaged = inputs.any_integrated or spec.case_mixes or inputs.averaged_ratios.any()
    plain = plain and spec.waning is None
    return plain and not averaged and not spec.unknown_clocks and set(inputs.kinds) <= PLAIN


def why_not(inputs: ModelInputs) -> str | None:
    """Why no compiled density covers a model; None where one does."""
    unknown = set(inputs.kinds) - KNOWN
    return why_not_spec(inputs.spec) or (f"evidence of kind {', '.join(sorted(unknown))}" if unknown else None)


def why_not_spec(spec: Spec) -> str | None:
    """Why no compiled density covers any model of a spec, whatever its evidence; None where one does."""
    if spec.hazard.family not in FILES:
        return f"the family is {spec.hazard.family}"
    continuous = any(term.kind != "two_valued" for term in spec.covariates.values())
    if spec.case_mixes and continuous and loadings(spec).any():
        return "continuous covariates that go together inside arms"
    return None
