"""The first screen, and the page for the clinic: the answer, one figure, what it rests on, how far to trust it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.report import figures
from bayes_bm.report.downloads import csv_download, svg_download
from bayes_bm.report.material import Answers, ReportData
from bayes_bm.report.plain_sentences import difference_range, free_words, of_100, plain_sentences
from bayes_bm.report.plots.first_screen import MOST_BANDS, ContrastBlock, CurveSettings, first_screen_figure
from bayes_bm.report.sections.analyses import SENSITIVITY, analysis_sentences
from bayes_bm.report.sentences import (
    Row,
    estimate_text,
    interval_of,
    reconstruction_sentence,
    source_ratio,
    time_text,
    varies_between_studies,
)
from bayes_bm.report.tables import Column, Table, make_table, numeric
from bayes_bm.report.text import DIGITS, MISSING, counted, estimate, treatment_text
from bayes_bm.spec.effect_measure import ratio_of

NOTHING: dict[str, Any] = {"wider_low": np.nan, "wider_high": np.nan, "strong": False}


@dataclass(frozen=True)
class TrustLine:
    """A reason to trust the answer or to doubt it, and the section that shows it; `level` is `good`, `doubt` or `open`,
    its word is for readers who see no colour.
    """

    level: str
    word: str
    text: str
    section: str = ""


@dataclass(frozen=True)
class FirstScreen:
    """The first screen: three sentences, the figure for wide and for narrow screens, the table, reasons for trust."""

    sentences: list[str]
    plots: list[figures.PageFigure]
    table: Table
    trust: list[TrustLine]
    note: str


def first_screen(draw: figures.Drawing) -> FirstScreen:
    """Return the answer as it stands on the first screen."""
    data = draw.data
    return FirstScreen(
        sentences=plain_sentences(data.answers),
        plots=_plots(draw),
        table=_table(data),
        trust=list(_trust(data)),
        note=_note(data),
    )


# ---- figure


def contrast_blocks(data: ReportData) -> list[ContrastBlock]:
    """Return the ratios of the answer and, of a single comparison, differences of patients of 100 by time."""
    answers, measure = data.answers, data.answers.measure
    sides = "longer" if measure.longer else "lower hazard"
    ratios = _ratio_rows(answers) if len(answers.compared) == 1 else _treatment_rows(answers)
    place = "above" if measure.longer else "below"
    against = f" against {answers.reference}" if len(answers.compared) > 1 else ""
    blocks = [ContrastBlock(pd.DataFrame(ratios), f"{measure.words}{against} ({place} 1: {sides})", log=True)]
    if answers.levels and len(answers.compared) == 1:
        name = treatment_text(answers.compared[0])
        label = f"more of 100 patients {free_words(answers.spec.endpoint)} with {name}"
        blocks.append(ContrastBlock(pd.DataFrame(_difference_rows(answers)), label, log=False))
    return blocks


def _ratio_rows(answers: Answers) -> list[dict[str, Any]]:
    """Ratios within studies and across studies, where there are both, and of all evidence."""
    name, rows = answers.compared[0], []
    sources = {"within": "within studies", "across": "across studies"}
    found = {source: answers.source(name, source) for source in sources}
    if all(row is not None for row in found.values()):
        for source, row in found.items():
            assert row is not None
            middle, low, high = ratio_of(row)
            numbers = {"median": middle, "low": low, "high": high, "text": source_ratio(row)}
            rows.append({**NOTHING, "label": sources[source], "treatment": name, **numbers})
    return [*rows, {**_answer_row(answers, answers.ratio(name)), "label": "all evidence", "strong": True}]


def _treatment_rows(answers: Answers) -> list[dict[str, Any]]:
    """The ratio of every treatment against the reference."""
    return [
        {**_answer_row(answers, answers.ratio(name)), "label": treatment_text(name), "strong": True}
        for name in answers.compared
    ]


def _answer_row(answers: Answers, row: Row) -> dict[str, Any]:
    numbers = dict(zip(("median", "low", "high"), interval_of(answers.spec, row), strict=True))
    return {**NOTHING, **numbers, "text": estimate_text(answers.spec, row), "treatment": row["treatment"]}


def _difference_rows(answers: Answers) -> list[dict[str, Any]]:
    """Differences of patients of 100 at every answered time: of a new study, and wider of one new hospital."""
    name, rows = answers.compared[0], []
    for time in answers.spec.answer_times:
        values = of_100(answers, "new-study", "survival_difference", name, time=time)
        _, *wider = of_100(answers, "new-hospital", "survival_difference", name, time=time)
        label = f"at {time_text(answers.spec, time)}"
        text = estimate(values, digits=0, null=0.0)
        numbers = dict(zip(("median", "low", "high"), values, strict=True))
        ends = dict(zip(("wider_low", "wider_high"), wider, strict=True))
        strong = time == answers.time
        rows.append({"label": label, "text": text, "treatment": name, **numbers, **ends, "strong": strong})
    return rows


def _plots(draw: figures.Drawing) -> list[figures.PageFigure]:
    data, spec = draw.data, draw.data.spec
    names = {name: treatment_text(name) for name in spec.treatments.names}
    settings = CurveSettings(
        looks=draw.looks,
        names=names,
        follow_up_ends=data.follow_up_ends,
        unit=spec.time_unit,
        limit=spec.horizon,
        ylabel=f"of 100 patients, {free_words(spec.endpoint)}",
    )
    curves, blocks = (None if data.curves is None else data.curves.survival), contrast_blocks(data)
    title = f"{spec.question}: " + ("contrasts" if curves is None else "curves with bands, numbers at risk, contrasts")
    drawings = [
        draw.figure(
            first_screen_figure(curves, data.at_risk, blocks, settings, wide=wide),
            title=title if wide else f"{title} (narrow)",
        ).drawing
        for wide in (True, False)
    ]
    tables = {"contrasts": pd.concat([block.rows.assign(scale=block.label) for block in blocks], ignore_index=True)}
    if curves is not None:
        tables = {"curves": curves, "numbers at risk": data.at_risk, **tables}
    links = [csv_download(table, f"answer {name}", f"{name} (CSV)") for name, table in tables.items()]
    links.append(svg_download(drawings[0], "answer"))
    caption = draw.mark(_caption(data))
    return [
        figures.PageFigure(drawing, caption, css, tuple(links))
        for drawing, css in zip(drawings, ("wide", "narrow"), strict=True)
    ]


def _caption(data: ReportData) -> str:
    level = data.spec.interval.words
    if data.curves is None:
        return f"Point: posterior median; line: {level} interval."
    few = len(data.compared) == 1
    wider = " Dotted: one new hospital." if few and varies_between_studies(data.spec) else ""
    bands = "bands and bars" if len(data.spec.treatments.names) <= MOST_BANDS else "bars"
    return (
        f"Lines and points: posterior median, averaged over studies; {bands}: {level} interval.{wider}"
        " Dashed and hatched: beyond the follow-up. Effectively at risk: patients, or effective patients behind printed"
        " numbers, that the evidence still speaks about."
    )


# ---- table


def _table(data: ReportData) -> Table:
    """One line a treatment: what it rests on, its median, patients of 100 at each answered time."""
    spec, answers = data.spec, data.answers
    unit, times = spec.time_unit, spec.answer_times if answers.levels else ()
    rows = {row["treatment"]: row for row in answers.audit.treatments.to_dict("records")}
    nothing = {"studies": 0, "size": 0.0, "until": np.nan}
    shown = [{**nothing, "treatment": name, **rows.get(name, {})} for name in spec.treatments.names]

    def median(row: Row) -> str:
        return estimate_text(spec, answers.row("new-study", "median", row["treatment"])) if answers.levels else MISSING

    def alive(time: float) -> Column:
        return Column(
            f"of 100, {free_words(spec.endpoint)} at {time_text(spec, time)}",
            lambda row: estimate(of_100(answers, "new-study", "survival", row["treatment"], time=time), digits=0),
            "num",
        )

    columns = [
        Column("treatment", lambda row: treatment_text(row["treatment"]), "keep"),
        *(alive(time) for time in times),
        *([Column(f"median ({unit})", median, "num")] if answers.levels else []),
        Column("studies (effective patients)", lambda row: f"{row['studies']:.0f} ({row['size']:.0f})", "num"),
        numeric(f"followed to ({unit})", "until", DIGITS[unit]),
    ]
    return make_table(shown, columns, caption=f"What each treatment rests on, and its answer ({spec.interval.words})")


def _note(data: ReportData) -> str:
    return (
        "Effective patients: patients with a known course that the printed numbers are worth. Nothing here recommends a"
        " treatment."
    )


# ---- trust


def _trust(data: ReportData) -> Iterator[TrustLine]:
    """Reasons for trust and doubt, from comparisons down to sampling; each names the section that shows it."""
    yield from _sides(data.answers)
    yield from _hospital(data)
    yield from _analyses(data)
    yield _reconciled(data)
    yield from _misfits(data)
    yield from _prior_only(data)
    if data.answers.rebuilt is not None:
        doubt = data.answers.rebuilt.m == 1
        text = reconstruction_sentence(data.answers.rebuilt, data.spec)
        yield TrustLine(*(DOUBT if doubt else GOOD), text, "reconstruction")
    gate = data.result.gate
    passed = (
        "The sampler converged." if gate.passed else "The sampler did not converge: do not rely on any number here."
    )
    yield TrustLine(*(GOOD if gate.passed else DOUBT), passed, "diagnostics")
    if data.spec.cannot_say:
        yield TrustLine(*OPEN, data.spec.cannot_say[0], "limits")


GOOD, DOUBT, OPEN = ("good", "for it"), ("doubt", "doubt"), ("open", "cannot be said")


def _sides(answers: Answers) -> Iterator[TrustLine]:
    alone = [name for name in answers.compared if not answers.side_by_side(name)]
    if not alone:
        text = "Every comparison has studies that held both treatments side by side."
        yield TrustLine(*GOOD, text, "contrasts")
    elif len(answers.compared) == 1:
        text = "No study held both treatments side by side: who was chosen for which is part of the difference."
        yield TrustLine(*DOUBT, text, "contrasts")
    else:
        named = ", ".join(treatment_text(name) for name in alone)
        text = f"No study held {named} side by side with {answers.reference}."
        yield TrustLine(*DOUBT, text, "contrasts")


def _hospital(data: ReportData) -> Iterator[TrustLine]:
    answers = data.answers
    if not answers.levels or len(answers.compared) > 1 or not varies_between_studies(data.spec):
        return
    words = difference_range(answers, "new-hospital")
    text = f"Hospitals differ: in one new hospital, of 100 patients at {time_text(data.spec, answers.time)}, {words}."
    yield TrustLine(*DOUBT, text, "answers")


def _analyses(data: ReportData) -> Iterator[TrustLine]:
    sentences = analysis_sentences(data)
    if sentences:
        steady = not any("other side of 1" in sentence and not sentence.startswith("None") for sentence in sentences)
        yield TrustLine(*(GOOD if steady else DOUBT), " ".join(sentences), "analyses")
    elif data.spec.sensitivity and SENSITIVITY not in data.elsewhere:
        count = counted(len(data.spec.sensitivity), "other choice")
        yield TrustLine(*DOUBT, f"{count} that the analysis names were not worked out for this report.", "analyses")


def _reconciled(data: ReportData) -> TrustLine:
    counts = Counter(data.reconciliation["status"])
    total, agreed = sum(counts.values()), counts["green"]
    if not total:
        return TrustLine(*OPEN, "No printed number is there to hold the model against.", "reconciliation")
    # of patients nothing is printed: their numbers are counted from them, whether they are known or rebuilt
    numbers = "numbers of the evidence" if "patients" in set(data.reconciliation["kind"]) else "printed numbers"
    if agreed == total:
        return TrustLine(*GOOD, f"The model agrees with all {total} {numbers}.", "reconciliation")
    rows = data.reconciliation[data.reconciliation["status"] != "green"].sort_values("p").to_dict("records")
    first = f"{rows[0]['study']}, {rows[0]['quantity']}"
    text = f"The model agrees with {agreed} of {total} {numbers}; it strains most against {first}."
    return TrustLine(*DOUBT, text, "reconciliation")


def _misfits(data: ReportData) -> Iterator[TrustLine]:
    if data.battery is None:
        return
    flagged, asked = len(data.battery.flagged), len(data.battery.flags)
    if not flagged:
        yield TrustLine(*GOOD, f"Of {asked} questions about misfit none is flagged.", "misfits")
    else:
        worst = data.battery.sentences()[0]
        yield TrustLine(*DOUBT, f"Of {asked} questions about misfit {flagged} are flagged: {worst}", "misfits")


def _prior_only(data: ReportData) -> Iterator[TrustLine]:
    """Whether the contrast itself, or how much it varies, is what the prior says."""
    effect = data.answers.measure.effect
    silent = [row["parameter"] for row in data.parameters if row["prior_only"]]
    unknown = [name.removeprefix(f"{effect}[").removesuffix("]") for name in silent if name.startswith(f"{effect}[")]
    if unknown:
        named = ", ".join(treatment_text(name) for name in unknown)
        yield TrustLine(
            *DOUBT, f"The effect of {named} is what the prior says; the evidence adds nothing.", "diagnostics"
        )
    if "study_treatment_sd" in silent:
        text = "How much the effect differs between hospitals is what the prior says; too few studies show it."
        yield TrustLine(*DOUBT, text, "diagnostics")
