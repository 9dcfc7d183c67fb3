"""The whole battery: audit, reconciliation, predictive checks and consistency, as flags with one control of errors.

Each question (does a study's contrast fit the others'? do patients look like their replicates? ...) is asked of many
studies, arms or rows. Within a question the smallest p is corrected for how often it was asked: by the largest
statistic of replicate worlds where those are at hand, else by Bonferroni. Over questions Holm's step-down (1979) keeps
the chance of any flag in a world in which the model is right at `level`, whatever depends on what; its weights say
beforehand where gross errors are looked for.

What nothing here can see: censoring that depends on prognosis, immortal time behind a lone median
(docs/decisions.md#21-what-data-cannot-show). For them there are sensitivity analyses.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_bm.checks.predictive_tests import REPLICATES, first_events, patient_pit, pit_groups, predictive_checks
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.checks.study_consistency import study_checks, unit_checks
from bayes_bm.evidence.audit import audit
from bayes_bm.inference.result import Result
from bayes_bm.runtime.types import Progress

LEVEL = 0.10
WEIGHT = {
    "treatments of a study exchanged": 3.0,
    "first event of a study": 2.0,
    "heterogeneity of shape": 2.0,
    "time unit of a study": 1.0,
    "shape of a treatment": 1.0,
}
ELSEWHERE = 0.5
"""Shares of `level`, before they are divided by their sum: errors of extraction first, then what a model may lack."""
COLUMNS = ("question", "worst", "p", "asked", "p_question", "threshold", "flagged", "words")
NOT_SEEN = (
    "No check here can see censoring that depends on prognosis, or immortal time behind a lone median or ratio: "
    "ask a sensitivity analysis (docs/decisions.md, 21)."
)


@dataclass(frozen=True)
class Battery:
    """`flags`: one row a question with its worst case, p of the question, Holm's threshold, flagged or not, in words.

    The tables behind it: `predictive` (arms and printed numbers), `pit` (groups), `first` (events), `studies` (each
    against the others), `reconciliation`; `refusals` are the audit's.
    """

    flags: pd.DataFrame
    predictive: pd.DataFrame
    pit: pd.DataFrame
    studies: pd.DataFrame
    first: pd.DataFrame
    reconciliation: pd.DataFrame
    refusals: tuple[str, ...]

    not_seen = NOT_SEEN

    @property
    def flagged(self) -> pd.DataFrame:
        return self.flags[self.flags["flagged"].astype(bool)]

    def sentences(self) -> list[str]:
        """What is flagged, worst first, in words; or that nothing is."""
        found = [*self.refusals, *self.flagged["words"]]
        if found:
            return found
        worst = self.flags.iloc[0]["words"] if len(self.flags) else "there is nothing to check"
        return [f"Nothing is flagged: {len(self.flags)} questions, error rate {LEVEL:.0%} over all. Nearest: {worst}"]


def battery(
    result: Result,
    *,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    say: Progress = lambda stage: None,
) -> Battery:
    """Every check that needs no further fit."""
    say("reconciliation")
    reconciliation = reconcile(result)
    say("predictive checks")
    predictive, pit = predictive_checks(result, replicates=replicates), pit_groups(patient_pit(result))
    say("each study against the others")
    alone = study_checks(result)
    studies = pd.concat([table for table in (alone, unit_checks(result, alone)) if len(table)] or [alone])
    first = first_events(result)
    asked = [*_of_studies(studies), *_of_predictive(predictive), *_of_first(first), *_of_pit(pit)]
    flags = holm(pd.DataFrame(asked, columns=[name for name in COLUMNS if name not in ("threshold", "flagged")]), level)
    refusals = audit(result.spec, result.evidence).refusals
    return Battery(flags, predictive, pit, studies.reset_index(drop=True), first, reconciliation, refusals)


def holm(asked: pd.DataFrame, level: float) -> pd.DataFrame:
    """Questions by p over weight, each beside Holm's threshold; flagged as long as none before it was kept.

    Thresholds are level times the question's weight over the sum of the weights from it on (Holm 1979, section 4).
    """
    weight = asked["question"].map(WEIGHT).fillna(ELSEWHERE).to_numpy(dtype=float)
    order = np.argsort(asked["p_question"].to_numpy(dtype=float) / weight, kind="stable")
    ordered, weight = asked.iloc[order].reset_index(drop=True), weight[order]
    threshold = level * weight / np.cumsum(weight[::-1])[::-1]
    flagged = np.cumprod(ordered["p_question"].to_numpy(dtype=float) <= threshold).astype(bool)
    return ordered.assign(threshold=threshold, flagged=flagged)[list(COLUMNS)]


# ---------------------------------------------------------------------------------------------- questions


def _of_studies(studies: pd.DataFrame) -> list[dict]:
    rows = []
    for question, mine in studies.groupby("question", sort=False):
        worst = mine.iloc[int(mine["p"].to_numpy().argmin())]
        name = str(worst["study"] or worst["treatment"])
        p = float(min(1.0, worst["p"] * len(mine)))
        asked = {"question": question, "worst": name, "p": worst["p"], "asked": len(mine), "p_question": p}
        rows.append({**asked, "words": _study_words(str(question), name, worst, p)})
    return rows


SUBJECT = {
    "level of a study": "the log hazard of {name} is {found:+.2f} from what the other studies predict",
    "shape of a study": "the log shape of {name} is {found:+.2f} from what the other studies predict",
    "contrast of a study": "the log ratio of treatments in {name} is {found:+.2f} from what the other studies predict",
    "treatments of a study exchanged": "the log ratio of treatments in {name} is {found:+.2f} from what the other"
    " studies predict, against their sign: are its arms exchanged",
    "shape of a treatment": "arms of {name} differ in log shape by {found:+.2f} from the reference's, where the model"
    " holds hazards proportional",
    "time unit of a study": "times of {name} are {ratio:.2g} times those of the others and its level is off as well:"
    " is it in another unit",
}


def _study_words(question: str, name: str, worst: pd.Series, p: float) -> str:
    told = f" (p {_p(p)} after asking of all)"
    if question.startswith("heterogeneity"):
        what = question.split(" of ")[1]
        return f"Studies differ in {what} {worst['found']:.1f} times as much as the priors expect (p {_p(p)})."
    text = SUBJECT[question].format(name=name, found=worst["found"], ratio=np.exp(worst["found"]))
    spread = "" if question.startswith("time unit") else f", expected sd {worst['expected_sd']:.2f}"
    return f"{text[0].upper()}{text[1:]}{spread}{told}."


def _of_predictive(predictive: pd.DataFrame) -> list[dict]:
    rows = []
    patients = predictive["group"] == "patients"
    for question, mine in (("patients of an arm", predictive[patients]), ("a printed number", predictive[~patients])):
        if mine.empty:
            continue
        worst = mine.iloc[int(mine["p_family"].to_numpy().argmin())]
        when = f" by {worst['time']:g}" if np.isfinite(worst["time"]) else ""
        p = float(worst["p_family"])
        words = (
            f"{worst['study']}, {worst['arm']}: {worst['statistic']}{when} is {worst['observed']:.3g}, replicates say"
            f" {worst['low']:.3g} to {worst['high']:.3g} (p {_p(p)} over all {len(mine)} statistics)."
        )
        named = f"{worst['study']}, {worst['arm']}"
        rows.append(
            {"question": question, "worst": named, "p": worst["p"], "asked": len(mine), "p_question": p, "words": words}
        )
    return rows


def _of_first(first: pd.DataFrame) -> list[dict]:
    if first.empty:
        return []
    worst = first.iloc[int(first["p"].to_numpy().argmin())]
    p = float(min(1.0, worst["p"] * len(first)))
    words = (
        f"Nobody in {worst['study']} had the event before {worst['time']:.3g}, by when {worst['expected']:.1f} were"
        f" expected (p {_p(p)} over {len(first)} studies): was there a time that had to be survived?"
    )
    asked = {"question": "first event of a study", "worst": worst["study"], "p": worst["p"], "asked": len(first)}
    return [{**asked, "p_question": p, "words": words}]


def _of_pit(pit: pd.DataFrame) -> list[dict]:
    """All patients together; arms are in the replicates already."""
    mine = pit[pit["group"] == "all patients"]
    if mine.empty:
        return []
    row = mine.iloc[0]
    words = (
        f"PITs of all {row['patients']} patients have mean {row['mean']:.2f}, and are not uniform (p {_p(row['p'])})."
    )
    asked = {"question": "PIT of patients", "worst": "all patients", "p": row["p"], "asked": 1}
    return [{**asked, "p_question": row["p"], "words": words}]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.2g}"
