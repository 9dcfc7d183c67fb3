"""Sections on treatments: forest, curves, table of answers, one patient."""

from collections.abc import Mapping

import pandas as pd

from bayes_bm.report import figures
from bayes_bm.report.html import Column, Part, Row, el, html_table, mark, plain
from bayes_bm.report.material import ReportData
from bayes_bm.report.sections.answer import WHO, note
from bayes_bm.report.sentences import (
    event_words,
    of_row,
    patient_sentence,
    time_text,
)
from bayes_bm.report.text import (
    MISSING,
    probability,
    treatment_text,
)
from bayes_bm.spec.document import Spec

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


def answers_section(of: ReportData) -> list[Part]:
    columns = [plain("", "name", "keep")]
    for who, words in WHO.items():
        columns += [plain(f"{words} (95 %)", who, "num"), plain("P(better)", f"better {who}", "num", missing="")]
    measure = of.answers.measure
    marginal = "" if measure.longer else " The hazard ratio of a new study is marginal and carries its time."
    words = (
        f"Posterior median with 95 % interval. P(better) is {measure.better} or P(difference > 0). A new study is the"
        " average over the population of studies, and its interval the uncertainty of that average; one new hospital is"
        f" what a single place may see, hence wider.{marginal} Extrapolated: beyond the last time at which any row"
        " speaks about the treatment."
    )
    return [html_table(answer_rows(of), [*columns, mark()], group="group"), note(words)]


def answer_rows(of: ReportData) -> list[dict[str, str]]:
    """One row an estimand, time, treatment and reference, with the text of each `who` side by side."""
    cells: dict[tuple[str, str, str, float], dict[str, Row]] = {}
    for who, table in of.answers.tables.items():
        for row in table.loc[table["estimand"].isin(list(ESTIMANDS))].to_dict("records"):
            time = -1.0 if pd.isna(row["time"]) else float(row["time"])
            against = row["reference"] if isinstance(row["reference"], str) else ""
            cells.setdefault((row["estimand"], against, row["treatment"], time), {})[who] = row
    names = ["", *of.spec.treatments.names]
    places = [list(ESTIMANDS), names, names]

    def order(key: tuple[str, str, str, float]) -> tuple:
        estimand, against, name = (place.index(part) for place, part in zip(places, key[:3], strict=True))
        return estimand, against, key[3], name

    return [_answer_row(of.spec, cells[key]) for key in sorted(cells, key=order)]


def _answer_row(spec: Spec, found: Mapping[str, Row]) -> dict[str, str]:
    """The texts of one row; every `who` of `found` is asked the same."""
    first = next(iter(found.values()))
    contrast = isinstance(first["reference"], str)
    labels = dict.fromkeys(label for row in found.values() for label in str(row["label"] or "").split("; ") if label)
    better = {f"better {who}": probability(row["prob_better"]) for who, row in found.items()} if contrast else {}
    return {
        **dict.fromkeys(WHO, MISSING),
        **{f"better {who}": "" for who in WHO},
        **{who: of_row(spec, row) for who, row in found.items()},
        **better,
        "group": estimand_title(spec, first),
        "name": asked_text(spec, first),
        "label": "; ".join(labels),
    }


def estimand_title(spec: Spec, row: Row) -> str:
    """`Difference of medians (months) against re-SRS`."""
    title = ESTIMANDS[row["estimand"]].format(curve=event_words(spec.endpoint)[1], unit=spec.time_unit)
    against = f" against {treatment_text(row['reference'])}" if isinstance(row["reference"], str) else ""
    return title[0].upper() + title[1:] + against


def asked_text(spec: Spec, row: Row) -> str:
    """`re-resection, at 12 months`."""
    name = treatment_text(row["treatment"])
    if pd.isna(row["time"]):
        return name
    return f"{name}, {'to' if row['estimand'].startswith('rmst') else 'at'} {time_text(spec, row['time'])}"


def forest_section(draw: figures.Drawing) -> list[Part]:
    of = draw.of
    if of.arms.empty:
        return [el("p", "No study arm has absolute evidence: only hazard ratios inform this model.")]
    words = (
        "Each arm's own posterior (filled marker, larger with more patients; line: 95 % interval), given what it"
        " printed and what the other studies say. Hollow diamond: the printed number with its printed interval, or the"
        " observed one where patients are known; some arms have none. Below, bold: average study; dotted: one new"
        " hospital. An arrow: beyond the axis."
    )
    rows = figures.forest_rows(of)
    columns = [
        plain("", "label", "words"),
        plain("patients", "text_n", "num", missing=""),
        plain("model (95 %)", "text_model", "num"),
        plain("printed or observed", "text_printed", "num"),
    ]
    table = html_table(rows.loc[rows["kind"] != "heading"], columns, caption=figures.forest_label(of))
    return [el("p", words), *figures.forest_figures(draw, rows), el("details", el("summary", "The numbers"), table)]


def panels_section(draw: figures.Drawing) -> list[Part]:
    of = draw.of
    if of.bands.empty:
        return [el("p", "No study arm has absolute evidence.")]
    words = (
        "What each arm printed, or the Kaplan-Meier curve of its patients, against what the fitted model predicts such"
        " an arm would print again, its size and censoring included; a number outside the 95 % band is a misfit."
        f" Hatched and dashed: beyond the treatment's follow-up. Time runs to {time_text(of.spec, of.spec.horizon)},"
        " and further where a number is printed later."
    )
    return [el("p", words), figures.panel_legend(draw), el("div", *figures.panel_figures(draw), cls="grid")]


def treatments_section(draw: figures.Drawing) -> list[Part]:
    if draw.of.curves is None:
        return [
            el("p", "Curves need a level: study levels are free here and no baseline is given (docs/decisions.md, 11).")
        ]
    words = (
        "Averaged over the population of studies (a new study); the difference also with the wider interval of one new"
        " hospital. The numbers are in the table of answers."
    )
    return [el("p", words), el("div", *figures.curve_figures(draw, draw.of.curves, who="new study"), cls="grid two")]


def patient_section(draw: figures.Drawing) -> list[Part]:
    of, patient = draw.of, draw.of.patient
    if not of.answers.levels:
        return [el("p", "A patient's survival needs a level: study levels are free here and no baseline is given.")]
    if patient is None:
        return _how_to_ask(of.spec)
    silent = [row["parameter"] for row in of.parameters if row["prior_only"]]
    columns = [
        Column("", lambda row: asked_text(of.spec, row), "keep"),
        Column("median (90 %)", lambda row: of_row(of.spec, row, ends=("q5", "q95")), "num"),
        Column("P(better)", lambda row: "" if row["reference"] is None else probability(row["prob_better"]), "num"),
        mark(),
    ]
    rows = [{**row, "group": estimand_title(of.spec, row)} for row in patient.table.to_dict("records")]
    rows = [{**row, "reference": row["reference"] if isinstance(row["reference"], str) else None} for row in rows]
    rows.sort(key=lambda row: list(ESTIMANDS).index(row["estimand"]))
    drawn = [] if patient.curves is None else figures.curve_figures(draw, patient.curves, who="the patient")
    return [
        el("p", patient_sentence(of.spec, patient, prior_only=silent)),
        html_table(rows, columns, group="group", caption="Posterior median with 90 % interval"),
        el("div", *drawn, cls="grid two") if drawn else None,
    ]


def _how_to_ask(spec: Spec) -> list[Part]:
    named = ",".join(f"{name}=..." for name in spec.covariates)
    words = ["bayes-bm predict", f"{spec.name}.nc", *([f"--patient {named}"] if named else [])]
    command = " ".join([*words, f"--times {','.join(f'{time:g}' for time in spec.answer_times)}", "--alive-at 3"])
    why = "No patient was asked about."
    if not spec.covariates:
        why = "This model has no covariates, so a patient's curve is that of a new study, above."
    return [el("p", f"{why} One is asked about with ", el("code", command), ".")]
