"""The first section: the answer in sentences, beside what was printed elsewhere."""

from typing import Any

import numpy as np

from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE
from bayes_bm.report.html import Column, Html, Part, Row, el, html_table, mark, plain, treatment
from bayes_bm.report.material import ReportData
from bayes_bm.report.sentences import (
    fit_command,
    mostly_across,
    of_row,
    probability_clause,
    sentences,
    time_text,
    verdict,
)
from bayes_bm.report.text import DIGITS, MISSING, counted, number, printed_interval, probability, treatment_text
from bayes_bm.spec.document import ExternalCheck, Spec

WHO = {"average-study": "average study", "new-study": "new study", "new-hospital": "one new hospital"}


def note(*parts: Part) -> Html:
    return el("p", *parts, cls="note")


def answer_section(of: ReportData) -> list[Part]:
    return [
        el("div", *(el("p", sentence) for sentence in sentences(of.answers)), cls="answer"),
        _short_answers(of) if len(of.compared) > 1 else None,
        external_table(of) if of.spec.external_checks else None,
    ]


def _short_answers(of: ReportData) -> Html:
    """One line a treatment: its ratio, difference of survival for a study and for a hospital, what it rests on."""
    spec, words, measure = of.spec, {"unclear": "no clear difference"}, of.answers.measure

    def difference(row: Row, who: str) -> str:
        if not of.answers.levels:
            return MISSING
        return of_row(spec, of.answers.row(who, "survival_difference", row["treatment"], time=of.answers.time))

    def rests_on(row: Row) -> str:
        studies, mostly = of.answers.side_by_side(row["treatment"]), mostly_across(of.answers, row["treatment"])
        beside = f"{counted(studies, 'study')} side by side" if studies else NO_SIDE_BY_SIDE
        return f"{beside}; {mostly}" if mostly else beside

    columns = [
        treatment(),
        Column(f"{measure.words} (95 %)", lambda row: of_row(spec, row), "num"),
        Column(measure.better, lambda row: probability(row["prob_better"]), "num"),
        Column("time" if measure.longer else "hazard", lambda row: words.get(verdict(row), verdict(row)), "keep"),
        Column(f"difference at {time_text(spec, of.answers.time)}", lambda row: difference(row, "new-study"), "num"),
        Column("in one new hospital", lambda row: difference(row, "new-hospital"), "num"),
        Column("compared in", rests_on, "keep"),
        mark(),
    ]
    return html_table([of.answers.ratio(name) for name in of.compared], columns, caption=f"Against {of.reference}")


def external_table(of: ReportData) -> list[Part]:
    """Published numbers that are no evidence here, beside ours, with the ratio ours / published."""
    columns = [
        plain("quantity", "quantity", "keep"),
        plain("published", "published", "num"),
        plain("ours (95 %)", "ours", "num"),
        plain("ours / published", "ratio", "num"),
        plain("source", "source", "words"),
        plain("note", "note", "words", missing=""),
    ]
    rows = [external_row(of, check) for check in of.spec.external_checks]
    words = f"Ours: {of.answers.measure.words} and P of the average study, median and survival of a new study."
    if not of.spec.reproduction:
        words += " The published numbers are no evidence in this analysis."
    return [el("h3", "Published numbers beside ours"), html_table(rows, columns), note(words)]


def external_row(of: ReportData, check: ExternalCheck) -> dict[str, str]:
    digits = {"median": DIGITS[of.spec.time_unit], "p_value": 3}.get(check.estimand, 2)
    low, high = (np.nan if end is None else end for end in (check.ci_low, check.ci_high))
    published = printed_interval(check.value, low, high, digits=digits)
    row, quantity = _ours(of, check)
    named = {"quantity": quantity, "published": published, "source": check.source, "note": check.note}
    if row is None:
        return {**named, "ours": MISSING, "ratio": MISSING}
    if check.estimand == "p_value":
        return {**named, "ours": probability_clause(row["prob_better"], of.answers.measure), "ratio": MISSING}
    return {**named, "ours": of_row(of.spec, row), "ratio": number(row["median"] / check.value, 2)}


def _ours(of: ReportData, check: ExternalCheck) -> tuple[dict[Any, Any] | None, str]:
    """The row of ours beside a published number, None where ours does not answer it, and the quantity's name."""
    spec, name = of.spec, treatment_text(check.treatment)
    reference = check.reference or spec.treatments.reference
    if check.estimand in ("hazard_ratio", "p_value"):
        same = reference == spec.treatments.reference and check.treatment != reference
        title = {"hazard_ratio": "hazard ratio", "p_value": "p value"}[check.estimand]
        # a printed hazard ratio has no counterpart in a model of time ratios
        same = same and (check.estimand == "p_value" or not of.answers.measure.longer)
        return (of.answers.ratio(check.treatment) if same else None), f"{title}, {name} v {treatment_text(reference)}"
    if check.estimand == "median":
        row = of.answers.row("new-study", "median", check.treatment) if of.answers.levels else None
        return row, f"median, {name} ({spec.time_unit})"
    time = spec.reference_time if check.time is None else check.time
    asked = of.answers.levels and bool(np.isclose(spec.answer_times, time).any())
    row = of.answers.row("new-study", "survival", check.treatment, time=time) if asked else None
    return row, f"survival at {time_text(spec, time)}, {name}"


def reference_remark(spec: Spec) -> list[Part]:
    """Decision 10 (docs/decisions.md): another reference is another model."""
    if spec.effects.study_treatment is None:
        return ["No study-by-treatment effect is in this model, so the choice of reference changes no answer."]
    text = (
        f"The study-by-treatment effect is zero for the reference ({treatment_text(spec.treatments.reference)}) in"
        " every study, so another reference would be another model, not another view of this one"
        " (docs/decisions.md, 10)."
    )
    if "reference_swapped" not in spec.sensitivity:
        return [text]
    return [text, " What it changes is seen with ", el("code", fit_command(spec, "reference_swapped")), "."]
