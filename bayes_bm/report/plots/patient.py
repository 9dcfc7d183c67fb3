"""One patient: curves with the uncertainty about them, and below, in a colour of its own, what could happen."""

from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.style import GREY, RC, axes_inches, figure_of, looks, wrapped
from bayes_bm.report.text import treatment_text

if TYPE_CHECKING:
    from bayes_bm.estimands.patient_curves import PatientCurves


OUTCOME = "#9B5DE5"
"""Colour of outcomes of one patient: of no treatment and no curve."""
WIDTH = 7.2
"""Inches of the figure."""
CURVES = 3.2
"""Inches of the curves' height."""
STRIP = 0.34
"""Inches of one treatment's outcomes."""


class PatientPanels(NamedTuple):
    """Axes of one patient's figure: curves above, outcomes of one such patient below.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> bb.PatientPanels._fields
    ('curves', 'outcomes')
    """

    curves: Axes
    outcomes: Axes


def draw_patient(
    curves: "PatientCurves",
    axes: PatientPanels | None = None,
    *,
    title: str = "",
    notes: bool = True,
    width: float = WIDTH,
) -> PatientPanels:
    """Draw curves above (line: median, band: the uncertainty about the curve), outcomes below (thick: middle half,
    thin: 95 % of single patients). Without axes on a figure `width` inches wide, with the notes below.
    """
    names = list(dict.fromkeys(curves.curves["treatment"]))
    with mpl.rc_context(RC):
        panels = axes or _new_panels(curves, len(names), titled=bool(title), notes=notes, width=width)
        _draw_curves(panels.curves, curves, names)
        _draw_outcomes(panels.outcomes, curves, names)
        if title:
            panels.curves.set_title(title)
    return panels


def patient_figure(curves: "PatientCurves", **settings: Any) -> Figure:
    """Return the figure of `draw_patient`."""
    return figure_of(draw_patient(curves, **settings).curves)


def _new_panels(curves: "PatientCurves", treatments: int, *, titled: bool, notes: bool, width: float) -> PatientPanels:
    """Return axes above each other on a figure of their own, what a reader must know in small print below."""
    lines = [wrapped(text, int(15 * width), lines=4) for text in curves.notes] if notes else []
    bottom_margin = 0.25 + 0.16 * sum(text.count("\n") + 1 for text in lines)
    strip, top_margin = STRIP * treatments + 0.5, 0.45 if titled else 0.25
    height = top_margin + CURVES + 0.75 + strip + 0.5 + bottom_margin
    drawn = Figure(figsize=(width, height))
    left_edge, wide = 1.15 / width, 1 - 1.44 / width
    upper = drawn.add_axes((left_edge, (bottom_margin + 0.5 + strip + 0.75) / height, wide, CURVES / height))
    lower = drawn.add_axes((left_edge, (bottom_margin + 0.5) / height, wide, strip / height), sharex=upper)
    drawn.text(0.02, (bottom_margin - 0.1) / height, "\n".join(lines), fontsize=7.8, va="top", color=GREY)
    return PatientPanels(upper, lower)


def _draw_curves(axes: Axes, curves: "PatientCurves", names: list[str]) -> None:
    for name, look in looks(names).items():
        rows = curves.curves[curves.curves["treatment"] == name]
        supported = rows["time"] <= curves.follow_up_end[name]
        axes.fill_between(rows["time"], rows["low"], rows["high"], color=look.color, alpha=0.16, linewidth=0)
        axes.plot(
            rows.loc[supported, "time"], rows.loc[supported, "median"], color=look.color, label=treatment_text(name)
        )
        # a line that is dashed throughout still needs its name
        label = None if supported.any() else treatment_text(name)
        extrapolated = rows.loc[~supported.shift(-1, fill_value=False)]
        axes.plot(extrapolated["time"], extrapolated["median"], color=look.color, linestyle="--", label=label)
    axes.set(ylim=(0, 1), xlim=(0, curves.horizon), ylabel="survival")
    _write_axis_caption(
        axes,
        f"{curves.time_unit}. Line, band: the curve and its {curves.level.words} uncertainty; dashed: past follow-up",
    )
    axes.grid(visible=True)
    axes.legend(loc="upper right")


def _draw_outcomes(axes: Axes, curves: "PatientCurves", names: list[str]) -> None:
    for y, name in enumerate(names):
        values = _outcome_quantiles(curves.outcomes, name)
        shown = {share: min(value, curves.horizon) for share, value in values.items()}
        axes.plot([shown[0.025], shown[0.975]], [y, y], color=OUTCOME, linewidth=1.2)
        axes.plot([shown[0.25], shown[0.75]], [y, y], color=OUTCOME, linewidth=5, solid_capstyle="butt")
        if values[0.5] <= curves.horizon:
            axes.plot([values[0.5]], [y], "o", color="white", markeredgecolor=OUTCOME, markersize=6)
        if values[0.975] > curves.horizon:
            axes.annotate("▸", (curves.horizon, y), color=OUTCOME, ha="center", va="center", annotation_clip=False)
    axes.set_yticks(range(len(names)), [treatment_text(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    _write_axis_caption(
        axes, "One such patient's time of the event: half of them in the thick line, 95 of 100 in the thin"
    )
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)


def _write_axis_caption(axes: Axes, text: str) -> None:
    """Under an axis, on two lines where it is narrow."""
    width = axes_inches(axes).width
    axes.set_xlabel(wrapped(text, int(17 * width), lines=3), fontsize=8)


def _outcome_quantiles(table: pd.DataFrame, treatment: str) -> dict[float, float]:
    rows = table[(table["treatment"] == treatment) & (table["what"] == "quantile")]
    return dict(zip(rows["at"], np.asarray(rows["value"], dtype=float), strict=True))
