"""The first section: the answer in sentences, beside what was printed elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE
from bayes_bm.report.material import ReportData
from bayes_bm.report.sentences import (
    estimate_text,
    mostly_across,
    probability_clause,
    sentences,
    time_text,
    verdict,
)
from bayes_bm.report.tables import Column, Row, Table, make_table, mark, plain, treatment
from bayes_bm.report.text import DIGITS, MISSING, counted, number, printed_interval, probability, treatment_text
from bayes_bm.spec.document import ExternalCheck

WHO = {"average-study": "average study", "new-study": "new study", "new-hospital": "one new hospital"}
EXTERNAL_COLUMNS = (
    plain("quantity", "quantity", "words"),
    plain("published", "published", "num"),
    plain("ours", "ours", "num"),
    plain("ours / published", "ratio", "num"),
    Column("source", lambda row: "; ".join(filter(None, [row["source"], row["note"]])), "words"),
)


@dataclass(frozen=True)
class AnswerSection:
    """The answer.

    sentences     what is answered, in words
    treatments    one line a treatment; None where only one is compared
    external      published numbers beside ours; None where the spec names none
    measure       what the ratio is called
    reproduction  whether the published numbers are the evidence itself
    level         of our intervals, in words
    """

    sentences: list[str]
    treatments: Table | None
    external: Table | None
    measure: str
    reproduction: bool
    level: str


def answer_section(data: ReportData) -> AnswerSection:
    """Return the answer in sentences, a short table where several treatments are compared, and published numbers."""
    checks = data.spec.external_checks
    return AnswerSection(
        sentences=sentences(data.answers),
        treatments=_short_answers(data) if len(data.compared) > 1 else None,
        external=make_table(_external_rows(data), EXTERNAL_COLUMNS) if checks else None,
        measure=data.answers.measure.words,
        reproduction=data.spec.reproduction,
        level=data.spec.interval.words,
    )


def _short_answers(data: ReportData) -> Table:
    """One line a treatment: its ratio, difference of survival for a study and for a hospital, what it rests on."""
    spec, answers, measure = data.spec, data.answers, data.answers.measure
    words = {"unclear": "no clear difference"}

    def difference(row: Row, who: str) -> str:
        if not answers.levels:
            return MISSING
        return estimate_text(spec, answers.row(who, "survival_difference", row["treatment"], time=answers.time))

    def support(row: Row) -> str:
        studies, mostly = answers.side_by_side(row["treatment"]), mostly_across(answers, row["treatment"])
        sides = f"{counted(studies, 'study')} side by side" if studies else NO_SIDE_BY_SIDE
        return f"{sides}; {mostly}" if mostly else sides

    columns = [
        treatment(),
        Column(f"{measure.words} ({spec.interval.words})", lambda row: estimate_text(spec, row), "num"),
        Column(measure.better, lambda row: probability(row["prob_better"]), "num"),
        Column(
            "time" if measure.longer else "hazard",
            lambda row: words.get(verdict(spec, row), verdict(spec, row)),
            "keep",
        ),
        Column(f"difference at {time_text(spec, answers.time)}", lambda row: difference(row, "new-study"), "num"),
        Column("in one new hospital", lambda row: difference(row, "new-hospital"), "num"),
        Column("compared in", support, "keep"),
        mark(),
    ]
    return make_table([answers.ratio(name) for name in data.compared], columns, caption=f"Against {data.reference}")


def _external_rows(data: ReportData) -> list[dict[str, str]]:
    """Return published numbers beside ours: of the question itself, then of strata of patients."""
    strata = data.strata or [None] * len(data.spec.external_checks)
    rows = zip(data.spec.external_checks, strata, strict=True)
    return [stratum_row(data, check, row) if check.patient else external_row(data, check) for check, row in rows]


def stratum_row(data: ReportData, check: ExternalCheck, row: Mapping[Any, Any] | None) -> dict[str, str]:
    """Return a published number of a stratum beside our answer for such patients, as texts."""
    spec = data.spec
    given = "; ".join(spec.covariates[name].value_words(name, value) for name, value in (check.patient or {}).items())
    time = time_text(spec, spec.reference_time if check.time is None else check.time)
    what = f"median ({spec.time_unit})" if check.estimand == "median" else f"survival at {time}"
    digits = DIGITS[spec.time_unit] if check.estimand == "median" else 2
    low, high = (np.nan if end is None else end for end in (check.ci_low, check.ci_high))
    return {
        "quantity": f"{what}, {treatment_text(check.treatment)}, patients with {given}",
        "published": printed_interval(check.value, low, high, digits=digits),
        "ours": MISSING if row is None else estimate_text(spec, row),
        "ratio": MISSING if row is None else number(row["median"] / check.value, 2),
        "source": check.source,
        "note": check.note,
    }


def external_row(data: ReportData, check: ExternalCheck) -> dict[str, str]:
    """Return a published number that is no evidence here, beside ours, with the ratio ours / published, as texts."""
    digits = {"median": DIGITS[data.spec.time_unit], "p_value": 3}.get(check.estimand, 2)
    low, high = (np.nan if end is None else end for end in (check.ci_low, check.ci_high))
    published = printed_interval(check.value, low, high, digits=digits)
    row, quantity = _own_answer(data, check)
    named = {"quantity": quantity, "published": published, "source": check.source, "note": check.note}
    if row is None:
        return {**named, "ours": MISSING, "ratio": MISSING}
    if check.estimand == "p_value":
        return {**named, "ours": probability_clause(row["prob_better"], data.answers.measure), "ratio": MISSING}
    return {**named, "ours": estimate_text(data.spec, row), "ratio": number(row["median"] / check.value, 2)}


def _own_answer(data: ReportData, check: ExternalCheck) -> tuple[dict[Any, Any] | None, str]:
    """Return our row for a published number, None where we do not answer it, and the quantity's name."""
    spec, answers, name = data.spec, data.answers, treatment_text(check.treatment)
    reference = check.reference or spec.treatments.reference
    if check.estimand in ("hazard_ratio", "p_value"):
        same = reference == spec.treatments.reference and check.treatment != reference
        title = {"hazard_ratio": "hazard ratio", "p_value": "p value"}[check.estimand]
        # a printed hazard ratio has no counterpart in a model of time ratios
        same = same and (check.estimand == "p_value" or not answers.measure.longer)
        return (answers.ratio(check.treatment) if same else None), f"{title}, {name} v {treatment_text(reference)}"
    if check.estimand == "median":
        row = answers.row("new-study", "median", check.treatment) if answers.levels else None
        return row, f"median, {name} ({spec.time_unit})"
    time = spec.reference_time if check.time is None else check.time
    asked = answers.levels and bool(np.isclose(spec.answer_times, time).any())
    row = answers.row("new-study", "survival", check.treatment, time=time) if asked else None
    return row, f"survival at {time_text(spec, time)}, {name}"
