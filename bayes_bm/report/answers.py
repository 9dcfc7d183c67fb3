"""Tables and sentences that answer the question of a result."""

from collections.abc import Mapping

import pandas as pd

from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.imputation_variance import imputation_summary
from bayes_bm.estimands.who import WHO, AverageStudy
from bayes_bm.evidence.audit import audit as audit_of
from bayes_bm.inference.imputations import rebuilt_arms
from bayes_bm.inference.result import Result
from bayes_bm.report.material import Answers, ImputationSummary
from bayes_bm.report.sentences import sentences
from bayes_bm.report.text import labelled


def answer_tables(result: Result) -> dict[str, pd.DataFrame]:
    """Return `compare` for everyone who can be asked about, by who; against every reference of the spec."""
    levels = not result.spec.needs_baseline
    asked = WHO if levels else {"average-study": AverageStudy()}
    references = (None, *result.spec.treatments.also_against)
    return {
        name: pd.concat([compare(result, who=who, reference=reference) for reference in references]).drop_duplicates()
        for name, who in asked.items()
    }


@labelled
def answer_sentences(
    result: Result,
    *,
    contrasts: pd.DataFrame | None = None,
    tables: Mapping[str, pd.DataFrame] | None = None,
    reconciled: pd.DataFrame | None = None,
) -> list[str]:
    """Return the answer in words, with its numbers; with `contrasts` also within against across studies.

    `tables` are those of `answer_tables` where they are made already. With `reconciled`, of `reconcile`, the printed
    numbers that the model does not agree with are named.
    """
    audit = audit_of(result.spec, result.evidence)
    made = tables or answer_tables(result)
    summary = reconstruction_summary(result)
    return sentences(Answers(result.spec, made, audit, contrasts, result.gate.reasons, summary, reconciled))


def reconstruction_summary(result: Result) -> ImputationSummary | None:
    """Return what of the evidence was made of curves, and the variance that it adds where that is known; else None."""
    arms = rebuilt_arms(result.evidence)
    if not arms:
        return None
    imputations = result.imputations
    return (
        ImputationSummary(len(arms), 1, pd.DataFrame())
        if imputations is None
        else ImputationSummary(len(arms), imputations.m, _ratio_variance(result))
    )


def _ratio_variance(result: Result) -> pd.DataFrame:
    return imputation_summary(result, who=AverageStudy())
