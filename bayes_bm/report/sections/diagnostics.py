"""Sections on the fit: convergence, priors, limits, provenance."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes_bm.checks.pareto_smoothing import HIGH_K
from bayes_bm.evidence.covariate_notes import reading_at_centres
from bayes_bm.inference.gate import MAX_DIVERGENT, MAX_RHAT, MIN_BFMI, MIN_ESS
from bayes_bm.report import figures
from bayes_bm.report.explanations import parameter_words
from bayes_bm.report.material import PLAN, ReportData
from bayes_bm.report.plots.leave_one_out import leave_one_out_figure
from bayes_bm.report.plots.style import svg
from bayes_bm.report.sections.analyses import SENSITIVITY
from bayes_bm.report.sentences import fit_command, interval_of, leave_one_out_table, limits
from bayes_bm.report.tables import Cell, Column, Row, Table, frame_table, make_table, numeric, plain
from bayes_bm.report.text import MISSING, counted, estimate, number
from bayes_bm.spec.document import Spec
from bayes_bm.spec.level import USUAL, Level
from bayes_bm.spec.priors import describe

ELSEWHERE = {
    "leave_one_study_out": ("Leave one study out", "bayes-bm check {name}.nc --leave-one-out study"),
}
"""Title of each table that a command of its own makes, and that command."""
GATE_COLUMNS = (
    Column("name in files", lambda row: Cell(str(row["parameter"]), "code")),
    numeric(f"R-hat (below {MAX_RHAT})", "rhat", 3),
    numeric(f"bulk ESS (at least {MIN_ESS})", "ess_bulk", 0),
    numeric(f"tail ESS (at least {MIN_ESS})", "ess_tail", 0),
)
FILE_COLUMNS = (plain("file", "file", "words"), Column("sha256", lambda row: Cell(row["digest"], "code")))
LEFT_OUT_WORDS = (
    "The same ratio without each study in turn, largest change first. Shift: change of its log, in posterior"
    " standard deviations. Log score: of all that the study printed, foretold by the others, its own effects"
    " averaged over the population of studies."
)


@dataclass(frozen=True)
class DiagnosticsSection:
    """Convergence and priors.

    gate            what the convergence gate says
    reasons         why it failed; none where it passed
    convergence     rank R-hat and effective sample sizes
    ranks           rank plots, of the draws that `rank_source` names
    heterogeneity   None where nothing varies between studies; `conflicts` say where its prior and evidence disagree
    priors          each prior, with what the evidence did to it; `densities` draw the same
    """

    gate: str
    reasons: Sequence[str]
    convergence: Table
    rank_source: str
    ranks: list[figures.PageFigure]
    heterogeneity: Table | None
    conflicts: Sequence[str]
    priors: Table
    densities: list[figures.PageFigure]


def diagnostics_section(draw: figures.Drawing) -> DiagnosticsSection:
    """Return what is known of the chains and of the priors."""
    data, gate = draw.data, draw.data.result.gate
    caption = "Rank R-hat and effective sample sizes"
    return DiagnosticsSection(
        gate=_gate_words(data),
        reasons=gate.reasons,
        convergence=make_table(gate.rows, [_parameter_column(data.spec), *GATE_COLUMNS], caption=caption),
        rank_source=_rank_source(data),
        ranks=figures.rank_figures(draw),
        heterogeneity=heterogeneity_table(data),
        conflicts=conflict_sentences(data.conflict),
        priors=make_table(data.parameters, prior_columns(data.spec)),
        densities=figures.density_figures(draw),
    )


def _gate_words(data: ReportData) -> str:
    gate = data.result.gate
    first = "; ".join(gate.first_try)
    again = f" A first try failed ({first}) and was repeated once at a higher target acceptance." if first else ""
    return (
        f"The convergence gate {gate.state}: {counted(gate.divergences, 'divergence')} in {gate.draws} steps of all"
        f" chains, {_kept(data)} of them kept as draws (allowed"
        f" {MAX_DIVERGENT:.1%}), smallest E-BFMI {gate.min_bfmi:.2f} (above {MIN_BFMI}), target acceptance"
        f" {gate.target_accept:g}.{again}{_imputation_words(data)}"
    )


def _kept(data: ReportData) -> int:
    """Draws of the posterior: thinning keeps every so many steps."""
    sizes = data.result.posterior.sizes
    return sizes["chain"] * sizes["draw"]


def _imputation_words(data: ReportData) -> str:
    """Whose numbers stand in the gate: every imputation was judged by itself."""
    imputations = data.result.imputations
    if imputations is None:
        return ""
    return f" Of each number the worst of {imputations.m} imputations, each judged by itself."


def _rank_source(data: ReportData) -> str:
    imputations = data.result.imputations
    return "" if imputations is None else f" of imputation {imputations.worst}, whose chains agree least"


HETEROGENEITY = {
    "study_sd": "{measured} of two studies under one treatment",
    "study_treatment_sd": "{ratio}s of two studies",
    "study_shape_sd": "shapes of two studies",
}
MEDIAN_RATIO = float(np.sqrt(2) * stats.norm.ppf(0.75))
"""Two normal effects differ by 0.954 sd in the median; its exp is the median hazard ratio (Larsen and Merlo 2005)."""


def heterogeneity_table(data: ReportData) -> Table | None:
    """Return standard deviations between studies and what they mean as ratios; None where nothing varies."""
    rows = [row for row in data.parameters if row["parameter"] in HETEROGENEITY]
    if not rows:
        return None
    measure, level = data.answers.measure, data.spec.interval.words
    names = {"measured": "times" if measure.longer else "hazards", "ratio": measure.words}

    def shown(row: Row, scale: float) -> str:
        ends = interval_of(data.spec, row)
        return estimate([float(np.exp(scale * end)) if scale else end for end in ends], digits=2)

    columns = [
        _parameter_column(data.spec),
        Column(f"sd on the log scale ({level})", lambda row: shown(row, 0.0), "num"),
        Column("what typically differs", lambda row: HETEROGENEITY[row["parameter"]].format(**names), "words"),
        Column(f"by a factor of ({level})", lambda row: shown(row, MEDIAN_RATIO), "num"),
        Column("prior against evidence, p", lambda row: _conflict_p(data.conflict, row["parameter"]), "num"),
    ]
    return make_table(rows, columns)


def _conflict_p(conflict: pd.DataFrame, parameter: str) -> str:
    rows = conflict[conflict["parameter"] == parameter] if len(conflict) else conflict
    known = len(rows) and rows["pareto_k"].iloc[0] <= HIGH_K
    return number(rows["p"].iloc[0], 2) if known else MISSING


def conflict_sentences(conflict: pd.DataFrame) -> list[str]:
    """Return a sentence for each standard deviation whose prior and evidence disagree, or that has no p."""
    rows = conflict[conflict["says"] != ""] if len(conflict) else conflict
    return [
        f"{row['parameter']}: {row['says']} (median {row['prior_median']:.2f} a priori,"
        f" {row['posterior_median']:.2f} a posteriori)."
        for row in rows.to_dict("records")
    ]


def power_scaling_text(row: Mapping[Any, Any]) -> str:
    """Return sensitivities to prior and evidence; blank where the likelihood is not kept."""
    pair = [row.get(f"{name}_sensitivity") for name in ("prior", "likelihood")]
    return "" if None in pair else " / ".join(number(value, 2) for value in pair)


PRIOR_MATTERS = 0.05
"""Power-scaling sensitivity from which a prior, or the evidence, matters."""


def informed_text(row: Mapping[Any, Any]) -> str:
    """Return whether prior, evidence or both speak, by the rule that the note under the table states."""
    if row["prior_only"]:
        return "prior only"
    prior, evidence = row.get("prior_sensitivity"), row.get("likelihood_sensitivity")
    if prior is None or evidence is None:
        return "evidence and prior"
    return "the prior decides" if prior >= PRIOR_MATTERS > evidence else "evidence and prior"


def _parameter_column(spec: Spec) -> Column:
    return Column("parameter", lambda row: parameter_words(spec, str(row["parameter"])), "words")


def prior_columns(spec: Spec) -> tuple[Column, ...]:
    """Return the columns of the table of priors."""
    return (
        _parameter_column(spec),
        Column("name in files", lambda row: Cell(str(row["parameter"]), "code")),
        Column("prior", lambda row: describe(row["prior"])),
        Column(f"posterior ({spec.interval.words})", lambda row: estimate(interval_of(spec, row), digits=2), "num"),
        Column("sd, posterior / prior", lambda row: number(row["sd"] / row["prior_sd"], 2), "num"),
        Column("informed by", informed_text, "keep"),
        Column("power scaling, prior / evidence", power_scaling_text, "num"),
        Column("why this prior", lambda row: row["prior"].why, "words"),
    )


@dataclass(frozen=True)
class ElsewhereTable:
    """A table that another command made, as it is shown: words and figure go with studies left out only."""

    title: str
    table: Table
    words: str = ""
    figure: figures.PageFigure | None = None


@dataclass(frozen=True)
class LimitsSection:
    """What the report cannot say.

    limits     each as a sentence
    elsewhere  tables that other commands made
    missing    title and command of tables that were not made
    """

    limits: list[str]
    elsewhere: list[ElsewhereTable]
    missing: list[tuple[str, str]]


def limits_section(data: ReportData) -> LimitsSection:
    """Return limits of the answer, and what other commands made or could make beside it."""
    spec = data.spec
    reading = reading_at_centres(spec, data.result.evidence)
    return LimitsSection(
        limits=[*limits(spec), reading] if reading else limits(spec),
        elsewhere=[
            elsewhere_table(name, table, spec.interval)
            for name, table in data.elsewhere.items()
            if name not in (PLAN, SENSITIVITY)
        ],
        missing=[
            (title, command.format(name=spec.name))
            for name, (title, command) in ELSEWHERE.items()
            if name not in data.elsewhere
        ],
    )


def elsewhere_table(name: str, table: pd.DataFrame, level: Level = USUAL) -> ElsewhereTable:
    """Return a table made by another command as it is shown; studies left out have a picture too."""
    title = ELSEWHERE[name][0] if name in ELSEWHERE else name.replace("_", " ")
    if name != "leave_one_study_out":
        return ElsewhereTable(title, frame_table(table))
    picture = figures.PageFigure(svg(leave_one_out_figure(table), title="Leave one study out"))
    return ElsewhereTable(title, frame_table(leave_one_out_table(table, level)), LEFT_OUT_WORDS, picture)


@dataclass(frozen=True)
class ProvenanceSection:
    """How the result was made: names and values, files of evidence (None: none kept), commands, the spec as JSON."""

    facts: dict[str, str]
    files: Table | None
    commands: str
    document: str


def provenance_section(data: ReportData) -> ProvenanceSection:
    """Return what the result was made of and with."""
    provenance, spec = data.result.provenance, data.spec
    options = ("seed", "draws", "tune", "chains", "imputations")
    flags = "".join(f" --{name} {provenance[name]}" for name in options if name in provenance)
    facts = {
        name.replace("_", " "): _fact_text(value)
        for name, value in provenance.items()
        if not isinstance(value, Mapping)
    }
    facts["versions"] = ", ".join(f"{name} {version}" for name, version in provenance.get("versions", {}).items())
    files = [{"file": name, "digest": digest} for name, digest in provenance.get("files", {}).items()]
    return ProvenanceSection(
        facts={name: value for name, value in facts.items() if value},
        files=make_table(files, FILE_COLUMNS, caption="Evidence files") if files else None,
        commands=f"{fit_command(spec)}{flags}\nbayes-bm report {spec.name}.nc --out report.html",
        document=json.dumps(spec.document(), indent=2, ensure_ascii=False),
    )


def _fact_text(value: Any) -> str:
    return "; ".join(str(entry) for entry in value) if isinstance(value, list) else str(value)
