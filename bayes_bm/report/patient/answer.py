"""The answer to one question of the patient page as plain data: words, counts, curves, tables, CSV, letter."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bayes_bm.estimands.labels import AnswerFlags
from bayes_bm.estimands.predict import patient_distance
from bayes_bm.estimands.quantities import chosen_treatments
from bayes_bm.estimands.tabulated_patients import PatientDraws
from bayes_bm.inference.result import Result
from bayes_bm.report.patient.facts import Facts, basis_table, patient_words
from bayes_bm.report.patient.numbers import (
    FIRST,
    SHARES,
    PatientNumbers,
    asked_times,
    between_rows,
    patient_numbers,
    rows_table,
)
from bayes_bm.report.patient.question import Question
from bayes_bm.report.patient.words import OVER, count_text, headline, letter, more_text, row_of, state_words
from bayes_bm.report.sentences import estimate_text, interval_of, time_text
from bayes_bm.report.text import DIGITS, number, probability, treatment_text

type Row = Mapping[str, Any]
type Document = dict[str, Any]

NAMES = {"survival": "of 100, {state} at {time}", "median": "median {unit}", "rmst": "mean {unit} until {time}"}
"""What a row of the table of all numbers is called."""


def answer_document(result: Result, facts: Facts, asked: Question, drawn: Sequence[PatientDraws]) -> Document:
    """Return all that the page shows of one question."""
    wanted, times = chosen_treatments(result, asked.treatments), asked_times(result, asked)
    titles = "AB"[: len(drawn)]
    numbers = [
        patient_numbers(result, one, asked, title=title, times=times) for title, one in zip(titles, drawn, strict=True)
    ]
    between = between_rows(result, numbers, asked)
    rows = [row for one in numbers for row in one.rows] + between
    return {
        "headline": headline(result, asked, wanted, numbers),
        "time": asked.time,
        "time_words": time_text(result.spec, asked.time),
        "state": state_words(result.spec),
        "patients": [
            _patient(result, asked, wanted, one, patient) for one, patient in zip(numbers, asked.patients, strict=True)
        ],
        "numbers": _numbers_table(result, rows),
        "differences": _difference_table(result, [row for row in rows if _asked_first(row, asked)]),
        "later": _difference_table(result, rows),
        "basis": basis_table(result, facts, wanted, asked.patients),
        "notes": _notes(result, facts, asked),
        "letter": letter(result, facts, asked, wanted, numbers),
        "csv": rows_table(rows, result, asked, asked.patients).to_csv(index=False),
    }


def _asked_first(row: Row, asked: Question) -> bool:
    """Whether a row is of the chosen time, or of no single time."""
    return not str(row["estimand"]).startswith("survival") or row["time"] == asked.time


def _patient(
    result: Result, asked: Question, wanted: Sequence[str], numbers: PatientNumbers, patient: Mapping[str, float]
) -> Document:
    flags = AnswerFlags(result, at_centres=False)
    return {
        "words": patient_words(result, patient) or "nothing given: the evidence's patients together",
        "treatments": [
            {
                "name": name,
                "label": treatment_text(name),
                **_counts(result, row_of(numbers, "survival", name, time=asked.time)),
                "curve": numbers.curves[name],
                "follow_up": _finite(flags.until(name)),
                "single": _single_words(result, numbers.single[name]),
            }
            for name in wanted
        ],
    }


def _counts(result: Result, row: Row) -> Document:
    """Return survival as whole people of a hundred, as words and as icons."""
    middle, low, high = (round(100 * value) for value in interval_of(result.spec, row))
    return {"alive": middle, "low": low, "high": high, "words": count_text(result.spec, row), "mark": row["label"]}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _single_words(result: Result, times: Sequence[float]) -> list[str]:
    digits = DIGITS[result.spec.time_unit]
    end = 10 * result.spec.horizon
    return [number(time, digits) if math.isfinite(time) else f"> {end:.0f}" for time in times]


def _numbers_table(result: Result, rows: Sequence[Row]) -> Document:
    """Return survival, median and restricted mean of each patient and treatment."""
    spec = result.spec
    several = any(row["patient"] == "B" for row in rows)
    lines: list[list[str]] = []
    for row in rows:
        if row["reference"] is None:
            shown = count_text(spec, row) if row["estimand"] == "survival" else estimate_text(spec, row)
            who = [str(row["patient"])] if several else []
            lines.append([*who, treatment_text(row["treatment"]), _name(result, row), shown, str(row["label"])])
    heads = [
        *(["patient"] if several else []),
        "treatment",
        "number",
        f"median ({spec.interval.words} interval)",
        "beware",
    ]
    return {"head": heads, "numeric": [len(heads) - 2], "rows": lines}


def _name(result: Result, row: Row) -> str:
    spec, estimand = result.spec, str(row["estimand"]).removesuffix("_difference")
    when = "" if row["time"] is None else time_text(spec, row["time"])
    return NAMES[estimand].format(state=state_words(spec), time=when, unit=spec.time_unit)


def _difference_table(result: Result, rows: Sequence[Row]) -> Document:
    """Return what a treatment adds, and what patient B has more than patient A, with their probabilities."""
    spec = result.spec
    several = any(row["patient"] == "B" for row in rows)
    lines: list[list[str]] = []
    for row in rows:
        if row["reference"] is None:
            continue
        against = "" if row["reference"] == FIRST else f" against {treatment_text(row['reference'])}"
        pair = f"{treatment_text(row['treatment'])}{against}"
        who = [str(row["patient"])] if several else []
        margin = _margin_text(result, row)
        better = probability(row["prob_better"])
        lines.append([*who, pair, _name(result, row), more_text(spec, row), better, margin, str(row["label"])])
    heads = [*(["patient"] if several else []), "difference", "number", f"median ({spec.interval.words} interval)"]
    heads += ["P(above 0)", "P(above the margin)", "beware"]
    return {"head": heads, "numeric": [len(heads) - 4, len(heads) - 3, len(heads) - 2], "rows": lines}


def _margin_text(result: Result, row: Row) -> str:
    if row["margin"] is None:
        return ""
    people = str(row["estimand"]).startswith("survival")
    size = f"{100 * row['margin']:g} of 100" if people else time_text(result.spec, row["margin"])
    return f"{probability(row['prob_better_by_margin'])} ({size})"


def _notes(result: Result, facts: Facts, asked: Question) -> list[str]:
    """Return what must be known of all numbers, each said once."""
    gate = "" if result.gate.passed else f"THE CONVERGENCE GATE FAILED: {'; '.join(result.gate.reasons)}."
    titles = ("This patient",) if len(asked.patients) == 1 else ("Patient A", "Patient B")
    far = [
        f"{title}: {patient_distance(result, patient).text}"
        for title, patient in zip(titles, asked.patients, strict=True)
        if patient
    ]
    unknown = any(name not in patient for patient in asked.patients for name in result.spec.covariates)
    mean = "averaged over the evidence's patients" if result.case_mix.known else "taken at its centre"
    not_known = f"What is not known of a patient is {mean}." if unknown else ""
    over = f"{OVER.get(asked.who, asked.who)}."
    return [text for text in (gate, over, not_known, *far, facts.at_centres) if text]


def single_heads(result: Result) -> list[str]:
    """Return the heads of the times by which so many of a hundred have the event."""
    return [f"{100 * share:.0f} of 100 by, {result.spec.time_unit}" for share in SHARES]
