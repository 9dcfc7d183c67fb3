"""The report as one HTML page: sections in the order a critic asks for them, laid out by `templates/`."""

from dataclasses import dataclass
from typing import Any

from bayes_bm.report import figures
from bayes_bm.report.material import PLAN, ReportData
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
from bayes_bm.report.sections.planning import planning_section
from bayes_bm.report.sections.small_studies import small_studies_section
from bayes_bm.report.sections.treatments import (
    answers_section,
    curves_section,
    forest_section,
    panels_section,
    patient_section,
)
from bayes_bm.report.sentences import FAILED, TWICE, event_words
from bayes_bm.report.templating import render_template
from bayes_bm.report.text import treatment_text

TITLE = "What would settle it"
"""Title of the section of planned studies."""


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


def render(data: ReportData) -> str:
    """Return the whole page. The same data give the same bytes."""
    return render_template(
        "report.html.jinja",
        spec=data.spec,
        description=_description(data),
        refused=data.answers.refused,
        failed=FAILED,
        twice=TWICE,
        sections=page_sections(data),
    )


def page_sections(data: ReportData) -> list[Section]:
    """Return the sections in their order; those that this result has nothing for are left out."""
    draw = figures.Drawing(data)
    ranking, battery, rebuilt, funnel = data.ranking, data.battery, data.answers.rebuilt, data.funnel
    sections = [
        Section("Answer", "answer", answer_section(data)),
        Section("Summary of findings", "findings", findings_section(data)),
        Section("Within studies, across studies, combined", "contrasts", contrasts_section(draw)),
        *([Section(TITLE, "planning", planning_section(data.elsewhere[PLAN]))] if PLAN in data.elsewhere else []),
        Section("Network of treatments", "network", network_section(draw)),
        None if ranking is None else Section("Ranks", "ranks", ranks_section(draw, ranking)),
        Section("Table of answers", "answers", answers_section(data)),
        Section("Study arms", "forest", forest_section(draw)),
        Section("Observed and predicted, arm by arm", "panels", panels_section(draw)),
        Section("Curves of the treatments", "curves", curves_section(draw)),
        Section("One patient", "patient", patient_section(draw)),
        Section("Audit of the evidence", "audit", audit_section(data)),
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
        Section("Diagnostics and priors", "diagnostics", diagnostics_section(draw)),
        Section("What this cannot say", "limits", limits_section(data)),
        Section("Provenance", "provenance", provenance_section(data)),
    ]
    return [section for section in sections if section is not None]


def _description(data: ReportData) -> str:
    """Return the line under the question: spec, endpoint, treatments, unit, model and date."""
    spec = data.spec
    words = [
        spec.name,
        event_words(spec.endpoint)[1],
        f"{', '.join(treatment_text(name) for name in data.compared)} against {data.reference}",
        f"time in {spec.time_unit}",
        f"{spec.hazard.family}{', accelerated time' if data.answers.measure.longer else ' hazards'}",
        f"fitted {data.result.provenance.get('made', 'at an unknown time')}",
    ]
    return " · ".join(words)
