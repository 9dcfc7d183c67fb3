"""Sections on contrasts: within and across studies, the network, ranks."""

from typing import TYPE_CHECKING, Any

from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE
from bayes_bm.report import figures
from bayes_bm.report.html import Column, Html, Part, Row, el, html_table, mark, numeric, plain, treatment
from bayes_bm.report.material import ReportData
from bayes_bm.report.sections.answer import note, reference_remark
from bayes_bm.report.sentences import (
    source_text,
)
from bayes_bm.report.text import (
    estimate,
    probability,
    treatment_text,
)

if TYPE_CHECKING:
    from bayes_bm.estimands.ranking import Ranking


SOURCES = {
    "within": "within studies",
    "across": "across studies",
    "combined": "combined (the answer)",
    "discrepancy": "ratio within / across",
}


BEST = "Within and across are fitted to the best reconstruction of the patients; combined holds all its imputations."


def contrasts_section(draw: figures.Drawing) -> list[Part]:
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


def _other_pairs(of: ReportData) -> list[dict[Any, Any]]:
    """Rows of the contrast table of pairs without the reference, of which some study speaks side by side."""
    names, rows = of.compared, []
    for at, reference in enumerate(names):
        for name in names[at + 1 :]:
            found = figures.contrast_records(of, name, reference)
            group = f"{treatment_text(name)} v {treatment_text(reference)}"
            if any(row["source"] == "within" and row["studies"] for row in found):
                rows += [{**row, "group": group} for row in found]
    return rows


def network_section(draw: figures.Drawing) -> list[Part]:
    of = draw.of
    parts = [", ".join(treatment_text(name) for name in part) for part in of.network.parts]
    if len(parts) == 1:
        words = "Studies that hold two treatments or more join all of them."
    else:
        rests = "are refused" if of.spec.free_levels else "rest on exchangeable study levels (docs/decisions.md, 11)"
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


def _how_to_split(of: ReportData) -> Html | None:
    """Where a loop could disagree with itself, how to ask whether it does."""
    edges = of.network.edges
    if len(edges) < 3:
        return None
    command = f"bayes-bm split {of.spec.name} --out splits"
    return el("p", "Whether direct and indirect evidence agree is seen with ", el("code", command), ".")


def ranks_section(draw: figures.Drawing, ranking: "Ranking") -> list[Part]:
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
