"""What a spec leaves out, and what the answer assumes instead: effects of studies that are zero, priors by default."""

from collections.abc import Iterator

from bayes_bm.evidence.records import Evidence
from bayes_bm.spec.defaults import MARK
from bayes_bm.spec.document import Spec
from bayes_bm.spec.priors import describe

ONE_BASELINE = "One baseline for all"
"""How the note begins that must stand in every answer without study levels."""


def left_out_notes(spec: Spec, evidence: Evidence) -> Iterator[str]:
    """Yield a note for each effect between studies that is zero, and one for the priors that the spec leaves out."""
    studies = evidence.arms["study"].nunique()
    effects, levels, varies = spec.effects, spec.effects.study is not None, spec.hazard.varies is not None
    if studies > 1 and not levels and not spec.reproduction:
        yield (
            f"{ONE_BASELINE} {studies} studies: the spec has no [effects.study], so that differences between studies"
            " count as chance or as differences between treatments, and intervals are too narrow. Add"
            " the line [effects.study] for studies that are a sample of one population, and below it"
            " exchangeable = false for a level of each study's own."
        )
    zero = [
        *(["treatment effects ([effects.study_treatment])"] if effects.study_treatment is None else []),
        *(["the shape of the hazard ([effects.study_shape])"] if effects.study_shape is None and varies else []),
    ]
    if studies > 1 and levels and zero:
        yield f"The same in all {studies} studies, since the spec leaves the table out: {' and '.join(zero)}."
    defaults = [
        f"{name} {describe(prior)}"
        for name in type(spec.priors).model_fields
        if (prior := getattr(spec.priors, name)) is not None and prior.why.startswith(MARK)
    ]
    if defaults:
        yield f"Priors by default, since the spec leaves them out: {', '.join(defaults)}. Do they suit the disease?"
