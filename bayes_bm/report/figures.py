"""The report's figures: tables of `Material` handed to the plots, each with its title, caption and warnings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE
from bayes_bm.report.html import Html, el
from bayes_bm.report.material import Curves, ReportData
from bayes_bm.report.plots.contrasts import contrasts_figure
from bayes_bm.report.plots.curves import arm_figure, arm_legend_figure, difference_figure, treatment_figure
from bayes_bm.report.plots.forest import forest_figure
from bayes_bm.report.plots.network import network_figure
from bayes_bm.report.plots.posterior import prior_posterior_figure, rank_figure
from bayes_bm.report.plots.ranking import ranks_figure
from bayes_bm.report.plots.style import Look, looks, svg
from bayes_bm.report.sentences import event_words, source_text, time_text
from bayes_bm.report.text import DIGITS, estimate, number, printed_interval, treatment_text
from bayes_bm.spec.effect_measure import ratio_of

if TYPE_CHECKING:
    from bayes_bm.estimands.ranking import Ranking


Row = Mapping[Any, Any]


@dataclass(frozen=True)
class Drawing:
    """Puts figures on the page: one look a treatment, and the report's warnings under every figure."""

    of: ReportData

    @property
    def looks(self) -> dict[str, Look]:
        return looks(self.of.spec.treatments.names)

    def mark(self, text: str) -> str:
        """A caption or title with the report's warnings before it."""
        failed = ["gate failed"] if self.of.answers.refused else []
        warnings = [*failed, *(["reproduction"] if self.of.spec.reproduction else [])]
        return f"[{'; '.join(warnings)}] {text}".strip() if warnings else text

    def figure(self, drawn: Figure, *, title: str, caption: str = "", cls: str | None = None) -> Html:
        caption = self.mark(caption)
        note = el("figcaption", caption) if caption else None
        return el("figure", Html(svg(drawn, title=self.mark(title))), note, cls=cls)


def contrast_records(of: ReportData, name: str, reference: str | None = None) -> list[dict[Any, Any]]:
    """Rows of the contrast table about a treatment, against the spec's reference where no other is named; none where
    the table was not made.
    """
    table, against = of.answers.contrasts, reference or of.spec.treatments.reference
    if table is None:
        return []
    return table.loc[(table["treatment"] == name) & (table["reference"] == against)].to_dict("records")


def contrast_rows(of: ReportData) -> pd.DataFrame:
    """Rows of the contrast figure: a heading a treatment, its sources, published pooled numbers."""
    words = {"within": "within studies", "across": "across studies", "combined": "combined"}
    blank, rows = {"ratio": np.nan, "low": np.nan, "high": np.nan, "text": ""}, []
    for name in of.compared:
        base = {"treatment": name, **blank}
        found = contrast_records(of, name)
        alone = any(row["source"] == "within" and not np.isfinite(ratio_of(row)[0]) for row in found)
        missing = {"text": NO_SIDE_BY_SIDE if alone else ""}
        rows.append({**base, **missing, "kind": "heading", "label": f"{treatment_text(name)} v {of.reference}"})
        for row in found:
            if row["source"] in words and np.isfinite(ratio_of(row)[0]):
                numbers = dict(zip(("ratio", "low", "high"), ratio_of(row), strict=True))
                named = {"kind": row["source"], "label": words[row["source"]], "text": source_text(row)}
                rows.append({**base, **numbers, **named})
        for check in of.spec.external_checks:
            if check.estimand == of.answers.measure.estimand and check.treatment == name:
                numbers = {"ratio": check.value, "low": check.ci_low or np.nan, "high": check.ci_high or np.nan}
                named = {"kind": "published", "label": "published pooled", "text": number(check.value, 2)}
                rows.append({**base, **numbers, **named})
    return pd.DataFrame(rows)


def contrast_figure(draw: Drawing) -> Html:
    measure = draw.of.answers.contrasted
    sides = "above 1: longer" if measure.longer else "below 1: lower hazard"
    label = f"{measure.name}, log scale ({sides})"
    drawn = contrasts_figure(contrast_rows(draw.of), looks=draw.looks, xlabel=label)
    title = f"{measure.words.capitalize()}s within studies, across studies and combined"
    return draw.figure(drawn, title=title, caption="Point: posterior median; line: 95 % interval.")


def network_picture(draw: Drawing) -> Html:
    caption = (
        "Node: area grows with patients of the arms (a printed hazard ratio prints none). Line: its number and width"
        " are the studies that hold both. Shaded: studies with three treatments or more."
    )
    return draw.figure(
        network_figure(draw.of.network, looks=draw.looks), title="Network of treatments", caption=caption
    )


def ranks_picture(draw: Drawing, ranking: "Ranking") -> Html:
    return draw.figure(ranks_figure(ranking, looks=draw.looks), title="Probability of every rank")


def forest_rows(of: ReportData) -> pd.DataFrame:
    """Arms under their treatment, then the overall lines, with the text of the columns beside the plot."""
    fields = ("n", "median", "low", "high", "printed", "printed_low", "printed_high")
    nothing: dict[Any, Any] = dict.fromkeys(fields, np.nan)
    rows: list[dict[Any, Any]] = []
    for name in of.spec.treatments.names:
        mine = of.arms.loc[of.arms["treatment"] == name].to_dict("records")
        if mine:
            rows.append({**nothing, "kind": "heading", "treatment": name, "label": treatment_text(name)})
        rows += [{**row, "kind": "arm", "label": f"{row['study']}: {row['arm']}"} for row in mine]
    if len(of.overall):
        rows.append({**nothing, "kind": "heading", "treatment": of.spec.treatments.reference, "label": "Overall"})
    who = {"average": "average study", "hospital": "one new hospital"}
    for row in of.overall.to_dict("records"):
        rows.append({**nothing, **row, "label": f"{treatment_text(row['treatment'])}, {who[row['kind']]}"})
    return pd.DataFrame([{**row, **_forest_texts(of, row)} for row in rows])


def _forest_texts(of: ReportData, row: Row) -> dict[str, str]:
    if row["kind"] == "heading":
        return dict.fromkeys(("text_model", "text_printed", "text_n"), "")
    spec, of_median = of.spec, shows_median(of)
    digits, cap = (DIGITS[spec.time_unit], 10 * spec.horizon) if of_median else (2, np.inf)
    printed = printed_interval(row["printed"], row["printed_low"], row["printed_high"], digits=digits)
    return {
        "text_model": estimate((row["median"], row["low"], row["high"]), digits=digits, cap=cap),
        "text_printed": printed if np.isfinite(row["printed"]) else "",
        "text_n": f"{row['n']:.0f}" if np.isfinite(row["n"]) else "",
    }


def shows_median(of: ReportData) -> bool:
    return bool(len(of.arms) and of.arms["measure"].iloc[0] == "median")


def forest_label(of: ReportData) -> str:
    curve = event_words(of.spec.endpoint)[1]
    if shows_median(of):
        return f"median {curve} ({of.spec.time_unit}, log scale)"
    return f"{curve} at {time_text(of.spec, of.spec.reference_time)} (proportion)"


def forest_figures(draw: Drawing, rows: pd.DataFrame) -> list[Html]:
    """The same rows twice: labels beside the plot for a wide screen, above their lines for a narrow one."""
    label, xlim = forest_label(draw.of), (0.0, 1.0)
    if shows_median(draw.of):
        ends = rows[["low", "high", "printed"]].to_numpy(dtype=float)
        xlim = (0.85 * float(np.nanmin(ends)), min(1.1 * float(np.nanmax(ends)), 3 * draw.of.spec.horizon))
    settings = {"looks": draw.looks, "xlabel": label, "xlim": xlim, "log": shows_median(draw.of)}
    columns = {"patients": "text_n", "model (95 %)": "text_model", "printed or observed": "text_printed"}
    title = f"Forest plot of study arms: {label}"
    return [
        draw.figure(forest_figure(rows, wide=True, columns=columns, **settings), title=title, cls="wide"),
        draw.figure(forest_figure(rows, wide=False, **settings), title=f"{title} (narrow)", cls="narrow"),
    ]


def panel_figures(draw: Drawing) -> list[Html]:
    """A panel for each study arm, in the order of treatments."""
    order, arms = draw.of.spec.treatments.names, draw.of.result.evidence.arms
    rows = sorted(range(len(arms)), key=lambda row: (order.index(arms["treatment"].iloc[row]), row))
    return [_arm_figure(draw, row, arms.iloc[row].to_dict()) for row in rows]


def _arm_figure(draw: Drawing, row: int, arm: Row) -> Html:
    of, seen = draw.of, draw.of.observed[row]
    drawn = arm_figure(
        title=str(arm["study"]),
        band=of.bands.loc[of.bands["arm_row"] == row],
        look=draw.looks[arm["treatment"]],
        until=of.until[arm["treatment"]],
        unit=of.spec.time_unit,
        limit=seen.last * 1.05 if seen.last > of.spec.horizon else of.spec.horizon,
        ylabel="proportion",
        steps=seen.steps,
        ticks=seen.ticks,
        printed=seen.printed,
        at_risk=seen.at_risk,
    )
    size = f", n = {arm['n']:.0f}" if np.isfinite(arm["n"]) else ""
    caption = f"{arm['arm']} ({treatment_text(arm['treatment'])}{size})"
    return draw.figure(drawn, title=f"{arm['study']}: {arm['arm']}, observed and predicted", caption=caption)


def panel_legend(draw: Drawing) -> Html:
    return draw.figure(arm_legend_figure(), title="Legend of the panels")


def curve_figures(draw: Drawing, curves: Curves, *, who: str) -> list[Html]:
    """For each compared treatment its curve beside the reference's, then their difference."""
    pairs = (
        (
            _treatment_figure(draw, curves, name, who=who),
            _difference_figure(draw, curves, name, who=who),
        )
        for name in draw.of.compared
    )
    return [figure for pair in pairs for figure in pair]


def _treatment_figure(draw: Drawing, curves: Curves, name: str, *, who: str) -> Html:
    of, spec = draw.of, draw.of.spec
    names = {spec.treatments.reference: of.reference, name: treatment_text(name)}
    alive_at = curves.alive_at
    given = f", given alive at {time_text(spec, alive_at)}" if alive_at else ""
    drawn = treatment_figure(
        curves.survival,
        looks=draw.looks,
        names=names,
        until=of.until,
        unit=spec.time_unit,
        limit=spec.horizon,
        ylabel=f"{event_words(spec.endpoint)[1]} (proportion)",
        alive_at=alive_at,
        title=f"{who}{given}",
    )
    caption = "Line: posterior median; band: 95 % interval. Dashed and hatched: beyond the treatment's follow-up."
    return draw.figure(drawn, title=f"{who}{given}: {' and '.join(names.values())}", caption=caption)


def _difference_figure(draw: Drawing, curves: Curves, name: str, *, who: str) -> Html:
    of, far = draw.of, curves.hospital
    contrast = f"{treatment_text(name)} − {of.reference}"
    drawn = difference_figure(
        curves.difference.loc[curves.difference["treatment"] == name],
        wider=None if far is None else far.loc[far["treatment"] == name],
        look=draw.looks[name],
        until=float(np.min([of.until[name], of.until[of.spec.treatments.reference]])),
        unit=of.spec.time_unit,
        limit=of.spec.horizon,
        ylabel="difference of proportions",
        label=who,
        wider_label="one new hospital, 95 %",
        title=f"Difference, {contrast}",
    )
    return draw.figure(
        drawn,
        title=f"{who}: difference {contrast}",
        caption=f"Above 0: more are event-free with {treatment_text(name)}.",
    )


def density_figures(draw: Drawing) -> list[Html]:
    return [
        draw.figure(
            prior_posterior_figure(posterior=found.posterior, prior=found.prior, xlabel=name),
            title=f"Prior and posterior of {name}",
        )
        for name, found in draw.of.densities.items()
    ]


def rank_figures(draw: Drawing) -> list[Html]:
    return [
        draw.figure(rank_figure(table, title=name), title=f"Rank plot of {name}")
        for name, table in draw.of.ranks.items()
    ]
