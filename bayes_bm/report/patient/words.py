"""The answer of a patient page in words: the sentence that is read out, and the paragraph for a letter."""

from collections.abc import Mapping, Sequence
from typing import Any

from bayes_bm.inference.result import Result
from bayes_bm.report.patient.facts import Facts, patient_words
from bayes_bm.report.patient.numbers import PatientNumbers, reference_of
from bayes_bm.report.patient.question import Question
from bayes_bm.report.sentences import interval_of, time_text
from bayes_bm.report.text import DIGITS, counted, number, probability, treatment_text
from bayes_bm.spec.document import Spec
from bayes_bm.spec.endpoints import event_words

OVER = {
    "average-study": "These are numbers of the average study",
    "new-study": "These are averages over studies like those of the evidence, not a forecast for one hospital",
    "new-hospital": "These are numbers of one new hospital, whose own level is not known",
}
"""Whom the numbers are about, by `who`."""


def state_words(spec: Spec) -> str:
    """Return what those are whom the event has not met: `alive`, or `free of progression or death`."""
    return "alive" if spec.endpoint == "os" else f"free of {event_words(spec.endpoint)[0]}"


def count_text(spec: Spec, row: Mapping[str, Any]) -> str:
    """Return survival as people of a hundred: `53 (38 to 68)`."""
    middle, low, high = (number(100 * value, 0) for value in interval_of(spec, row))
    return f"{middle} ({low} to {high})"


def more_text(spec: Spec, row: Mapping[str, Any]) -> str:
    """Return a difference in words: `6 more (12 fewer to 24 more)`, of a time `0.9 longer (2.1 shorter to ...)`."""
    people = str(row["estimand"]).startswith("survival")
    digits, factor = (0, 100) if people else (DIGITS[spec.time_unit], 1)
    words = PEOPLE if people else LONGER
    middle, low, high = (_signed(factor * value, digits, words) for value in interval_of(spec, row))
    return f"{middle} ({low} to {high})"


PEOPLE, LONGER = ("fewer", "more"), ("shorter", "longer")
"""Words of a difference below and above zero: of a count, and of a time."""


def _signed(value: float, digits: int, words: tuple[str, str]) -> str:
    shown = number(abs(value), digits)
    return shown if float(shown) == 0 else f"{shown} {words[value > 0]}"


def row_of(numbers: PatientNumbers, estimand: str, treatment: str, *, time: float | None = None) -> Mapping[str, Any]:
    """Return one row of a patient; of a difference, that from the reference."""
    return next(
        row
        for row in numbers.rows
        if (row["estimand"], row["treatment"]) == (estimand, treatment) and (time is None or row["time"] == time)
    )


def headline(result: Result, asked: Question, wanted: Sequence[str], numbers: Sequence[PatientNumbers]) -> list[str]:
    """Return one sentence or two for each patient: what the page reads out after every change."""
    titles = ("",) if len(numbers) == 1 else ("Patient A. ", "Patient B. ")
    return [
        f"{title}{count_sentence(result, asked, wanted, one)}{gain_sentence(result, wanted, one)}"
        for title, one in zip(titles, numbers, strict=True)
    ]


def count_sentence(result: Result, asked: Question, wanted: Sequence[str], numbers: PatientNumbers) -> str:
    """Return how many of a hundred are still alive under each treatment at the chosen time."""
    spec = result.spec
    rows = [row_of(numbers, "survival", name, time=asked.time) for name in wanted]
    parts: list[str] = []
    for place, row in enumerate(rows):
        middle, low, high = (number(100 * value, 0) for value in interval_of(spec, row))
        level = "" if place else f"{spec.interval.words} interval "
        parts.append(f"{middle} with {treatment_text(row['treatment'])} ({level}{low} to {high})")
    given = f" who are alive at {time_text(spec, asked.alive_at)}" if asked.alive_at else ""
    counts = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"Of 100 such patients{given}, at {time_text(spec, asked.time)} are {state_words(spec)}: {counts}."


def gain_sentence(result: Result, wanted: Sequence[str], numbers: PatientNumbers) -> str:
    """Return what a treatment adds to the restricted mean; nothing where one or many are compared."""
    spec = result.spec
    reference = reference_of(result, wanted)
    others = [name for name in wanted if name != reference]
    if len(others) != 1:
        return ""
    row = row_of(numbers, "rmst_difference", others[0])
    middle, low, high = interval_of(spec, row)
    digits = DIGITS[spec.time_unit]
    size = f"{number(abs(middle), digits)} {spec.time_unit} {LONGER[middle > 0]}"
    return (
        f" The mean time {state_words(spec)} until {time_text(spec, spec.horizon)} is {size} with"
        f" {treatment_text(others[0])} than with {treatment_text(reference)} ({spec.interval.words} interval"
        f" {_signed(low, digits, LONGER)} to {_signed(high, digits, LONGER)}; probability that it is longer:"
        f" {probability(row['prob_better'])})."
    )


def letter(
    result: Result,
    facts: Facts,
    asked: Question,
    wanted: Sequence[str],
    numbers: Sequence[PatientNumbers],
) -> str:
    """Return a paragraph for each patient, fit to be pasted into a letter: numbers, population, and their limits."""
    spec = result.spec
    paragraphs = [
        f"{_opening(result, patient)} {count_sentence(result, asked, wanted, one)}{gain_sentence(result, wanted, one)}"
        f"{_single_sentence(result, wanted, one)}"
        for patient, one in zip(asked.patients, numbers, strict=True)
    ]
    studies = len(set(result.evidence.arms["study"]))
    limits = (
        f"{OVER.get(asked.who, 'These are averages')}: {counted(studies, 'study')}, question"
        f" “{spec.question}”.{_comparison_sentence(result, facts, wanted)}{_prior_sentence(result, facts, asked)}"
        " Patients were not allotted to treatments at random. This recommends no treatment."
    )
    return "\n\n".join([*paragraphs, limits])


def _opening(result: Result, patient: Mapping[str, float]) -> str:
    words = patient_words(result, patient)
    left_out = [term.words(name) for name, term in result.spec.covariates.items() if name not in patient]
    rest = f"; not known: {', '.join(left_out)}" if left_out and words else ""
    return f"For patients of this kind: {words}{rest}." if words else "Patients of whom nothing further is known."


def _single_sentence(result: Result, wanted: Sequence[str], numbers: PatientNumbers) -> str:
    spec = result.spec
    parts: list[str] = []
    for name in wanted:
        _, early, _, late, _ = numbers.single[name]
        shown = f"beyond {late:.0f}" if late < float("inf") else "much longer"
        parts.append(f"with {treatment_text(name)} {early:.0f}, and a quarter {shown}")
    event = event_words(spec.endpoint)[0]
    return (
        f" Single patients differ far more than these averages: a quarter have the event ({event}) by, in"
        f" {spec.time_unit}, {'; '.join(parts)}."
    )


def _comparison_sentence(result: Result, facts: Facts, wanted: Sequence[str]) -> str:
    reference = reference_of(result, wanted)
    alone = [name for name in wanted if name != reference and not facts.side_by_side(name, reference)]
    if not alone:
        return ""
    names = ", ".join(treatment_text(name) for name in alone)
    return (
        f" No study held {names} beside {treatment_text(reference)}: differences between studies, not the treatments,"
        " may be behind the difference."
    )


def _prior_sentence(result: Result, facts: Facts, asked: Question) -> str:
    covariates = result.spec.covariates
    given = dict.fromkeys(name for patient in asked.patients for name in patient)
    silent = [covariates[name].words(name) for name in given if name in facts.silent]
    treatments = [treatment_text(name) for name in asked.treatments if name in facts.prior_treatments]
    named = ", ".join([*silent, *treatments])
    return f" No evidence informs the effect of {named}: assumptions alone decide it." if named else ""
