"""The report as one HTML page: sections of words, tables and figures, in the order a critic asks for them."""

from importlib import resources

from bayes_bm.report import figures
from bayes_bm.report.html import Html, Part, el
from bayes_bm.report.material import ReportData
from bayes_bm.report.sections.answer import answer_section
from bayes_bm.report.sections.contrasts import contrasts_section, network_section, ranks_section
from bayes_bm.report.sections.diagnostics import diagnostics_section, limits_section, provenance_section
from bayes_bm.report.sections.evidence import audit_section, misfits_section, rebuilt_section, reconciliation_section
from bayes_bm.report.sections.treatments import (
    answers_section,
    forest_section,
    panels_section,
    patient_section,
    treatments_section,
)
from bayes_bm.report.sentences import (
    FAILED,
    TWICE,
    event_words,
)
from bayes_bm.report.text import (
    treatment_text,
)


def render(of: ReportData) -> str:
    """The whole page. The same material gives the same bytes."""
    draw = figures.Drawing(of)
    sections = {
        "Answer": answer_section(of),
        "Within studies, across studies, combined": contrasts_section(draw),
        "Network of treatments": network_section(draw),
        **({} if of.ranking is None else {"Ranks": ranks_section(draw, of.ranking)}),
        "Table of answers": answers_section(of),
        "Study arms": forest_section(draw),
        "Observed and predicted, arm by arm": panels_section(draw),
        "Curves of the treatments": treatments_section(draw),
        "One patient": patient_section(draw),
        "Audit of the evidence": audit_section(of),
        "Reconciliation: printed, reconstructed, predicted": reconciliation_section(of),
        **({} if of.battery is None else {"Misfits: arms, printed numbers, studies": misfits_section(of, of.battery)}),
        **(
            {}
            if of.answers.rebuilt is None
            else {"Patients rebuilt from curves": rebuilt_section(of, of.answers.rebuilt)}
        ),
        "Diagnostics and priors": diagnostics_section(draw),
        "What this cannot say": limits_section(of),
        "Provenance": provenance_section(of),
    }
    bodies = [
        el("section", el("h2", title, _tags(of)), body, id=f"section-{at}")
        for at, (title, body) in enumerate(sections.items(), start=1)
    ]
    links = (el("li", el("a", title, href=f"#section-{at}")) for at, title in enumerate(sections, start=1))
    contents = el("nav", el("ol", *links), **{"aria-label": "Contents"})
    style = resources.files("bayes_bm").joinpath("report/templates/report.css").read_text(encoding="utf-8")
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head = el("head", Html(meta), el("title", of.spec.question), el("style", Html(style)))
    body = el("body", el("main", _header(of), _banners(of), contents, *bodies))
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def _header(of: ReportData) -> list[Part]:
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


def _banners(of: ReportData) -> list[Html]:
    banners = []
    if of.answers.refused:
        reasons = (el("p", reason) for reason in of.answers.refused)
        banners.append(el("div", el("p", FAILED), *reasons, cls="banner", role="alert"))
    if of.spec.reproduction:
        text = f"{TWICE} The evidence is the printed summary of one analysis; nothing is added to it."
        banners.append(el("div", el("p", text), cls="banner twice", role="note"))
    return banners


def _tags(of: ReportData) -> list[Html]:
    tags = [el("span", "gate failed", cls="tag")] if of.answers.refused else []
    return [*tags, *([el("span", "reproduction", cls="tag twice")] if of.spec.reproduction else [])]
