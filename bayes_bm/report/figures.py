"""The report's figures: tables of `ReportData` handed to the plots, each with its title, caption and warnings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE
from bayes_bm.report.downloads import Download, csv_download, svg_download
from bayes_bm.report.explanations import parameter_words
from bayes_bm.report.material import Curves, ReportData
from bayes_bm.report.plots.contrasts import contrasts_figure
from bayes_bm.report.plots.curves import arm_figure, arm_legend_figure, difference_figure, treatment_figure
from bayes_bm.report.plots.forest import forest_figure
from bayes_bm.report.plots.network import network_figure
from bayes_bm.report.plots.posterior import prior_posterior_figure, rank_figure
from bayes_bm.report.plots.ranking import ranks_figure
from bayes_bm.report.plots.style import Look, looks, svg
from bayes_bm.report.sentences import source_text, time_text
from bayes_bm.report.tables import Row
from bayes_bm.report.text import DIGITS, estimate, number, printed_interval, treatment_text
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import ratio_of
from bayes_bm.spec.endpoints import event_words

if TYPE_CHECKING:
    from bayes_bm.estimands.ranking import Ranking


@dataclass(frozen=True)
class PageFigure:
    """A figure as it stands on the page: an `<svg>` element, the words under it, its class (`wide`, `narrow`, or
    `scroll`, which keeps its size), and files inside the page.
    """

    drawing: str
    caption: str = ""
    css: str | None = None
    downloads: tuple[Download, ...] = ()


@dataclass(frozen=True)
class Drawing:
    """Puts figures on the page: one look a treatment, and the report's warnings under every figure."""

    data: ReportData

    @property
    def looks(self) -> dict[str, Look]:
        """Return colour and marker of every treatment."""
        return looks(self.data.spec.treatments.names)

    @property
    def level(self) -> str:
        """Return the level of every interval, in words."""
        return self.data.spec.interval.words

    def mark(self, text: str) -> str:
        """Return a caption or title with the report's warnings before it."""
        failed = ["gate failed"] if self.data.answers.refused else []
        warnings = [*failed, *(["reproduction"] if self.data.spec.reproduction else [])]
        return f"[{'; '.join(warnings)}] {text}".strip() if warnings else text

    def figure(
        self,
        drawn: Figure,
        *,
        title: str,
        caption: str = "",
        css: str | None = None,
        numbers: pd.DataFrame | None = None,
        alone: bool = False,
        file: str = "",
    ) -> PageFigure:
        """Return a drawn figure with its warnings; `title` is for those who cannot see it.

        `numbers` are what it draws, to save as CSV; one that stands `alone`, not among many alike, is saved as SVG too.
        `file` names what is saved, where the title does not.
        """
        drawing = svg(drawn, title=self.mark(title))
        files = [] if numbers is None else [csv_download(numbers, file or title)]
        files += [svg_download(drawing, file or title)] if alone else []
        return PageFigure(drawing, self.mark(caption), css, tuple(files))


SOURCE_LABELS = {
    "within": "within studies",
    "across": "across studies",
    "across, not adjusted": "across studies, not adjusted for case mix",
    "combined": "combined",
}
NO_RATIO: dict[str, float | str] = {"ratio": np.nan, "low": np.nan, "high": np.nan, "text": ""}


def contrast_records(data: ReportData, name: str, reference: str | None = None) -> list[dict[Any, Any]]:
    """Return rows of the contrast table about a treatment, against the spec's reference where no other is named; none
    where the table was not made.
    """
    table, reference = data.answers.contrasts, reference or data.spec.treatments.reference
    if table is None:
        return []
    return table.loc[(table["treatment"] == name) & (table["reference"] == reference)].to_dict("records")


def contrast_rows(data: ReportData) -> pd.DataFrame:
    """Return rows of the contrast figure: a heading a treatment, its sources, published pooled numbers."""
    rows: list[dict[Any, Any]] = []
    for name in data.compared:
        sources = contrast_records(data, name)
        rows.append(_contrast_heading(data, name, sources))
        rows += [_source_row(row, name) for row in sources if _is_shown(row)]
        rows += _published_rows(data, name)
    return pd.DataFrame(rows)


def _contrast_heading(data: ReportData, name: str, sources: Sequence[Row]) -> dict[Any, Any]:
    """The line above a treatment's sources; it says where no study holds both sides."""
    alone = any(row["source"] == "within" and not np.isfinite(ratio_of(row)[0]) for row in sources)
    words = {"text": NO_SIDE_BY_SIDE if alone else ""}
    label = f"{treatment_text(name)} v {data.reference}"
    return {"treatment": name, **NO_RATIO, **words, "kind": "heading", "label": label}


def _is_shown(row: Row) -> bool:
    return row["source"] in SOURCE_LABELS and bool(np.isfinite(ratio_of(row)[0]))


def _source_row(row: Row, name: str) -> dict[Any, Any]:
    numbers = dict(zip(("ratio", "low", "high"), ratio_of(row), strict=True))
    words = {"kind": row["source"], "label": SOURCE_LABELS[row["source"]], "text": source_text(row)}
    return {"treatment": name, **NO_RATIO, **numbers, **words}


def _published_rows(data: ReportData, name: str) -> list[dict[Any, Any]]:
    """Published pooled ratios of a treatment, of the kind that the family answers."""
    rows = []
    for check in data.spec.external_checks:
        if check.estimand == data.answers.measure.estimand and check.treatment == name:
            numbers = {"ratio": check.value, "low": check.ci_low or np.nan, "high": check.ci_high or np.nan}
            words = {"kind": "published", "label": "published pooled", "text": number(check.value, 2)}
            rows.append({"treatment": name, **NO_RATIO, **numbers, **words})
    return rows


def contrast_figure(draw: Drawing) -> PageFigure:
    """Draw ratios within studies, across studies and combined."""
    measure = draw.data.answers.contrasted
    sides = "above 1: longer" if measure.longer else "below 1: lower hazard"
    label = f"{measure.name}, log scale ({sides})"
    rows = contrast_rows(draw.data)
    drawn = contrasts_figure(rows, looks=draw.looks, xlabel=label)
    title = f"{measure.words.capitalize()}s within studies, across studies and combined"
    caption = f"Point: posterior median; line: {draw.level} interval."
    return draw.figure(drawn, title=title, caption=caption, numbers=rows, alone=True)


def network_picture(draw: Drawing) -> PageFigure:
    """Draw the network of treatments."""
    caption = (
        "Node: area grows with patients of the arms (a printed hazard ratio prints none). Line: its number and width"
        " are the studies that hold both. Shaded: studies with three treatments or more."
    )
    return draw.figure(
        network_figure(draw.data.network, looks=draw.looks),
        title="Network of treatments",
        caption=caption,
        css="steady",
        numbers=pd.DataFrame(draw.data.network.edges),
        alone=True,
    )


def ranks_picture(draw: Drawing, ranking: "Ranking") -> PageFigure:
    """Draw the probability of every rank."""
    return draw.figure(
        ranks_figure(ranking, looks=draw.looks),
        title="Probability of every rank",
        numbers=ranking.probabilities,
        alone=True,
    )


class ForestSource(Protocol):
    """What a forest plot is made from: the material of a report has it, and so has `public_plots.ForestTables`."""

    @property
    def spec(self) -> Spec: ...
    @property
    def arms(self) -> pd.DataFrame: ...
    @property
    def overall(self) -> pd.DataFrame: ...


def forest_rows(data: ForestSource) -> pd.DataFrame:
    """Return arms under their treatment, then the overall lines, with the text of the columns beside the plot."""
    fields = ("n", "median", "low", "high", "printed", "printed_low", "printed_high")
    nothing: dict[Any, Any] = dict.fromkeys(fields, np.nan)
    rows: list[dict[Any, Any]] = []
    for name in data.spec.treatments.names:
        arms = data.arms.loc[data.arms["treatment"] == name].to_dict("records")
        if arms:
            rows.append({**nothing, "kind": "heading", "treatment": name, "label": treatment_text(name)})
        rows += [{**row, "kind": "arm", "label": f"{row['study']}: {row['arm']}"} for row in arms]
    if len(data.overall):
        rows.append({**nothing, "kind": "heading", "treatment": data.spec.treatments.reference, "label": "Overall"})
    who = {"average": "average study", "hospital": "one new hospital"}
    for row in data.overall.to_dict("records"):
        rows.append({**nothing, **row, "label": f"{treatment_text(row['treatment'])}, {who[row['kind']]}"})
    return pd.DataFrame([{**row, **_forest_texts(data, row)} for row in rows])


def _forest_texts(data: ForestSource, row: Row) -> dict[str, str]:
    if row["kind"] == "heading":
        return dict.fromkeys(("text_model", "text_printed", "text_n"), "")
    spec = data.spec
    digits, cap = (DIGITS[spec.time_unit], 10 * spec.horizon) if shows_median(data) else (2, np.inf)
    printed = printed_interval(row["printed"], row["printed_low"], row["printed_high"], digits=digits)
    return {
        "text_model": estimate((row["median"], row["low"], row["high"]), digits=digits, cap=cap),
        "text_printed": printed if np.isfinite(row["printed"]) else "",
        "text_n": f"{row['n']:.0f}" if np.isfinite(row["n"]) else "",
    }


def shows_median(data: ForestSource) -> bool:
    """Return whether the forest plot shows medians; else it shows survival at the reference time."""
    return bool(len(data.arms) and data.arms["measure"].iloc[0] == "median")


def forest_label(data: ForestSource) -> str:
    """Return the label of the forest plot's axis."""
    curve = event_words(data.spec.endpoint)[1]
    if shows_median(data):
        return f"median {curve} ({data.spec.time_unit}, log scale)"
    return f"{curve} at {time_text(data.spec, data.spec.reference_time)} (proportion)"


def forest_limits(data: ForestSource, rows: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the forest plot's axis."""
    if not shows_median(data):
        return 0.0, 1.0
    ends = rows[["low", "high", "printed"]].to_numpy(dtype=float)
    return 0.85 * float(np.nanmin(ends)), min(1.1 * float(np.nanmax(ends)), 3 * data.spec.horizon)


def forest_figures(draw: Drawing, rows: pd.DataFrame) -> list[PageFigure]:
    """Draw the same rows twice: labels beside the plot for a wide screen, above their lines for a narrow one."""
    label, xlim = forest_label(draw.data), forest_limits(draw.data, rows)
    settings = {"looks": draw.looks, "xlabel": label, "xlim": xlim, "log": shows_median(draw.data)}
    columns = {"patients": "text_n", f"model ({draw.level})": "text_model", "printed or observed": "text_printed"}
    title = f"Forest plot of study arms: {label}"
    return [
        draw.figure(
            forest_figure(rows, wide=True, columns=columns, **settings),
            title=title,
            css="wide",
            numbers=rows,
            alone=True,
        ),
        draw.figure(forest_figure(rows, wide=False, **settings), title=f"{title} (narrow)", css="narrow", numbers=rows),
    ]


def panel_figures(draw: Drawing) -> list[PageFigure]:
    """Draw a panel for each study arm, in the order of treatments."""
    order, arms = draw.data.spec.treatments.names, draw.data.result.evidence.arms
    rows = sorted(range(len(arms)), key=lambda row: (order.index(arms["treatment"].iloc[row]), row))
    return [_arm_figure(draw, row, arms.iloc[row].to_dict()) for row in rows]


def _arm_figure(draw: Drawing, row: int, arm: Row) -> PageFigure:
    data, observed = draw.data, draw.data.observed[row]
    drawn = arm_figure(
        title=str(arm["study"]),
        band=data.bands.loc[data.bands["arm_row"] == row],
        look=draw.looks[arm["treatment"]],
        follow_up_end=data.follow_up_ends[arm["treatment"]],
        unit=data.spec.time_unit,
        limit=observed.last * 1.05 if observed.last > data.spec.horizon else data.spec.horizon,
        ylabel="proportion",
        steps=observed.steps,
        ticks=observed.ticks,
        printed=observed.printed,
        at_risk=observed.at_risk,
    )
    size = f", n = {arm['n']:.0f}" if np.isfinite(arm["n"]) else ""
    caption = f"{arm['arm']} ({treatment_text(arm['treatment'])}{size})"
    seen = [table for table in (observed.steps, observed.printed) if table is not None]
    band = data.bands.loc[data.bands["arm_row"] == row].drop(columns="arm_row").assign(shows="predicted")
    numbers = pd.concat([band, *(table.assign(shows="observed or printed") for table in seen)], ignore_index=True)
    title = f"{arm['study']}: {arm['arm']}, observed and predicted"
    return draw.figure(drawn, title=title, caption=caption, numbers=numbers)


def panel_legend(draw: Drawing) -> PageFigure:
    """Draw the legend that all panels share."""
    return draw.figure(arm_legend_figure(draw.level), title="Legend of the panels")


def curve_figures(draw: Drawing, curves: Curves, *, who: str) -> list[PageFigure]:
    """Draw for each compared treatment its curve beside the reference's, then their difference."""
    pairs = (
        (
            _treatment_figure(draw, curves, name, who=who),
            _difference_figure(draw, curves, name, who=who),
        )
        for name in draw.data.compared
    )
    return [figure for pair in pairs for figure in pair]


def _treatment_figure(draw: Drawing, curves: Curves, name: str, *, who: str) -> PageFigure:
    data, spec = draw.data, draw.data.spec
    names = {spec.treatments.reference: data.reference, name: treatment_text(name)}
    alive_at = curves.alive_at
    given = f", given alive at {time_text(spec, alive_at)}" if alive_at else ""
    drawn = treatment_figure(
        curves.survival,
        looks=draw.looks,
        names=names,
        follow_up_ends=data.follow_up_ends,
        unit=spec.time_unit,
        limit=spec.horizon,
        ylabel=f"{event_words(spec.endpoint)[1]} (proportion)",
        alive_at=alive_at,
        title=f"{who}{given}",
    )
    caption = (
        f"Line: posterior median; band: {draw.level} interval. Dashed and hatched: beyond the treatment's follow-up."
    )
    title = f"{who}{given}: {' and '.join(names.values())}"
    shown = curves.survival.loc[curves.survival["treatment"].isin(list(names))]
    return draw.figure(drawn, title=title, caption=caption, numbers=shown, alone=True)


def _difference_figure(draw: Drawing, curves: Curves, name: str, *, who: str) -> PageFigure:
    data, hospital = draw.data, curves.hospital
    contrast = f"{treatment_text(name)} − {data.reference}"
    drawn = difference_figure(
        curves.difference.loc[curves.difference["treatment"] == name],
        wider=None if hospital is None else hospital.loc[hospital["treatment"] == name],
        look=draw.looks[name],
        follow_up_end=float(np.min([data.follow_up_ends[name], data.follow_up_ends[data.spec.treatments.reference]])),
        unit=data.spec.time_unit,
        limit=data.spec.horizon,
        ylabel="difference of proportions",
        label=who,
        wider_label=f"one new hospital, {draw.level}",
        title=f"Difference, {contrast}",
        ylim=_difference_limits(curves),
    )
    return draw.figure(
        drawn,
        title=f"{who}: difference {contrast}",
        caption=f"Above 0: more are event-free with {treatment_text(name)}.",
        numbers=curves.difference.loc[curves.difference["treatment"] == name],
        alone=True,
    )


def _difference_limits(curves: Curves) -> tuple[float, float]:
    """One axis for the differences of all treatments, so that they can be compared by eye."""
    tables = [curves.difference, *([] if curves.hospital is None else [curves.hospital])]
    ends = np.concatenate([table[["low", "high"]].to_numpy(dtype=float).ravel() for table in tables])
    return 1.05 * min(float(np.nanmin(ends)), 0.0), 1.05 * max(float(np.nanmax(ends)), 0.0)


def density_figures(draw: Drawing) -> list[PageFigure]:
    """Draw prior and posterior of every parameter."""
    return [
        draw.figure(
            prior_posterior_figure(posterior=density.posterior, prior=density.prior, xlabel="value"),
            title=f"Prior and posterior: {words}",
            caption=words,
            numbers=density.posterior,
            file=f"prior and posterior of {name}",
        )
        for name, words, density in _in_words(draw, draw.data.densities)
    ]


def rank_figures(draw: Drawing) -> list[PageFigure]:
    """Draw the rank plot of every watched parameter."""
    return [
        draw.figure(
            rank_figure(table),
            title=f"Rank plot of the chains: {words}",
            caption=words,
            numbers=table,
            file=f"rank plot of {name}",
        )
        for name, words, table in _in_words(draw, draw.data.ranks)
    ]


def _in_words[Drawn](draw: Drawing, tables: Mapping[str, Drawn]) -> list[tuple[str, str, Drawn]]:
    """Name, words and table of each parameter."""
    return [(name, parameter_words(draw.data.spec, name), table) for name, table in tables.items()]
