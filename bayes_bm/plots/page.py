"""The report as one HTML page: sections of words, tables and figures, in the order a critic asks for them."""

import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes_bm.checks.audit import NO_SIDE_BY_SIDE
from bayes_bm.gate import MAX_DIVERGENT, MAX_RHAT, MIN_BFMI, MIN_ESS
from bayes_bm.plots import figures
from bayes_bm.plots.leave_one_out import leave_one_out_figure
from bayes_bm.plots.markup import Column, Html, Part, Row, el, frame_table, html_table, mark, numeric, plain, treatment
from bayes_bm.plots.material import Material, Rebuilt
from bayes_bm.plots.style import svg
from bayes_bm.plots.text import (
    DIGITS,
    MISSING,
    counted,
    estimate,
    number,
    printed_interval,
    probability,
    treatment_text,
)
from bayes_bm.plots.words import (
    FAILED,
    TWICE,
    event_words,
    fit_command,
    leave_one_out_table,
    limits,
    mostly_across,
    of_row,
    patient_sentence,
    probability_clause,
    reconstruction_sentence,
    sentences,
    source_text,
    time_text,
    verdict,
)
from bayes_bm.priors import describe
from bayes_bm.spec import ExternalCheck, Spec

if TYPE_CHECKING:
    from bayes_bm.checks.battery import Battery
    from bayes_bm.ranking import Ranking

WHO = {"average-study": "average study", "new-study": "new study", "new-hospital": "one new hospital"}
ELSEWHERE = {
    "sensitivity": (
        "Families and named analyses side by side (in the folder of the result, then make the report again)",
        "bayes-bm sensitivity {name} --out sensitivity",
    ),
    "leave_one_study_out": ("Leave one study out", "bayes-bm check {name}.nc --leave-one-out study"),
}


def render(of: Material) -> str:
    """The whole page. The same material gives the same bytes."""
    draw = figures.Drawing(of)
    sections = {
        "Answer": _answer(of),
        "Within studies, across studies, combined": _contrasts(draw),
        "Network of treatments": _network(draw),
        **({} if of.ranking is None else {"Ranks": _ranks(draw, of.ranking)}),
        "Table of answers": _answers(of),
        "Study arms": _forest(draw),
        "Observed and predicted, arm by arm": _panels(draw),
        "Curves of the treatments": _treatments(draw),
        "One patient": _one_patient(draw),
        "Audit of the evidence": _audit(of),
        "Reconciliation: printed, reconstructed, predicted": _reconciliation(of),
        **({} if of.battery is None else {"Misfits: arms, printed numbers, studies": _misfits(of, of.battery)}),
        **({} if of.answers.rebuilt is None else {"Patients rebuilt from curves": _rebuilt(of, of.answers.rebuilt)}),
        "Diagnostics and priors": _diagnostics(draw),
        "What this cannot say": _limits(of),
        "Provenance": _provenance(of),
    }
    bodies = [
        el("section", el("h2", title, _tags(of)), body, id=f"section-{at}")
        for at, (title, body) in enumerate(sections.items(), start=1)
    ]
    links = (el("li", el("a", title, href=f"#section-{at}")) for at, title in enumerate(sections, start=1))
    contents = el("nav", el("ol", *links), **{"aria-label": "Contents"})
    style = resources.files("bayes_bm").joinpath("report.css").read_text(encoding="utf-8")
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head = el("head", Html(meta), el("title", of.spec.question), el("style", Html(style)))
    body = el("body", el("main", _header(of), _banners(of), contents, *bodies))
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def _header(of: Material) -> list[Part]:
    spec = of.spec
    words = [
        spec.name,
        event_words(spec.endpoint)[1],
        f"{', '.join(treatment_text(name) for name in of.compared)} against {of.reference}",
        f"time in {spec.time_unit}",
        f"{spec.hazard.family}{', accelerated time' if of.answers.measure.longer else ' hazards'}",
        f"fitted {of.result.provenance.get('made', 'at an unknown time')}",
    ]
    return [el("h1", spec.question), el("p", " · ".join(words), cls="meta")]


def _banners(of: Material) -> list[Html]:
    banners = []
    if of.answers.refused:
        reasons = (el("p", reason) for reason in of.answers.refused)
        banners.append(el("div", el("p", FAILED), *reasons, cls="banner", role="alert"))
    if of.spec.reproduction:
        text = f"{TWICE} The evidence is the printed summary of one analysis; nothing is added to it."
        banners.append(el("div", el("p", text), cls="banner twice", role="note"))
    return banners


def _tags(of: Material) -> list[Html]:
    tags = [el("span", "gate failed", cls="tag")] if of.answers.refused else []
    return [*tags, *([el("span", "reproduction", cls="tag twice")] if of.spec.reproduction else [])]


def note(*parts: Part) -> Html:
    return el("p", *parts, cls="note")


def _answer(of: Material) -> list[Part]:
    return [
        el("div", *(el("p", sentence) for sentence in sentences(of.answers)), cls="answer"),
        _short_answers(of) if len(of.compared) > 1 else None,
        external_table(of) if of.spec.external_checks else None,
    ]


def _short_answers(of: Material) -> Html:
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


def external_table(of: Material) -> list[Part]:
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


def external_row(of: Material, check: ExternalCheck) -> dict[str, str]:
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


def _ours(of: Material, check: ExternalCheck) -> tuple[dict[Any, Any] | None, str]:
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


SOURCES = {
    "within": "within studies",
    "across": "across studies",
    "combined": "combined (the answer)",
    "discrepancy": "ratio within / across",
}


BEST = "Within and across are fitted to the best reconstruction of the patients; combined holds all its imputations."


def _contrasts(draw: figures.Drawing) -> list[Part]:
    of = draw.of
    if of.answers.contrasts is None:
        words = (
            "Not worked out: those fits were not made, or no one number can hold the contrast of this model (see"
            " bb.contrast_sources). The table of answers holds ratios at each time."
        )
        return [el("p", words), note(*reference_remark(of.spec))]
    rows = [
        {
            **row,
            "group": f"{treatment_text(name)} v {of.reference}",
            "note": str(row["note"]).replace(NO_SIDE_BY_SIDE, ""),
        }
        for name in of.compared
        for row in figures.contrast_records(of, name)
    ]
    others = _other_pairs(of)
    columns = [
        Column("source", lambda row: SOURCES.get(row["source"], row["source"]), "keep"),
        numeric("studies", "studies", 0),
        Column(f"{of.answers.contrasted.name} (95 %)", source_text, "num"),
        Column(of.answers.measure.better, lambda row: probability(row["prob_better"]), "num"),
        numeric("mean log", "mean", 2),
        numeric("sd", "sd", 2),
        plain("remark", "note", "words", missing=""),
    ]
    explain = (
        "Within: only studies that hold both treatments, each with its own level and shape. Across: every arm taken as"
        " a study by itself. Combined: the model of this report. The last row of a block compares the first two: 1 is"
        " agreement."
    )
    return [
        el("p", explain),
        html_table(rows, columns, group="group"),
        figures.contrast_figure(draw),
        html_table(others, columns, group="group", caption="Contrasts without the reference") if others else None,
        note(*reference_remark(of.spec)),
        note(BEST) if of.result.imputations is not None else None,
    ]


def _other_pairs(of: Material) -> list[dict[Any, Any]]:
    """Rows of the contrast table of pairs without the reference, of which some study speaks side by side."""
    names, rows = of.compared, []
    for at, reference in enumerate(names):
        for name in names[at + 1 :]:
            found = figures.contrast_records(of, name, reference)
            group = f"{treatment_text(name)} v {treatment_text(reference)}"
            if any(row["source"] == "within" and row["studies"] for row in found):
                rows += [{**row, "group": group} for row in found]
    return rows


def _network(draw: figures.Drawing) -> list[Part]:
    of = draw.of
    parts = [", ".join(treatment_text(name) for name in part) for part in of.network.parts]
    if len(parts) == 1:
        words = "Studies that hold two treatments or more join all of them."
    else:
        rests = "are refused" if of.spec.free_levels else "rest on exchangeable study levels (rule 11)"
        words = f"The network is not connected: {'; '.join(parts)}. Comparisons between its parts {rests}."
    several = [
        {"study": row["study"], "treatments": ", ".join(treatment_text(name) for name in row["treatments"])}
        for row in of.network.several.to_dict("records")
    ]
    columns = [plain("study", "study", "words"), plain("treatments", "treatments", "words")]
    return [
        el("p", words),
        figures.network_picture(draw),
        html_table(several, columns, caption="Studies with three treatments or more") if several else None,
        _how_to_split(of),
    ]


def _how_to_split(of: Material) -> Html | None:
    """Where a loop could disagree with itself, how to ask whether it does."""
    edges = of.network.edges
    if len(edges) < 3:
        return None
    command = f"bayes-bm split {of.spec.name} --out splits"
    return el("p", "Whether direct and indirect evidence agree is seen with ", el("code", command), ".")


def _ranks(draw: figures.Drawing, ranking: "Ranking") -> list[Part]:
    columns = [
        treatment(),
        Column(f"log {draw.of.answers.measure.words} against {draw.of.reference} (95 %)", _ranked_estimate, "num"),
        Column("median rank (90 %)", _rank_text, "num"),
        Column("P(rank 1)", lambda row: probability(row["first"]), "num"),
        Column("P(last)", lambda row: probability(row["last"]), "num"),
        numeric("SUCRA", "sucra", 2),
        mark(),
    ]
    chances = ranking.probabilities.set_index(["treatment", "rank"])["probability"].to_dict()
    count = len(ranking.table)
    rows = [
        {**row, "first": chances[row["treatment"], 1], "last": chances[row["treatment"], count]}
        for row in ranking.table.to_dict("records")
    ]
    words = (
        f"By the {draw.of.answers.measure.words} in the average study; rank 1 is the {ranking.first}. {ranking.warning}"
    )
    return [el("p", words), html_table(rows, columns), figures.ranks_picture(draw, ranking)]


def _ranked_estimate(row: Row) -> str:
    return estimate([row["median"], row["q2_5"], row["q97_5"]], digits=2)


def _rank_text(row: Row) -> str:
    """A rank may be a half: the median of an even number of draws."""
    return f"{row['median_rank']:g} ({row['rank_q5']:g} to {row['rank_q95']:g})"


def reference_remark(spec: Spec) -> list[Part]:
    """Rule 10: another reference is another model."""
    if spec.effects.study_treatment is None:
        return ["No study-by-treatment effect is in this model, so the choice of reference changes no answer."]
    text = (
        f"The study-by-treatment effect is zero for the reference ({treatment_text(spec.treatments.reference)}) in"
        " every study, so another reference would be another model, not another view of this one (rule 10)."
    )
    if "reference_swapped" not in spec.sensitivity:
        return [text]
    return [text, " What it changes is seen with ", el("code", fit_command(spec, "reference_swapped")), "."]


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


def _answers(of: Material) -> list[Part]:
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


def answer_rows(of: Material) -> list[dict[str, str]]:
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


def _forest(draw: figures.Drawing) -> list[Part]:
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


def _panels(draw: figures.Drawing) -> list[Part]:
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


def _treatments(draw: figures.Drawing) -> list[Part]:
    if draw.of.curves is None:
        return [el("p", "Curves need a level: study levels are free here and no baseline is given (rule 11).")]
    words = (
        "Averaged over the population of studies (a new study); the difference also with the wider interval of one new"
        " hospital. The numbers are in the table of answers."
    )
    return [el("p", words), el("div", *figures.curve_figures(draw, draw.of.curves, who="new study"), cls="grid two")]


def _one_patient(draw: figures.Drawing) -> list[Part]:
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


def _audit(of: Material) -> list[Part]:
    audit, unit = of.answers.audit, of.spec.time_unit
    treatments = [
        treatment(),
        numeric("studies", "studies", 0),
        numeric("arms", "arms", 0),
        numeric("effective patients", "size", 0),
        numeric(f"follow-up ({unit})", "until", DIGITS[unit]),
    ]
    sides = [
        treatment(),
        treatment("against", "reference"),
        numeric("studies", "studies", 0),
        plain("side by side in", "side_by_side", "words"),
    ]
    rows = [
        plain("kind", "kind", "keep"),
        plain("study", "study", "words"),
        plain("arm", "arm", "words"),
        treatment(),
        numeric("effective size", "size", 0),
        numeric(f"speaks until ({unit})", "until", DIGITS[unit]),
        plain("informs", "informs", "words"),
    ]
    aside = [
        plain("kind", "kind", "keep"),
        plain("study", "study", "words"),
        plain("arm", "arm", "words"),
        plain("reason", "reason", "words"),
    ]
    used = "Rows in use and what each informs; effective size in patients, of a hazard ratio in events"
    return [
        el("ul", *(el("li", text) for text in audit.notes)) if audit.notes else None,
        html_table(audit.treatments, treatments, caption="Treatments"),
        html_table(audit.contrasts, sides, caption="Held side by side within a study"),
        html_table(audit.rows, rows, caption=used),
        html_table(audit.set_aside, aside, caption="Set aside, and why")
        if len(audit.set_aside)
        else el("p", "Nothing was set aside."),
    ]


STATUS = {"green": "agrees", "amber": "strained", "red": "contradicts"}


def _reconciliation(of: Material) -> list[Part]:
    table = of.reconciliation
    counts = table["status"].value_counts().to_dict()
    summary = ", ".join(f"{counts[name]} {words}" for name, words in STATUS.items() if name in counts) or "no rows"
    explain = (
        f"Every printed number beside what was rebuilt from it and what the model predicts: {summary}. The interval and"
        " the two-sided posterior predictive p are of the number as it would be printed, sampling error included:"
        " strained below 0.05, contradicts below 0.001. With many rows a few are strained by chance."
    )
    columns = [
        Column("", lambda row: el("span", STATUS.get(row["status"], row["status"]), cls=f"status {row['status']}")),
        plain("study", "study", "words"),
        plain("arm", "arm", "words"),
        plain("quantity", "quantity", "keep"),
        Column("printed", lambda row: reconciled(of.spec, row, "printed"), "num"),
        Column("reconstructed", lambda row: number(row["reconstructed"], reconciled_digits(of.spec, row)), "num"),
        Column("predicted (95 %)", lambda row: reconciled(of.spec, row, "predicted"), "num"),
        Column("p", lambda row: probability(row["p"]), "num"),
    ]
    red = "red" in counts
    return [
        el("p", explain),
        el("p", el("strong", "Printed numbers contradict the model: see the rows marked so.")) if red else None,
        html_table(table, columns, row_class=lambda row: row["status"] if row["status"] != "green" else None),
    ]


def _misfits(of: Material, found: "Battery") -> list[Part]:
    """The battery: what is flagged in words, every question with its worst case, studies against the others, PITs."""
    flagged = len(found.flagged)
    explain = (
        f"{len(found.flags)} questions, each asked of all arms, rows or studies. Within a question the worst is"
        " corrected for how often it was asked; over questions Holm's thresholds keep the chance of any flag at 10 %"
        f" where the model is right. {flagged or 'None'} {'is' if flagged < 2 else 'are'} flagged."
    )
    questions = [
        Column("", lambda row: el("strong", "flagged") if row["flagged"] else "", "keep"),
        plain("question", "question", "words"),
        plain("worst case", "worst", "words"),
        Column("asked", lambda row: str(row["asked"]), "num"),
        Column("p of the question", lambda row: number(row["p_question"], 4), "num"),
        Column("flagged below", lambda row: number(row["threshold"], 4), "num"),
    ]
    studies = [
        plain("question", "question", "words"),
        Column(
            "of", lambda row: row["study"] or (treatment_text(row["treatment"]) if row["treatment"] else "all"), "words"
        ),
        Column("found", lambda row: number(row["found"], 2), "num"),
        Column("expected sd", lambda row: number(row["expected_sd"], 2), "num"),
        Column("p", lambda row: probability(row["p"]), "num"),
    ]
    pits = [
        plain("PIT of", "group", "words"),
        plain("", "name", "words"),
        Column("patients", lambda row: str(row["patients"]), "num"),
        Column("mean", lambda row: number(row["mean"], 2), "num"),
        Column("p, uniform", lambda row: probability(row["p"]), "num"),
    ]
    told = (
        "How far each study is from what all others predict for it, on the log scale; of heterogeneity how many times"
        " what the priors expect; of time units the log of a study's last time over the others'."
    )
    return [
        el("p", explain),
        el("ul", *(el("li", text) for text in found.sentences())),
        html_table(found.flags, questions),
        el("p", found.not_seen),
        el("h3", "Studies against each other") if len(found.studies) else None,
        el("p", told) if len(found.studies) else None,
        html_table(found.studies, studies) if len(found.studies) else None,
        el("h3", "Patients: probability integral transforms, censored ones randomised") if len(found.pit) else None,
        html_table(found.pit, pits) if len(found.pit) else None,
    ]


def reconciled_digits(spec: Spec, row: Row) -> int:
    """Decimals of a reconciled number: medians as times, counts of events with one, proportions and ratios with two."""
    if row["kind"] in ("counts", "registry"):
        return 1
    return DIGITS[spec.time_unit] if str(row["quantity"]).startswith("median") and row["kind"] != "points" else 2


def reconciled(spec: Spec, row: Row, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return printed_interval(row[name], low, high, digits=reconciled_digits(spec, row), cap=10 * spec.horizon)


def _rebuilt(of: Material, rebuilt: Rebuilt) -> list[Part]:
    """What the reconstruction of patients adds to the variance of every answer (rule 19)."""
    said = el("p", reconstruction_sentence(rebuilt, of.spec))
    if rebuilt.m == 1:
        return [said]
    words = (
        f"The variance within, W, is the mean over {rebuilt.m} fits, each to one plausible set of patients; that"
        f" between, B, is that of their means; in all T = W + (1 + 1/{rebuilt.m}) B. Wider by: sqrt(T / W) - 1."
        " Patients are drawn from the curves alone, never from the model. Average study; ratios on the log scale."
    )
    columns = [
        plain("", "name", "keep"),
        numeric("mean", "mean", 2),
        _small("sd within, √W", lambda row: row["within"] ** 0.5),
        _small("sd between, √B", lambda row: row["between"] ** 0.5),
        _percent("share of B in T", "share"),
        _small("Monte Carlo error of the mean", lambda row: row["mcse"]),
        numeric("95 % width, one fit", "width_within", 2),
        numeric("all fits", "width", 2),
        _percent("wider by", "wider"),
    ]
    rows = [{**row, **_quantity(of.spec, row)} for row in rebuilt.variance.to_dict("records")]
    rows.sort(key=lambda row: row["place"])
    return [said, el("p", words), html_table(rows, columns, group="group")]


def _small(head: str, value: Callable[[Row], float]) -> Column:
    """A number that may be far below 1, with two significant figures."""
    return Column(head, lambda row: f"{value(row):.2g}", "num")


def _percent(head: str, key: str) -> Column:
    return Column(head, lambda row: f"{100 * row[key]:.1f} %", "num")


def _quantity(spec: Spec, row: Row) -> dict[str, Any]:
    """Name, group and place of a row of the variance table: the ratios first, the parameters last."""
    if not isinstance(row["treatment"], str):
        return {"group": "Parameters", "name": row["quantity"], "place": len(ESTIMANDS)}
    logged = row["quantity"] == "log_hazard_ratio"
    asked = {**row, "estimand": "hazard_ratio" if logged else row["quantity"]}
    title = estimand_title(spec, asked)
    group = f"Log {title[0].lower()}{title[1:]}" if logged else title
    return {"group": group, "name": asked_text(spec, asked), "place": list(ESTIMANDS).index(asked["estimand"])}


def _diagnostics(draw: figures.Drawing) -> list[Part]:
    of, gate = draw.of, draw.of.result.gate
    first = "; ".join(gate.first_try)
    again = f" A first try failed ({first}) and was repeated once at a higher target acceptance." if first else ""
    words = (
        f"The convergence gate {gate.state}: {counted(gate.divergences, 'divergence')} in {gate.draws} draws (allowed"
        f" {MAX_DIVERGENT:.1%}), smallest E-BFMI {gate.min_bfmi:.2f} (above {MIN_BFMI}), target acceptance"
        f" {gate.target_accept:g}.{again}{_of_imputations(of)}"
    )
    columns = [
        plain("parameter", "parameter", "keep"),
        numeric(f"R-hat (below {MAX_RHAT})", "rhat", 3),
        numeric(f"bulk ESS (at least {MIN_ESS})", "ess_bulk", 0),
        numeric(f"tail ESS (at least {MIN_ESS})", "ess_tail", 0),
    ]
    return [
        el("p", words),
        el("ul", *(el("li", reason) for reason in gate.reasons)) if gate.reasons else None,
        html_table(gate.rows, columns, caption="Rank R-hat and effective sample sizes"),
        el("p", f"Rank plots{_whose_ranks(of)}: chains that mix stay near the grey band."),
        el("div", *figures.rank_figures(draw), cls="grid"),
        el("h3", "Heterogeneity between studies"),
        heterogeneity(of),
        el("h3", "Priors, and what the evidence did to them"),
        _priors(of),
        el("div", *figures.density_figures(draw), cls="grid"),
    ]


def _of_imputations(of: Material) -> str:
    """Whose numbers stand in the gate: every imputation was judged by itself."""
    known = of.result.imputations
    return "" if known is None else f" Of each number the worst of {known.m} imputations, each judged by itself."


def _whose_ranks(of: Material) -> str:
    known = of.result.imputations
    return "" if known is None else f" of imputation {known.worst}, whose chains agree least"


HETEROGENEITY = {
    "study_sd": "{of} of two studies under one treatment",
    "study_treatment_sd": "{ratio}s of two studies",
    "study_shape_sd": "shapes of two studies",
}
# two normal effects differ by 0.954 sd in the median; its exp is the median hazard ratio (Larsen and Merlo 2005)
MEDIAN_RATIO = float(np.sqrt(2) * stats.norm.ppf(0.75))


def heterogeneity(of: Material) -> Html:
    """Standard deviations between studies, and what they mean as ratios."""
    rows = [row for row in of.parameters if row["parameter"] in HETEROGENEITY]
    if not rows:
        return el("p", "No effect that varies between studies is in this model.")

    measure = of.answers.measure
    names = {"of": "times" if measure.longer else "hazards", "ratio": measure.words}

    def shown(row: Row, scale: float) -> str:
        ends = [row["median"], row["q2_5"], row["q97_5"]]
        return estimate([float(np.exp(scale * end)) if scale else end for end in ends], digits=2)

    columns = [
        plain("parameter", "parameter", "keep"),
        Column("sd on the log scale (95 %)", lambda row: shown(row, 0.0), "num"),
        Column("what typically differs", lambda row: HETEROGENEITY[row["parameter"]].format(**names), "words"),
        Column("by a factor of (95 %)", lambda row: shown(row, MEDIAN_RATIO), "num"),
    ]
    return html_table(rows, columns)


def _priors(of: Material) -> list[Part]:
    columns = [
        plain("parameter", "parameter", "keep"),
        Column("prior", lambda row: describe(row["prior"])),
        Column("posterior (95 %)", lambda row: estimate([row["median"], row["q2_5"], row["q97_5"]], digits=2), "num"),
        Column("sd, posterior / prior", lambda row: number(row["sd"] / row["prior_sd"], 2), "num"),
        Column("informed by", lambda row: "prior only" if row["prior_only"] else "evidence and prior", "keep"),
        Column("power scaling, prior / evidence", _power, "num"),
        Column("why this prior", lambda row: row["prior"].why, "words"),
    ]
    words = (
        "Prior only: the posterior sd is at least 0.9 of the prior's, so the evidence said next to nothing (rule 17)."
    )
    scaled = (
        "Power scaling: how far the parameter moves per doubling of the prior, or of the evidence, as a cumulative"
        " Jensen-Shannon distance; above 0.05 it matters. A prior above and evidence below: the prior decides."
    )
    return [html_table(of.parameters, columns), note(words), note(scaled)]


def _power(row: Mapping[Any, Any]) -> str:
    """Sensitivities to prior and evidence; blank where the likelihood is not kept."""
    pair = [row.get(f"{name}_sensitivity") for name in ("prior", "likelihood")]
    return "" if None in pair else " / ".join(number(value, 2) for value in pair)


def _limits(of: Material) -> list[Part]:
    spec = of.spec
    named = [
        el("li", el("strong", name), f" changes {', '.join(patch)}: ", el("code", fit_command(spec, name)))
        for name, patch in spec.sensitivity.items()
    ]
    known = {name: title for name, (title, _) in ELSEWHERE.items()}
    made = [(known.get(name, name.replace("_", " ")), _made(name, table)) for name, table in of.elsewhere.items()]
    missing = [
        el("li", f"{title}: ", el("code", command.format(name=spec.name)))
        for name, (title, command) in ELSEWHERE.items()
        if name not in of.elsewhere
    ]
    return [
        el("ul", *(el("li", text) for text in limits(spec))),
        el("h3", "Sensitivity analyses"),
        el("p", "Named in the spec, each made with its command:") if named else el("p", "None is named in the spec."),
        el("ul", *named) if named else None,
        *((el("h3", title), table) for title, table in made),
        el("p", "Not in this report; made with:") if missing else None,
        el("ul", *missing) if missing else None,
    ]


def _made(name: str, table: pd.DataFrame) -> Html:
    """A table made by another command; studies left out have a picture too."""
    if name != "leave_one_study_out":
        return frame_table(table)
    drawn = leave_one_out_figure(table)
    words = (
        "The same ratio without each study in turn, largest change first. Shift: change of its log, in posterior"
        " standard deviations. Log score: of all that the study printed, foretold by the others, its own effects"
        " averaged over the population of studies."
    )
    shown = leave_one_out_table(table)
    return el("div", el("p", words), el("figure", Html(svg(drawn, title="Leave one study out"))), frame_table(shown))


def _provenance(of: Material) -> list[Part]:
    known, spec = of.result.provenance, of.spec
    named = ("seed", "draws", "tune", "chains", "imputations")
    flags = "".join(f" --{name} {known[name]}" for name in named if name in known)
    again = f"{fit_command(spec)}{flags}\nbayes-bm report {spec.name}.nc --out report.html"
    items = {name.replace("_", " "): _shown(value) for name, value in known.items() if not isinstance(value, Mapping)}
    items["versions"] = ", ".join(f"{name} {version}" for name, version in known.get("versions", {}).items())
    files = [{"file": name, "digest": digest} for name, digest in known.get("files", {}).items()]
    columns = [plain("file", "file", "words"), Column("sha256", lambda row: el("code", row["digest"]))]
    document = json.dumps(spec.document(), indent=2, ensure_ascii=False)
    return [
        el("dl", *((el("dt", name), el("dd", value)) for name, value in items.items() if value)),
        html_table(files, columns, caption="Evidence files") if files else None,
        el("p", "Made again with"),
        el("pre", el("code", again)),
        el("details", el("summary", "The whole spec, as it was fitted"), el("pre", el("code", document))),
    ]


def _shown(value: Any) -> str:
    return "; ".join(str(item) for item in value) if isinstance(value, list) else str(value)
