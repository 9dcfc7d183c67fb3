"""A joint model of several causes as one HTML page: incidences, time lost, ratios, printed against predicted, the fit.

Checks of one cause (misfits, sources of a contrast, study arms) are asked of that cause's own result, and are not here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.estimands.competing_risks import FREE, cumulative_incidence, incidence_table
from bayes_bm.estimands.joint_compare import NO_CAUSE, RATIOS, compare_causes, joint_rows
from bayes_bm.estimands.labels import prior_draws
from bayes_bm.estimands.who import AverageStudy, NewStudy, Who
from bayes_bm.inference.causes.result import JointResult
from bayes_bm.report.downloads import csv_download, svg_download
from bayes_bm.report.explanations import names_of
from bayes_bm.report.figures import PageFigure
from bayes_bm.report.plots.incidence import incidence_figure
from bayes_bm.report.plots.style import looks, svg
from bayes_bm.report.tables import Cell, Column, Row, Table, frame_table, make_table, numeric, plain, treatment
from bayes_bm.report.text import (
    DIGITS,
    counted,
    estimate,
    labels_of,
    number,
    probability,
    ratio_estimate,
    treatment_text,
)
from bayes_bm.runtime.files import write_text
from bayes_bm.spec.priors import describe

CURVE_POINTS = 41
"""Times of a drawn curve."""
FREE_WORDS = "Free of all"


@dataclass(frozen=True)
class JointPage:
    """What the page of a joint model shows, in order; `templates/joint.html.jinja` lays it out."""

    sentences: list[str]
    figure: PageFigure
    shares: Table
    lost: Table
    ratios: Table
    correlation: str
    rows: Table | None
    evidence: Table
    set_aside: Table
    gate: Table
    priors: Table
    facts: Mapping[str, str]
    document: str


def write_joint_report(joint: JointResult, path: str | Path, *, allow_failed_gate: bool = False) -> Path:
    """Write the page of a joint model as one HTML file that needs nothing else, whole or not at all.

    Raises `GateRefused` where the gate failed, unless `allow_failed_gate`; the page then says so at its head.
    """
    joint.require_gate(allow_failed=allow_failed_gate)
    return write_text(Path(path), render_joint(joint))


def render_joint(joint: JointResult) -> str:
    """Return the page. The same result gives the same bytes."""
    from bayes_bm.report.templating import render_template

    spec = joint.first.spec
    with labels_of(spec):
        return render_template(
            "joint.html.jinja",
            names=names_of(spec),
            spec=spec,
            analysis=joint.causes.name,
            refused=() if joint.gate.passed else joint.gate.reasons,
            page=joint_page(joint),
            version=joint.provenance.get("versions", {}).get("bayes_bm", ""),
        )


def joint_page(joint: JointResult) -> JointPage:
    """Return every table and figure of the page."""
    spec = joint.first.spec
    average, new = compare_causes(joint, who=AverageStudy()), compare_causes(joint, who=NewStudy())
    rows, sizes = joint_rows(joint), joint.first.posterior.sizes
    return JointPage(
        sentences=[*_share_sentences(joint, average), *_ratio_sentences(joint, average)],
        figure=_curves(joint, AverageStudy()),
        shares=_answers(joint, average, new, ("cumulative_incidence", "survival")),
        lost=_answers(joint, average, new, ("time_lost", "rmst")),
        ratios=_ratios(joint, average),
        correlation=_correlation(joint),
        rows=_printed(rows) if len(rows) else None,
        evidence=frame_table(_counts(joint)),
        set_aside=frame_table(joint.evidence.set_aside),
        gate=make_table(joint.gate.rows, _gate_columns(), caption="Rank R-hat and effective sample sizes"),
        priors=frame_table(_priors(joint)),
        facts={
            "Sampled": str(joint.provenance.get("sampled", "")),
            "Draws": f"{sizes['chain']} chains of {sizes['draw']}",
            "Seed": str(spec.seed),
            "Digest of the spec": str(joint.provenance.get("spec_digest", "")),
        },
        document=json.dumps(joint.causes.document, indent=1, sort_keys=True, default=str),
    )


def cause_words(cause: str) -> str:
    """Return a cause's name in words; those of who is free of all.

    >>> cause_words("local_failure"), cause_words("")
    ('Local failure', 'Free of all')
    """
    words = cause.replace("_", " ").strip()
    return FREE_WORDS if cause in (NO_CAUSE, FREE) else words[:1].upper() + words[1:]


# ---------------------------------------------------------------------------------------------- the answer


def _share_sentences(joint: JointResult, answers: pd.DataFrame) -> list[str]:
    """Of 100 patients under each treatment, how many had which cause first at the reference time."""
    spec = joint.first.spec
    time = min(spec.answer_times, key=lambda one: abs(one - spec.reference_time))
    at_time = answers[(answers["estimand"] == "cumulative_incidence") & (answers["time"] == time)]
    found = []
    for name in spec.treatments.names:
        own = at_time[at_time["treatment"] == name]
        shares = [
            f"{cause_words(row['cause']).lower()} in {_ends(joint, row, 100, 0)}" for row in own.to_dict("records")
        ]
        found.append(
            f"{treatment_text(name)}: of 100 patients of an average study, by {time:g} {spec.time_unit},"
            f" {', '.join(shares)}."
        )
    return found


def _ratio_sentences(joint: JointResult, answers: pd.DataFrame) -> list[str]:
    rows = answers[answers["estimand"].isin(("hazard_ratio", "time_ratio"))].to_dict("records")
    return [
        f"{cause_words(row['cause'])}, {row['estimand'].replace('_', ' ')} of {treatment_text(row['treatment'])} to"
        f" {treatment_text(row['reference'])}: {_ends(joint, row, 1, 2, null=1.0)}."
        for row in rows
    ]


def _interval(joint: JointResult, row: Row) -> list[float]:
    return [float(row[name]) for name in ("median", *joint.first.spec.interval.names)]


def _ends(joint: JointResult, row: Row, scale: float, digits: int, null: float | None = None) -> str:
    return estimate([scale * value for value in _interval(joint, row)], digits=digits, null=null)


def _curves(joint: JointResult, who: Who) -> PageFigure:
    spec, level = joint.first.spec, joint.first.spec.interval
    times = np.linspace(0, spec.horizon, CURVE_POINTS)[1:].tolist()
    table = incidence_table(cumulative_incidence(joint, times, who=who), level)
    table = table.rename(columns=dict(zip(level.names, ("low", "high"), strict=True)))
    names = spec.treatments.names
    start = [
        {"cause": cause, "treatment": name, "time": 0.0}
        | dict.fromkeys(("median", "low", "high"), float(cause == FREE))
        for cause in (*joint.results, FREE)
        for name in names
    ]
    whole = pd.concat([pd.DataFrame(start), table], ignore_index=True)
    titles = {cause: cause_words(cause) for cause in (*joint.results, FREE)}
    words = {name: treatment_text(name) for name in names}
    drawn = incidence_figure(whole, looks=looks(names), names=words, titles=titles, unit=spec.time_unit)
    title = "Cumulative incidence of each cause"
    drawing = svg(drawn, title=title)
    caption = f"Share of patients of an average study, by which cause came first; median and {level.words} interval."
    files = (csv_download(table, "incidence"), svg_download(drawing, "incidence"))
    return PageFigure(drawing, caption, "wide", files)


def _answers(joint: JointResult, average: pd.DataFrame, new: pd.DataFrame, estimands: Sequence[str]) -> Table:
    """One row a treatment, cause and time: in an average study, in a new one, and apart from the reference."""
    share = "cumulative_incidence" in estimands
    scale, digits = (100, 0) if share else (1, DIGITS.get(joint.first.spec.time_unit, 1))
    key = ["estimand", "cause", "treatment", "time"]
    apart = average[average["estimand"].isin([f"{name}_difference" for name in estimands])]
    apart = apart.assign(estimand=apart["estimand"].str.removesuffix("_difference")).set_index(key)
    others = new[new["estimand"].isin(estimands)].set_index(key)
    rows = average[average["estimand"].isin(estimands)].to_dict("records")
    columns = [
        treatment(),
        numeric(f"time ({joint.first.spec.time_unit})", "time", 0),
        Column("average study", lambda row: _ends(joint, row, scale, digits), "num"),
        Column("new study", lambda row: _ends(joint, others.loc[_key(row)].to_dict(), scale, digits), "num"),
        Column(
            "less the reference",
            lambda row: _ends(joint, apart.loc[_key(row)].to_dict(), scale, digits) if _key(row) in apart.index else "",
            "num",
        ),
        Column(
            "P(better)",
            lambda row: probability(apart.loc[_key(row)]["prob_better"]) if _key(row) in apart.index else "",
            "num",
        ),
        plain("mark", "label", missing=""),
    ]
    for row in rows:
        row["block"] = cause_words(row["cause"])
    rows.sort(key=lambda row: ([*joint.results, NO_CAUSE].index(row["cause"]), row["time"]))
    unit = "of 100 patients" if share else joint.first.spec.time_unit
    caption = f"{unit}, medians with {joint.first.spec.interval.words} intervals"
    return make_table(rows, columns, caption=caption, group="block")


def _key(row: Row) -> tuple[Any, ...]:
    return row["estimand"], row["cause"], row["treatment"], row["time"]


def _ratios(joint: JointResult, answers: pd.DataFrame) -> Table:
    rows = answers[answers["estimand"].isin([name for name in RATIOS if not name.startswith("log_")])]
    columns = [
        Column("cause", lambda row: cause_words(row["cause"]), "keep"),
        treatment(),
        treatment("to", "reference"),
        Column("measure", lambda row: str(row["estimand"]).replace("_", " ")),
        Column("average study", lambda row: ratio_estimate(_interval(joint, row)), "num"),
        Column("P(better)", lambda row: probability(row["prob_better"]), "num"),
        plain("mark", "label", missing=""),
    ]
    return make_table(rows, columns)


# ---------------------------------------------------------------------------------------------- what it rests on


def _correlation(joint: JointResult) -> str:
    said = joint.causes.joint.correlation
    if said.eta is None:
        return f"Levels of studies have a stated correlation of {said.value:g} between causes: {said.why}."
    pairs = joint.correlation["pair"].to_numpy().tolist()
    words = []
    for place, pair in enumerate(pairs):
        draws = joint.correlation.isel(pair=place).to_numpy()
        ends = np.quantile(draws, joint.first.spec.interval.quantiles)
        words.append(f"{pair}: {estimate([float(ends[1]), float(ends[0]), float(ends[2])], digits=2)}")
    shared = sum(len(group.studies) for group in joint.inputs.shared_studies)
    return (
        f"Correlation of studies' levels between causes, from {counted(shared, 'study')} with a level in more than one:"
        f" {'; '.join(words)}; prior LKJ({said.eta:g}), because {said.why}."
    )


def _printed(rows: pd.DataFrame) -> Table:
    columns = [
        Column("cause", lambda row: cause_words(row["cause"]), "keep"),
        plain("study", "study", "keep"),
        plain("arm", "arm"),
        treatment(),
        numeric("time", "time", 1),
        numeric("printed 1 - F", "printed", 3),
        Column("predicted", lambda row: f"{row['predicted']:.3f} ({row['low']:.3f} to {row['high']:.3f})", "num"),
        Column("", _inside),
    ]
    return make_table(rows, columns)


def _inside(row: Row) -> Cell:
    inside = row["low"] <= row["printed"] <= row["high"]
    return Cell("inside" if inside else "outside", "status", "green" if inside else "amber")


def _counts(joint: JointResult) -> pd.DataFrame:
    """Rows of each cause, and rows of several, by kind."""
    kinds = {"patients": "patients", "sequences": "points", "medians": "medians", "counts": "counts"}
    kinds |= {"registry": "registry rows", "hazard_ratios": "hazard ratios"}
    parts = {cause_words(name): one for name, one in joint.evidence.causes.items()}
    parts |= {f"1 - F of {cause_words(name).lower()}": one for name, one in joint.evidence.incidence.items()}
    if joint.evidence.first_of_all is not None:
        parts["free of all causes"] = joint.evidence.first_of_all
    rows = [
        {"evidence of": name, "studies": int(one.arms["study"].nunique()), "arms": len(one.arms)}
        | {words: len(getattr(one, kind)) for kind, words in kinds.items()}
        for name, one in parts.items()
    ]
    return pd.DataFrame(rows)


def _gate_columns() -> list[Column]:
    return [
        Column("name in files", lambda row: Cell(str(row["parameter"]), "code")),
        numeric("R-hat", "rhat", 3),
        numeric("bulk ESS", "ess_bulk", 0),
        numeric("tail ESS", "ess_tail", 0),
    ]


def _priors(joint: JointResult) -> pd.DataFrame:
    rows = [
        {"cause": name, "parameter": label, "prior": describe(prior), "median": number(float(np.median(draws)), 2)}
        | {"why": prior.why}
        for name, result in joint.results.items()
        for label, prior, draws in prior_draws(result)
    ]
    return pd.DataFrame(rows, columns=["cause", "parameter", "prior", "median", "why"])
