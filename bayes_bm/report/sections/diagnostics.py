"""Sections on the fit: convergence, priors, limits, provenance."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes_bm.inference.gate import MAX_DIVERGENT, MAX_RHAT, MIN_BFMI, MIN_ESS
from bayes_bm.report import figures
from bayes_bm.report.html import Column, Html, Part, Row, el, frame_table, html_table, numeric, plain
from bayes_bm.report.material import ReportData
from bayes_bm.report.plots.leave_one_out import leave_one_out_figure
from bayes_bm.report.plots.style import svg
from bayes_bm.report.sections.answer import note
from bayes_bm.report.sentences import (
    fit_command,
    leave_one_out_table,
    limits,
)
from bayes_bm.report.text import (
    counted,
    estimate,
    number,
)
from bayes_bm.spec.priors import describe

ELSEWHERE = {
    "sensitivity": (
        "Families and named analyses side by side (in the folder of the result, then make the report again)",
        "bayes-bm sensitivity {name} --out sensitivity",
    ),
    "leave_one_study_out": ("Leave one study out", "bayes-bm check {name}.nc --leave-one-out study"),
}


def diagnostics_section(draw: figures.Drawing) -> list[Part]:
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


def _of_imputations(of: ReportData) -> str:
    """Whose numbers stand in the gate: every imputation was judged by itself."""
    known = of.result.imputations
    return "" if known is None else f" Of each number the worst of {known.m} imputations, each judged by itself."


def _whose_ranks(of: ReportData) -> str:
    known = of.result.imputations
    return "" if known is None else f" of imputation {known.worst}, whose chains agree least"


HETEROGENEITY = {
    "study_sd": "{of} of two studies under one treatment",
    "study_treatment_sd": "{ratio}s of two studies",
    "study_shape_sd": "shapes of two studies",
}
# two normal effects differ by 0.954 sd in the median; its exp is the median hazard ratio (Larsen and Merlo 2005)
MEDIAN_RATIO = float(np.sqrt(2) * stats.norm.ppf(0.75))


def heterogeneity(of: ReportData) -> Html:
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


def _priors(of: ReportData) -> list[Part]:
    columns = [
        plain("parameter", "parameter", "keep"),
        Column("prior", lambda row: describe(row["prior"])),
        Column("posterior (95 %)", lambda row: estimate([row["median"], row["q2_5"], row["q97_5"]], digits=2), "num"),
        Column("sd, posterior / prior", lambda row: number(row["sd"] / row["prior_sd"], 2), "num"),
        Column("informed by", lambda row: "prior only" if row["prior_only"] else "evidence and prior", "keep"),
        Column("power scaling, prior / evidence", power_table, "num"),
        Column("why this prior", lambda row: row["prior"].why, "words"),
    ]
    words = (
        "Prior only: the posterior sd is at least 0.9 of the prior's, so the evidence said next to nothing"
        " (docs/decisions.md, 17)."
    )
    scaled = (
        "Power scaling: how far the parameter moves per doubling of the prior, or of the evidence, as a cumulative"
        " Jensen-Shannon distance; above 0.05 it matters. A prior above and evidence below: the prior decides."
    )
    return [html_table(of.parameters, columns), note(words), note(scaled)]


def power_table(row: Mapping[Any, Any]) -> str:
    """Sensitivities to prior and evidence; blank where the likelihood is not kept."""
    pair = [row.get(f"{name}_sensitivity") for name in ("prior", "likelihood")]
    return "" if None in pair else " / ".join(number(value, 2) for value in pair)


def limits_section(of: ReportData) -> list[Part]:
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


def provenance_section(of: ReportData) -> list[Part]:
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
