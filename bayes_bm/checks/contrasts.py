"""Where a contrast comes from: within studies, across studies, combined (rule 12). The first thing a critic asks.

Within    free study levels and shapes, only studies that hold several of the treatments
Across    every arm its own pseudo-study, no hazard ratios; the combined fit where nothing is side by side
Combined  the spec as it stands
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bayes_bm.checks.audit import NO_SIDE_BY_SIDE
from bayes_bm.effects import components, side_by_side
from bayes_bm.evidence import Evidence
from bayes_bm.fit import Result, fit
from bayes_bm.spec import Spec, StudyLevel, Treatments

Say = Callable[[str], None]
COLUMNS = [
    *("treatment", "reference", "source", "studies", "mean", "sd", "median", "q2_5", "q97_5"),
    *("hr", "hr_low", "hr_high", "prob_better", "note"),
]


@dataclass(frozen=True)
class Split:
    """The two other fits behind a contrast table; None where there is nothing to fit, or where it is the combined
    fit.
    """

    within: Result | None
    across: Result | None


def contrast_sources(result: Result, *, say: Say = lambda stage: None) -> pd.DataFrame:
    """Log hazard ratio of each treatment against the reference, by source, with the discrepancy within - across.

    For a model with hazards that are not proportional it is the log hazard ratio at the reference time.
    """
    return contrast_table(result, split_fits(result, say=say))


def split_fits(result: Result, *, say: Say = lambda stage: None) -> Split:
    """Fit within and across, each only where it differs from the combined fit; a reproduction has one source (rule
    9).
    """
    if result.spec.reproduction:
        return Split(within=None, across=None)
    return Split(within=_fit_within(result, say), across=_fit_across(result, say))


def _fit_within(result: Result, say: Say) -> Result | None:
    treatments = _linked(result.spec, result.evidence)
    if len(treatments) < 2:
        return None
    say("within studies")
    chosen = {study for studies in side_by_side(result.spec, result.evidence).values() for study in studies}
    evidence = subset(result.evidence, studies=chosen, treatments=set(treatments))
    return fit(within_spec(result.spec, treatments), evidence, say=lambda stage: say(f"within studies: {stage}"))


def _linked(spec: Spec, evidence: Evidence) -> list[str]:
    """Treatments joined to the reference by studies that hold both, reference first."""
    groups = components(list(side_by_side(spec, evidence)), spec.treatments.names)
    mine = next(group for group in groups if spec.treatments.reference in group)
    return [name for name in spec.treatments.names if name in mine]


def within_spec(spec: Spec, treatments: list[str]) -> Spec:
    """The spec with free study levels and shapes; its priors for level and shape become those of each study."""
    free = StudyLevel(exchangeable=False)
    effects = spec.effects.model_copy(update={"study": free, "study_shape": free})
    compared = Treatments(reference=treatments[0], compare=tuple(treatments[1:]))
    return spec.model_copy(update={"effects": effects, "treatments": compared, "external_checks": ()})


def _nothing_side_by_side(result: Result) -> bool:
    """No study holds two of the treatments and no ratio is printed: the combined fit already compares across only."""
    return result.evidence.hazard_ratios.empty and not side_by_side(result.spec, result.evidence)


def _fit_across(result: Result, say: Say) -> Result | None:
    if _nothing_side_by_side(result):
        return None
    say("across studies")
    evidence = pseudo_studies(result.evidence)
    found = evidence.treatments
    if (
        result.spec.free_levels
        or result.spec.treatments.reference not in found
        or not found & set(result.spec.treatments.compare)
    ):
        return None
    return fit(result.spec, evidence, say=lambda stage: say(f"across studies: {stage}"))


def subset(evidence: Evidence, *, studies: set[str], treatments: set[str]) -> Evidence:
    """Rows of some studies and treatments, arm rows counted anew."""
    arms = evidence.arms
    keep = arms["study"].isin(studies) & arms["treatment"].isin(treatments)
    new_row = dict(zip(np.flatnonzero(keep), range(int(keep.sum())), strict=True))
    ratios = evidence.hazard_ratios
    kept = (
        ratios["study"].isin(studies) & ratios["treatment"].isin(treatments) & ratios["reference"].isin(treatments)
    ).to_numpy()

    def of_arm(table: pd.DataFrame) -> pd.DataFrame:
        mine = table[table["arm_row"].isin(new_row)]
        return mine.assign(arm_row=mine["arm_row"].map(new_row).astype(int)).reset_index(drop=True)

    return replace(
        evidence,
        arms=arms[keep].reset_index(drop=True),
        patients=of_arm(evidence.patients),
        sequences=of_arm(evidence.sequences),
        medians=of_arm(evidence.medians),
        counts=of_arm(evidence.counts),
        hazard_ratios=ratios[kept].reset_index(drop=True),
        hr_cholesky=_sub_cholesky(evidence.hr_cholesky, kept),
    )


def _sub_cholesky(cholesky: np.ndarray, kept: np.ndarray) -> np.ndarray:
    covariance = cholesky @ cholesky.T
    return np.linalg.cholesky(covariance[np.ix_(kept, kept)]) if kept.any() else np.zeros((0, 0))


def pseudo_studies(evidence: Evidence) -> Evidence:
    """Every arm its own study, so that nothing is compared side by side."""
    name = evidence.arms["study"] + " / " + evidence.arms["arm"]

    def renamed(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(study=name.to_numpy()[table["arm_row"].astype(int)] if len(table) else table["study"])

    return replace(
        evidence,
        arms=evidence.arms.assign(study=name),
        patients=renamed(evidence.patients),
        sequences=renamed(evidence.sequences),
        medians=renamed(evidence.medians),
        counts=renamed(evidence.counts),
        hazard_ratios=evidence.hazard_ratios.iloc[:0],
        hr_cholesky=np.zeros((0, 0)),
    )


# ---------------------------------------------------------------------------------------------- table


REPRODUCTION = "reproduction: the same patients twice"


def contrast_table(result: Result, split: Split) -> pd.DataFrame:
    """Rows within, across, combined and discrepancy of each compared treatment; of a reproduction only combined."""
    both = side_by_side(result.spec, result.evidence)
    reference = result.spec.treatments.reference
    rows = []
    for treatment in result.spec.treatments.compare:
        direct = len(both.get((treatment, reference), []))
        within = _log_hr(split.within, treatment)
        across_fit = split.across if split.across is not None else _combined_as_across(result)
        across = _log_hr(across_fit, treatment)
        named = {"treatment": treatment, "reference": reference}
        if result.spec.reproduction:
            rows.append(_source_row(named, "combined", direct, _log_hr(result, treatment), REPRODUCTION))
            continue
        studies = result.evidence.arms["study"][
            result.evidence.arms["treatment"].isin([treatment, reference])
        ].nunique()
        rows += [
            _source_row(named, "within", direct, within, _within_note(split.within, treatment, direct)),
            _source_row(named, "across", studies, across, _gate_note(across_fit)),
            _source_row(
                named, "combined", studies, _log_hr(result, treatment), _combined_note(result, direct, within, across)
            ),
            _source_row(
                named, "discrepancy", direct, _difference(within, across), "" if within is not None else NO_SIDE_BY_SIDE
            ),
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _combined_as_across(result: Result) -> Result | None:
    return result if _nothing_side_by_side(result) and not result.spec.free_levels else None


def _log_hr(result: Result | None, treatment: str) -> np.ndarray | None:
    if (
        result is None
        or treatment not in result.posterior["treatment"].values
        or treatment not in result.evidence.treatments
    ):
        return None
    log_hr = result.posterior["log_hr"].sel(treatment=treatment).to_numpy().ravel()
    if "treatment_log_shape" in result.posterior:
        # at t0, log h_a - log h_b = log_hr + log k_a - log k_b
        log_hr = log_hr + result.posterior["treatment_log_shape"].sel(treatment=treatment).to_numpy().ravel()
    return log_hr


def _difference(within: np.ndarray | None, across: np.ndarray | None) -> np.ndarray | None:
    """Two independent posteriors: every draw of one may meet any of the other."""
    if within is None or across is None:
        return None
    draws = min(len(within), len(across))
    return within[:draws] - across[:draws]


def _source_row(named: dict, source: str, studies: int, values: np.ndarray | None, note: str) -> dict:
    row = {**named, "source": source, "studies": studies, "note": note}
    if values is None:
        return row
    low, middle, high = np.quantile(values, [0.025, 0.5, 0.975])
    numbers = {
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)),
        "median": middle,
        "q2_5": low,
        "q97_5": high,
    }
    ratios = {"hr": np.exp(middle), "hr_low": np.exp(low), "hr_high": np.exp(high)}
    return {
        **row,
        **numbers,
        **ratios,
        "prob_better": float(np.mean(values < 0)) if source != "discrepancy" else np.nan,
    }


def _within_note(within: Result | None, treatment: str, direct: int) -> str:
    if within is None or treatment not in within.spec.treatments.names:
        return NO_SIDE_BY_SIDE
    return "; ".join(filter(None, ["" if direct else "indirect, through studies with other arms", _gate_note(within)]))


def _gate_note(result: Result | None) -> str:
    if result is None:
        return "no absolute evidence on both"
    return "" if result.gate.passed else "the gate of this fit failed"


def _combined_note(result: Result, direct: int, within: np.ndarray | None, across: np.ndarray | None) -> str:
    """Said where the combined answer rests mostly on comparing across studies."""
    if within is None:
        return "across studies only"
    if across is None:
        return "within studies only"
    return "mostly across studies" if np.std(across) < np.std(within) else "mostly within studies"
