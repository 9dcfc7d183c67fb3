"""The patient page on the loopback address: one page, the numbers of `predict` and `outcomes`, nothing stored."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bayes_bm.estimands.patient_curves import patient_curves
from bayes_bm.estimands.predict import predict
from bayes_bm.estimands.who import WHO, parse_who
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import limits
from bayes_bm.report.loopback import LoopbackHandler, LoopbackServer, loopback_server
from bayes_bm.report.plots.patient import WIDTH, patient_figure
from bayes_bm.report.plots.style import svg
from bayes_bm.report.text import treatment_text
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.numbers import parse_number
from bayes_bm.spec.level import Level

NARROW = 4.0
"""Inches of the figure on a telephone."""
DRAWS = 1000
"""Draws that answer on the page; `predict` uses all."""
MOST_TREATMENTS = 100
"""Treatments of one question; no spec compares as many."""
MOST_TIMES = 50
"""Times of one question, each an integral for every draw and treatment: 2,000 took ten seconds."""
WHO_WORDS = {
    "new-study": "studies (their population)",
    "new-hospital": "nothing: one new hospital",
    "average-study": "nothing: the average study",
}


@dataclass(frozen=True)
class PatientPage:
    """What the page is sent: `about` once, `answer` for each patient; both are plain data."""

    result: Result

    def __post_init__(self) -> None:
        if self.result.spec.needs_baseline:
            raise InputError(
                "serve",
                found="a spec with free study levels or shapes and no [baseline]",
                allowed="exchangeable effects, or a baseline",
                hint="without a level there is no survival to show (docs/decisions.md, 11)",
            )

    @cached_property
    def thin(self) -> Result:
        """Return the result with the draws that answer on the page."""
        return self.result.thinned(DRAWS)

    def about(self) -> dict[str, Any]:
        """Return covariates with their units, treatments, times, and what is asked."""
        spec, gate = self.result.spec, self.result.gate
        words = (
            f"{spec.name}; {len(set(self.result.evidence.arms['study']))} studies with arms. Nothing is recommended."
        )
        return {
            "question": spec.question,
            "about": words if gate.passed else f"THE CONVERGENCE GATE FAILED. {words}",
            "time_unit": spec.time_unit,
            "times": ", ".join(f"{time:g}" for time in spec.answer_times),
            "covariates": [
                {"name": name, "label": name.replace("_", " "), "hint": _covariate_hint(term)}
                for name, term in spec.covariates.items()
            ],
            "treatments": [{"name": name, "label": treatment_text(name)} for name in spec.treatments.names],
            "who": [{"name": name, "label": label} for name, label in WHO_WORDS.items() if name in WHO],
        }

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return curves, tables and notes for one patient. Raises `InputError` for what cannot be answered.

        Not for two threads at once: matplotlib and the quadrature share what they keep.
        """
        spec, asked = self.result.spec, read_question(question)
        given: dict[str, Any] = {
            "treatments": asked.treatments,
            "alive_at": asked.alive_at,
            "who": parse_who(asked.who),
        }
        rows = predict(self.thin, asked.covariates, times=asked.times or None, margins=asked.margins, **given)
        curves = patient_curves(self.thin, asked.covariates, times=asked.times, **given)
        drawing = patient_figure(curves, notes=False, width=NARROW if asked.narrow else WIDTH)
        drawn = svg(drawing, title="Curves, and what could happen to one patient")
        unit = spec.time_unit
        return {
            "figure": drawn,
            "notes": list(curves.notes),
            "curve_words": f"Median and {spec.interval.words} interval: what is not known about the curve."
            " More evidence narrows it.",
            "curve": _curve_rows(rows, unit, spec.interval),
            "difference_words": "Differences of curves; how probable it is that they exceed zero, and your margin.",
            "differences": _difference_rows(rows, unit, spec.interval),
            "outcome_words": "Single patients like this one: no evidence narrows it. Times count from time 0.",
            "outcomes": _outcome_rows(curves.outcomes, unit),
        }


def _covariate_hint(term: Any) -> str:
    low, high = limits(term)
    return f"{term.unit + '; ' if term.unit else ''}{_limits_text(low, high)}".strip("; ")


def _limits_text(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    return f"{low:g} to {high:g}" if math.isfinite(low) and math.isfinite(high) else f"from {low:g} to {high:g}"


def _read_number(value: object) -> float:
    """Return a number as people type it, with a point or a comma; raises ValueError for anything else."""
    number = parse_number(str(value).replace(",", "."))
    if number is None:
        raise ValueError("no number")
    return number


def _read_number_or_blank(value: object) -> float:
    return _read_number(value) if str(value).strip() else 0.0


def _split_times(value: object) -> list[str]:
    return [part for part in str(value).split(",") if part.strip()]


type Text = Annotated[str, BeforeValidator(str)]
type Number = Annotated[float, BeforeValidator(_read_number)]
type NumberOrBlank = Annotated[float, BeforeValidator(_read_number_or_blank)]
"""A field of the form; left blank it is 0."""


class Question(BaseModel):
    """What the page sends for one patient, numbers still as text; margins are in the unit of time and in points."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="ignore")

    covariates: dict[Text, Number] = {}
    treatments: list[Text] = Field(min_length=1, max_length=MOST_TREATMENTS)
    margin_rmst: NumberOrBlank = 0.0
    margin_survival: NumberOrBlank = 0.0
    alive_at: NumberOrBlank = 0.0
    times: Annotated[list[Number], BeforeValidator(_split_times)] = Field([], max_length=MOST_TIMES)
    who: Text = "new-study"
    narrow: Annotated[bool, BeforeValidator(lambda value: value is True)] = False

    @property
    def margins(self) -> dict[str, float]:
        """Return by how much a treatment is to be better, by estimand; survival as a proportion."""
        return {"rmst": self.margin_rmst, "survival": self.margin_survival / 100}


def read_question(document: Mapping[str, Any]) -> Question:
    """Return the question that the page sent. Raises `InputError` that names the field of the form.

    >>> read_question({"treatments": ["a"], "times": "6, 12,5", "margin_survival": "5"}).times
    [6.0, 12.0, 5.0]
    """
    try:
        return Question.model_validate(document)
    except ValidationError as problem:
        raise _form_error(problem) from None


def _form_error(problem: ValidationError) -> InputError:
    """The first fault in the words of the form."""
    error = problem.errors(include_url=False)[0]
    field, *keys = error["loc"]
    if error["type"] == "too_long":
        limits = error.get("ctx", {})
        count, most = limits.get("actual_length"), limits.get("max_length")
        return InputError(str(field), found=f"{count} of them", allowed=f"up to {most}")
    if field == "treatments":
        return InputError("treatments", found="none", allowed="at least one that the patient can have")
    if field == "covariates" and not keys:
        return InputError("covariates", found=error["input"], allowed="names and numbers")
    where = f"patient, {keys[0]}" if field == "covariates" else str(field)
    return InputError(where, found=error["input"] if keys else str(error["input"]), allowed="a number")


# ---------------------------------------------------------------------------------------------- tables

NAMES = {"survival": "survival", "median": "median", "rmst": "restricted mean"}


def _estimand_text(row: Mapping[Any, Any], unit: str) -> str:
    estimand = str(row["estimand"]).removesuffix("_difference")
    when = {"survival": " at", "rmst": " to"}.get(estimand, "")
    return f"{NAMES[estimand]}{when} {row['time']:g} {unit}" if when else f"{NAMES[estimand]}, {unit}"


def _quantity_text(row: Mapping[Any, Any], name: str) -> str:
    value = float(row[name])
    if row["estimand"] == "survival":
        return f"{100 * value:.0f} %"
    if row["estimand"] == "survival_difference":
        return f"{100 * value:.0f}"
    return f"{value:.1f}" if math.isfinite(value) else "not reached"


def _interval_text(row: Mapping[Any, Any], level: Level) -> str:
    middle, low, high = (_quantity_text(row, name) for name in ("median", *level.names))
    return f"{middle} ({low} to {high})"


def _curve_rows(rows: pd.DataFrame, unit: str, level: Level) -> dict[str, Any]:
    curves = rows[rows["reference"].isna()].to_dict("records")
    lines = [
        [treatment_text(row["treatment"]), _estimand_text(row, unit), _interval_text(row, level), row["label"]]
        for row in curves
    ]
    return {"head": ["treatment", "", f"median ({level.words})", "mark"], "numeric": [2], "rows": lines}


def _difference_rows(rows: pd.DataFrame, unit: str, level: Level) -> dict[str, Any]:
    lines: list[list[str]] = []
    for row in rows[rows["reference"].notna()].to_dict("records"):
        pair = f"{treatment_text(row['treatment'])} minus {treatment_text(row['reference'])}"
        points = str(row["estimand"]).startswith("survival")
        margin = math.nan if row["margin"] is None else float(row["margin"])
        named = math.isfinite(margin)
        size = (f"{100 * margin:g} points" if points else f"{margin:g} {unit}") if named else ""
        exceeds = f"{row['prob_better_by_margin']:.2f} ({size})" if named else ""
        what = f"{_estimand_text(row, unit)}{', points' if points else ''}"
        lines.append([pair, what, _interval_text(row, level), f"{row['prob_better']:.2f}", exceeds, row["label"]])
    head = ["", "", f"median ({level.words})", "P(above 0)", "P(above margin)", "mark"]
    return {"head": head, "numeric": [2, 3, 4], "rows": lines}


def _outcome_rows(table: pd.DataFrame, unit: str) -> dict[str, Any]:
    lines: list[list[str]] = []
    for name, rows in table.groupby("treatment", sort=False):
        values = {(row["what"], row["at"]): row["value"] for row in rows.to_dict("records")}
        times = [f"{values['quantile', share]:.1f}" for share in (0.1, 0.25, 0.5, 0.75, 0.9)]
        alive = "; ".join(f"{time:g}: {100 * value:.0f}" for (what, time), value in values.items() if what == "alive")
        lines.append([treatment_text(str(name)), *times, alive])
    head = ["treatment", *(f"{share} of 100 by" for share in (10, 25, 50, 75, 90)), "of 100, free of the event at"]
    return {
        "head": [*head[:1], *(f"{text}, {unit}" for text in head[1:6]), head[6]],
        "numeric": [1, 2, 3, 4, 5],
        "rows": lines,
    }


# ---------------------------------------------------------------------------------------------- HTTP


def server(page: PatientPage, port: int = 0) -> LoopbackServer:
    """Return a server on the loopback address, not yet running; port 0 takes a free one."""

    class Handler(LoopbackHandler):
        template = "page.html"

        def about(self) -> dict[str, Any]:
            return page.about()

        def questions(self) -> Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
            return {"/answer": page.answer}

    return loopback_server(Handler, port)
