"""Where a contrast comes from: within studies, across studies, combined (docs/decisions.md#12-within-and-across). The
first thing a critic asks.

Within    free study levels and shapes, only studies that hold several of the treatments
Across    every arm its own pseudo-study, no hazard ratios; the combined fit where nothing is side by side
Combined  the spec as it stands
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE
from bayes_bm.evidence.network import parts_of, side_by_side
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.fit import fit
from bayes_bm.inference.result import Result
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import Measure, contrast_measure
from bayes_bm.spec.effects import StudyLevel, Treatments

COLUMNS = ("treatment", "reference", "source", "studies", "mean", "sd", "median", "q2_5", "q97_5")


@dataclass(frozen=True)
class Split:
    """The other fits behind a contrast table; None where there is nothing to fit, or where it is the combined fit.

    `within` is of the treatments joined to the reference by studies that hold two, `apart` of those joined only among
    themselves.
    """

    within: Result | None
    across: Result | None
    apart: tuple[Result, ...] = ()

    def within_of(self, treatment: str, reference: str) -> Result | None:
        """The within-study fit that holds both, if any does."""
        fits = [self.within, *self.apart]
        return next(
            (of for of in fits if of is not None and {treatment, reference} <= set(of.spec.treatments.names)), None
        )


def contrast_sources(result: Result, *, say: Progress = lambda stage: None) -> pd.DataFrame:
    """Log ratio of every pair of treatments, by source, with the discrepancy within - across.

    Columns hr, hr_low, hr_high; of accelerated-time families time_ratio, time_ratio_low, time_ratio_high, where above 1
    is better. `measure.contrast_measure` says what it is a ratio of where treatments differ in shape; its `InputError`
    is raised where one number cannot hold it.
    """
    contrast_measure(result.spec)
    return contrast_table(result, split_fits(result, say=say))


def split_fits(result: Result, *, say: Progress = lambda stage: None) -> Split:
    """Fit within and across, each only where it differs from the combined fit; a reproduction has one source (decision
    9).
    """
    if result.spec.reproduction:
        return Split(within=None, across=None)
    reference, within, apart = result.spec.treatments.reference, None, []
    for spec, evidence in within_parts(result.spec, result.evidence):
        say("within studies")
        made = fit(spec, evidence, say=lambda stage: say(f"within studies: {stage}"))
        if spec.treatments.reference == reference:
            within = made
        else:
            apart.append(made)
    return Split(within=within, across=_fit_across(result, say), apart=tuple(apart))


def within_parts(spec: Spec, evidence: Evidence) -> list[tuple[Spec, Evidence]]:
    """Spec and evidence of each set of treatments joined by studies that hold two of them: side-by-side studies alone.

    Study levels and shapes are free; a part without the spec's reference takes its own first treatment as reference,
    which with free levels moves no contrast.
    """
    both = side_by_side(spec, evidence)
    chosen = {study for studies in both.values() for study in studies}
    parts = [part for part in parts_of(spec, evidence) if len(part) > 1]
    return [
        (within_spec(spec, list(part)), keep_studies(evidence, studies=chosen, treatments=set(part))) for part in parts
    ]


def within_spec(spec: Spec, treatments: list[str]) -> Spec:
    """The spec with free study levels and shapes; its priors for level and shape become those of each study."""
    free = StudyLevel(exchangeable=False)
    shapes = {"study_shape": free} if spec.hazard.varies is not None or spec.hazard.flexible else {}
    effects = spec.effects.model_copy(update={"study": free, **shapes})
    compared = Treatments(reference=treatments[0], compare=tuple(treatments[1:]))
    return spec.model_copy(update={"effects": effects, "treatments": compared, "external_checks": ()})


def _nothing_side_by_side(result: Result) -> bool:
    """No study holds two of the treatments and no ratio is printed: the combined fit already compares across only."""
    return result.evidence.hazard_ratios.empty and not side_by_side(result.spec, result.evidence)


def _fit_across(result: Result, say: Progress) -> Result | None:
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


def keep_studies(evidence: Evidence, *, studies: set[str], treatments: set[str]) -> Evidence:
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
        registry=of_arm(evidence.registry),
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
        registry=renamed(evidence.registry),
        hazard_ratios=evidence.hazard_ratios.iloc[:0],
        hr_cholesky=np.zeros((0, 0)),
    )


# ---------------------------------------------------------------------------------------------- table


REPRODUCTION = "reproduction: the same patients twice"


def contrast_table(result: Result, split: Split) -> pd.DataFrame:
    """Rows within, across, combined and discrepancy of every pair of treatments; of a reproduction only combined.

    Pairs with the reference come first, then those among the others, in the order of the spec.
    """
    names, measure = result.spec.treatments.names, contrast_measure(result.spec)
    pairs = [(treatment, reference) for at, reference in enumerate(names) for treatment in names[at + 1 :]]
    found = [row for pair in pairs for row in _pair_rows(result, split, pair, measure)]
    ratios = (measure.column, f"{measure.column}_low", f"{measure.column}_high")
    return pd.DataFrame(found, columns=[*COLUMNS, *ratios, "prob_better", "note"])


def _pair_rows(result: Result, split: Split, pair: tuple[str, str], measure: Measure) -> list[dict]:
    treatment, reference = pair
    direct = len(side_by_side(result.spec, result.evidence).get(pair, []))
    inside = split.within_of(*pair)
    across_fit = split.across if split.across is not None else _combined_as_across(result)
    within, across, combined = (_log_ratio(of, *pair) for of in (inside, across_fit, result))
    named = {"treatment": treatment, "reference": reference}
    if result.spec.reproduction:
        return [_source_row(named, "combined", direct, combined, REPRODUCTION, measure=measure)]
    arms = result.evidence.arms
    studies = arms["study"][arms["treatment"].isin([treatment, reference])].nunique()
    missing = "" if within is not None else NO_SIDE_BY_SIDE
    return [
        _source_row(named, "within", direct, within, _within_note(inside, direct), measure=measure),
        _source_row(named, "across", studies, across, _gate_note(across_fit), measure=measure),
        _source_row(named, "combined", studies, combined, combined_note(within, across), measure=measure),
        _source_row(named, "discrepancy", direct, _difference(within, across), missing, measure=measure),
    ]


def _combined_as_across(result: Result) -> Result | None:
    return result if _nothing_side_by_side(result) and not result.spec.free_levels else None


def _log_ratio(result: Result | None, treatment: str, reference: str) -> np.ndarray | None:
    """Draws of the log ratio of two treatments, both of which the fit's evidence must speak about."""
    if result is None or not {treatment, reference} <= result.evidence.treatments & set(result.spec.treatments.names):
        return None
    return against_own_reference(result, treatment) - against_own_reference(result, reference)


def against_own_reference(result: Result, name: str) -> np.ndarray:
    """Draws of a treatment's log ratio to the reference of the fit: that of `contrast_measure`."""
    of, at = result.predictors.draws, result.spec.treatments.names.index(name)
    if result.spec.hazard.family != "weibull":
        return of.log_hr[:, at]
    # at t0, log h_a - log h_b = log_hr + log k_a - log k_b
    return of.log_hr[:, at] + of.treatment_log_shape[:, at]


def _difference(within: np.ndarray | None, across: np.ndarray | None) -> np.ndarray | None:
    """Two independent posteriors: every draw of one may meet any of the other."""
    if within is None or across is None:
        return None
    draws = min(len(within), len(across))
    return within[:draws] - across[:draws]


def _source_row(
    named: dict, source: str, studies: int, values: np.ndarray | None, note: str, *, measure: Measure
) -> dict:
    """A row of the table; without draws it has no numbers."""
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
    ends = {"": middle, "_low": low, "_high": high}
    ratios = {f"{measure.column}{end}": np.exp(value) for end, value in ends.items()}
    better = measure.prob_better(values) if source != "discrepancy" else np.nan
    return {**row, **numbers, **ratios, "prob_better": better}


def _within_note(within: Result | None, direct: int) -> str:
    if within is None:
        return NO_SIDE_BY_SIDE
    return "; ".join(filter(None, ["" if direct else "indirect, through studies with other arms", _gate_note(within)]))


def _gate_note(result: Result | None) -> str:
    if result is None:
        return "no absolute evidence on both"
    return "" if result.gate.passed else "the gate of this fit failed"


def combined_note(within: np.ndarray | None, across: np.ndarray | None) -> str:
    """Where the combined answer comes from, by the share of precision (1 / variance) that each source has alone."""
    if within is None:
        return "across studies only"
    if across is None:
        return "within studies only"
    share = across_share(within, across)
    mostly = "across" if share > 0.5 else "within"
    return f"mostly {mostly} studies ({100 * max(share, 1 - share):.0f} % of the precision)"


def across_share(within: np.ndarray, across: np.ndarray) -> float:
    """Precision of the across-study estimate over the sum of both, as if they were pooled by inverse variance."""
    one, other = 1 / float(np.var(across)), 1 / float(np.var(within))
    return one / (one + other)
