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

from bayes_bm.checks.covariate_consistency import MIX, RATIO, covariate_checks
from bayes_bm.checks.predictive_tests import REPLICATES, first_events, patient_pit, pit_groups, predictive_checks
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.checks.study_consistency import study_checks, unit_checks
from bayes_bm.evidence.audit import audit
from bayes_bm.inference.result import Result
from bayes_bm.runtime.progress import counting
from bayes_bm.runtime.types import Progress

LEVEL = 0.10
"""Chance of any flag in a world in which the model is right."""
WEIGHT = {
    "treatments of a study exchanged": 3.0,
    "first event of a study": 2.0,
    "heterogeneity of shape": 2.0,
    RATIO: 2.0,
    MIX: 2.0,
    "time unit of a study": 1.0,
    "shape of a treatment": 1.0,
}
"""Shares of `level`, before they are divided by their sum: errors of extraction first, then what a model may lack."""
ELSEWHERE = 0.5
"""Share of `level` of a question that WEIGHT does not name."""
COLUMNS = ("question", "worst", "p", "asked", "p_question", "threshold", "flagged", "words")
"""Columns of `Battery.flags`."""
STUDY_COLUMNS = ("question", "study", "treatment", "covariate", "found", "expected_sd", "p")
"""Columns of `Battery.studies`; `covariate` is empty where the question is not about one."""
NOT_SEEN = (
    "No check here can see censoring that depends on prognosis, or immortal time behind a lone median or ratio: "
    "ask a sensitivity analysis (docs/decisions.md, 21)."
)
"""What every answer of the battery says about its own limits."""


@dataclass(frozen=True)
class Battery:
    """Hold the flags of all checks that need no further fit, and the tables behind them.

    Parameters
    ----------
    flags : pandas.DataFrame
        One row a question, by p over weight: question, worst (study, arm or treatment), p of that case, asked (how
        often), p_question (corrected for that), Holm's threshold, flagged, and words that say so.
    predictive : pandas.DataFrame
        Statistics of arms and printed numbers against their replicates, one row each.
    pit : pandas.DataFrame
        Kolmogorov and Smirnov's test of the patients' probability integral transforms, one row a group.
    studies : pandas.DataFrame
        Each study against the others: level, shape, contrast, time unit, ratios of covariates, mixes, heterogeneity.
    first : pandas.DataFrame
        By study whether nobody had the event for too long; time in the spec's unit.
    reconciliation : pandas.DataFrame
        What `bayes_bm.reconcile` gives.
    refusals : tuple of str
        What the audit of the evidence refuses.

    Notes
    -----
    `not_seen` says what no check here can see (docs/decisions.md#21-what-data-cannot-show).

    Examples
    --------
    >>> import bayes_bm as bb, pandas as pd
    >>> words = "Patients of x look unlike their replicates (p < 0.001)."
    >>> flags = pd.DataFrame({"question": ["patients of an arm"], "flagged": [True], "words": [words]})
    >>> empty = pd.DataFrame()
    >>> bb.Battery(flags, empty, empty, empty, empty, empty, refusals=()).sentences()
    ['Patients of x look unlike their replicates (p < 0.001).']
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
        """Return the rows of `flags` that are flagged."""
        return self.flags[self.flags["flagged"].astype(bool)]

    def sentences(self) -> list[str]:
        """Say what is flagged, worst first; or that nothing is."""
        flagged = [*self.refusals, *self.flagged["words"]]
        if flagged:
            return flagged
        worst = self.flags.iloc[0]["words"] if len(self.flags) else "there is nothing to check"
        return [f"Nothing is flagged: {len(self.flags)} questions, error rate {LEVEL:.0%} over all. Nearest: {worst}"]


def battery(
    result: Result,
    *,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    say: Progress = lambda stage: None,
) -> Battery:
    """Make every check that needs no further fit, and control the errors of all of them together.

    Each question (does a study's contrast fit the others'? do patients look like their replicates? ...) is asked of
    many studies, arms or rows; its smallest p is corrected for that, and Holm's step-down (1979) controls the errors
    over the questions.

    Parameters
    ----------
    result : Result
        A fit, of any spec.
    level : float
        Chance of any flag in a world in which the model is right.
    replicates : int
        Replicate worlds of the predictive checks.
    say : callable, optional
        Is called with a line of text at each stage.

    Returns
    -------
    Battery
        Flags, one row a question, with the tables behind them.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300)
    >>> flags = bb.battery(result, replicates=500).flags
    >>> print(flags[["question", "asked", "flagged"]].to_string(index=False))
            question  asked  flagged
    a printed number      3    False
    """
    with counting(3, "check") as step:
        say("reconciliation")
        reconciliation = reconcile(result)
        step()
        say("predictive checks")
        predictive, pit = predictive_checks(result, replicates=replicates), pit_groups(patient_pit(result))
        step()
        say("each study against the others")
        study_rows = study_checks(result)
        tables = (study_rows, unit_checks(result, study_rows), covariate_checks(result))
    studies = pd.concat([table for table in tables if len(table)] or [study_rows])
    studies = studies.reindex(columns=STUDY_COLUMNS)
    studies["covariate"] = (
        studies["covariate"].astype(object).fillna("")
    )  # of other questions it is a column of no numbers
    first = first_events(result)
    questions = [
        *study_questions(studies),
        *_predictive_questions(predictive),
        *_first_event_questions(first),
        *_pit_questions(pit),
    ]
    flags = holm(
        pd.DataFrame(questions, columns=[name for name in COLUMNS if name not in ("threshold", "flagged")]), level
    )
    refusals = audit(result.spec, result.evidence).refusals
    return Battery(flags, predictive, pit, studies.reset_index(drop=True), first, reconciliation, refusals)


def holm(questions: pd.DataFrame, level: float) -> pd.DataFrame:
    """Order questions by p over weight, each beside Holm's threshold; flagged as long as none before it was kept.

    Thresholds are level times the question's weight over the sum of the weights from it on (Holm 1979, section 4).
    """
    weight = questions["question"].map(WEIGHT).fillna(ELSEWHERE).to_numpy(dtype=float)
    order = np.argsort(questions["p_question"].to_numpy(dtype=float) / weight, kind="stable")
    ordered, weight = questions.iloc[order].reset_index(drop=True), weight[order]
    threshold = level * weight / np.cumsum(weight[::-1])[::-1]
    flagged = np.cumprod(ordered["p_question"].to_numpy(dtype=float) <= threshold).astype(bool)
    return ordered.assign(threshold=threshold, flagged=flagged)[list(COLUMNS)]


# ---------------------------------------------------------------------------------------------- questions


def study_questions(studies: pd.DataFrame) -> list[dict]:
    """Return a row for each question about studies: its smallest p, times how often it was asked."""
    rows = []
    for question, question_rows in studies.groupby("question", sort=False):
        worst = question_rows.iloc[int(question_rows["p"].to_numpy().argmin())]
        name = str(worst["study"] or worst["treatment"])
        p = float(min(1.0, worst["p"] * len(question_rows)))
        row = {"question": question, "worst": name, "p": worst["p"], "asked": len(question_rows), "p_question": p}
        rows.append({**row, "words": _study_words(str(question), name, worst, p)})
    return rows


SENTENCES = {
    "level of a study": "the log hazard of {name} is {found:+.2f} from what the other studies predict",
    "shape of a study": "the log shape of {name} is {found:+.2f} from what the other studies predict",
    "contrast of a study": "the log ratio of treatments in {name} is {found:+.2f} from what the other studies predict",
    "treatments of a study exchanged": "the log ratio of treatments in {name} is {found:+.2f} from what the other"
    " studies predict, against their sign: are its arms exchanged",
    "shape of a treatment": "arms of {name} differ in log shape by {found:+.2f} from the reference's, where the model"
    " holds hazards proportional",
    "time unit of a study": "times of {name} are {ratio:.2g} times those of the others and its level is off as well:"
    " is it in another unit",
    RATIO: "the log ratio of {covariate} in {name} is {found:+.2f} from what other studies predict: is it the other"
    " way round, or crude",
    MIX: "{covariate} in {name}, {treatment}, is {found:+.2f} from what arms of other studies predict (a share on its"
    " logit): is it of the other level",
}
"""What a question of studies says where it is flagged; `ratio` is exp(found)."""


def _study_words(question: str, name: str, worst: pd.Series, p: float) -> str:
    """Say what a question about studies found in its worst case."""
    p_words = f" (p {_p_text(p)} after asking of all)"
    if question.startswith("heterogeneity"):
        what = question.split(" of ")[1]
        return f"Studies differ in {what} {worst['found']:.1f} times as much as the priors expect (p {_p_text(p)})."
    named = {"name": name, "treatment": worst["treatment"], "covariate": worst["covariate"]}
    text = SENTENCES[question].format(**named, found=worst["found"], ratio=np.exp(worst["found"]))
    spread = "" if question.startswith("time unit") else f", expected sd {worst['expected_sd']:.2f}"
    return f"{text[0].upper()}{text[1:]}{spread}{p_words}."


def _predictive_questions(predictive: pd.DataFrame) -> list[dict]:
    """Return a row for patients and one for printed numbers; their p are of the largest statistic already."""
    rows = []
    patients = predictive["group"] == "patients"
    for question, question_rows in (
        ("patients of an arm", predictive[patients]),
        ("a printed number", predictive[~patients]),
    ):
        if question_rows.empty:
            continue
        worst = question_rows.iloc[int(question_rows["p_family"].to_numpy().argmin())]
        when = f" by {worst['time']:g}" if np.isfinite(worst["time"]) else ""
        p = float(worst["p_family"])
        words = (
            f"{worst['study']}, {worst['arm']}: {worst['statistic']}{when} is {worst['observed']:.3g}, replicates say"
            f" {worst['low']:.3g} to {worst['high']:.3g} (p {_p_text(p)} over all {len(question_rows)} statistics)."
        )
        named = f"{worst['study']}, {worst['arm']}"
        rows.append(
            {
                "question": question,
                "worst": named,
                "p": worst["p"],
                "asked": len(question_rows),
                "p_question": p,
                "words": words,
            }
        )
    return rows


def _first_event_questions(first: pd.DataFrame) -> list[dict]:
    """Return the row of the longest silence before the first event of a study."""
    if first.empty:
        return []
    worst = first.iloc[int(first["p"].to_numpy().argmin())]
    p = float(min(1.0, worst["p"] * len(first)))
    words = (
        f"Nobody in {worst['study']} had the event before {worst['time']:.3g}, by when {worst['expected']:.1f} were"
        f" expected (p {_p_text(p)} over {len(first)} studies): was there a time that had to be survived?"
    )
    row = {"question": "first event of a study", "worst": worst["study"], "p": worst["p"], "asked": len(first)}
    return [{**row, "p_question": p, "words": words}]


def _pit_questions(pit: pd.DataFrame) -> list[dict]:
    """Return the row of all patients together; arms are in the replicates already."""
    all_patients = pit[pit["group"] == "all patients"]
    if all_patients.empty:
        return []
    row = all_patients.iloc[0]
    p = _p_text(row["p"])
    words = f"PITs of all {row['patients']} patients have mean {row['mean']:.2f}, and are not uniform (p {p})."
    question = {"question": "PIT of patients", "worst": "all patients", "p": row["p"], "asked": 1}
    return [{**question, "p_question": row["p"], "words": words}]


def _p_text(value: float) -> str:
    """Write a p value with two digits."""
    return "< 0.001" if value < 0.001 else f"{value:.2g}"
