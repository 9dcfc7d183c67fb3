"""Section "Small studies": the funnel of arms and printed ratios."""

from dataclasses import dataclass

from bayes_bm.checks.small_studies import Funnel
from bayes_bm.report.figures import Drawing, PageFigure
from bayes_bm.report.plots.funnel import draw_funnel
from bayes_bm.report.plots.style import figure_of
from bayes_bm.report.tables import Table, make_table, numeric, plain, treatment


@dataclass(frozen=True)
class SmallStudiesSection:
    """What small studies say beside large ones: sentence, funnel, rows; stated selection, None of few arms."""

    sentence: str
    picture: PageFigure
    table: Table
    selection: Table | None


def small_studies_section(draw: Drawing, funnel: Funnel) -> SmallStudiesSection:
    """Return whether small studies differ from large ones, as a sentence and a funnel."""
    scale = funnel_label(longer=draw.data.answers.measure.longer)
    drawn = draw_funnel(funnel.table, funnel.heterogeneity, looks=draw.looks, xlabel=scale)
    caption = (
        "A point: what one arm alone says of its level, its own case mix and the shape of its treatment given. Dashed:"
        " 95 % of studies without selection, heterogeneity included."
    )
    columns = [
        plain("study", "study", "keep"),
        plain("arm", "arm"),
        treatment(),
        numeric("deviation", "deviation", 2),
        numeric("standard error", "se", 2),
    ]
    rows = funnel.table.sort_values("se", kind="stable").to_dict("records")
    picture = draw.figure(figure_of(drawn), title="Funnel of study arms and printed ratios", caption=caption)
    return SmallStudiesSection(funnel.sentence, picture, make_table(rows, columns), _selection_table(draw))


def _selection_table(draw: Drawing) -> Table | None:
    """Return the ratios under stated selection; None where no treatment has arms enough."""
    rows, ratio = draw.data.selection, draw.data.answers.measure.words
    columns = [
        treatment(),
        numeric("worse arms printed, share", "weight", 1),
        numeric("arms", "arms", 0),
        numeric(f"{ratio} if its arms were selected", "ratio", 2),
        numeric("if those of the reference were, too", "ratio_both", 2),
    ]
    return make_table(rows, columns) if len(rows) else None


def funnel_label(*, longer: bool) -> str:
    """Return the label of the axis of deviations."""
    return f"deviation from the average study (log {'time' if longer else 'hazard'})"
