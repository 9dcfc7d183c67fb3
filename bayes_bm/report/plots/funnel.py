"""A funnel: deviations of arms and printed ratios from the model's average, by standard error, large studies on top."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_bm.report.plots.style import GREY, RC, Look, figure, legend_below
from bayes_bm.report.text import treatment_text

SIZE = (6.4, 4.3)
"""Width and height in inches."""
Z = 1.959963984540054
"""Normal quantile of a 95 % interval."""
RATIOS = "hazard_ratios"
"""Kind of the rows that are drawn hollow."""


def draw_funnel(
    table: pd.DataFrame, heterogeneity: float, axes: Axes | None = None, *, looks: dict[str, Look], xlabel: str
) -> Axes:
    """Draw `Funnel.table`: a point an arm, hollow a printed ratio; dashed what 95 % of studies lie within.

    The dashed lines hold the heterogeneity between studies, which is why they do not meet at the top.
    """
    with mpl.rc_context(RC):
        if axes is None:
            margins = {"left_margin": 0.7, "right_margin": 0.25, "bottom_margin": 0.95, "top_margin": 0.2}
            _, axes = figure(*SIZE, **margins)
        largest = 1.08 * float(table["se"].max()) if len(table) else 1.0
        se = np.linspace(0.0, largest, 50)
        edge = Z * np.hypot(se, heterogeneity)
        for sign in (-1, 1):
            axes.plot(sign * edge, se, "--", color=GREY, linewidth=1, label="_edge")
        axes.axvline(0.0, color=GREY, linewidth=1, label="_average")
        for (name, ratio), rows in table.groupby(["treatment", table["kind"] == RATIOS], sort=False):
            _draw_points(axes, rows, looks[str(name)], str(name), hollow=bool(ratio))
        axes.set(ylim=(largest, 0.0), xlabel=xlabel, ylabel="standard error")
        if len(table):
            legend_below(axes, inches=0.55)
    return axes


def _draw_points(axes: Axes, rows: pd.DataFrame, look: Look, name: str, *, hollow: bool) -> None:
    label = f"{treatment_text(name)}, printed ratio" if hollow else treatment_text(name)
    face = "none" if hollow else look.color
    axes.plot(
        rows["deviation"],
        rows["se"],
        look.marker,
        color=look.color,
        markerfacecolor=face,
        markersize=6,
        label=label,
        linestyle="none",
    )
