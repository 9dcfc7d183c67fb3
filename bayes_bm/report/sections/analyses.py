"""Section "Named analyses": the answer under every other choice that the spec names, those that turn it first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.report.downloads import Download, csv_download
from bayes_bm.report.figures import Drawing, PageFigure
from bayes_bm.report.material import ReportData
from bayes_bm.report.plots.sensitivity import sensitivity_figure
from bayes_bm.report.sentences import fit_command
from bayes_bm.report.tables import Column, Row, Table, make_table, plain
from bayes_bm.report.text import MISSING, counted, estimate, number, probability, ratio_estimate
from bayes_bm.spec.document import Spec

SENSITIVITY = "sensitivity"
"""Name of the table of analyses among those made elsewhere."""
BASE = "base"
"""The analysis that the others are compared with."""
TURNED = "other side of 1"
CLEARED = "interval excludes 1"
BLURRED = "interval includes 1"


@dataclass(frozen=True)
class NamedAnalysis:
    """A sensitivity analysis that the spec names: its name, what it is in words, and its command."""

    name: str
    words: str
    command: str


@dataclass(frozen=True)
class AnalysesSection:
    """Named analyses and families of the hazard.

    sentences  what they do to the answer; none where they were not made
    named, families  tables of both, None where there are none with numbers
    picture    all of them, None where they were not made
    missing    analyses that the spec names without numbers here
    command    how to make them
    """

    sentences: list[str]
    named: Table | None
    families: Table | None
    picture: PageFigure | None
    missing: list[NamedAnalysis]
    command: str
    downloads: Sequence[Download] = ()


def analyses_section(draw: Drawing) -> AnalysesSection:
    """Return every named analysis with its numbers, or what it would change and how to make it."""
    data = draw.data
    spec, table = data.spec, data.elsewhere.get(SENSITIVITY)
    made = [] if table is None else [str(name) for name in table["analysis"]]
    missing = [
        NamedAnalysis(name_words(name), analysis_words(spec, name), fit_command(spec, name))
        for name in spec.sensitivity
        if name not in made
    ]
    command = f"bayes-bm run {spec.name} --out {spec.name} --sensitivity all"
    if table is None:
        return AnalysesSection([], None, None, None, missing, command)
    figure = sensitivity_figure(table, time_unit=spec.time_unit, level=spec.interval)
    return AnalysesSection(
        sentences=analysis_sentences(data),
        named=_analysis_table(spec, table, "named"),
        families=_analysis_table(spec, table, "family"),
        picture=draw.figure(figure, title="The answer under every analysis", css="scroll"),
        missing=missing,
        command=command,
        downloads=[csv_download(table, "analyses")],
    )


def name_words(name: str) -> str:
    """Return the name of an analysis as words."""
    return name.replace("_", " ")


def analysis_words(spec: Spec, name: str) -> str:
    """Return what an analysis is: the spec's words, else the first reason in its values, else the keys it changes."""
    if name == BASE:
        return "nothing: the model of this report"
    patch = spec.sensitivity.get(name, {})
    reason = next(_reasons(patch), f"another {', '.join(patch)}")
    return spec.sensitivity_words.get(name, reason)


def _reasons(value: Any) -> Any:
    if isinstance(value, Mapping):
        if isinstance(value.get("why"), str):
            yield value["why"]
        for part in value.values():
            yield from _reasons(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _reasons(part)


def numbered(table: pd.DataFrame, kind: str) -> list[dict[Any, Any]]:
    """Return the rows of a kind that have a ratio: those that turn the answer first, then by how far they move it."""
    base = table[table["analysis"] == BASE].to_dict("records")
    rows = table[(table["kind"] == kind) & np.isfinite(pd.to_numeric(table["ratio"]))].to_dict("records")
    if not base:
        return [{**row, "change": ""} for row in rows]
    rows = [{**row, "change": change_words(row, base[0])} for row in rows]
    moved = {row["analysis"]: abs(np.log(row["ratio"]) - _comparable(row, base[0])) for row in rows}
    order = [TURNED, CLEARED, BLURRED, ""]
    return sorted(rows, key=lambda row: (order.index(row["change"]), -moved[row["analysis"]]))


def _comparable(row: Row, base: Row) -> float:
    """The base's log ratio, mirrored where the row has a ratio of times and the base one of hazards, or vice versa."""
    return float(np.log(base["ratio"])) * (1 if _longer(row) == _longer(base) else -1)


def _longer(row: Row) -> bool:
    return str(row["measure"]).startswith("time")


def change_words(row: Row, base: Row) -> str:
    """Return what an analysis does to the answer: another side of 1, an interval that excludes 1, or nothing."""
    if np.sign(np.log(row["ratio"])) != np.sign(_comparable(row, base)):
        return TURNED
    if _excludes_1(row) != _excludes_1(base):
        return CLEARED if _excludes_1(row) else BLURRED
    return ""


def _excludes_1(row: Row) -> bool:
    return bool(row["ratio_low"] > 1 or row["ratio_high"] < 1)


def analysis_sentences(data: ReportData) -> list[str]:
    """Return how far named analyses move the answer, and which turn it; none where they were not made."""
    table = data.elsewhere.get(SENSITIVITY)
    rows = [] if table is None else numbered(table, "named")
    if table is None or not rows:
        return []
    spec = data.spec
    low, high = min(rows, key=lambda row: row["ratio"]), max(rows, key=lambda row: row["ratio"])
    measure = str(rows[0]["measure"])
    if len(rows) == 1:
        turned = " That is the other side of 1." if rows[0]["change"] == TURNED else ""
        return [f"Under the one analysis made the {measure} is {_named_ratio(spec, low)}.{turned}"]
    sentences = [
        f"Over {counted(len(rows), 'named analysis').replace('analysiss', 'analyses')} the {measure} runs from"
        f" {_named_ratio(spec, low)} to {_named_ratio(spec, high)}."
    ]
    turned = [row for row in rows if row["change"] == TURNED]
    sure = [row for row in rows if _excludes_1(row)]
    if turned:
        names = ", ".join(f"{name_words(row['analysis'])} {row['ratio']:.2f}" for row in turned)
        verb = "puts" if len(turned) == 1 else "put"
        sentences.append(f"{len(turned)} of them {verb} it on the other side of 1: {names}.")
    else:
        sentences.append("None puts it on the other side of 1.")
    without = len(rows) - len(sure)
    sentences.append(f"The interval includes 1 in {'all of them' if not sure else f'{without} of {len(rows)}'}.")
    return sentences


def _named_ratio(spec: Spec, row: Row) -> str:
    """A ratio, and which analysis has it, in the spec's own words where it has some."""
    name = str(row["analysis"])
    return f"{row['ratio']:.2f} ({': '.join(filter(None, [name_words(name), spec.sensitivity_words.get(name, '')]))})"


def _analysis_table(spec: Spec, table: pd.DataFrame, kind: str) -> Table | None:
    base = [{**row, "change": "the answer"} for row in table[table["analysis"] == BASE].to_dict("records")]
    rows = numbered(table, kind)
    if not rows:
        return None
    what = {"named": "what it changes", "family": "family of the hazard"}[kind]
    columns = [
        Column("analysis", lambda row: name_words(str(row["analysis"])), "keep"),
        plain("answer", "change", "keep", missing=""),
        Column("ratio", lambda row: str(row["measure"]), "keep") if kind == "family" else None,
        Column(f"ratio ({spec.interval.words})" if kind == "family" else _head(rows[0], spec), _ratio, "num"),
        Column("P(better)", lambda row: probability(row["prob_better"]), "num"),
        Column("difference, of 100", _difference, "num"),
        Column("elpd, less base (se)", _elpd, "num") if kind == "family" else None,
        Column(what, lambda row: analysis_words(spec, str(row["analysis"])), "words") if kind == "named" else None,
        Column("remark", _remark, "words"),
    ]
    return make_table(
        [*base, *rows],
        [column for column in columns if column is not None],
        caption="Named analyses" if kind == "named" else "Families of the hazard",
        row_class=lambda row: "amber" if row["change"] in (TURNED, CLEARED, BLURRED) else None,
    )


def _head(row: Row, spec: Spec) -> str:
    return f"{row['measure']} ({spec.interval.words})"


def _ratio(row: Row) -> str:
    return ratio_estimate([row["ratio"], row["ratio_low"], row["ratio_high"]])


def _difference(row: Row) -> str:
    values = [100 * float(row[name]) for name in ("survival_difference", "survival_low", "survival_high")]
    return estimate(values, digits=0, null=0.0) if np.isfinite(values[0]) else MISSING


def _elpd(row: Row) -> str:
    value, error = row["elpd_difference"], row["elpd_difference_se"]
    return f"{number(value, 1)} ({number(error, 1)})" if np.isfinite(value) else MISSING


def _remark(row: Row) -> str:
    gate = "gate failed" if row["gate"] == "failed" else ""
    return "; ".join(filter(None, [gate, row["note"] if isinstance(row["note"], str) else ""]))
