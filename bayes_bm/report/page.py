"""The report as one HTML page: sections in the order a critic asks for them, laid out by `templates/`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bayes_bm.report import figures
from bayes_bm.report.explanations import explanations, names_of
from bayes_bm.report.material import PLAN, ReportData
from bayes_bm.report.plots.compact_svg import share_letters
from bayes_bm.report.sections.analyses import analyses_section
from bayes_bm.report.sections.answer import answer_section
from bayes_bm.report.sections.contrasts import contrasts_section, network_section, ranks_section
from bayes_bm.report.sections.diagnostics import diagnostics_section, limits_section, provenance_section
from bayes_bm.report.sections.evidence import (
    audit_section,
    misfits_section,
    reconciliation_section,
    reconstruction_section,
)
from bayes_bm.report.sections.findings import findings_section
from bayes_bm.report.sections.first_screen import first_screen
from bayes_bm.report.sections.planning import planning_section
from bayes_bm.report.sections.small_studies import small_studies_section
from bayes_bm.report.sections.treatments import (
    answers_section,
    curves_section,
    forest_section,
    panels_section,
    patient_section,
)
from bayes_bm.report.sentences import FAILED, TWICE
from bayes_bm.report.templating import render_template
from bayes_bm.report.text import counted, labelled, treatment_text
from bayes_bm.runtime.progress import each
from bayes_bm.spec.endpoints import event_words

NAMED = 3
"""So many compared treatments are named under the question."""
TITLE = "What would settle it"
"""Title of the section of planned studies."""


@dataclass(frozen=True)
class Part:
    """A part of the page below the first screen: its heading and sections, each folded where `folded`."""

    title: str
    sections: "list[Section]"
    folded: bool


@dataclass(frozen=True)
class Section:
    """A section of the page: its heading, and the record that `templates/sections/NAME.html.jinja` lays out."""

    title: str
    name: str
    content: Any

    @property
    def template(self) -> str:
        """Return the name of the section's template."""
        return f"sections/{self.name}.html.jinja"


@labelled
def render(data: ReportData) -> str:
    """Return the whole page. The same data give the same bytes."""
    parts = page_parts(data)
    page = render_template(
        "report.html.jinja",
        names=names_of(data.spec),
        spec=data.spec,
        description=_description(data),
        refused=data.answers.refused,
        failed=FAILED,
        twice=TWICE,
        screen=first_screen(figures.Drawing(data)),
        parts=parts,
        titles={section.name: section.title for part in parts for section in part.sections},
        version=data.result.provenance.get("versions", {}).get("bayes_bm", ""),
    )
    return share_letters(page)


def page_parts(data: ReportData) -> list[Part]:
    """Return the parts in their order; sections that this result has nothing for are left out."""
    draw = figures.Drawing(data)
    parts = {"The answer in full": _full_answer, "Evidence": _evidence, "Checks": _checks, "Details": _details}
    return [
        _part(title, sections(draw), folded=title == "Details")
        for title, sections in each(parts.items(), "part", lambda part: part[0])
    ]


def _part(title: str, sections: Sequence[Section | None], *, folded: bool = False) -> Part:
    return Part(title, [section for section in sections if section is not None], folded)


def _full_answer(draw: figures.Drawing) -> list[Section | None]:
    data, ranking = draw.data, draw.data.ranking
    return [
        Section("The answer with every interval", "answer", answer_section(data)),
        Section("Summary of findings", "findings", findings_section(data)),
        Section("One patient", "patient", patient_section(draw)),
        Section("Curves of the treatments", "curves", curves_section(draw)),
        None if ranking is None else Section("Ranks", "ranks", ranks_section(draw, ranking)),
        Section("Table of answers", "answers", answers_section(data)),
    ]


def _evidence(draw: figures.Drawing) -> list[Section | None]:
    data = draw.data
    return [
        Section("Within studies, across studies, combined", "contrasts", contrasts_section(draw)),
        Section("Network of treatments", "network", network_section(draw)),
        Section("Study arms", "forest", forest_section(draw)),
        Section("Observed and predicted, arm by arm", "panels", panels_section(draw)),
        Section("Audit of the evidence", "audit", audit_section(data)),
        Section(TITLE, "planning", planning_section(data.elsewhere[PLAN])) if PLAN in data.elsewhere else None,
    ]


def _checks(draw: figures.Drawing) -> list[Section | None]:
    data, battery, rebuilt = draw.data, draw.data.battery, draw.data.answers.rebuilt
    funnel = data.funnel
    return [
        Section("Named analyses", "analyses", analyses_section(draw)),
        Section("What this cannot say", "limits", limits_section(data)),
        Section("Reconciliation: printed, reconstructed, predicted", "reconciliation", reconciliation_section(data)),
        None
        if battery is None
        else Section("Misfits: arms, printed numbers, studies", "misfits", misfits_section(battery)),
        None
        if funnel is None or funnel.table.empty
        else Section("Small studies beside large ones", "small_studies", small_studies_section(draw, funnel)),
        None
        if rebuilt is None
        else Section("Patients rebuilt from curves", "reconstruction", reconstruction_section(data, rebuilt)),
    ]


def _details(draw: figures.Drawing) -> list[Section | None]:
    data = draw.data
    return [
        Section("Diagnostics and priors", "diagnostics", diagnostics_section(draw)),
        Section("Words and decisions", "words", explanations(data.spec)),
        Section("Provenance", "provenance", provenance_section(data)),
    ]


def _description(data: ReportData) -> str:
    """Return the line under the question: outcome, treatments, how much evidence, and the day of the fit."""
    spec, support = data.spec, data.answers.support()
    words = [
        f"{event_words(spec.endpoint)[1]} in {spec.time_unit}",
        f"{_compared_words(data.compared)} against {data.reference}",
        f"{counted(support.studies, 'study')}",
        f"worked out on {day_text(data.result.provenance.get('made'))}",
    ]
    return " · ".join(words)


def _compared_words(names: Sequence[str]) -> str:
    """Return the compared treatments by name, or their number where the sentences below name them all."""
    return ", ".join(map(treatment_text, names)) if len(names) <= NAMED else f"{len(names)} treatments"


def day_text(made: str | None) -> str:
    """Return the day of a time stamp in words; a stamp that is none as it stands.

    >>> day_text("2026-01-02T03:04:05Z"), day_text(None)
    ('2 January 2026', 'an unknown day')
    """
    try:
        day = datetime.fromisoformat(made or "")
    except ValueError:
        return made or "an unknown day"
    return f"{day.day} {day:%B %Y}"
