"""Sections on treatments: forest, curves, table of answers, one patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bayes_bm.report import figures
from bayes_bm.report.material import ReportData
from bayes_bm.report.monte_carlo import largest_error
from bayes_bm.report.sections.answer import WHO
from bayes_bm.report.sentences import estimate_text, patient_sentences, time_text
from bayes_bm.report.tables import Cell, Column, Row, Table, make_table, mark, plain
from bayes_bm.report.text import MISSING, error_text, probability, treatment_text
from bayes_bm.spec.document import Spec
from bayes_bm.spec.endpoints import event_words

ESTIMANDS = {
    "hazard_ratio": "Hazard ratio",
    "time_ratio": "Time ratio",
    "survival": "{curve} (proportion)",
    "survival_difference": "Difference of {curve} (proportion)",
    "median": "Median ({unit})",
    "median_difference": "Difference of medians ({unit})",
    "rmst": "Restricted mean ({unit})",
    "rmst_difference": "Difference of restricted means ({unit})",
}
ANSWER_COLUMNS = (
    plain("of whom, when", "name", "keep"),
    *(
        column
        for who, words in WHO.items()
        for column in (
            plain(words, who, "num"),
            plain("P(better)", f"better {who}", "num", missing=""),
        )
    ),
    plain("Monte Carlo error", "error", "num", missing=""),
    mark(),
)
FOREST_COLUMNS = (
    plain("arm", "label", "words"),
    plain("patients", "text_n", "num", missing=""),
    plain("model", "text_model", "num"),
    plain("printed or observed", "text_printed", "num"),
)


@dataclass(frozen=True)
class AnswersSection:
    """The table of answers; `better` says what P(better) of a ratio is, `marginal` that its ratio carries a time."""

    table: Table
    better: str
    marginal: bool
    level: str


def answers_section(data: ReportData) -> AnswersSection:
    """Return every estimand at every time, for everyone who can be asked about."""
    measure = data.answers.measure
    table = make_table(answer_rows(data), ANSWER_COLUMNS, group="group")
    return AnswersSection(table, measure.better, marginal=not measure.longer, level=data.spec.interval.words)


def answer_rows(data: ReportData) -> list[dict[str, str]]:
    """Return one row an estimand, time, treatment and reference, with the text of each `who` side by side."""
    cells: dict[tuple[str, str, str, float], dict[str, Row]] = {}
    for who, table in data.answers.tables.items():
        for row in table.loc[table["estimand"].isin(list(ESTIMANDS))].to_dict("records"):
            time = -1.0 if pd.isna(row["time"]) else float(row["time"])
            reference = row["reference"] if isinstance(row["reference"], str) else ""
            cells.setdefault((row["estimand"], reference, row["treatment"], time), {})[who] = row
    names = ["", *data.spec.treatments.names]
    places = [list(ESTIMANDS), names, names]

    def order(key: tuple[str, str, str, float]) -> tuple:
        estimand, reference, name = (place.index(part) for place, part in zip(places, key[:3], strict=True))
        return estimand, reference, key[3], name

    return [_answer_row(data.spec, cells[key]) for key in sorted(cells, key=order)]


def _answer_row(spec: Spec, answers: Mapping[str, Row]) -> dict[str, str]:
    """The texts of one row; every `who` of `answers` is asked the same."""
    first = next(iter(answers.values()))
    contrast = isinstance(first["reference"], str)
    labels = dict.fromkeys(label for row in answers.values() for label in str(row["label"] or "").split("; ") if label)
    better = {f"better {who}": probability(row["prob_better"]) for who, row in answers.items()} if contrast else {}
    return {
        **dict.fromkeys(WHO, MISSING),
        **{f"better {who}": "" for who in WHO},
        **{who: estimate_text(spec, row) for who, row in answers.items()},
        **better,
        "group": estimand_title(spec, first),
        "name": asked_text(spec, first),
        "error": error_text(largest_error(spec, list(answers.values()))),
        "label": "; ".join(labels),
    }


def estimand_title(spec: Spec, row: Row) -> str:
    """Return what a row answers: `Difference of medians (months) against re-SRS`."""
    title = ESTIMANDS[row["estimand"]].format(curve=event_words(spec.endpoint)[1], unit=spec.time_unit)
    contrast = f" against {treatment_text(row['reference'])}" if isinstance(row["reference"], str) else ""
    return title[0].upper() + title[1:] + contrast


def asked_text(spec: Spec, row: Row) -> str:
    """Return of whom and when a row speaks: `re-resection, at 12 months`."""
    name = treatment_text(row["treatment"])
    if pd.isna(row["time"]):
        return name
    return f"{name}, {'to' if row['estimand'].startswith('rmst') else 'at'} {time_text(spec, row['time'])}"


@dataclass(frozen=True)
class ForestSection:
    """Study arms: the plot for a wide and a narrow screen, and its numbers."""

    plots: list[figures.PageFigure]
    table: Table
    level: str


def forest_section(draw: figures.Drawing) -> ForestSection | None:
    """Return each arm's own posterior beside its printed number; None without an arm."""
    data = draw.data
    if data.arms.empty:
        return None
    rows = figures.forest_rows(data)
    numbers = rows.loc[rows["kind"] != "heading"]
    return ForestSection(
        plots=figures.forest_figures(draw, rows),
        table=make_table(numbers, FOREST_COLUMNS, caption=figures.forest_label(data)),
        level=data.spec.interval.words,
    )


@dataclass(frozen=True)
class PanelsSection:
    """Observed and predicted curves: a legend and a panel for each study arm, drawn to the `horizon` in words."""

    horizon: str
    legend: figures.PageFigure
    panels: list[figures.PageFigure]
    level: str


def panels_section(draw: figures.Drawing) -> PanelsSection | None:
    """Return a panel for each study arm; None without an arm."""
    data = draw.data
    if data.bands.empty:
        return None
    horizon = time_text(data.spec, data.spec.horizon)
    return PanelsSection(horizon, figures.panel_legend(draw), figures.panel_figures(draw), data.spec.interval.words)


def curves_section(draw: figures.Drawing) -> list[figures.PageFigure] | None:
    """Return curves of the treatments in a new study; None where no level is known."""
    curves = draw.data.curves
    return None if curves is None else figures.curve_figures(draw, curves, who="new study")


@dataclass(frozen=True)
class PatientSection:
    """One patient: who is asked about, the table, curves (none for one alive past the horizon), and notes."""

    sentence: str
    table: Table
    curves: list[figures.PageFigure]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class PatientQuestion:
    """How to ask about a patient, and why none was asked about."""

    why: str
    command: str


@dataclass(frozen=True)
class PatientContent:
    """A patient's answer, or else how to ask; neither where no level is known.

    `population` is the answer of a named case mix: who its patients are, and the table; None where none is named.
    """

    answer: PatientSection | None = None
    question: PatientQuestion | None = None
    population: PatientSection | None = None


def patient_section(draw: figures.Drawing) -> PatientContent:
    """Return the answer for one patient, or how to ask for it."""
    data, spec, patient = draw.data, draw.data.spec, draw.data.patient
    if not data.answers.levels:
        return PatientContent()
    population = _population_section(data)
    if patient is None:
        return PatientContent(question=_patient_question(spec), population=population)
    silent = [row["parameter"] for row in data.parameters if row["prior_only"]]
    curves = [] if patient.curves is None else figures.curve_figures(draw, patient.curves, who="the patient")
    whom, *notes = patient_sentences(spec, patient, prior_only=silent)
    # beside the patient what the studies say of all patients: a number that a coefficient alone moves is seen to move
    everyone = None if patient.alive_at else data.answers.tables["new-study"]
    answer = PatientSection(whom, asked_table(spec, patient.table, everyone), curves, notes)
    return PatientContent(answer, population=population)


def _population_section(data: ReportData) -> PatientSection | None:
    """Return the answer about patients of a named case mix together."""
    named = data.population
    return None if named is None else PatientSection(named.words, asked_table(data.spec, named.table), [])


def asked_table(spec: Spec, answers: pd.DataFrame, everyone: pd.DataFrame | None = None) -> Table:
    """Return every estimand of the report in a table of `predict` or `compare`, marks below numbers; beside each that
    of `everyone`, where it has the same.
    """
    columns = [
        Column("of whom, when", lambda row: asked_text(spec, row), "keep"),
        Column(
            f"median ({spec.interval.words})",
            lambda row: Cell(estimate_text(spec, row), "marked", str(row["label"] or "")),
            "num",
        ),
        Column("P(better)", lambda row: "" if row["reference"] is None else probability(row["prob_better"]), "num"),
    ]
    if everyone is not None:
        others = {_asked_key(row): row for row in everyone.to_dict("records")}

        def beside(row: Row) -> str:
            other = others.get(_asked_key(row))
            return MISSING if other is None else estimate_text(spec, other)

        columns.append(Column("all patients, a new study", beside, "num"))
    kept = answers[answers["estimand"].isin(list(ESTIMANDS))].to_dict("records")
    rows = [{**row, "group": estimand_title(spec, row)} for row in kept]
    rows = [{**row, "reference": row["reference"] if isinstance(row["reference"], str) else None} for row in rows]
    rows.sort(key=lambda row: list(ESTIMANDS).index(row["estimand"]))
    return make_table(rows, columns, group="group", caption=f"Posterior median with {spec.interval.words} interval")


def _asked_key(row: Row) -> tuple[str, ...]:
    """What makes two answers the same question: quantity, treatment, reference and time."""
    return tuple(
        "" if pd.isna(row[name]) else str(row[name]) for name in ("estimand", "treatment", "reference", "time")
    )


def _patient_question(spec: Spec) -> PatientQuestion:
    named = ",".join(f"{name}=..." for name in spec.covariates)
    words = ["bayes-bm predict", f"{spec.name}.nc", *([f"--patient {named}"] if named else [])]
    command = " ".join([*words, f"--times {','.join(f'{time:g}' for time in spec.answer_times)}", "--alive-at 3"])
    why = "No patient was asked about."
    if not spec.covariates:
        why = "This model has no covariates, so a patient's curve is that of a new study, above."
    return PatientQuestion(why, command)
