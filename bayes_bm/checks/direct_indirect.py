"""Where a contrast comes from: within studies, across studies, combined (docs/decisions.md#12-within-and-across). The
first thing a critic asks.

Within    direct evidence: free study levels and shapes, only studies that hold several of the treatments
Across    indirect evidence: the other studies, each of which holds one treatment; the combined fit where no study holds
          several
Combined  the spec as it stands

Where the spec models case mixes, all three are adjusted for them, and across stands a second time without any
covariate: how much of it is who the patients were.

No study informs both within and across, so that the two may disagree; together they hold every study.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE
from bayes_bm.evidence.network import parts_of, side_by_side
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.fit import refit
from bayes_bm.inference.result import Result
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import Measure, contrast_measure
from bayes_bm.spec.effects import StudyEffect, StudyLevel, Treatments
from bayes_bm.spec.level import Level
from bayes_bm.spec.prior_distributions import scipy_distribution

COLUMNS = ("treatment", "reference", "source", "studies", "mean", "sd", "median")
"""First columns of the contrast table; those of the ratio itself follow."""


@dataclass(frozen=True)
class Split:
    """Hold the other fits behind a contrast table; None where nothing is to fit, or where it is the combined fit.

    `within_fit` is of the treatments joined to the reference by studies that hold two, `apart` of those joined only
    among themselves; `across_fit` is of the studies that hold one treatment, `crude_fit` the same without covariates,
    where the spec models case mixes.
    """

    within_fit: Result | None
    across_fit: Result | None
    apart: tuple[Result, ...] = ()
    crude_fit: Result | None = None

    def fit_holding(self, treatment: str, reference: str) -> Result | None:
        """Return the within-study fit that holds both treatments, if any does."""
        fits = [self.within_fit, *self.apart]
        return next(
            (
                candidate
                for candidate in fits
                if candidate is not None and {treatment, reference} <= set(candidate.spec.treatments.names)
            ),
            None,
        )

    def without_prior(self) -> "Split":
        """Return the split with the prior of the log ratios taken out of each within-study fit (`take_out_prior`)."""
        within_fit = None if self.within_fit is None else take_out_prior(self.within_fit)
        apart = tuple(alone for part in self.apart if (alone := take_out_prior(part)) is not None)
        return replace(self, within_fit=within_fit, apart=apart)


def contrast_sources(result: Result, *, say: Progress = lambda stage: None) -> pd.DataFrame:
    """Return the log ratio of every pair of treatments by source, with the discrepancy within - across.

    A critic asks first whether a contrast rests on arms compared side by side (within studies: direct evidence) or on
    arms of different studies (across studies: indirect evidence). Two further fits answer, each made only where it
    differs from the fit given.

    Parameters
    ----------
    result : Result
        The combined fit. Of a reproduction nothing is split, for the same patients stand in its rows twice.
    say : callable, optional
        Is called with a line of text at each stage of each fit.

    Returns
    -------
    pandas.DataFrame
        Rows within, across, combined and discrepancy of each pair, and where the spec models case mixes a row "across,
        not adjusted" whose note says how much of it is mix; pairs with the spec's reference come first. Columns
        treatment, reference, source, studies (a count), mean, sd, median, q2_5, q97_5 (of the log ratio), then hr,
        hr_low, hr_high (of accelerated-time families time_ratio, time_ratio_low, time_ratio_high, where above 1 is
        better), prob_better and note. A source without evidence has blank numbers, and a note that says why.
        `bayes_bm.spec.effect_measure.contrast_measure` says what it is a ratio of where treatments differ in shape.

    Raises
    ------
    InputError
        Where one number cannot hold the contrast: treatments that differ in shape under some families.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300)
    >>> print(bb.contrast_sources(result)[["treatment", "reference", "source", "note"]].to_string(index=False))
    treatment reference   source                                  note
          gtr       str combined reproduction: the same patients twice
    """
    contrast_measure(result.spec)
    return contrast_table(result, split_fits(result, progress=say))


def split_fits(result: Result, *, progress: Progress = lambda stage: None) -> Split:
    """Fit within and across, each only where it differs from the combined fit.

    A reproduction has one source (docs/decisions.md#9-reproductions), so nothing is fitted for it.
    """
    if result.spec.reproduction:
        return Split(within_fit=None, across_fit=None)
    reference, within_fit, apart = result.spec.treatments.reference, None, []
    for spec, evidence in within_parts(result.spec, result.evidence):
        progress("within studies")
        part_fit = refit(spec, evidence, say=lambda stage: progress(f"within studies: {stage}"))
        if spec.treatments.reference == reference:
            within_fit = part_fit
        else:
            apart.append(part_fit)
    across_fit = _fit_across(result, progress)
    crude_fit = _fit_crude(across_fit or _combined_as_across(result), progress)
    return Split(within_fit=within_fit, across_fit=across_fit, apart=tuple(apart), crude_fit=crude_fit)


def within_parts(spec: Spec, evidence: Evidence) -> list[tuple[Spec, Evidence]]:
    """Return spec and evidence of each set of treatments joined by studies that hold two of them.

    Only studies side by side are kept. Study levels and shapes are free; a part without the spec's reference takes its
    own first treatment as reference, which with free levels moves no contrast.
    """
    studies_with_two = studies_side_by_side(spec, evidence)
    parts = [part for part in parts_of(spec, evidence) if len(part) > 1]
    return [
        (within_spec(spec, list(part)), keep_studies(evidence, studies=studies_with_two, treatments=set(part)))
        for part in parts
    ]


def within_spec(spec: Spec, treatments: list[str]) -> Spec:
    """Return the spec with free study levels and shapes; its priors for level and shape become those of each study."""
    free = StudyLevel(exchangeable=False)
    shapes = {"study_shape": free} if spec.hazard.varies is not None or spec.hazard.flexible else {}
    effects = spec.effects.model_copy(update={"study": StudyEffect(exchangeable=False), **shapes})
    compared = Treatments(reference=treatments[0], compare=tuple(treatments[1:]))
    return spec.model_copy(update={"effects": effects, "treatments": compared, "external_checks": ()})


def _nothing_side_by_side(result: Result) -> bool:
    """Return whether no study holds two of the treatments and no ratio is printed.

    The combined fit then already compares across studies only.
    """
    return result.evidence.hazard_ratios.empty and not side_by_side(result.spec, result.evidence)


def _fit_across(result: Result, progress: Progress) -> Result | None:
    """Fit the studies of one treatment each; None where they are all studies, or compare nothing."""
    if _nothing_side_by_side(result):
        return None
    progress("across studies")
    evidence = across_evidence(result.spec, result.evidence)
    available = evidence.treatments
    if (
        result.spec.free_levels
        or result.spec.treatments.reference not in available
        or not available & set(result.spec.treatments.compare)
    ):
        return None
    return refit(result.spec, evidence, say=lambda stage: progress(f"across studies: {stage}"))


def _fit_crude(across_fit: Result | None, progress: Progress) -> Result | None:
    """Fit the studies compared across without any covariate; None where the spec models no mix."""
    if across_fit is None or not across_fit.spec.case_mixes:
        return None
    progress("across studies, not adjusted")
    spec, evidence = without_covariates(across_fit.spec, across_fit.evidence)
    return refit(spec, evidence, say=lambda stage: progress(f"across studies, not adjusted: {stage}"))


def without_covariates(spec: Spec, evidence: Evidence) -> tuple[Spec, Evidence]:
    """Return the spec and its evidence as if nobody had said who the patients were."""
    plain = spec.model_copy(update={"covariates": {}, "prognosis": None})
    return plain, replace(evidence, prognostic_ratios=evidence.prognostic_ratios.iloc[:0])


def across_evidence(spec: Spec, evidence: Evidence) -> Evidence:
    """Return the studies that hold one of the treatments: no study that is compared side by side is among them."""
    others = {*evidence.arms["study"]} - studies_side_by_side(spec, evidence)
    return keep_studies(evidence, studies=others, treatments=set(spec.treatments.names))


def studies_side_by_side(spec: Spec, evidence: Evidence) -> set[str]:
    """Return the studies that hold at least two of the treatments, in their arms or in a ratio."""
    return {study for studies in side_by_side(spec, evidence).values() for study in studies}


def keep_studies(evidence: Evidence, *, studies: set[str], treatments: set[str]) -> Evidence:
    """Return the rows of some studies and treatments, arm rows counted anew."""
    arms = evidence.arms
    keep = arms["study"].isin(studies) & arms["treatment"].isin(treatments)
    new_row = dict(zip(np.flatnonzero(keep), range(int(keep.sum())), strict=True))
    ratios = evidence.hazard_ratios
    kept_ratios = (
        ratios["study"].isin(studies) & ratios["treatment"].isin(treatments) & ratios["reference"].isin(treatments)
    ).to_numpy()

    def keep_arm_rows(table: pd.DataFrame) -> pd.DataFrame:
        kept_rows = table[table["arm_row"].isin(new_row)]
        return kept_rows.assign(arm_row=kept_rows["arm_row"].map(new_row).astype(int)).reset_index(drop=True)

    return replace(
        evidence,
        arms=arms[keep].reset_index(drop=True),
        patients=keep_arm_rows(evidence.patients),
        sequences=keep_arm_rows(evidence.sequences),
        medians=keep_arm_rows(evidence.medians),
        counts=keep_arm_rows(evidence.counts),
        registry=keep_arm_rows(evidence.registry),
        hazard_ratios=ratios[kept_ratios].reset_index(drop=True),
        hr_cholesky=_sub_cholesky(evidence.hr_cholesky, kept_ratios),
        prognostic_ratios=_of_studies(evidence.prognostic_ratios, studies),
    )


def _of_studies(table: pd.DataFrame, studies: set[str]) -> pd.DataFrame:
    return table[table["study"].isin(studies)].reset_index(drop=True)


def _sub_cholesky(cholesky: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return the Cholesky factor of the covariance of the hazard ratios that are kept."""
    covariance = cholesky @ cholesky.T
    return np.linalg.cholesky(covariance[np.ix_(kept, kept)]) if kept.any() else np.zeros((0, 0))


# ---------------------------------------------------------------------------------------------- table


REPRODUCTION = "reproduction: the same patients twice"
"""Note of a reproduction's only source."""


def contrast_table(result: Result, split: Split) -> pd.DataFrame:
    """Return rows within, across, combined and discrepancy of every pair of treatments.

    A reproduction has combined rows only. Pairs with the reference come first, then those among the others, as the
    spec orders them.
    """
    names, measure = result.spec.treatments.names, contrast_measure(result.spec)
    pairs = [(treatment, reference) for index, reference in enumerate(names) for treatment in names[index + 1 :]]
    without_prior = split.without_prior()
    rows = [row for pair in pairs for row in _pair_rows(result, split, without_prior, pair, measure)]
    ratios = (measure.column, f"{measure.column}_low", f"{measure.column}_high")
    return pd.DataFrame(rows, columns=[*COLUMNS, *result.spec.interval.names, *ratios, "prob_better", "note"])


def _pair_rows(
    result: Result, split: Split, without_prior: Split, pair: tuple[str, str], measure: Measure
) -> list[dict]:
    treatment, reference = pair
    kind = {"measure": measure, "level": result.spec.interval}
    direct = len(side_by_side(result.spec, result.evidence).get(pair, []))
    within_fit = split.fit_holding(*pair)
    across_fit = split.across_fit if split.across_fit is not None else _combined_as_across(result)
    within_draws, across_draws, combined_draws = (
        _log_ratio(source_fit, *pair) for source_fit in (within_fit, across_fit, result)
    )
    named = {"treatment": treatment, "reference": reference}
    if result.spec.reproduction:
        return [_source_row(named, "combined", direct, combined_draws, REPRODUCTION, **kind)]
    counts = {name: _count_studies(source, pair) for name, source in (("across", across_fit), ("combined", result))}
    no_across = FREE_LEVELS if result.spec.free_levels else ONE_SIDED
    across_note = _gate_note(across_fit) if across_draws is not None else no_across
    missing = NO_SIDE_BY_SIDE if within_draws is None else "" if across_draws is not None else no_across
    # both fits have the prior of the log ratios; it counts once, as the across fit's
    difference = _difference(_log_ratio(without_prior.fit_holding(*pair), *pair), across_draws)
    combined_words = combined_note(within_draws, across_draws)
    return [
        _source_row(named, "within", direct, within_draws, _within_note(within_fit, direct), **kind),
        _source_row(named, "across", counts["across"], across_draws, across_note, **kind),
        *_crude_rows(named, split.crude_fit, across_draws, counts["across"], kind),
        _source_row(named, "combined", counts["combined"], combined_draws, combined_words, **kind),
        _source_row(
            named,
            "discrepancy",
            direct,
            difference,
            missing or (PRIOR_ONLY if difference is None else ""),
            **kind,
        ),
    ]


def _crude_rows(
    named: dict, crude_fit: Result | None, across_draws: np.ndarray | None, studies: int, kind: dict[str, Any]
) -> list[dict]:
    """Return the row across studies without covariates; none where the spec models no mix."""
    crude_draws = _log_ratio(crude_fit, named["treatment"], named["reference"])
    if crude_draws is None or across_draws is None:
        return []
    note = "; ".join(filter(None, [mix_note(crude_draws, across_draws), _gate_note(crude_fit)]))
    return [_source_row(named, NOT_ADJUSTED, studies, crude_draws, note, **kind)]


def mix_note(crude_draws: np.ndarray, adjusted_draws: np.ndarray) -> str:
    """Say how much of a log ratio across studies is who the patients were."""
    crude, adjusted = float(np.mean(crude_draws)), float(np.mean(adjusted_draws))
    return f"of this log ratio of {crude:+.2f}, {crude - adjusted:+.2f} is case mix and {adjusted:+.2f} is left"


NOT_ADJUSTED = "across, not adjusted"
"""Source of the row without covariates."""
ONE_SIDED = "no study holds only one of the two, for each of them"
"""Note of a pair without evidence across studies."""
FREE_LEVELS = "study levels are free, so arms of different studies are not compared: there is no fit across"
"""Note of a pair whose spec has `effects.study.exchangeable = false`."""
PRIOR_ONLY = "side-by-side studies say no more than the prior"
"""Note of a discrepancy that has no number for that reason."""


def _count_studies(source_fit: Result | None, pair: tuple[str, str]) -> int:
    """Count the studies of a fit that hold a treatment of the pair."""
    if source_fit is None:
        return 0
    arms = source_fit.evidence.arms
    return int(arms["study"][arms["treatment"].isin(pair)].nunique())


def _combined_as_across(result: Result) -> Result | None:
    """Return the combined fit where it compares across studies only, else None."""
    return result if _nothing_side_by_side(result) and not result.spec.free_levels else None


def _log_ratio(result: Result | None, treatment: str, reference: str) -> np.ndarray | None:
    """Return draws of the log ratio of two treatments (sample,), both of which the fit's evidence must speak about."""
    if result is None or not {treatment, reference} <= result.evidence.treatments & set(result.spec.treatments.names):
        return None
    return log_ratio_to_reference(result, treatment) - log_ratio_to_reference(result, reference)


def log_ratio_to_reference(result: Result, treatment: str) -> np.ndarray:
    """Return draws of a treatment's log ratio to the reference of the fit (sample,): that of `contrast_measure`."""
    draws, index = result.predictors.draws, result.spec.treatments.names.index(treatment)
    if result.spec.hazard.family != "weibull":
        return draws.log_hr[:, index]
    # at t0, log h_a - log h_b = log_hr + log k_a - log k_b
    return draws.log_hr[:, index] + draws.treatment_log_shape[:, index]


def _difference(within_draws: np.ndarray | None, across_draws: np.ndarray | None) -> np.ndarray | None:
    """Return draws of within - across (sample,) of independent posteriors: every draw may meet any of the other."""
    if within_draws is None or across_draws is None:
        return None
    count = min(len(within_draws), len(across_draws))
    return within_draws[:count] - across_draws[:count]


def take_out_prior(result: Result) -> Result | None:
    """Return a fit whose log ratios are as their evidence alone has them; None where that says no more than the prior.

    Of normals the precision of the evidence is that of the posterior less that of the prior, P - P0, and its mean
    (P - P0)^-1 (P m - P0 m0). The draws are moved and stretched to those moments, so they keep their form.
    """
    name = result.spec.hazard.treatment_effect
    prior = getattr(result.spec.priors, name)
    distribution = scipy_distribution(prior)
    values = result.posterior[name]
    draws = values.to_numpy().reshape(-1, values.sizes["treatment"])
    mean, covariance = draws.mean(axis=0), np.atleast_2d(np.cov(draws.T))
    precision, prior_precision = np.linalg.inv(covariance), np.eye(len(mean)) / distribution.var()
    evidence = precision - prior_precision
    if not np.isfinite(evidence).all() or np.linalg.eigvalsh(evidence).min() <= LEAST_INFORMED * float(
        1 / distribution.var()
    ):
        return None
    alone = np.linalg.inv(evidence)
    middle = alone @ (precision @ mean - prior_precision @ np.full(len(mean), distribution.mean()))
    stretch = np.linalg.cholesky(alone) @ np.linalg.inv(np.linalg.cholesky(covariance))
    moved = (middle + (draws - mean) @ stretch.T).reshape(values.shape)
    return replace(result, posterior=result.posterior.assign({name: (values.dims, moved)}))


LEAST_INFORMED = 0.25
"""Evidence that says less than this part of the prior's precision gives a discrepancy no number."""


def _source_row(
    named: dict, source: str, studies: int, values: np.ndarray | None, note: str, *, measure: Measure, level: Level
) -> dict:
    """Return a row of the table; without draws it has no numbers."""
    row = {**named, "source": source, "studies": studies, "note": note}
    if values is None:
        return row
    low, middle, high = np.quantile(values, level.quantiles)
    low_name, high_name = level.names
    numbers = {
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)),
        "median": middle,
        low_name: low,
        high_name: high,
    }
    ends = {"": middle, "_low": low, "_high": high}
    ratios = {f"{measure.column}{end}": np.exp(value) for end, value in ends.items()}
    better = measure.prob_better(values) if source != "discrepancy" else np.nan
    return {**row, **numbers, **ratios, "prob_better": better}


def _within_note(within_fit: Result | None, direct: int) -> str:
    """Say what the within-study estimate rests on, and whether its gate failed."""
    if within_fit is None:
        return NO_SIDE_BY_SIDE
    return "; ".join(
        filter(None, ["" if direct else "indirect, through studies with other arms", _gate_note(within_fit)])
    )


def _gate_note(result: Result | None) -> str:
    """Say whether the gate of a fit failed."""
    return "" if result is None or result.gate.passed else "the gate of this fit failed"


def combined_note(within_draws: np.ndarray | None, across_draws: np.ndarray | None) -> str:
    """Say where the combined answer comes from, by each source's share of precision (1 / variance)."""
    if within_draws is None:
        return "across studies only"
    if across_draws is None:
        return "within studies only"
    share = across_share(within_draws, across_draws)
    mostly = "across" if share > 0.5 else "within"
    return f"mostly {mostly} studies ({100 * max(share, 1 - share):.0f} % of the precision)"


def across_share(within_draws: np.ndarray, across_draws: np.ndarray) -> float:
    """Return the across-study estimate's precision over the sum of both, as if pooled by inverse variance."""
    across_precision, within_precision = 1 / float(np.var(across_draws)), 1 / float(np.var(within_draws))
    return across_precision / (across_precision + within_precision)
