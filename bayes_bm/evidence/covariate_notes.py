"""What an audit says of covariates: their centres, whose case mix is modelled and whose is not, what is assumed."""

from collections.abc import Iterator

import pandas as pd

from bayes_bm.evidence.arm_covariates import averaged_arms, patients_with_missing_covariates
from bayes_bm.evidence.centres import covariate_range, far_centres
from bayes_bm.evidence.hazard_ratios import averaged_ratios, unadjusted
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.frames import records
from bayes_bm.spec.document import Spec


def covariate_notes(spec: Spec, evidence: Evidence) -> Iterator[str]:
    """Yield what is and what is not modelled about covariates; nothing where the spec has none."""
    if not spec.covariates:
        return
    yield from _centre_notes(spec, evidence)
    yield from _missing_notes(spec, evidence)
    averaged = averaged_arms(spec, evidence.arms, evidence.patients)
    if spec.case_mixes:
        yield from _mix_notes(spec, evidence)
    elif averaged.any():
        yield (
            f"{int(averaged.sum())} arms are averaged over the covariates they state, by {spec.integration.points}"
            f" points; {_correlation_text(spec, evidence)}."
        )
    if at_centres := arms_at_centres(spec, evidence):
        some = f"{at_centres} arms do not state every covariate and"
        which = some if averaged.any() else "Arms known from printed numbers"
        yield f"{which} are taken at the covariates' centres: their case mix is not modelled."
        yield reading_at_centres(spec, evidence)
    yield from _ratio_notes(spec, evidence.hazard_ratios)


def _mix_notes(spec: Spec, evidence: Evidence) -> Iterator[str]:
    """How many arms print each covariate, and that the others' mix is a parameter."""
    averaged = averaged_arms(spec, evidence.arms, evidence.patients)
    arms = [arm for arm, whole in zip(records(evidence.arms), averaged, strict=True) if whole]
    for name, term in spec.covariates.items():
        column = f"share_{name}" if term.kind == "two_valued" else f"mean_{name}"
        printed = sum(pd.notna(arm.get(column)) for arm in arms)
        rest = f"; in the other {len(arms) - printed} it is a parameter" if printed < len(arms) else ""
        yield f"Case mix: {printed} of {len(arms)} arms without patients' covariates print {name}{rest}."
    common = spec.integration.common_correlation
    if common is not None:
        turned = f", of {', '.join(common.turned)} turned" if common.turned else ""
        yield f"Covariates go together inside arms, correlation {common.value:g} of their scores{turned}: {common.why}."
    late = [arm["study"] for arm in arms if arm["entry"] > 0]
    if late:
        yield (
            "Case mix of arms with a delayed entry is taken as that of time zero, though it is printed of who entered:"
            f" {'; '.join(sorted(set(late)))}."
        )


def arms_at_centres(spec: Spec, evidence: Evidence) -> int:
    """Count arms whose printed numbers are read as those of one patient at the covariates' centres."""
    if not spec.covariates:
        return 0
    averaged = averaged_arms(spec, evidence.arms, evidence.patients)
    return int(((evidence.arms["kind"] != "patients").to_numpy() & ~averaged).sum())


SIZE_OF_ERROR = (
    "with three two-valued covariates of coefficients -0.99, -1.05 and -0.71, present in half of the patients, the"
    " favourable patient's S(24) is put at 0.63 where 0.56 is right and the median at 38 months for 28; the"
    " unfavourable patient's median at 1.9 for 2.8"
)
"""A mixture of eight kinds of patient, shape 1.2, read from exact points of unlimited patients
(`tests/evidence/test_centres.py`)."""


def reading_at_centres(spec: Spec, evidence: Evidence) -> str:
    """Say that answers for a patient are wrong by construction, and by how much; "" where they are not."""
    count = arms_at_centres(spec, evidence)
    if not count:
        return ""
    return (
        f"Answers for a patient are wrong by construction, whatever the amount of evidence: {count} of"
        f" {len(evidence.arms)} arms print no case mix and are read as one patient at the covariates' centres, though"
        f" their curves are averages over unlike patients. The size of the error, in an example: {SIZE_OF_ERROR}."
        " State share_, or mean_ and sd_, of every covariate in the arms rows, if only as an assumption: such arms are"
        " averaged."
    )


def _centre_notes(spec: Spec, evidence: Evidence):
    """Centres that the evidence gives, and stated ones that nobody in it is near."""
    for name, term in spec.covariates.items():
        if term.centre is None and (ranges := covariate_range(evidence, name)) is not None:
            which = "the lower of its two values" if ranges.two_valued else "the mean in the evidence"
            yield f"The centre of {name} is not stated and is taken as {ranges.centre:g}, {which}."
    for name, ranges in far_centres(spec, evidence).items():
        yield (
            f"The centre of {name}, {spec.covariates[name].middle:g}, lies beyond everybody in the evidence"
            f" ({ranges.low:g} to {ranges.high:g}): the average study, a new study and every treatment effect"
            " beside an interaction are extrapolations to it. Leave `centre` out for the evidence's own"
            f" ({ranges.centre:g}), or state one inside."
        )


def _ratio_notes(spec: Spec, ratios: pd.DataFrame):
    """Which hazard ratios are of a study's patients together, and which are read as of alike ones."""
    mixed = averaged_ratios(ratios, spec)
    if mixed.any():
        yield (
            f"{int(mixed.sum())} hazard ratios are averaged over the covariates that their studies' arms state and they"
            f" were not adjusted for, by {spec.integration.points} points and when events are over their follow-up"
            " (docs/decisions.md, 7)."
        )
    crude = int((unadjusted(ratios, spec).to_numpy(dtype=bool) & ~mixed).sum())
    if crude:
        yield (
            f"{crude} hazard ratios were not adjusted for every covariate and are read as if they were: a crude ratio"
            " is nearer to 1 than the one between alike patients (docs/decisions.md, 7). One with followup, whose arms"
            " rows state"
            " every covariate, is averaged over them."
        )


def _missing_notes(spec: Spec, evidence: Evidence):
    """How many patients lack each covariate, and what is assumed of them."""
    patients = evidence.patients
    lacks = patients_with_missing_covariates(spec, evidence)
    for name, term in spec.covariates.items() if lacks.any() else ():
        count = int(patients.loc[lacks, name].isna().sum())
        if not count:
            continue
        observed_count = int(patients[name].notna().sum())
        studies = patients.loc[lacks & patients[name].isna().to_numpy(), "study"].nunique()
        distribution = "two-valued" if term.missing == "two_valued" else "normal"
        yield (
            f"{count} patients of {studies} studies lack {name} ({observed_count} have it): averaged over a"
            f" {distribution} law given their arm and other covariates, estimated with the model, taken as missing at"
            " random (whether it is missing may depend on arm, outcome and known covariates, not on its value)."
        )


def _correlation_text(spec: Spec, evidence: Evidence) -> str:
    if spec.integration.correlation is not None:
        return "their correlation is the spec's"
    complete = len(evidence.patients) and evidence.patients[list(spec.covariates)].notna().all(axis=1).any()
    return "their correlation is that of the patients" if complete else "no correlation is stated, so none is taken"
