"""Sections on contrasts: within and across studies, the network, ranks."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE
from bayes_bm.report import figures
from bayes_bm.report.material import Answers, ReportData
from bayes_bm.report.sentences import source_text
from bayes_bm.report.tables import Column, Row, Table, make_table, mark, numeric, plain, treatment
from bayes_bm.report.text import estimate, probability, treatment_text
from bayes_bm.spec.level import Level

if TYPE_CHECKING:
    from bayes_bm.estimands.ranking import Ranking


SOURCES = {
    "within": "within studies",
    "across": "across studies",
    "across, not adjusted": "across studies, not adjusted for case mix",
    "combined": "combined (the answer)",
    "discrepancy": "ratio within / across",
}
SEVERAL_COLUMNS = (plain("study", "study", "words"), plain("treatments", "treatments", "words"))
LOOP_EDGES = 3
"""Pairs of treatments that a loop needs, and only a loop can disagree with itself."""


@dataclass(frozen=True)
class ContrastsSection:
    """Where each contrast comes from: table and figure, None where those fits were not made.

    others   pairs without the reference; None where no study holds such a pair
    imputed  whether the combined answer holds several imputations
    """

    table: Table | None
    figure: figures.PageFigure | None
    others: Table | None
    imputed: bool


def contrasts_section(draw: figures.Drawing) -> ContrastsSection:
    """Return what is compared within studies, across studies and in all."""
    data = draw.data
    imputed = data.result.imputations is not None
    if data.answers.contrasts is None:
        return ContrastsSection(None, None, None, imputed)
    columns, others = _contrast_columns(data.answers), _other_pairs(data)
    caption = "Contrasts without the reference"
    return ContrastsSection(
        table=make_table(_reference_pairs(data), columns, group="group"),
        figure=figures.contrast_figure(draw),
        others=make_table(others, columns, group="group", caption=caption) if others else None,
        imputed=imputed,
    )


def _contrast_columns(answers: Answers) -> list[Column]:
    return [
        Column("source", lambda row: SOURCES.get(str(row["source"]), str(row["source"])), "keep"),
        numeric("studies", "studies", 0),
        Column(f"{answers.contrasted.name} ({answers.spec.interval.words})", source_text, "num"),
        Column(answers.measure.better, lambda row: probability(row["prob_better"]), "num"),
        numeric("mean log", "mean", 2),
        numeric("sd", "sd", 2),
        plain("remark", "note", "words", missing=""),
    ]


def _reference_pairs(data: ReportData) -> list[dict[Any, Any]]:
    """Rows of the contrast table of every treatment against the reference."""
    return [
        {
            **row,
            "group": f"{treatment_text(name)} v {data.reference}",
            "note": str(row["note"]).replace(NO_SIDE_BY_SIDE, ""),
        }
        for name in data.compared
        for row in figures.contrast_records(data, name)
    ]


def _other_pairs(data: ReportData) -> list[dict[Any, Any]]:
    """Rows of the contrast table of pairs without the reference, of which some study speaks side by side."""
    names, rows = data.compared, []
    for index, reference in enumerate(names):
        for name in names[index + 1 :]:
            pair = figures.contrast_records(data, name, reference)
            group = f"{treatment_text(name)} v {treatment_text(reference)}"
            if any(row["source"] == "within" and row["studies"] for row in pair):
                rows += [{**row, "group": group} for row in pair]
    return rows


@dataclass(frozen=True)
class NetworkSection:
    """The network: its parts (treatments as words), what comparisons between parts are, picture and table.

    several        studies with three treatments or more; None where there is none
    split_command  how to ask whether direct and indirect evidence agree; empty where no loop could disagree
    """

    parts: list[str]
    free_levels: bool
    picture: figures.PageFigure
    several: Table | None
    split_command: str


def network_section(draw: figures.Drawing) -> NetworkSection:
    """Return who was compared with whom."""
    data = draw.data
    several = [
        {"study": row["study"], "treatments": ", ".join(treatment_text(name) for name in row["treatments"])}
        for row in data.network.several.to_dict("records")
    ]
    caption = "Studies with three treatments or more"
    return NetworkSection(
        parts=[", ".join(treatment_text(name) for name in part) for part in data.network.parts],
        free_levels=data.spec.free_levels,
        picture=figures.network_picture(draw),
        several=make_table(several, SEVERAL_COLUMNS, caption=caption) if several else None,
        split_command="" if len(data.network.edges) < LOOP_EDGES else f"bayes-bm split {data.spec.name} --out splits",
    )


@dataclass(frozen=True)
class RanksSection:
    """Ranks of the treatments: what they are ranked by, which is first, a warning, table and picture."""

    measure: str
    first: str
    warning: str
    table: Table
    picture: figures.PageFigure


def ranks_section(draw: figures.Drawing, ranking: "Ranking") -> RanksSection:
    """Return the ranks by the ratio in the average study."""
    measure, level = draw.data.answers.measure, draw.data.spec.interval
    columns = [
        treatment(),
        Column(
            f"log {measure.words} against {draw.data.reference} ({level.words})",
            partial(_ranked_estimate, level),
            "num",
        ),
        Column(f"median rank ({level.words})", partial(_rank_text, level), "num"),
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
    return RanksSection(
        measure=measure.words,
        first=ranking.first,
        warning=ranking.warning,
        table=make_table(rows, columns),
        picture=figures.ranks_picture(draw, ranking),
    )


def _ranked_estimate(level: Level, row: Row) -> str:
    return estimate([row[name] for name in ("median", *level.names)], digits=2)


def _rank_text(level: Level, row: Row) -> str:
    """A rank may be a half: the median of an even number of draws."""
    low, high = (row[f"rank_{name}"] for name in level.names)
    return f"{row['median_rank']:g} ({low:g} to {high:g})"
